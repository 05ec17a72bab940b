"""Does a subject's adapter grow better by choosing its own references? GAL (Zhang et al. 2024), Table 1, on the bundled painter.

    python -m benchmarks.gal                        (about an hour on one core; --subjects star --seeds 1 for a look)

Four held-out shapes and two held-out textures as styles. Plain DreamBooth is the first round, which all strategies share; each then
chooses, retrains from the base and chooses again. Measured on scenes that are no anchors: TXT-ALN, IMG-ALN and OVF of the last round,
and for the shapes how often a judge that was trained on renderings alone finds them. Differences are paired by subject, with Student's
95 % interval. `shorter` is a control: with balance, chosen images hardly count, but take their turns in the batches.

Goes on where it stopped, down to a training's checkpoint and a painting: all is kept in --work. With --references FOLDER it only draws
the subjects' references there, for configs/training/gal.yaml.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gal_subjects import STYLES, Case, by_judge, case_of, draw_references
from benchmarks.studio import MODELS, machine
from benchmarks.subject import MODULES, SUBJECTS
from evaluators.numbers.win_rate import mean_interval
from evaluators.overfit import should_stop
from evaluators.scorers.clip import Clip
from evaluators.scorers.scene_judge import SceneJudge
from tools.files import opened, save_json
from tools.gal import gal
from tools.gal.spec import GalSpec
from trainers.dreambooth import DreamBoothConfig
from trainers.model.base_model import BaseModel
from trainers.model.load import load

SCORES = ("txt_aln", "img_aln", "ovf")
STRATEGIES: dict[str, dict[str, Any]] = {
    f"{name}{ending}": {"strategy": name, "balance": bool(ending)}
    for name in ("random", "clip", "human", "uncertainty")
    for ending in ("", "+balance")
}
SHORTER = (
    "shorter"  # DreamBooth with as many steps on the references as balance leaves them: is it more than training less?
)
USUAL = ("random", "uncertainty", "uncertainty+balance", SHORTER)
PAPER = {  # Table 1: TXT-ALN, IMG-ALN, OVF
    "object": {
        "dreambooth": (0.298, 0.796, 0.363), "random": (0.285, 0.714, 0.391), "human": (0.297, 0.721, 0.331),
        "uncertainty": (0.305, 0.755, 0.268), "uncertainty+balance": (0.309, 0.771, 0.268), "human+balance": (0.307, 0.772, 0.254),
    },
    "style": {
        "dreambooth": (0.318, 0.694, 0.171), "random": (0.247, 0.620, 0.327), "human": (0.272, 0.622, 0.212),
        "uncertainty": (0.286, 0.628, 0.110), "uncertainty+balance": (0.337, 0.669, 0.058), "human+balance": (0.342, 0.650, 0.023),
    },
}  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """The models, and what every run has in common."""

    how: argparse.Namespace
    model: BaseModel
    clip: Clip
    judge: SceneJudge

    def learn(self, case: Case, seed: int, out: Path, steps: int | None = None, **more: Any) -> dict[str, Any]:
        """Run GAL in `out`, or what is missing of it; the last round's scores and how it came there."""
        how = self.how
        rate = how.learning_rate if case.kind == "object" else how.style_learning_rate
        config = DreamBoothConfig(
            steps=steps or how.steps, rank=how.rank, learning_rate=rate, batch_size=how.batch_size, target_modules=MODULES,
            seed=seed, checkpoint_every=50, keep_checkpoints=1,
        )  # fmt: skip
        spec = GalSpec(**{
            **case.told, "samples": how.samples, "k": how.k, "rate": how.rate, "test_samples": how.test_samples, "stop_early": False,
            "steps": how.sampling_steps, "seed": 10_000 * seed, "rounds": how.rounds, **more,
        })  # fmt: skip
        choose = by_judge(self.judge, case.name) if spec.strategy == "human" else None
        gal.train(
            config,
            case.references,
            base_model=self.model,
            out=out,
            spec=spec,
            clip=self.clip,
            choose=choose,
            name=case.name,
        )
        rounds = json.loads((out / "gal.json").read_text())["rounds"]
        return {
            **rounds[-1]["test_scores"],
            **self._found(case, out / f"round-{len(rounds)}"),
            "rounds": [_told(one, how.k) for one in rounds],
        }

    def _found(self, case: Case, folder: Path) -> dict[str, float]:
        """The share of held-out paintings that show the subject, if it is a shape."""
        if case.kind != "object":
            return {}
        seen = self.judge([opened(file) for file in sorted(folder.glob("test-*.png"))])
        return {"found": float(np.mean([case.name in one.shapes for one in seen]))}

    def _shorter(self, case: Case) -> dict[str, Any]:
        """One training that sees the references as often as the last round of GAL does, and paints little but the tests."""
        real = len(case.references)
        steps = round(self.how.steps * real / (real + self.how.k * (self.how.rounds - 1)))
        return {"steps": max(1, steps), "rounds": 1, "anchors": case.told["anchors"][:1], "samples": 1}

    def measure(self, name: str, seed: int, known: dict[str, Any]) -> None:
        """Every strategy that `known` does not have yet of one subject; each is kept at once."""
        case, folder = case_of(name, self.how, self.model.size), self.how.work / f"{name}-{seed}"
        for strategy in ("dreambooth", *self.how.strategies):
            key, began = f"{seed} {name} {strategy}", time.perf_counter()
            if key in known:
                continue
            if strategy == "dreambooth":
                known[key] = self.learn(case, seed, folder / strategy, rounds=1)
            elif strategy == SHORTER:
                known[key] = self.learn(case, seed, folder / strategy, **self._shorter(case))
            else:
                share_first_round(folder / "dreambooth", folder / strategy)
                known[key] = self.learn(case, seed, folder / strategy, **STRATEGIES[strategy])
            known[key]["seconds"] = round(time.perf_counter() - began, 1)
            save_json(self.how.work / "measured.json", known)
            print(told(key, known[key]), f"{known[key]['seconds']:.0f} s", flush=True)


def share_first_round(plain: Path, out: Path) -> None:
    """Give a strategy the adapter and the paintings of the first round, not what was chosen."""
    if not (out / "round-1").is_dir():
        unfinished = out / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(
            plain / "round-1", unfinished, ignore=shutil.ignore_patterns("round.json", "sheet.png", "checkpoint-*")
        )
        unfinished.rename(out / "round-1")


def _told(record: dict[str, Any], k: int) -> dict[str, Any]:
    """What of a round is worth keeping."""
    would_stop = should_stop(np.array([one["uncertainty"] for one in record["anchors"]]), k)
    chosen = [[one["anchor"], one["image"]] for one in record["chosen"]]
    return {
        **{key: record[key] for key in ("scores", "test_scores", "openness")},
        "chosen": chosen,
        "would_stop": would_stop,
    }


def told(name: str, values: dict[str, Any]) -> str:
    found = f", found {values['found']:.3f}" if "found" in values else ""
    return (
        f"{name:28s} TXT-ALN {values['txt_aln']:.4f}, IMG-ALN {values['img_aln']:.4f}, OVF {values['ovf']:.4f}{found}"
    )


def summary(names: Sequence[str], seeds: int, strategies: Sequence[str], known: dict[str, Any]) -> dict[str, Any]:
    """Means over subjects (each the mean of its seeds), and differences from dreambooth and random, paired by subject."""

    def values(strategy: str, score: str) -> np.ndarray:
        rows = [[known[f"{seed} {name} {strategy}"][score] for seed in range(seeds)] for name in names]
        return np.array(rows).mean(axis=1)

    found: dict[str, Any] = {}
    for strategy in ("dreambooth", *strategies):
        found[strategy] = {score: float(values(strategy, score).mean()) for score in SCORES}
        if set(names) <= set(SUBJECTS):
            found[strategy]["found"] = float(values(strategy, "found").mean())
        others = [
            other for other in ("dreambooth", "random") if other != strategy and other in ("dreambooth", *strategies)
        ]
        for other in others if strategy != "dreambooth" else []:
            differences = {score: values(strategy, score) - values(other, score) for score in SCORES}
            found[strategy][f"minus {other}"] = {
                score: vars(mean_interval(list(gap))) for score, gap in differences.items()
            }
    return found


def show(kind: str, found: dict[str, Any]) -> None:
    """A line a strategy, its differences below it, and the paper's own figures beside it."""
    for strategy, one in found.items():
        paper = PAPER.get(kind, {}).get(strategy)
        beside = f"   (paper: {paper[0]:.3f}, {paper[1]:.3f}, {paper[2]:.3f})" if paper else ""
        print(told(f"{kind} {strategy}", one) + beside)
        for other in ("dreambooth", "random"):
            gaps = one.get(f"minus {other}", {})
            parts = [
                f"{score} {gap['mean']:+.4f} [{gap['low']:+.4f}, {gap['high']:+.4f}]" for score, gap in gaps.items()
            ]
            if parts:
                print(f"    minus {other}: " + ", ".join(parts))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", nargs="+", choices=[*SUBJECTS, *STYLES], default=[*SUBJECTS, *STYLES])
    parser.add_argument("--strategies", nargs="*", choices=[*STRATEGIES, SHORTER], default=list(USUAL))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3, help="the paper has 4")
    parser.add_argument("--anchors", type=int, default=12, help="of the bundled sets, 16 at most; the paper has 18")
    parser.add_argument("--samples", type=int, default=6, help="images an anchor; the paper has 10")
    parser.add_argument("--k", type=int, default=3)
    parser.add_argument("--rate", type=float, default=0.005, help="lambda of Eq. 9")
    parser.add_argument(
        "--shown", type=int, default=2, choices=range(1, 5), help="references of a shape; a style has one"
    )
    parser.add_argument(
        "--captions", choices=["plain", "full"], default="plain",
        help="of the references: plain ones name the subject alone, as the paper's, and the identifier takes on all the rest",
    )  # fmt: skip
    parser.add_argument("--steps", type=int, default=120, help="of a training")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--style-learning-rate", type=float, default=4e-3, help="of the one picture of a style")
    parser.add_argument("--tests", type=int, default=12, help="held-out prompts of a subject")
    parser.add_argument("--test-samples", type=int, default=2)
    parser.add_argument("--sampling-steps", type=int, default=12)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--work", type=Path, default=Path(".studio/gal"))
    parser.add_argument("--out", type=Path)
    parser.add_argument(
        "--references", type=Path, metavar="FOLDER", help="only draw the references of the subjects there"
    )
    return parser.parse_args()


def main() -> None:
    """Measure, print a line a strategy, and one JSON object."""
    how = arguments()
    if how.references:
        for name in how.subjects:
            draw_references(name, how.references, how)
        return
    how.work.mkdir(parents=True, exist_ok=True)
    left_out = ("work", "out", "subjects", "strategies", "seeds", "references")
    settings = {key: value for key, value in vars(how).items() if key not in left_out}
    kept = how.work / "measured.json"
    known: dict[str, Any] = json.loads(kept.read_text()) if kept.is_file() else {"settings": settings}
    if known["settings"] != settings:
        raise SystemExit(f"{str(kept)!r} was measured with {known['settings']}: give another --work")
    model = load(str(MODELS / "bauhaus"), device=how.device)
    device = str(model.device)
    bench = Bench(how, model, Clip(MODELS / "bauhaus-clip", device), SceneJudge(MODELS / "bauhaus-judge", device))
    for seed in range(how.seeds):
        for name in how.subjects:
            bench.measure(name, seed, known)
    groups = {
        "object": [n for n in how.subjects if n in SUBJECTS],
        "style": [n for n in how.subjects if n in STYLES],
        "all": how.subjects,
    }
    found = {kind: summary(names, how.seeds, how.strategies, known) for kind, names in groups.items() if names}
    for kind, one in found.items():
        show(kind, one)
    result = {
        "machine": machine(),
        "settings": settings,
        "seeds": how.seeds,
        "subjects": how.subjects,
        "found": found,
        "paper": PAPER,
    }
    print(json.dumps(result))
    if how.out:
        how.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
