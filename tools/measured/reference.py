"""Measure a model's own pictures of random prompts: what a simulated rater's taste is standardised on.

    python -m tools.measured.reference models/bauhaus --count 256

Writes `rater_reference.npz` (pixel features only, no pictures) beside the model.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from prompts.vocabulary import Vocabulary, load_vocabulary
from tools.context import Settings, Studio


def make_reference(studio: Studio, vocabulary: Vocabulary, folder: Path, count: int) -> Path:
    """Paint `count` random prompts (seeds 0..), measure them, and write the features into `folder`."""
    from evaluators.looks.features import features
    from evaluators.looks.raters import save_reference
    from tools.painting import studio_paints

    prompts = [vocabulary.phrase(vocabulary.random(random.Random(number))) for number in range(count)]
    images = [image for batch in studio_paints(prompts, studio, 0) for image in batch]
    folder.mkdir(parents=True, exist_ok=True)
    return save_reference(folder, features(images))


def main() -> None:
    """Make the reference of a bundled model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--vocabulary", default="bauhaus")
    parser.add_argument("--count", type=int, default=256)
    chosen = parser.parse_args()
    studio = Studio(Settings(model=str(chosen.model), clip="", pickscore="", seed=0))
    print(make_reference(studio, load_vocabulary(chosen.vocabulary), chosen.model, chosen.count))  # noqa: T201


if __name__ == "__main__":
    main()
