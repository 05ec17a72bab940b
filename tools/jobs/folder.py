"""A folder of pictures as a data set, with the captions that other programs leave there, so that none is dropped in silence.

Two kinds of captions are read: a .txt or .caption file beside each picture (kohya, OneTrainer), and metadata.jsonl or metadata.csv in
the folder (the hub's image folders). Where two say different things of a picture, that is refused. Does not know what is trained.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from prompts.errors import InputError
from prompts.ground.reading import read_text
from prompts.lists import records_in
from tools.photos import sorted_out, tell, tell_others

BESIDE = (".txt", ".caption")  # endings of a caption's file, which has the picture's name
TABLES = ("metadata.jsonl", "metadata.csv")
COLUMNS = ("text", "caption", "prompt")  # of a table: the first that is there is the caption
FILE = "file_name"
_REPEATS = re.compile(r"\d+_.+")  # kohya's "10_sks dog": each picture ten times


class Caption(NamedTuple):
    """What is said of a picture, and where: the file, and its line where it has several."""

    text: str
    where: str


def examples(folder: Path, prompt: Any) -> list[dict[str, Any]]:
    """A record for each picture of a folder and its caption; those without one get `prompt`, or each of several.

    Raises InputError for captions that contradict each other, name no picture or cannot be read, and where there is neither caption
    nor prompt."""
    pictures, others = sorted_out(folder)
    tables, beside = [path for path in others if path.name.lower() in TABLES], _beside(pictures, others)
    found = _captions(pictures, tables, beside)
    used = {*tables, *(path for paths in beside.values() for path in paths)}
    tell_others([path for path in others if path not in used], folder)
    _tell_repeats(folder, pictures)
    bare = [path for path in pictures if path not in found]
    prompts = _prompts(prompt, folder, bare, len(pictures)) if bare else []
    if found:
        _tell_captions(folder, found, bare, prompt)
    return [
        {"image": str(path.resolve()), "prompt": one}
        for path in pictures
        for one in ([found[path].text] if path in found else prompts)
    ]


def _captions(
    pictures: Sequence[Path], tables: Sequence[Path], beside: Mapping[Path, Sequence[Path]]
) -> dict[Path, Caption]:
    """The caption of each picture that has one. Raises InputError for two that differ."""
    found: dict[Path, Caption] = {}
    known = {path.resolve(): path for path in pictures}
    for picture, caption in (*_of_tables(tables, known), *_of_files(beside)):
        before = found.setdefault(picture, caption)
        if before.text != caption.text:
            raise InputError(
                f"picture {str(picture)!r} has two captions: {before.text!r:.80} in {before.where}, and {caption.text!r:.80} in "
                f"{caption.where}. Keep one of them"
            )
    return found


def _beside(pictures: Sequence[Path], others: Sequence[Path]) -> dict[Path, list[Path]]:
    """The files of captions by picture: "dog.txt" and "dog.jpg.txt" belong to "dog.jpg"."""
    places = {path: path for path in others if path.suffix.lower() in BESIDE}
    found: dict[Path, list[Path]] = {}
    for picture in pictures:
        names = [name for ending in BESIDE for end in (ending, ending.upper()) for name in (picture.with_suffix(end), picture.with_name(picture.name + end))]  # fmt: skip
        if mine := [places[name] for name in dict.fromkeys(names) if name in places]:
            found[picture] = mine
    return found


def _of_files(beside: Mapping[Path, Sequence[Path]]) -> Iterator[tuple[Path, Caption]]:
    """One line a file; of more the first is read, as kohya does, and that is told."""
    for picture, files in beside.items():
        for file in files:
            lines = [line.strip() for line in read_text(file, "caption").splitlines() if line.strip()]
            if len(lines) > 1:
                tell("captions of several lines, of which the first is read", file)
            if lines:
                yield picture, Caption(lines[0], repr(str(file)))
            else:
                tell("empty captions, left out", file)


def _of_tables(tables: Sequence[Path], known: Mapping[Path, Path]) -> Iterator[tuple[Path, Caption]]:
    for table in tables:
        for line, row in _rows(table):
            where = f"line {line} of {str(table)!r}"
            name, column = row.get(FILE), next((one for one in COLUMNS if one in row), None)
            if not isinstance(name, str) or not name.strip():
                raise InputError(f"{where} has no {FILE}: it needs the name of a picture, beside {str(table.parent)!r}")
            if column is None:
                raise InputError(
                    f"{where} has no caption (its columns: {', '.join(map(str, row))!r:.200}): name one {' or '.join(COLUMNS)}"
                )
            picture = known.get(_place(table.parent, name, where))
            if picture is None:
                raise InputError(
                    f"{where} names {name!r:.200}, and there is no such picture: correct it, or leave the line out"
                )
            text = row[column]
            if text is not None and not isinstance(text, str):
                raise InputError(f"{where} has the {column} {text!r:.80}, no text: put it in quotation marks")
            if more := [str(key) for key in row if key not in (FILE, column)]:
                tell(f"columns of {table.name} that are not read", ", ".join(more))
            if text and text.strip():
                yield picture, Caption(" ".join(text.split()), where)
            else:
                tell("empty captions, left out", where)


def _place(folder: Path, name: str, where: str) -> Path:
    try:
        return (folder / name.strip()).resolve()
    except (OSError, ValueError) as error:
        raise InputError(f"{where} names {name!r:.200}, which can be no file ({error}): correct it") from error


def _rows(table: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a table with their lines. Raises InputError for what is none."""
    if table.suffix.lower() == ".jsonl":
        yield from records_in(table, "captions")
        return
    text = read_text(table, "captions")
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if None in row or None in row.values():
                raise InputError(f"line {reader.line_num} of {str(table)!r} has {'more' if None in row else 'fewer'} columns than its first: put text with a comma in quotation marks")  # fmt: skip
            yield reader.line_num, dict(row)
    except csv.Error as error:
        raise InputError(f"line {reader.line_num} of {str(table)!r} cannot be read ({error}; a value has at most {csv.field_size_limit()} bytes): mend it") from error  # fmt: skip


def _prompts(prompt: Any, folder: Path, bare: Sequence[Path], of: int) -> list[str]:
    prompts = prompt if isinstance(prompt, list) and prompt else [prompt]
    if not all(isinstance(one, str) and one.strip() for one in prompts):
        which = (
            ""
            if len(bare) == of
            else f" ({len(bare)} of {of} have no caption, the first {str(bare[0].relative_to(folder))!r})"
        )
        raise InputError(
            f"prompt = {prompt!r}: say what the pictures in {str(folder)!r} show{which}, for example 'a photo of sks dog'"
        )
    return list(prompts)


def _tell_captions(folder: Path, found: Mapping[Path, Caption], bare: Sequence[Path], prompt: Any) -> None:
    of = len(found) + len(bare)
    rest = (
        f"; the other {len(bare)} get prompt, {prompt!r:.80}"
        if bare
        else f"; prompt = {prompt!r:.80} is not used"
        if prompt
        else ""
    )
    tell(f"{len(found)} of the {of} pictures have a caption of their own{rest}. Folders", folder)


def _tell_repeats(folder: Path, pictures: Sequence[Path]) -> None:
    for name in dict.fromkeys(path.parent.name for path in pictures if path.parent != folder):
        if _REPEATS.fullmatch(name):
            tell("sub-folders whose number of repeats is not heeded (each picture counts once)", name)
