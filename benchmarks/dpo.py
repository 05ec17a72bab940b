"""HG-DPO's ablations on the bundled painter: pool size, statistic matching, LAN, and the baselines, with intervals over seeds.

    python -m benchmarks.dpo --out dpo.json          (three seeds, each 20 minutes of painting and 20 of training on one core)

For every seed: pools of 20 images for prompts of the vocabulary, scored by the bundled PickScore; the pairs of the first N of each pool;
an adapter for each way of training; then held-out prompts, painted with and without it from the same seeds. Reported are the win
rates of PickScore (which chose the pairs) and of CLIP-T (which did not), and the shift of colours (Table 2). Goes on where it
stopped: each adapter's numbers are kept in --work.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.studio import MODELS, machine, painted
from evaluators.looks.colour_shift import colour_shift
from evaluators.numbers.diversity import diversity
from evaluators.numbers.win_rate import mean_interval, wilson, win_rate
from evaluators.scorers.clip import Clip
from evaluators.scorers.pickscore import PickScore
from tools.files import opened, save_png
from tools.jobs.pools import choose
from trainers import dpo, kto, reward, sft
from trainers.embedded.world.dataset import loosely
from trainers.files.adapter_file import AdapterRef
from trainers.model.base_model import BaseModel
from trainers.model.load import load
from trainers.model.paint import paint

LARGEST = 20  # images a pool
SEED = 7_000_000  # of the first held-out picture
FIRST = 20_000_000  # far from any scene that a model was trained on
WAYS: dict[str, dict[str, Any]] = {  # of training: the pool's size, and what differs from the defaults
    "N-2": {"pool": 2}, "N-5": {"pool": 5}, "N-10": {"pool": 10}, "N-20": {"pool": 20},
    "N-20-LAN": {"pool": 20, "lan": True},
    "N-20-SML": {"pool": 20, "statistic_weight": 10_000.0},
    "N-20-x4": {"pool": 20, "pairs": 4, "steps": 600},  # four pairs of every pool, in twice the steps
    "SFT": {"pool": 20, "kind": "sft"}, "KTO": {"pool": 20, "kind": "kto"}, "AlignProp": {"pool": 20, "kind": "reward"},
}  # fmt: skip


class Judges:
    """The scorer that chose, one that did not, and the features of diversity."""

    def __init__(self, device: str) -> None:
        self.pickscore, self.clip = (
            PickScore(MODELS / "bauhaus-pickscore", device),
            Clip(MODELS / "bauhaus-clip", device),
        )

    def __call__(self, images: Sequence[Image.Image], prompts: Sequence[str]) -> dict[str, list[float]]:
        return {name: list(score(images, prompts).values) for name, score in (("pickscore", self.pickscore), ("clip_t", self.clip.clip_t))}  # fmt: skip


def drawn(count: int, seed: int, first: int) -> list[str]:
    """Prompts that leave much unsaid, so that a prompt has a distribution of images and DPO something to choose from."""
    return [loosely(FIRST + 10_000 * seed + first + number) for number in range(count)]


def pools(
    prompts: Sequence[str], model: BaseModel, judges: Judges, seed: int, folder: Path
) -> tuple[list[list[Image.Image]], np.ndarray]:
    """LARGEST images of each prompt, and their PickScores (prompts, LARGEST); painted once, kept in `folder`."""
    images = []
    folder.mkdir(parents=True, exist_ok=True)
    for number, prompt in enumerate(prompts):
        kept = folder / f"{number}.png"
        if not kept.is_file():
            made = paint([prompt] * LARGEST, model=model, seed=1_000_000 * (seed + 1) + LARGEST * number)
            save_png(kept, Image.fromarray(np.concatenate([np.asarray(one.image) for one in made])))
        images.append([Image.fromarray(one) for one in np.split(np.asarray(opened(kept)), LARGEST)])
    return images, np.array([judges.pickscore(made, [prompt] * LARGEST).values for made, prompt in zip(images, prompts, strict=True)])  # fmt: skip


def train(
    way: Mapping[str, Any],
    prompts: Sequence[str],
    made: Sequence[Sequence[Image.Image]],
    scores: np.ndarray,
    model: BaseModel,
    judges: Judges,
    how: argparse.Namespace,
    seed: int,
    out: Path,
) -> AdapterRef:
    """The adapter of one way of training."""
    chosen = [choose(row[: way["pool"]], pairs=way.get("pairs", 1)) for row in scores]
    pairs = [
        dpo.Pair(prompt, images[one.win], images[one.lose])
        for prompt, images, found in zip(prompts, made, chosen, strict=True)
        for one in found
    ]
    common: dict[str, Any] = {"steps": way.get("steps", how.steps), "batch_size": 8, "seed": seed, "learning_rate": how.learning_rate, "checkpoint_every": 10**5}  # fmt: skip
    kind = way.get("kind", "dpo")
    if kind == "sft":
        adapter = sft.train(sft.SftConfig(**common), [(pair.win, pair.prompt) for pair in pairs], base_model=model, out=out)  # fmt: skip
    elif kind == "kto":
        judged = [kto.Judged(pair.prompt, image, liked) for pair in pairs for image, liked in ((pair.win, True), (pair.lose, False))]  # fmt: skip
        adapter = kto.train(kto.KtoConfig(**common, beta=how.beta), judged, base_model=model, out=out)
    elif kind == "reward":
        config = reward.RewardConfig(**{**common, "steps": max(1, how.steps // 10)}, sampler_steps=10, backprop_steps=3)
        adapter = reward.train(
            config,
            prompts,
            scorer=judges.pickscore.of_pixels,
            scorer_version=judges.pickscore.version,
            base_model=model,
            out=out,
        )
    else:
        weight = way.get("statistic_weight", 0.0)
        adapter = dpo.train(dpo.DpoConfig(**common, beta=how.beta, statistic_weight=weight), pairs, base_model=model, out=out)  # fmt: skip
    return AdapterRef(adapter.path, 1.0)


def compared(
    after: Sequence[Image.Image], before: Sequence[Image.Image], prompts: Sequence[str], judges: Judges
) -> dict[str, Any]:
    """Wins by each judge, the shift of colours, and how different the pictures are from each other."""
    now, then = judges(after, prompts), judges(before, prompts)
    found: dict[str, Any] = {name: {"wins": win_rate(now[name], then[name]).rate, "of": len(prompts)} for name in now}
    spread = [diversity(judges.clip.image_features(images)) for images in (after, before)]
    return found | {"shift": colour_shift(after, before)._asdict(), "diversity": spread[0] / spread[1]}


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One way of training over its seeds: pooled win rates with Wilson's interval, means with Student's."""
    found: dict[str, Any] = {"seeds": len(rows)}
    for judge in ("pickscore", "clip_t"):
        total = sum(row[judge]["of"] for row in rows)
        rate = sum(row[judge]["wins"] * row[judge]["of"] for row in rows) / total
        found[judge] = {"rate": rate, "interval": wilson(rate, total), "of": total}
    found |= {f"{channel}_shift": vars(mean_interval([row["shift"][channel] for row in rows])) for channel in ("hue", "saturation", "value")}  # fmt: skip
    return found | {"diversity": float(np.mean([row["diversity"] for row in rows]))}


def told(name: str, found: dict[str, Any]) -> str:
    rates = ", ".join(
        f"{judge} {100 * found[judge]['rate']:.1f} % [{100 * found[judge]['interval'][0]:.1f}, {100 * found[judge]['interval'][1]:.1f}]"
        for judge in ("pickscore", "clip_t")
    )
    shifts = ", ".join(f"{channel} {found[f'{channel}_shift']['mean']:.2f}" for channel in ("hue", "saturation", "value"))  # fmt: skip
    return f"{name:9s} wins by {rates}; shift in % of {shifts}; diversity {found['diversity']:.3f} of the base's"


def one_seed(seed: int, how: argparse.Namespace, model: BaseModel, judges: Judges, known: dict[str, Any]) -> None:
    """Measure every way that `known` does not have yet, and keep each at once."""
    wanted = [name for name in how.ways if f"{seed} {name}" not in known]
    if not wanted:
        return
    prompts, held_out = drawn(how.prompts, seed, 0), drawn(how.held_out, seed, 6_000)
    made, scores = pools(prompts, model, judges, seed, how.work / f"pools-{seed}")
    before = painted(held_out, model, SEED)
    for name in wanted:
        way, out = WAYS[name], how.work / f"{seed}-{(WAYS[name].get('lan') and 'N-20') or name}"
        adapter = train(way, prompts, made, scores, model, judges, how, seed, out)
        after = painted(held_out, model, SEED, adapters=[adapter], like=() if way.get("lan") else None)
        known[f"{seed} {name}"] = compared(after, before, held_out, judges)
        (how.work / "measured.json").write_text(json.dumps(known, indent=1))
        print(f"seed {seed}: " + told(name, summary([known[f"{seed} {name}"]])), flush=True)


def main() -> None:
    """Measure, print a line a way of training, and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=240, help="that get a pool")
    parser.add_argument("--held-out", type=int, default=96, help="prompts that are judged, of each seed")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--beta", type=float, default=500.0)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--work", type=Path, default=Path(".studio/dpo"))
    parser.add_argument("--out", type=Path)
    how = parser.parse_args()
    how.work.mkdir(parents=True, exist_ok=True)
    model = load(str(MODELS / "bauhaus"), device=how.device)
    judges, kept = Judges(str(model.device)), how.work / "measured.json"
    settings = {key: value for key, value in vars(how).items() if key not in ("work", "out", "ways", "seeds")}
    known: dict[str, Any] = json.loads(kept.read_text()) if kept.is_file() else {"settings": settings}
    if known["settings"] != settings:
        raise SystemExit(f"{str(kept)!r} was measured with {known['settings']}: give another --work")
    for seed in range(how.seeds):
        one_seed(seed, how, model, judges, known)
    found = {name: summary([known[f"{seed} {name}"] for seed in range(how.seeds)]) for name in how.ways}
    for name, one in found.items():
        print(told(name, one))
    result = {"machine": machine(), "settings": settings, "ways": found}
    print(json.dumps(result))
    if how.out:
        how.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
