"""Contact sheets: a round's pictures with numbers, ratings and prompts, pictures before and after an adapter, and a cover.

Where they are saved is here, how they are drawn in agent/report/drawing.py.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from agent.config import run_folder
from agent.report.drawing import FAINT, FRAME, GAP, PAPER, WON, Heading, contact_sheet, font_for, paste, wrapped, write
from agent.report.telling import won
from agent.store.store import Store
from agent.store.summary import latest, ordered, ratings_by_image, round_images
from prompts.errors import InputError
from prompts.ground.atomic import write_atomically
from prompts.ground.console import typed
from tools.records import ImageRow, StepRow

__all__ = [
    "before_after_sheet",
    "contact_sheet",
    "draw_before_after",
    "draw_cover",
    "draw_round",
    "question_sheet",
    "round_sheet",
]
PROMPT_LINES = 4  # below a picture of a round: the words are what the person and the agent talk about
FIRST, BEST = 8, 4  # pictures of a cover: of the first round, and the best rated ones, twice as large
BLOCK = 8  # pairs one above the other, before a second column of pairs starts


def round_sheet(store: Store, run_id: str, number: int, home: Path) -> Path:
    """Write the sheet of round `number` under the run's folder: every picture with its number, rating and prompt.

    Raises: InputError for an unknown run or a round that was not painted.
    """
    return draw_round(store, run_id, number, run_folder(home, run_id))


def draw_round(store: Store, run_id: str, number: int, folder: Path) -> Path:
    """As `round_sheet`, for a run whose folder is `folder`."""
    store.run(run_id)
    rows = round_images(store, run_id, number)
    if not rows:
        hint = f"`{typed('logs', 'show', run_id)}` lists its rounds."
        raise InputError(f"round {number!r} of run {run_id!r} has no images: {hint}")
    ratings = ratings_by_image(store, run_id, [row.id for row in rows])
    items = [
        (folder / row.path, [f"{index}\t{_rated(ratings.get(row.id))}", row.prompt])
        for index, row in enumerate(rows, 1)
    ]
    sheet = contact_sheet(items, title=f"Round {number}{_mean(rows, ratings)}", lines=PROMPT_LINES)
    return _saved(sheet, folder / "sheets" / f"round-{number:02d}.png")


def question_sheet(store: Store, run_id: str, asked: Mapping[str, Any], home: Path) -> Path:
    """Write the sheet of a step's questions: pictures with their number or letter alone, so that nothing else speaks for one."""
    wanted = [image for one in asked["questions"] for image in one["images"]]
    folder, rows = run_folder(home, run_id), store.images_named(run_id, wanted)
    blocks = [
        contact_sheet([(folder / rows[image].path, [mark]) for image, mark in _marked(one, number)], 4, 192, _heading(one, number))
        for number, one in enumerate(asked["questions"], 1)
    ]  # fmt: skip
    columns = max(1, min(len(blocks), 960 // blocks[0].width))
    return _saved(_in_blocks(blocks, columns), folder / "sheets" / f"questions-{int(asked['step']):03d}.png")


def _marked(question: Mapping[str, Any], number: int) -> list[tuple[str, str]]:
    marks = {"rate": [str(number)], "ab": ["A", "B"]}.get(question["kind"], ["1", "2", "3", "4"])
    return list(zip(question["images"], marks, strict=True))


def _heading(question: Mapping[str, Any], number: int) -> str | None:
    asked = {"rate": None, "ab": f"{number}: A or B", "best": f"{number}: the best", "worst": f"{number}: the worst"}
    return asked[question["kind"]]


def _in_blocks(blocks: Sequence[Image.Image], columns: int) -> Image.Image:
    """Blocks of one size in rows, with a line around each."""
    wide, high = max(block.width for block in blocks) + GAP, max(block.height for block in blocks) + GAP
    sheet = Image.new("RGB", (columns * wide + GAP, -(-len(blocks) // columns) * high + GAP), FRAME)
    for place, block in enumerate(blocks):
        sheet.paste(block, (GAP + place % columns * wide, GAP + place // columns * high))
    return sheet


def draw_cover(store: Store, run_id: str, folder: Path) -> Path | None:
    """Write the one picture to show a friend: where the run began, and what was liked best since; None before that is known."""
    ratings, rows = ratings_by_image(store, run_id), round_images(store, run_id, 1)
    shown = [row for row in store.images(run_id) if row.id in ratings and row.round > 1]
    if not rows or not shown:
        return None
    began = [(folder / row.path, [_rated(ratings.get(row.id))]) for row in rows[:FIRST]]
    best = sorted(shown, key=lambda row: -ratings[row.id])[:BEST]
    loved = [(folder / row.path, [f"round {row.round}\t{_rated(ratings[row.id])}", row.prompt]) for row in best]
    parts = [
        contact_sheet(began, FIRST, 128, f"Where it began: round 1{_mean(rows, ratings)}"),
        contact_sheet(loved, BEST, 2 * 128 + GAP, "Where it came to: the best rated since", lines=PROMPT_LINES),
    ]
    cover = Image.new("RGB", (max(part.width for part in parts), sum(part.height for part in parts)), PAPER)
    cover.paste(parts[0], (0, 0))
    cover.paste(parts[1], (0, parts[0].height))
    return _saved(cover, folder / "sheets" / "cover.png")


def _mean(rows: Sequence[ImageRow], ratings: Mapping[str, float]) -> str:
    known = [ratings[row.id] for row in rows if row.id in ratings]
    return f", mean rating {sum(known) / len(known):.1f}" if known else ""


def _rated(value: float | None) -> str:
    return "" if value is None else f"rated {rating_text(value)}"


def rating_text(value: float | None) -> str:
    """A rating as people read it: "7.5", "8", or "" without one."""
    return "" if value is None else f"{round(value, 1):g}"


def before_after_sheet(store: Store, run_id: str, home: Path, step: int | None = None) -> Path:
    """Write the sheet of an evaluation (the newest, or that of `step`): a row a prompt, without and with the adapter.

    The picture that the step's scores put higher is framed and marked; a tie is not. Raises: InputError without one.
    """
    return draw_before_after(store, run_id, run_folder(home, run_id), step)


def draw_before_after(store: Store, run_id: str, folder: Path, step: int | None = None) -> Path:
    """As `before_after_sheet`, for a run whose folder is `folder`."""
    judged = latest(
        [one for one in store.done(run_id, "evaluate_adapter") if step in (None, one.step)], "evaluate_adapter"
    )
    if judged is None:
        raise InputError(
            f"run {run_id!r} has no evaluation of an adapter to show: `{typed('logs', 'show', run_id)}` lists its steps."
        )
    name = "before-after.png" if step is None else f"before-after-{step:03d}.png"
    return _saved(_before_after(_pairs(store, run_id, judged), folder, judged), folder / "sheets" / name)


Side = tuple[ImageRow | None, float | None]  # a picture and its score


def _pairs(store: Store, run_id: str, judged: StepRow) -> list[tuple[str, Side, Side]]:
    """(prompt, without, with) of an evaluation, scored by the score that judged it."""
    scores = store.scores(run_id, step=judged.step)
    name = next(iter(ordered({row.name for row in scores})), None)
    values = {row.image: row.value for row in scores if row.name == name}
    told = judged.facts
    columns: list[list[Any]] = [told.get(key) or [] for key in ("prompts", "without", "with")]
    rows = store.images_named(run_id, [str(image) for column in columns[1:] for image in column])
    return [
        (str(prompt), (rows.get(before), values.get(before)), (rows.get(after), values.get(after)))
        for prompt, before, after in zip(*columns, strict=False)
    ]


def _before_after(
    pairs: Sequence[tuple[str, Side, Side]], folder: Path, judged: StepRow, tile: int = 128
) -> Image.Image:
    words, line = 200, tile + 28
    block = words + 2 * (tile + GAP) + GAP
    blocks = max(1, -(-len(pairs) // BLOCK))
    deep = max(1, -(-len(pairs) // blocks))
    heading = Heading(f"Without and with the adapter: wins {won(judged.facts)}", GAP + blocks * (block + GAP))
    sheet = Image.new("RGB", (GAP + blocks * (block + GAP), heading.height + 20 + deep * line), PAPER)
    heading.draw(sheet)
    for column in range(blocks):
        left, top = GAP + column * (block + GAP), heading.height
        for index, label in enumerate(("without", "with")):
            write(sheet, [[label]], left + words + index * (tile + GAP), top, tile, font_for(192, bold=True))
        for pair in pairs[column * deep : (column + 1) * deep]:
            _pair(sheet, pair, folder, (left, top + 20), words, tile)
            top += line
    return sheet


def _pair(
    sheet: Image.Image, pair: tuple[str, Side, Side], folder: Path, corner: tuple[int, int], words: int, tile: int
) -> None:
    prompt, *sides = pair
    (left, top), font = corner, font_for(192, bold=False)
    write(sheet, [[], wrapped(prompt, words - GAP, font, lines=6)], left, top, words, font)
    scores = [score for _, score in sides]
    best = max((score for score in scores if score is not None), default=None)
    for index, (row, score) in enumerate(sides):
        x = left + words + index * (tile + GAP)
        higher = None not in scores and score == best and scores[0] != scores[1]
        paste(sheet, folder / row.path if row else None, x, top, tile, WON if higher else FRAME)
        text = "" if score is None else f"{score:.2f}"
        label, colour = (f"{text} higher", WON) if higher else (text, FAINT)
        write(sheet, [[label]], x, top + tile + 4, tile, font_for(192, bold=higher), colour)


def _saved(sheet: Image.Image, path: Path) -> Path:
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    write_atomically(path, buffer.getvalue())
    return path
