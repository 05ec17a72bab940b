"""Lists of prompts of a vocabulary: `pool` (training pairs), `held_out` (judging adapters), `anchors` (GAL directions).

And sets of anchors around a subject, for teaching one (GAL, Zhang et al. 2024): `object` and `style` after their Tables 5 and 6,
`bauhaus` and `bauhaus-style` for what the bundled painter can paint. And the prompts of a person's own file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from prompts.atomic import ordinary
from prompts.errors import InputError
from prompts.vocabulary import Vocabulary

FOLDER = Path(__file__).parent / "lists"
DRAWN = 32  # prompts of a list that nobody wrote
SLOT = "{subject}"  # where an anchor's prompt has the subject


class Anchor(NamedTuple):
    """A direction of GAL. `prompt`: the subject in company, "{subject} in a forest"; `concept`: the company alone, "in a forest"."""

    prompt: str
    concept: str


def load_list(vocabulary: Vocabulary, kind: str) -> list[str]:
    """The lines of `prompts/lists/NAME.KIND.txt`; for a vocabulary without one, prompts drawn from it, always the same."""
    path = FOLDER / f"{vocabulary.name}.{kind}.txt"
    if path.is_file():
        return [line for line in path.read_text().splitlines() if line.strip()]
    rng = Random(f"{vocabulary.name} {kind}")
    return [vocabulary.phrase(vocabulary.random(rng)) for _ in range(DRAWN)]


def anchor_sets() -> list[str]:
    """The names of the bundled sets."""
    return sorted(path.name.removeprefix("gal.").removesuffix(".txt") for path in FOLDER.glob("gal.*.txt"))


def load_anchors(name: str) -> list[Anchor]:
    """A bundled set, or a text file of a person's own: one anchor a line, "PROMPT | CONCEPT". Raises InputError naming the line."""
    path = FOLDER / f"gal.{name}.txt" if name in anchor_sets() else Path(name)
    try:
        lines = (ordinary(path, "anchors") if os.path.exists(path) else path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(anchor_sets())
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"anchors {name!r:.300} cannot be read ({why}): give one of {known}, or a text file"
        ) from error
    return [_anchor(line, number, path) for number, line in enumerate(lines, start=1) if line.strip()]


def _anchor(line: str, number: int, path: Path) -> Anchor:
    prompt, bar, concept = (part.strip() for part in line.partition("|"))
    if not (prompt and bar and concept):
        raise InputError(
            f"line {number} of {str(path)!r} is {line!r:.80}: it needs a prompt and a concept, '{SLOT} in a forest | in a forest'"
        )
    return Anchor(prompt, concept)


def prompts_in(path: Path) -> Iterator[str]:
    """The prompts of a file, one a line, read as they are needed. Raises InputError naming the line that is wrong."""
    try:
        with ordinary(path, "prompts").open() as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _prompt(line.strip(), path, number)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"prompts {str(path)!r:.300} cannot be read ({error}): give a .txt or .jsonl file") from error


def _prompt(line: str, path: Path, number: int) -> str:
    if path.suffix != ".jsonl":
        return line
    try:
        prompt = json.loads(line)["prompt"]
    except (ValueError, KeyError, TypeError):
        prompt = None
    if not isinstance(prompt, str) or not prompt.strip():
        raise InputError(f"line {number} of {str(path)!r} is {line!r:.80}: it needs a JSON object with a prompt")
    return prompt
