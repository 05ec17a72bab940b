"""Learn what simulated people like, on a model's own pictures of random prompts: the prior that a new person starts from.

    python -m tools.measured.population models/bauhaus --clip models/bauhaus-clip

Writes `population.npz` beside the model (features, means and covariances; no pictures). The raters' seeds begin at 10,000: those
below are for tests and benchmarks, and nothing may be learned from them. What was painted is kept in `--cache` and used again.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np

from evaluators.looks.raters import LEARN_FROM
from evaluators.scorers.weights import version_of
from prompts.vocabulary import Vocabulary, load_vocabulary
from tools.context import Settings, Studio
from tools.taste import POPULATION_FILE

FIRST_RATER = LEARN_FROM
FIRST_PROMPT = 500_000  # seeds of prompts that neither the raters' reference nor a benchmark draws


def look(studio: Studio, vocabulary: Vocabulary, count: int, cache: Path) -> tuple[np.ndarray, np.ndarray]:
    """Paint `count` random prompts; their CLIP features (N, D) and pixel features (N, F), kept in `cache` as long as the models are these."""
    made_with = " ".join(
        version_of(folder) for folder in (Path(studio.settings.model) / "unet", Path(studio.settings.clip))
    )
    if cache.is_file():
        with np.load(cache, allow_pickle=False) as kept:
            if "made_with" in kept and str(kept["made_with"]) == made_with and len(kept["clip"]) >= count:
                return kept["clip"][:count], kept["measured"][:count]
    from evaluators.looks.features import features
    from tools.painting import studio_paints

    clip, measured = [], []
    numbers = range(FIRST_PROMPT, FIRST_PROMPT + count)
    prompts = [vocabulary.phrase(vocabulary.random(random.Random(number))) for number in numbers]
    for images in studio_paints(prompts, studio, FIRST_PROMPT):
        clip.append(studio.clip.image_features(images))
        measured.append(features(images))
    cache.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        cache, clip=np.concatenate(clip), measured=np.concatenate(measured), made_with=np.array(made_with)
    )
    return np.concatenate(clip), np.concatenate(measured)


def rated(reference: np.ndarray, measured: np.ndarray, raters: range) -> np.ndarray:
    """(R, N) ratings by simulated raters of pictures with pixel features (N, F): with their noise, in steps of 0.5."""
    from evaluators.looks.raters import Rater

    rows = []
    for number in raters:
        rater, rng = Rater(number, reference=reference), np.random.default_rng([number, 0x909])
        shaken = rater.utility_of(measured) + rater.noise * rng.standard_normal(len(measured))
        rows.append(rater.points(shaken))
    return np.stack(rows)


def make_population(studio: Studio, vocabulary: Vocabulary, folder: Path, *, pictures: int, raters: int, cache: Path) -> Path:  # fmt: skip
    """Fit the population of `raters` simulated people on `pictures` paintings and write it into `folder`."""
    from evaluators.looks.raters import load_reference
    from evaluators.preference.population import Population

    clip, measured = look(studio, vocabulary, pictures, cache)
    ratings = rated(load_reference(folder), measured, range(FIRST_RATER, FIRST_RATER + raters))
    path = folder / POPULATION_FILE
    Population.fit(clip, ratings, seed=FIRST_RATER).save(path)
    return path


def main() -> None:
    """Make the population of a bundled model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--clip", default="models/bauhaus-clip")
    parser.add_argument("--vocabulary", default="bauhaus")
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--raters", type=int, default=600)
    parser.add_argument("--cache", type=Path, default=Path(".studio/population_pictures.npz"))
    chosen = parser.parse_args()
    studio = Studio(Settings(model=str(chosen.model), clip=chosen.clip, pickscore="", seed=0))
    how = {"pictures": chosen.pictures, "raters": chosen.raters}
    print(make_population(studio, load_vocabulary(chosen.vocabulary), chosen.model, cache=chosen.cache, **how))  # noqa: T201


if __name__ == "__main__":
    main()
