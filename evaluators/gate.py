"""The promotion gate: may an adapter act from now on? What was measured, the rules, and each rule's answer in a sentence.

There is no score of it all: one broken rule rejects, and says with its number why. Does not paint and knows no scorer, only names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:  # whoever reads a config needs the rules alone
    import numpy as np
    from PIL import Image

    from evaluators.looks.colour_shift import ColourShift
    from evaluators.numbers.win_rate import WinRate

CHANNELS = ("hue", "saturation", "value")


class Rules(BaseModel):
    """What an adapter must show before it acts. A limit that is none is told and not asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    minimum_win_rate: float = Field(
        0.5, ge=0, lt=1, description="every scorer that guided the training wins more than this share of the pairs"
    )
    certain: bool = Field(False, description="ask it of the low end of the 95 % interval, not of the share alone")
    unseen_may_lose: bool = Field(
        False,
        description="whether a scorer that did not guide the training may lose with its whole 95 % interval, which is what a "
        "guide that was deceived looks like to another",
    )
    minimum_clip_t_kept: float = Field(
        0.9, ge=0, le=2, description="share of CLIP-T, the fit to the prompts, that stays"
    )
    maximum_hue_shift: float | None = Field(30.0, ge=0, description="per cent of the mean before (HG-DPO, Table 2)")
    maximum_saturation_shift: float | None = Field(30.0, ge=0, description="per cent of the mean before")
    maximum_value_shift: float | None = Field(30.0, ge=0, description="per cent of the mean before")
    minimum_diversity: float | None = Field(
        0.8, ge=0, description="share of the pictures' mean distance from each other, in CLIP features, that stays"
    )
    minimum_subject_kept: float = Field(
        0.95,
        ge=0,
        description="share of the likeness to the subject's pictures that stays, where there are such pictures",
    )


@dataclass(frozen=True)
class Evidence:
    """The same prompts from the same seeds, with an adapter against without it.

    `wins`: by scorer. `guides`: those that guided the training. `clip_t_kept`, `diversity`: with / without. `subject`: mean CLIP-I
    with the subject's pictures (without, with), -1..1."""

    wins: Mapping[str, WinRate]
    guides: tuple[str, ...]
    clip_t_kept: float
    shift: ColourShift
    diversity: float
    subject: tuple[float, float] | None = None

    def told(self) -> dict[str, Any]:
        """As plain JSON."""
        wins = {name: {**vars(one), "guided": name in self.guides} for name, one in self.wins.items()}
        found = {
            "wins": wins,
            "clip_t_kept": self.clip_t_kept,
            "shift": self.shift._asdict(),
            "diversity": self.diversity,
        }
        return found | {"subject": None if self.subject is None else dict(zip(("without", "with"), self.subject, strict=True))}  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """One side of the comparison: N pictures, their scores (N,) by scorer, CLIP features (N, D), mean CLIP-I with the subject."""

    images: Sequence[Image.Image]
    scores: Mapping[str, Sequence[float]]
    features: np.ndarray
    subject: float | None = None


class Answer(NamedTuple):
    """What a rule says of the evidence."""

    holds: bool
    said: str


@dataclass(frozen=True)
class Verdict:
    """Every rule's answer in a sentence; the adapter is promoted when none is broken."""

    broken: tuple[str, ...]
    kept: tuple[str, ...]

    @property
    def promote(self) -> bool:
        return not self.broken

    @property
    def reasons(self) -> tuple[str, ...]:
        """The broken rules first."""
        return self.broken + self.kept


def measured(after: Judged, before: Judged, guides: Sequence[str]) -> Evidence:
    """What the rules ask about, of pictures made with the adapter (`after`) and without; `scores` hold clip_t among others."""
    from evaluators.looks.colour_shift import colour_shift
    from evaluators.numbers.diversity import diversity
    from evaluators.numbers.win_rate import win_rate

    wins = {name: win_rate(scores, before.scores[name]) for name, scores in after.scores.items()}
    fits = [sum(side.scores["clip_t"]) / len(side.images) for side in (after, before)]
    spreads = [diversity(side.features) for side in (after, before)]
    subject = None if before.subject is None or after.subject is None else (before.subject, after.subject)
    return Evidence(
        wins, tuple(guides), fits[0] / max(fits[1], 1e-6), colour_shift(after.images, before.images),
        spreads[0] / spreads[1] if spreads[1] > 1e-9 else 1.0, subject,
    )  # fmt: skip


def verdict(evidence: Evidence, rules: Rules) -> Verdict:
    """Ask every rule."""
    answers = [
        *_guides(evidence, rules), *_unseen(evidence, rules), _prompts(evidence, rules), *_colours(evidence, rules),
        _diversity(evidence, rules), *_subject(evidence, rules),
    ]  # fmt: skip
    broken, kept = (tuple(one.said for one in answers if one.holds is holds) for holds in (False, True))
    return Verdict(broken, kept)


def _guides(evidence: Evidence, rules: Rules) -> Iterator[Answer]:
    wanted = f"more than {_share(rules.minimum_win_rate)} is wanted" + (" of its low end" if rules.certain else "")
    for name in evidence.guides:
        found = evidence.wins[name]
        holds = (found.low if rules.certain else found.rate) > rules.minimum_win_rate
        yield Answer(holds, f"{name}, which guided the training, prefers the adapter in {_won(found)}: {wanted}.")
    if not evidence.guides:
        without, with_it = evidence.subject or (0.0, 0.0)
        better = "The subject is met better" if with_it > without else "Nothing shows that the pictures became better"
        yield Answer(with_it > without, f"{better}: no scorer guided the training, likeness went from {without:.3f} to {with_it:.3f}.")  # fmt: skip


def _unseen(evidence: Evidence, rules: Rules) -> Iterator[Answer]:
    unseen = {name: found for name, found in evidence.wins.items() if name not in evidence.guides}
    for name, found in unseen.items():
        loses = found.high < 0.5
        how = "it loses beyond doubt, as when a guide is deceived" if loses else "it does not lose beyond doubt"
        yield Answer(
            rules.unseen_may_lose or not loses,
            f"{name}, which did not guide the training, prefers the adapter in {_won(found)}: {how}.",
        )
    if not unseen:
        yield Answer(rules.unseen_may_lose, "No scorer looked on that did not guide the training (0 of them): name one more.")  # fmt: skip


def _prompts(evidence: Evidence, rules: Rules) -> Answer:
    kept, least = evidence.clip_t_kept, rules.minimum_clip_t_kept
    return Answer(kept >= least, f"The fit to the prompts (CLIP-T) keeps {_share(kept)}: at least {_share(least)} is wanted.")  # fmt: skip


def _colours(evidence: Evidence, rules: Rules) -> Iterator[Answer]:
    for channel, found in zip(CHANNELS, evidence.shift, strict=True):
        most = getattr(rules, f"maximum_{channel}_shift")
        limit = "no limit is set" if most is None else f"at most {most:g} % is allowed"
        yield Answer(most is None or found <= most, f"Mean {channel} moved by {found:.1f} %: {limit}.")


def _diversity(evidence: Evidence, rules: Rules) -> Answer:
    found, least = evidence.diversity, rules.minimum_diversity
    limit = "no limit is set" if least is None else f"at least {_share(least)} is wanted"
    return Answer(least is None or found >= least, f"The pictures differ from each other {_share(found)} as much as before: {limit}.")  # fmt: skip


def _subject(evidence: Evidence, rules: Rules) -> Iterator[Answer]:
    if evidence.subject is not None:
        without, with_it = evidence.subject
        kept, least = with_it / max(without, 1e-6), rules.minimum_subject_kept
        said = f"The likeness to the subject (CLIP-I) went from {without:.3f} to {with_it:.3f}, {_share(kept)}"
        yield Answer(kept >= least, f"{said}: at least {_share(least)} is wanted.")


def _won(found: WinRate) -> str:
    return f"{_share(found.rate)} of {found.n} ({_share(found.low)} to {_share(found.high)})"


def _share(value: float) -> str:
    return f"{100 * value:.1f} %".replace(".0 %", " %")
