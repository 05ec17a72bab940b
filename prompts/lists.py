"""Lists of prompts of a vocabulary: `pool` (training pairs), `held_out` (judging adapters), `anchors` (GAL directions).

And sets of anchors around a subject, for teaching one (GAL, Zhang et al. 2024): `object` and `style` after their Tables 5 and 6,
`bauhaus` and `bauhaus-style` for what the bundled painter can paint. And the prompts of a person's own file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from prompts.errors import InputError
from prompts.ground.reading import lines_in, read_text
from prompts.vocabulary import Vocabulary

FOLDER = Path(__file__).parent / "lists"
_NO_LINES = (".json", ".csv", ".tsv", ".yaml", ".yml", ".parquet", ".xlsx", ".html")  # files whose lines are no prompts
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
        lines = read_text(path, "anchors").splitlines()
    except InputError as error:
        raise InputError(f"{error}; or give one of {', '.join(anchor_sets())}") from error
    return [_anchor(line, number, path) for number, line in enumerate(lines, start=1) if line.strip()]


def _anchor(line: str, number: int, path: Path) -> Anchor:
    prompt, bar, concept = (part.strip() for part in line.partition("|"))
    if not (prompt and bar and concept):
        raise InputError(
            f"line {number} of {str(path)!r} is {line!r:.80}: it needs a prompt and a concept, '{SLOT} in a forest | in a forest'"
        )
    return Anchor(prompt, concept)


def prompts_in(path: Path) -> Iterator[str]:
    """The prompts of a .txt file, one a line, or of a .jsonl file, read as they are needed. Raises InputError naming the line that is
    wrong."""
    if path.suffix.lower() in _NO_LINES:
        raise InputError(
            f"prompts {str(path)!r} would be read line by line: give a .txt file, a prompt a line, or a .jsonl file"
        )
    if path.suffix.lower() == ".jsonl":
        yield from (_prompt(one, path, number) for number, one in records_in(path, "prompts"))
    else:
        yield from (_line(line.strip(), path, number) for number, line in lines_in(path, "prompts") if line.strip())


def records_in(path: Path, what: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of a .jsonl file, one a line, with the line's number. `what` it is, for messages. Raises InputError naming the
    line that is none."""
    for number, line in lines_in(path, what):
        if not line.strip():
            continue
        try:
            found = json.loads(line, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:  # brackets in brackets without end
            raise InputError(
                f"line {number} of {what} {str(path)!r} is {line!r:.80}, no JSON ({error}): mend it"
            ) from error
        if not isinstance(found, dict):
            raise InputError(f"line {number} of {what} {str(path)!r} is {line!r:.80}: it needs to be a JSON object")
        yield number, found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r:.80} is there twice")
        found[key] = value
    return found


def _line(line: str, path: Path, number: int) -> str:
    """A prompt as it is; not one that is a JSON object: nobody asks for braces."""
    if line.startswith("{") and line.endswith("}") and '"prompt"' in line:
        raise InputError(f"line {number} of {str(path)!r} is {line!r:.80}, JSON in a text file: call the file .jsonl")
    return line


def _prompt(record: dict[str, Any], path: Path, number: int) -> str:
    prompt = record.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise InputError(f"line {number} of {str(path)!r} is {record!r:.80}: it needs a JSON object with a prompt")
    return prompt
