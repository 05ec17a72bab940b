"""Who chooses the next references of Generative Active Learning (GAL, Zhang et al. 2024, section 4.1): chance, CLIP, uncertainty, a person.

Knows the numbers of a round's paintings. Does not know how they were painted, nor what is trained on them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from evaluators.overfit import Selected, overfit_share, select, uncertainty
from prompts.errors import InputError, PalateError
from tools.files import save_json

HOW = 'Look at sheet.png. List what you like in `chosen`, at most {k}, each of another anchor: {{"anchor": 3, "image": 0}}.'


class Waiting(PalateError):
    """Nothing is wrong: a person has to choose before it goes on."""


@dataclass(frozen=True)
class Look:
    """A round's paintings, a row for each of the A anchors that are left, m images each.

    `numbers` (A): the anchors' places in the spec; `prompts` (A); `overfit` (A, m): Eq. 8; `fidelity` (A, m): sim(image, anchor);
    `text` (A, m): cosine of the image and the whole prompt; `files` (A, m)."""

    round: int
    numbers: Sequence[int]
    prompts: Sequence[str]
    overfit: np.ndarray
    fidelity: np.ndarray
    text: np.ndarray
    files: Sequence[Sequence[Path]]

    @property
    def uncertainties(self) -> np.ndarray:
        """Omega (A,) of Eq. 6."""
        return np.array([uncertainty(overfit_share(row)) for row in self.overfit])


Choose = Callable[[Look, int], Sequence[Selected]]
"""(a round, k) -> 1 to k of its rows (not numbers), each with one of its images."""


def by_uncertainty(look: Look, k: int) -> list[Selected]:
    """The directions that the model is unsure of, each with its most faithful image (GAL, section 3.2)."""
    return select(look.uncertainties, look.fidelity, k)


def by_clip(look: Look, k: int) -> list[Selected]:
    """The images that fit their whole prompt best, as in StyleDrop's CLIP feedback (Sohn et al. 2023, section 3.3)."""
    return select(np.zeros(len(look.numbers)), look.text, k)


def by_chance(seed: int) -> Choose:
    """Any anchors, any image of each; the same ones whenever the round is chosen again."""

    def choose(look: Look, k: int) -> list[Selected]:
        rng, count = Random(f"{seed} {look.round}"), look.fidelity.shape[1]
        return [Selected(row, rng.randrange(count)) for row in rng.sample(range(len(look.numbers)), k)]

    return choose


def by_person(folder: Path) -> Choose:
    """What a person wrote into `folder`/choose.json. Raises Waiting until they did, InputError for what it cannot be."""

    def choose(look: Look, k: int) -> list[Selected]:
        file = folder / "choose.json"
        if not file.is_file():
            anchors = [
                {"anchor": number, "prompt": said} for number, said in zip(look.numbers, look.prompts, strict=True)
            ]
            save_json(file, {"how": HOW.format(k=k), "chosen": [], "anchors": anchors})
        chosen = _read(file)
        if not chosen:
            raise Waiting(
                f"Round {look.round} waits for your choice: look at {str(folder / 'sheet.png')!r}, fill in `chosen` in {str(file)!r}, "
                "and run the same command again."
            )
        return checked([_row(one, look, file) for one in chosen], look, k, str(file))

    return choose


def checked(chosen: Sequence[Selected], look: Look, k: int, where: str) -> list[Selected]:
    """`chosen` as it is. Raises InputError naming a choice that is not among the round's paintings."""
    count = look.fidelity.shape[1]
    for one in chosen:
        if not (0 <= one.anchor < len(look.numbers) and 0 <= one.image < count):
            raise InputError(
                f"{where} chooses {one!r}: there are {len(look.numbers)} anchors with images 0 to {count - 1}"
            )
    if not 1 <= len(chosen) <= k or len({one.anchor for one in chosen}) < len(chosen):
        raise InputError(
            f"{where} chooses {[tuple(one) for one in chosen]!r}: choose 1 to {k} images, each of another anchor"
        )
    return list(chosen)


def _read(file: Path) -> list[object]:
    try:
        chosen = json.loads(file.read_text())["chosen"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{str(file)!r} cannot be read ({error}): mend it, or delete it to get a new one") from error
    if not isinstance(chosen, list):
        raise InputError(f"chosen = {chosen!r} in {str(file)!r}: give a list of anchors and images")
    return chosen


def _row(one: object, look: Look, file: Path) -> Selected:
    anchor, image = (one.get("anchor"), one.get("image")) if isinstance(one, dict) else (None, None)
    if not isinstance(anchor, int) or anchor not in look.numbers or not isinstance(image, int):
        raise InputError(
            f"{str(file)!r} chooses {one!r}: give an anchor out of {list(look.numbers)} and the number of one of its images"
        )
    return Selected(list(look.numbers).index(anchor), image)
