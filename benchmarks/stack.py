"""Stack a taste on a subject (HG-DPO, section 3.3): does the subject stay, and does the taste act?

    python -m benchmarks.stack             (star, heart, eye and spiral; a few minutes a subject on one core)

The taste is a Diffusion-DPO adapter of the bundled PickScore's best and worst, trained once, on the base alone; each subject a
DreamBooth adapter of four pictures, as in benchmarks.subject. New scenes are then painted with the subject's adapter alone and with
the taste's on top at each weight, from the same seeds. Reported: CLIP-I with the four pictures, the share of pictures in which a
judge finds the subject, and how often PickScore prefers the stack. Prints a line a weight and one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.dpo import drawn
from benchmarks.studio import MODELS, machine, share
from benchmarks.subject import MODULES, SHOWN_ON, SUBJECTS, found, new_scene, reference, scenes_of, taught
from evaluators.numbers.win_rate import mean_interval, win_rate
from evaluators.scorers.clip import Clip
from evaluators.scorers.pickscore import PickScore
from evaluators.scorers.scene_judge import SceneJudge
from evaluators.subject import kept
from tools.jobs.pools import choose
from trainers import dpo
from trainers.files.adapter_file import AdapterRef
from trainers.model.base_model import BaseModel
from trainers.model.load import load
from trainers.model.paint import paint


class Judges:
    """Who looks at the pictures."""

    def __init__(self, models: Path, device: str) -> None:
        self.clip, self.pickscore = (
            Clip(models / "bauhaus-clip", device),
            PickScore(models / "bauhaus-pickscore", device),
        )
        self.scene = SceneJudge(models / "bauhaus-judge", device)


def taste(model: BaseModel, judges: Judges, how: argparse.Namespace, out: Path) -> AdapterRef:
    """The population's taste as an adapter: pools of loose prompts, best against worst, trained on the base alone."""
    pairs = []
    for number, prompt in enumerate(drawn(how.prompts, how.seed, 0)):
        images = [one.image for one in paint([prompt] * how.pool, model=model, seed=1_000_000 + how.pool * number)]
        chosen = choose(np.array(judges.pickscore(images, [prompt] * how.pool).values))
        pairs += [dpo.Pair(prompt, images[chosen.win], images[chosen.lose])] if chosen else []
    config = dpo.DpoConfig(
        steps=how.taste_steps, batch_size=8, learning_rate=how.taste_rate, seed=how.seed, checkpoint_every=10**5
    )
    return AdapterRef(dpo.train(config, pairs, base_model=model, out=out, name="taste").path)


def measure(
    subject: str, model: BaseModel, judges: Judges, taste: AdapterRef, how: argparse.Namespace, folder: Path
) -> dict[str, Any]:
    """Pictures of one subject at every weight of the taste, each told beside weight 0; lists of values, a value a picture."""
    settings = {"steps": how.steps, "rank": how.rank, "learning_rate": how.learning_rate, "target_modules": MODULES}
    adapter = taught(subject, model, settings, folder)
    shown = judges.clip.image_features([reference(subject, *ground, model.size)[0] for ground in SHOWN_ON])
    prompts = [new_scene(subject, number)[0] for number in range(how.scenes)]
    alone = scenes_of(prompts, model, [adapter], how)
    rows: dict[str, Any] = {}
    for weight in (0.0, *how.weights):
        images = scenes_of(prompts, model, [adapter, AdapterRef(taste.path, weight)], how) if weight else alone
        rows[f"{weight:g}"] = compared(images, alone, prompts * how.seeds, subject, shown, judges)
    return rows


def compared(
    images: Sequence[Image.Image], alone: Sequence[Image.Image], prompts: Sequence[str], subject: str, shown: np.ndarray,
    judges: Judges,
) -> dict[str, Any]:  # fmt: skip
    """What a weight does to the pictures of a subject."""
    before, after = (judges.clip.image_features(list(one)) for one in (alone, images))
    scores, base = (list(judges.pickscore(list(one), list(prompts)).values) for one in (images, alone))
    return {
        "similarity": kept(before, after, shown), "found": found(judges.scene(list(images)), subject), "scores": scores, "base": base,
    }  # fmt: skip


def together(subjects: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One weight over all subjects: similarity as the mean over subjects, hits and wins over all pictures."""
    similar, wins = (
        [one["similarity"] for one in subjects],
        win_rate(
            [score for one in subjects for score in one["scores"]], [score for one in subjects for score in one["base"]]
        ),
    )
    change = similar[0].change if len(similar) == 1 else mean_interval([one.change.mean for one in similar])
    return {
        "similarity": float(np.mean([one.after for one in similar])), "change": [change.mean, change.low, change.high],
        "found": share([hit for one in subjects for hit in one["found"]]), "wins": [wins.rate, wins.low, wins.high],
    }  # fmt: skip


def told(weight: str, row: dict[str, Any]) -> str:
    """One weight as a line."""
    change, hits, wins = row["change"], row["found"], row["wins"]
    return (
        f"taste at {weight:>4s}: similarity {row['similarity']:.3f} ({change[0]:+.3f} [{change[1]:+.3f}, {change[2]:+.3f}]), "
        f"subject found in {100 * hits['share']:.1f} % [{100 * hits['low']:.1f}, {100 * hits['high']:.1f}], "
        f"PickScore prefers the stack in {100 * wins[0]:.1f} % [{100 * wins[1]:.1f}, {100 * wins[2]:.1f}]"
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=MODELS, help="the folder of model folders")
    parser.add_argument("--subjects", nargs="+", default=list(SUBJECTS), choices=list(SUBJECTS))
    parser.add_argument(
        "--weights", nargs="+", type=float, default=[0.5, 1.0], help="of the taste, on top of the subject"
    )
    parser.add_argument("--steps", type=int, default=200, help="of the subject's training")
    parser.add_argument("--rank", type=int, default=16, help="of the subject")
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="of the subject")
    parser.add_argument("--prompts", type=int, default=48, help="that get a pool")
    parser.add_argument("--pool", type=int, default=10, help="images a pool, at most 64")
    parser.add_argument("--taste-steps", type=int, default=200)
    parser.add_argument("--taste-rate", type=float, default=3e-4)
    parser.add_argument("--scenes", type=int, default=16, help="new scenes a subject")
    parser.add_argument("--seeds", type=int, default=3, help="paintings of each scene")
    parser.add_argument("--guidance-scale", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0, help="of the taste")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="also write the JSON object here")
    return parser.parse_args()


def main() -> None:
    """Command line."""
    how = arguments()
    model = load(str(how.models / "bauhaus"), device=how.device)
    judges, measured = Judges(how.models, str(model.device)), []
    with tempfile.TemporaryDirectory() as folder:
        liked = taste(model, judges, how, Path(folder) / "taste")
        for subject in how.subjects:
            (Path(folder) / subject).mkdir()
            measured.append(measure(subject, model, judges, liked, how, Path(folder) / subject))
            for weight, row in measured[-1].items():
                print(f"{subject}, {told(weight, together([row]))}", flush=True)
    rows = {weight: together([one[weight] for one in measured]) for weight in measured[0]}
    print("\n".join(told(weight, row) for weight, row in rows.items()))
    settings = {key: value for key, value in vars(how).items() if key not in ("models", "out")}
    result = {"machine": f"{machine()}, {model.device}", "settings": settings, "weights": rows}
    print(json.dumps(result))
    if how.out:
        how.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
