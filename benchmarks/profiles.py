"""What a run gains by starting from a taste profile: of the same person, and of a stranger.

    python -m benchmarks.profiles --raters 30

Each simulated rater first has an honest search of 4 rounds of 8, which becomes their profile; then a new one begins with a round of 8
random pictures, the same for all conditions. Compared are strengths 0, 0.5 and 1 of the own profile, and 0.5 and 1 of the next
rater's: the rank correlation of the learned taste with the hidden liking of 160 random pictures that nobody rated, and the mean hidden
liking of the 8 pictures that evolve_prompts' belief breeds next, in SDs over random prompts. Pictures are drawn by the renderer.
Prints a line a rater and one JSON object: means with Student's 95 % intervals, and paired differences from strength 0.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from evaluators.looks.features import features
from evaluators.looks.raters import Rater, load_reference
from evaluators.numbers.agreement import spearman
from evaluators.numbers.win_rate import mean_interval
from evaluators.preference import model as preference
from evaluators.scorers.clip import Clip
from prompts.vocabulary import Genome, load_vocabulary
from tools.profiles.profile import Profile
from tools.profiles.records import Features, Manifest, Rated, Scale, Taste
from tools.profiles.taste import Start, worths
from tools.search.genetic import Rated as Scored
from tools.search.screened import screened
from tools.search.space import Space
from trainers.embedded.world.world import Scene, render

MODELS = Path(__file__).parents[1] / "models"
VOCABULARY = load_vocabulary("bauhaus")
ROUND, EARLIER, HELD_OUT = 8, 4, 160
CONDITIONS = {"none": ("own", 0.0), "own 0.5": ("own", 0.5), "own 1": ("own", 1.0), "other 0.5": ("other", 0.5), "other 1": ("other", 1.0)}  # fmt: skip


def drawn(genomes: list[Genome], rng: random.Random) -> list[Image.Image]:
    """A rendering of each."""
    return [render(Scene(genome), random.Random(rng.random())) for genome in genomes]


def profile_of(number: int, clip: Clip) -> Profile:
    """A rater's honest search of four rounds, half bred and half random, as a profile."""
    rater, rng = Rater(number, reference=load_reference(MODELS / "bauhaus")), random.Random(f"profile {number}")
    rated: list[Scored] = []
    looked: list[np.ndarray] = []
    for _ in range(EARLIER):
        genomes: list[Genome] = screened(rated, [], ROUND // 2, 0.2, Space(VOCABULARY), rng) if rated else []
        genomes = [*genomes, *(VOCABULARY.random(rng) for _ in range(ROUND - len(genomes)))]
        images = drawn(genomes, rng)
        rated += zip(rater.rate(images, seed=0), genomes, strict=True)
        looked.append(clip.image_features(images))
    return as_profile(f"rater-{number}", rated, np.concatenate(looked), clip.version)


def as_profile(name: str, rated: list[Scored], looked: np.ndarray, version: str) -> Profile:
    """Ratings and features as a profile that was never a file."""
    values = np.array([value for value, _ in rated])
    images = tuple(hashlib.sha256(f"{name} {row}".encode()).hexdigest() for row in range(len(rated)))
    lines = tuple(
        Rated(image=image, prompt="", genome=genome, value=value, when="", run="")
        for image, (value, genome) in zip(images, rated, strict=True)
    )
    scale, fitted = Scale(mean=float(values.mean()), sd=float(values.std())), preference.fit(looked, values)
    taste = Taste(member="preference-0.npz", kind=fitted.kind, weight=1, centre=scale.mean, spread=scale.sd or 1, ratings=len(values), name=name)  # fmt: skip
    seen = Features(model="bauhaus-clip", version=version, dimension=looked.shape[1])
    manifest = Manifest(name=name, created="", palate="", scale=scale, ratings=len(values), comparisons=0, features=seen, tastes=(taste,), members={})  # fmt: skip
    return Profile(manifest, lines, (), images, looked, (fitted,), worths(rated, VOCABULARY), (), "")


def begun(
    number: int, own: Profile, other: Profile, clip: Clip, bank: np.ndarray, measured: np.ndarray
) -> dict[str, dict[str, float]]:
    """By condition: `agreement` on the bank, and `hidden` of what is bred next."""
    rater, rng = Rater(number, reference=load_reference(MODELS / "bauhaus")), random.Random(f"begun {number}")
    genomes = [VOCABULARY.random(rng) for _ in range(ROUND)]
    images = drawn(genomes, rng)
    rated: list[Scored] = list(zip(rater.rate(images, seed=0), genomes, strict=True))
    looked, liked, found = clip.image_features(images), rater.utility_of(measured), {}
    for name, (whose, strength) in CONDITIONS.items():
        start = Start({"own": own, "other": other}[whose], strength) if strength else None
        prior = start.prior() if start else None
        fitted = preference.fit(looked, np.array([value for value, _ in rated]), "blend", population=prior)
        earlier = start.earlier(VOCABULARY) if start else ()
        children = screened(rated, [], ROUND, 0.2, Space(VOCABULARY), random.Random(f"bred {number}"), earlier)
        hidden = rater.utility_of(features(drawn(children, random.Random(f"drawn {number}"))))
        found[name] = {"agreement": spearman(fitted.predict(bank)[0], liked), "hidden": float(hidden.mean())}
    return found


def told(runs: list[dict[str, dict[str, float]]], key: str) -> dict[str, Any]:
    """Means and paired differences with 95 % intervals."""
    plain = np.array([run["none"][key] for run in runs])
    found = {}
    for name in CONDITIONS:
        values = np.array([run[name][key] for run in runs])
        mean, gain = mean_interval(values.tolist()), mean_interval((values - plain).tolist())
        found[name] = {"mean": [round(x, 3) for x in (mean.mean, mean.low, mean.high)], "gain": [round(x, 3) for x in (gain.mean, gain.low, gain.high)]}  # fmt: skip
    return found


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raters", type=int, default=30)
    given = parser.parse_args()
    clip, rng = Clip(MODELS / "bauhaus-clip"), random.Random("bank of profiles")
    pictures = drawn([VOCABULARY.random(rng) for _ in range(HELD_OUT)], rng)
    bank, measured = clip.image_features(pictures), features(pictures)
    own, runs = profile_of(0, clip), []
    for number in range(given.raters):
        other = profile_of(number + 1, clip)
        runs.append(begun(number, own, other, clip, bank, measured))
        print(json.dumps({"rater": number} | {name: {k: round(v, 3) for k, v in one.items()} for name, one in runs[-1].items()}), flush=True)  # fmt: skip
        own = other
    print(json.dumps({key: told(runs, key) for key in ("agreement", "hidden")} | {"raters": given.raters}))


if __name__ == "__main__":
    main()
