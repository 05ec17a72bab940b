"""Teach the painter a subject that it never met, from four pictures, and look for it in new scenes.

    python -m benchmarks.subject           (star, heart, eye and spiral; a few minutes each on 2 cores)

Each subject is a held-out shape of one colour with bold lines, drawn on four grounds. The product's own DreamBooth-LoRA job trains
on these; then scenes on other grounds, in other places and company, are painted with and without the adapter, and a judge that was
trained on renderings alone says whether the subject's shape is there. Prints a line a subject and one JSON object: shares with
Wilson 95 % intervals, which take the seeds of one scene for independent.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.studio import COLOURS, MODELS, machine, painted, share
from evaluators.looks.colour import background
from evaluators.scorers.scene_judge import SceneJudge, Seen
from prompts.vocabulary import with_articles
from tools.jobs.watch import run_job
from trainers.embedded.world.world import Scene, render
from trainers.files.adapter_file import AdapterRef
from trainers.model.base_model import BaseModel
from trainers.model.load import load

SUBJECTS = {"star": "red", "heart": "purple", "eye": "blue", "spiral": "black"}
TOKEN = "q"  # noqa: S105  the identifier, in the place of the class's name, which the model cannot know: one token, never trained
SHOWN_ON = (("white", "flat"), ("yellow", "paper"), ("teal", "flat"), ("orange", "gradient"))  # the references' grounds
MODULES = (  # what learns: with attention alone a new shape falls apart as soon as it has company
    "to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "conv1", "conv2",
)  # fmt: skip
PLACES = ("scattered", "diagonal", "in a row", "symmetric")  # no reference stands there
COMPANY = ("circle", "square", "triangle", "diamond", "cross", "semicircle")
TEXTURES = ("flat", "gradient", "paper", "grainy")


def reference(subject: str, ground: str, texture: str, size: int) -> tuple[Image.Image, str]:
    """A rendering of the subject, and the prompt that it is learned with."""
    genome = {
        "background": ground, "count": "one", "size": "large", "colour": SUBJECTS[subject], "shape": subject, "accent_colour": "black",
        "accent_shape": "", "layout": "centred", "overlap": "apart", "lines": "bold lines", "texture": texture,
    }  # fmt: skip
    prompt = f"one large {SUBJECTS[subject]} {TOKEN} on a {ground} background, centred, bold lines, {texture}"
    return render(Scene(genome), random.Random(f"{subject} {ground}"), size), with_articles(prompt)


def new_scene(subject: str, number: int) -> tuple[str, str]:
    """A prompt with the subject in it, in company every other time, and the ground that it names; on no reference's place."""
    rng = random.Random(f"new scene {number}")
    ground = rng.choice([colour for colour in COLOURS if colour != SUBJECTS[subject]])
    company = f" and a {rng.choice([colour for colour in COLOURS if colour != ground])} {rng.choice(COMPANY)}" * (
        number % 2
    )
    ending = ", ".join([rng.choice(PLACES), "bold lines", rng.choice(TEXTURES)])
    return with_articles(f"one large {SUBJECTS[subject]} {TOKEN}{company} on a {ground} background, {ending}"), ground


def taught(subject: str, model: BaseModel, config: dict[str, Any], folder: Path) -> AdapterRef:
    """The adapter that the product's training job makes of four references."""
    rows = []
    for ground, texture in SHOWN_ON:
        image, prompt = reference(subject, ground, texture, model.size)
        image.save(folder / f"{ground}.png")
        rows.append({"image": str(folder / f"{ground}.png"), "prompt": prompt})
    job = {
        "kind": "dreambooth", "config": config, "base_model": model.name, "dataset": rows, "out": str(folder / "adapter"),
        "device": str(model.device), "name": subject,
    }  # fmt: skip
    state = run_job(job, folder / "job")
    if state["state"] != "done":
        raise SystemExit(
            f"The training of {subject!r} failed: {state['error']}\n{(folder / 'job' / 'job.log').read_text()}"
        )
    return AdapterRef(Path(state["adapter"]["path"]), 1.0)


def scenes_of(
    prompts: Sequence[str], model: BaseModel, adapters: Sequence[AdapterRef], how: argparse.Namespace
) -> list[Image.Image]:
    """Every prompt with each seed."""
    return [
        image
        for seed in range(how.seeds)
        for image in painted(prompts, model, 1000 * seed, adapters=adapters, guidance_scale=how.guidance_scale)
    ]


def measure(subject: str, model: BaseModel, judge: SceneJudge, how: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Teach one subject; how often it is found with and without the adapter, and whether scenes still keep their ground."""
    began, config = time.perf_counter(), settings(how) | {"target_modules": MODULES}
    adapter = taught(subject, model, config, folder)
    seconds = time.perf_counter() - began
    scenes = [new_scene(subject, number) for number in range(how.scenes)]
    prompts, grounds = [prompt for prompt, _ in scenes], [ground for _, ground in scenes] * how.seeds
    with_it, without = (scenes_of(prompts, model, adapters, how) for adapters in ([adapter], []))
    if how.sheet:
        save_grid(with_it, how.sheet.with_stem(f"{how.sheet.stem}-{subject}"))
    return {
        "found": found(judge(with_it), subject), "found_without": found(judge(without), subject),
        "background_right": [background(image) == ground for image, ground in zip(with_it, grounds, strict=True)],
        "background_right_without": [background(image) == ground for image, ground in zip(without, grounds, strict=True)],
        "training_seconds": round(seconds, 1),
    }  # fmt: skip


def save_grid(images: Sequence[Image.Image], path: Path) -> None:
    """The pictures side by side, eight to a row, for a person's own eyes."""
    cell = images[0].width + 2
    canvas = Image.new("RGB", (8 * cell, -(-len(images) // 8) * cell), "white")
    for i, image in enumerate(images):
        canvas.paste(image, (i % 8 * cell + 1, i // 8 * cell + 1))
    canvas.save(path)


def found(seen: Sequence[Seen], subject: str) -> list[bool]:
    """Of each picture, whether the subject's shape is in it."""
    return [subject in one.shapes for one in seen]


def shares(hits: dict[str, Any]) -> dict[str, Any]:
    """The lists of hits as shares; other values as they are."""
    return {name: share(value) if isinstance(value, list) else value for name, value in hits.items()}


def together(subjects: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The hits of all subjects in one list each."""
    lists = [name for name, value in subjects[0].items() if isinstance(value, list)]
    return {name: [hit for one in subjects for hit in one[name]] for name in lists}


def settings(how: argparse.Namespace) -> dict[str, float]:
    """How the subjects are taught."""
    return {"steps": how.steps, "rank": how.rank, "learning_rate": how.learning_rate}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=MODELS, help="the folder of model folders")
    parser.add_argument("--subjects", nargs="+", default=list(SUBJECTS), choices=list(SUBJECTS))
    parser.add_argument("--steps", type=int, default=200, help="of the training")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--scenes", type=int, default=16, help="new scenes a subject")
    parser.add_argument("--seeds", type=int, default=3, help="paintings of each scene")
    parser.add_argument("--guidance-scale", type=float, default=3.0)
    parser.add_argument(
        "--sheet", type=Path, help="also write the paintings of each subject: NAME-star.png for NAME.png"
    )
    return parser.parse_args()


def main() -> None:
    """Command line."""
    how = arguments()
    model = load(str(how.models / "bauhaus"), device="auto")
    judge, measured = SceneJudge(how.models / "bauhaus-judge", str(model.device)), {}
    for subject in how.subjects:
        with tempfile.TemporaryDirectory() as folder:
            measured[subject] = measure(subject, model, judge, how, Path(folder))
        print(json.dumps({subject: shares(measured[subject])}), flush=True)
    told = {subject: shares(hits) for subject, hits in measured.items()}
    where = f"{machine()}, {model.device}"
    print(json.dumps({"all": shares(together(list(measured.values()))), **told, **settings(how), "machine": where}))


if __name__ == "__main__":
    main()
