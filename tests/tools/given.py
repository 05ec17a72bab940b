"""What a tool is given, without an agent: a trail that is plain lists, and a context around it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prompts.vocabulary import load_vocabulary
from tools.context import Context, Outcome, Settings, Studio
from tools.records import AdapterRow, AnswerRow, ComparisonRow, ImageRow, PreferenceRow, StepRow

PROMPTS = [
    "two large red squares and a teal circle on a white background, scattered, apart, no lines, flat",
    "one small blue ring and a pink cross on a yellow background, centred, overlapping, thin lines, hatched",
    "three small green triangles and an orange diamond on a black background, in a row, apart, bold lines, gradient",
    "two small purple circles and a white square on a teal background, diagonal, translucent, no lines, flat",
]


@dataclass
class Trail:
    """A trajectory held in memory; `record` adds what a tool gave back."""

    rows: list[ImageRow] = field(default_factory=list)
    rated: dict[str, float] = field(default_factory=dict)
    steps: list[StepRow] = field(default_factory=list)
    tastes: list[PreferenceRow] = field(default_factory=list)
    trained: list[AdapterRow] = field(default_factory=list)
    answered: list[AnswerRow] = field(default_factory=list)
    compared: list[ComparisonRow] = field(default_factory=list)
    more: list[str] = field(default_factory=list)

    def images(self) -> Sequence[ImageRow]:
        return self.rows

    def round_images(self) -> Sequence[ImageRow]:
        painted = [row for row in self.rows if row.sampler.get("purpose", "paint") == "paint"]
        return [row for row in painted if row.round == painted[-1].round] if painted else []

    def ratings(self) -> Mapping[str, float]:
        return self.rated

    def answers(self) -> Sequence[AnswerRow]:
        return self.answered

    def comparisons(self) -> Sequence[ComparisonRow]:
        return self.compared

    def wanted_more(self) -> Sequence[str]:
        return self.more

    def results(self, tool: str, round: int | None = None) -> Sequence[StepRow]:
        return [step for step in self.steps if step.tool == tool and round in (None, step.round)]

    def preference(self) -> PreferenceRow | None:
        return self.tastes[-1] if self.tastes else None

    def adapters(self) -> Sequence[AdapterRow]:
        return self.trained

    def record(self, tool: str, outcome: Outcome, round: int = 1) -> Outcome:
        known = {old.id for old in self.rows}
        self.rows += [row.model_copy(update={"round": round}) for row in outcome.images if row.id not in known]
        self.tastes += outcome.preferences
        for adapter in outcome.adapters:
            self.trained = [old for old in self.trained if old.sha256 != adapter.sha256] + [adapter]
        self.steps.append(StepRow(step=len(self.steps) + 1, round=round, node="act", tool=tool, result=outcome.result))
        return outcome


def image_row(prompt: str, number: int = 0, round: int = 1) -> ImageRow:
    """A row whose file is not needed."""
    sha256 = hashlib.sha256(f"{prompt} {number} {round}".encode()).hexdigest()
    return ImageRow(
        sha256=sha256, idx=number, round=round, path=f"images/{sha256[:16]}.png", prompt=prompt, seed=0, model="m"
    )


def rated_trail(rated: Sequence[tuple[float, str]]) -> Trail:
    """A trail of rated prompts without files."""
    rows = [image_row(prompt, number) for number, (_, prompt) in enumerate(rated)]
    return Trail(rows, {row.id: rating for row, (rating, _) in zip(rows, rated, strict=True)})


def context(trail: Trail, folder: Path, studio: Studio | None = None, **changes: Any) -> Context:
    """A context at step 5 of round 1, by the rules."""
    settings = studio.settings if studio else Settings(model="", clip="", pickscore="", seed=0)
    values = {"vocabulary": load_vocabulary("bauhaus"), "step": 5, "round": 1, **changes}
    return Context(
        **{"settings": settings, "studio": studio or Studio(settings), "trail": trail, "folder": folder, **values}
    )
