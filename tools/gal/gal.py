"""Generative Active Learning (GAL, Zhang et al. 2024), Algorithm 1: a subject's DreamBooth that chooses its own next references.

Each round trains from the base on the references and all that was chosen so far, paints every anchor that is left, asks which
images fell back to what the references show besides the subject (Eq. 8), and takes one image of each of k anchors. Joins trainer,
painter and CLIP; everything lies in files, so that a killed job goes on where it was. Does not know processes or the agent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluators import overfit
from prompts.errors import InputError
from prompts.lists import Anchor
from tools.files import opened, save_json
from tools.gal.look import Examination
from tools.gal.select import Choose, Look, Waiting, by_chance, by_clip, by_person, by_uncertainty, checked
from tools.gal.sheet import Row, draw_round, draw_rounds
from tools.gal.spec import GalSpec, renamed

if TYPE_CHECKING:
    from evaluators.scorers.clip import Clip
    from trainers.dreambooth import DreamBoothConfig
    from trainers.engine.training import OnStep
    from trainers.files.adapter_file import Adapter
    from trainers.model.attach import Adapters
    from trainers.model.base_model import BaseModel
    from trainers.sft import Example


def train(
    config: DreamBoothConfig,
    dataset: Sequence[Example],
    *,
    base_model: BaseModel,
    out: Path,
    spec: GalSpec,
    clip: Clip,
    adapters: Adapters = (),
    prior: Sequence[Example] = (),
    weights: Sequence[float] | None = None,
    choose: Choose | None = None,
    on_step: OnStep | None = None,
    should_stop: Callable[[], bool] = bool,
    name: str = "gal",
) -> Adapter:
    """Algorithm 1; returns the last round's adapter. `dataset`: the references, whose prompts name the subject.

    `choose`: who chooses in place of the spec's strategy. Writes OUT/round-N/ (adapter, paintings, sheet.png, round.json),
    gal.json and rounds.png. Runs again with the same arguments: continues. Raises as dreambooth.train does, and Waiting when a
    person has to choose."""
    learning = Learning(
        config, list(dataset), base_model, Path(out), spec.resolved(), clip, adapters, list(prior), list(weights or [1.0] * len(dataset)),
        choose, on_step, should_stop, name,
    )  # fmt: skip
    return learning.run()


@dataclass
class Learning:
    """One run of Algorithm 1. `rounds`: the records of those that ended."""

    config: DreamBoothConfig
    dataset: list[Example]
    model: BaseModel
    out: Path
    spec: GalSpec
    clip: Clip
    adapters: Adapters
    prior: list[Example]
    weights: list[float]
    choose: Choose | None
    on_step: OnStep | None
    should_stop: Callable[[], bool]
    name: str
    rounds: list[dict[str, Any]] = field(default_factory=list)
    losses: dict[str, float] = field(default_factory=dict)

    def run(self) -> Adapter:
        from trainers.files.adapter_file import Adapter

        self._check()
        for number in range(1, self.spec.rounds + 1):
            self.rounds.append(self.round(number))
            draw_rounds(self.rounds, self.out / "rounds.png")
            save_json(self.out / "gal.json", {"rounds": self.rounds, "ended": self.rounds[-1]["ended"]})
            if self.rounds[-1]["ended"]:
                break
        return Adapter.read(self.folder(len(self.rounds)) / "adapter")

    def folder(self, number: int) -> Path:
        return self.out / f"round-{number}"

    def round(self, number: int) -> dict[str, Any]:
        """Train, paint, measure, choose; or what was written when this was done before."""
        folder = self.folder(number)
        if (folder / "round.json").is_file():
            return dict(json.loads((folder / "round.json").read_text()))
        adapter = self._train(number)
        pool = self._pool()
        examine = self._examination(number)
        look, scores = examine(pool, [self.anchors[i] for i in pool], self.spec.samples)
        tests = self.tests and examine(range(len(self.tests)), self.tests, self.spec.test_samples, held_out=True)[1]
        weight = overfit.openness(look.uncertainties, self.spec.rate) if self.spec.balance else 1.0
        ended = self._ended(number, look)
        chosen = [] if ended else self._choose(look)
        record = {
            "round": number, "adapter": {"path": f"round-{number}/adapter", "sha256": adapter.sha256},
            "trained_on": {"references": len(self.dataset), "synthetic": len(self._synthetic())},
            "scores": scores, "test_scores": tests or None, "openness": overfit.openness(look.uncertainties, self.spec.rate),
            "ended": ended, "chosen": [self._told(one, look, weight) for one in chosen], "anchors": _rows(look),
        }  # fmt: skip
        self._draw(look, chosen)
        save_json(folder / "round.json", record)
        return record

    @property
    def anchors(self) -> Sequence[Anchor]:
        assert not isinstance(self.spec.anchors, str), "the spec is resolved"
        return self.spec.anchors

    @property
    def tests(self) -> Sequence[Anchor]:
        assert not isinstance(self.spec.test_prompts, str), "the spec is resolved"
        return self.spec.test_prompts

    def _synthetic(self) -> list[dict[str, Any]]:
        """What was chosen in the rounds so far."""
        return [one for record in self.rounds for one in record["chosen"]]

    def _pool(self) -> list[int]:
        """The anchors that nobody chose yet."""
        gone = {one["anchor"] for one in self._synthetic()}
        return [number for number in range(len(self.anchors)) if number not in gone]

    def _train(self, number: int) -> Adapter:
        """DreamBooth from the base, on the references and all synthetic images, each with the weight of its own round."""
        from trainers import dreambooth

        def count(step: int, total: int, losses: dict[str, float]) -> None:
            self.losses = losses | {"round": number}
            self._tick((number - 1) * total + step)

        made = self._synthetic()
        return dreambooth.train(
            self.config, [*self.dataset, *((opened(self.out / one["file"]), one["prompt"]) for one in made)], base_model=self.model,
            out=self.folder(number) / "adapter", adapters=self.adapters, prior=self.prior,
            weights=[*self.weights, *(one["weight"] for one in made)], on_step=count, should_stop=self.should_stop, name=self.name,
        )  # fmt: skip

    def _tick(self, step: int) -> None:
        if self.on_step is not None:
            self.on_step(step, self.spec.rounds * self.config.steps, self.losses)

    def _examination(self, number: int) -> Examination:
        from trainers.files.adapter_file import AdapterRef

        folder = self.folder(number)
        return Examination(
            number, folder, self.model, [*self.adapters, AdapterRef(folder / "adapter", 1.0)], self.clip, self.spec, self.config.size,
            self.dataset, lambda: self._tick(number * self.config.steps), self.should_stop,
        )  # fmt: skip

    def _ended(self, number: int, look: Look) -> str | None:
        """Why this round is the last one, or None."""
        if number == self.spec.rounds:
            return f"all {number} rounds are over"
        if self.spec.stop_early and overfit.should_stop(look.uncertainties, self.spec.k):
            return f"fewer than {self.spec.k} anchors are uncertain (Eq. 10)"
        return None if len(look.numbers) > self.spec.k else "the anchors run out"

    def _choose(self, look: Look) -> list[overfit.Selected]:
        """By the strategy. What a person chose is in a file before anything goes on; they see the sheet first."""
        strategies: dict[str, Choose] = {
            "random": by_chance(self.spec.seed), "clip": by_clip, "uncertainty": by_uncertainty,
            "human": by_person(self.folder(look.round)),
        }  # fmt: skip
        try:
            chosen = (self.choose or strategies[self.spec.strategy])(look, self.spec.k)
        except Waiting:
            self._draw(look, [])
            raise
        return checked(chosen, look, self.spec.k, f"round {look.round}")

    def _told(self, one: overfit.Selected, look: Look, weight: float) -> dict[str, Any]:
        file = look.files[one.anchor][one.image].relative_to(self.out)
        told = {
            "anchor": look.numbers[one.anchor],
            "image": one.image,
            "file": str(file),
            "prompt": look.prompts[one.anchor],
        }
        return told | {"weight": weight, "round": look.round}

    def _draw(self, look: Look, chosen: Sequence[overfit.Selected]) -> None:
        picked, omega = {one.anchor: one.image for one in chosen}, look.uncertainties
        rows = [
            Row([f"{look.numbers[i]}: {prompt}", f"uncertainty {omega[i]:.3f}"], look.files[i], look.overfit[i].tolist(), picked.get(i))
            for i, prompt in enumerate(look.prompts)
        ]  # fmt: skip
        title = f"Round {look.round}: {look.overfit.mean():.0%} overfit (crossed out); chosen ones are framed"
        draw_round(rows, title, self.folder(look.round) / "sheet.png")

    def _check(self) -> None:
        """Raises InputError for references that do not name the subject, and for a folder that holds another run."""
        from trainers.engine.checkpoint import fingerprint
        from trainers.files.adapter_file import find, sha256

        for _, prompt in self.dataset:
            renamed(prompt, self.spec.subject, "")
        plan = {
            **self.spec.model_dump(mode="json"), "config": self.config.model_dump(mode="json"), "base_model": self.model.name,
            "adapters": [[sha256(find(one.path)), one.weight] for one in self.adapters],
            "data": fingerprint([*self.dataset, *self.prior], self.weights), "clip": self.clip.version,
        }  # fmt: skip
        self.out.mkdir(parents=True, exist_ok=True)
        before = json.loads((self.out / "plan.json").read_text()) if (self.out / "plan.json").is_file() else plan
        for key in sorted(plan.keys() | before.keys()):
            if before.get(key) != plan.get(key):
                raise InputError(
                    f"{str(self.out)!r} holds another run: its {key} was {before.get(key)!r:.200}, now {plan.get(key)!r:.200}: give "
                    "another `out`, or the same settings to go on with it"
                )
        save_json(self.out / "plan.json", plan)


def _rows(look: Look) -> list[dict[str, Any]]:
    told = zip(
        look.numbers,
        look.prompts,
        look.overfit.tolist(),
        look.fidelity.tolist(),
        look.uncertainties.tolist(),
        strict=True,
    )
    names = ("anchor", "prompt", "overfit", "fidelity", "uncertainty")
    return [dict(zip(names, one, strict=True)) for one in told]
