"""Pictures and captions on a sheet: tiles, wrapped text, frames, fonts. PIL only; knows nothing of runs or stores.

Small pictures are enlarged by whole factors without smoothing, so that their pixels can be judged. A picture whose file
is gone is shown as missing: the sheet of an old run must still open.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from prompts.ground.clean import clean

Picture = Image.Image | Path
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
PAPER, INK, FAINT, FRAME, WON = "#ffffff", "#1b1b1b", "#6b6b6b", "#d5d5d5", "#127a3a"
GAP, LINES = 12, 2  # pixels between tiles; lines of text that one caption may take
LONGEST = 400  # characters of a caption that are looked at


def contact_sheet(
    images: Sequence[tuple[Picture, Sequence[str]]],
    columns: int = 4,
    tile: int = 192,
    title: str | None = None,
    *,
    lines: int = LINES,
) -> Image.Image:
    """Pictures in rows of `columns`, each in a square of `tile` pixels with its captions below.

    The first caption is bold; each takes `lines` lines at most. A tab in a caption pushes the rest to the right edge.
    """
    columns = max(1, min(columns, len(images)))
    width = GAP + columns * (tile + GAP)
    captions = [
        [wrapped(text, tile, font_for(tile, bold=not k), lines) for k, text in enumerate(texts)] for _, texts in images
    ]
    heights = [_height(tile, lines) for lines in captions]
    rows = [max(heights[start : start + columns]) for start in range(0, len(images), columns)]
    heading = Heading(title or "", width)
    sheet = Image.new("RGB", (width, heading.height + sum(tile + row + GAP for row in rows) or 1), PAPER)
    heading.draw(sheet)
    top = heading.height
    for number, row in enumerate(rows):
        for column, index in enumerate(range(number * columns, min((number + 1) * columns, len(images)))):
            left = GAP + column * (tile + GAP)
            paste(sheet, images[index][0], left, top, tile)
            write(sheet, captions[index], left, top + tile + 4, tile)
        top += tile + row + GAP
    return sheet


class Heading:
    """A title over a whole sheet."""

    def __init__(self, text: str, width: int) -> None:
        self.font = font_for(256, bold=True)
        self.lines = wrapped(text, width - 2 * GAP, self.font) if text else []
        self.height = GAP + (len(self.lines) * line_height(self.font) + 6 if self.lines else 0)

    def draw(self, sheet: Image.Image) -> None:
        """Write it at the top."""
        draw = ImageDraw.Draw(sheet)
        for number, line in enumerate(self.lines):
            draw.text((GAP, GAP - 4 + number * line_height(self.font)), line, font=self.font, fill=INK)


def _height(tile: int, captions: Sequence[Sequence[str]]) -> int:
    return 6 + sum(len(lines) * line_height(font_for(tile, bold=not k)) for k, lines in enumerate(captions))


def write(
    sheet: Image.Image,
    captions: Sequence[Sequence[str]],
    left: int,
    top: int,
    width: int,
    font: Font | None = None,
    colour: str = INK,
) -> None:
    """Captions below each other, the first bold; a tab splits a line into its left and its right part."""
    draw = ImageDraw.Draw(sheet)
    for number, lines in enumerate(captions):
        face = font or font_for(width, bold=not number)
        for line in lines:
            start, _, end = line.partition("\t")
            draw.text((left, top), start, font=face, fill=colour)
            draw.text((left + width - face.getlength(end), top), end, font=face, fill=colour)
            top += line_height(face)


def paste(sheet: Image.Image, picture: Picture | None, left: int, top: int, tile: int, frame: str = FRAME) -> None:
    """The picture in the middle of its square, with a frame around it; a note where there is no picture."""
    draw, wide = ImageDraw.Draw(sheet), 3 if frame == WON else 1
    image = _opened(picture)
    if image is None:
        draw.rectangle((left, top, left + tile - 1, top + tile - 1), "#f2f2f2", FRAME)
        draw.text(
            (left + tile / 2, top + tile / 2), "file missing", font=font_for(192, bold=False), fill=FAINT, anchor="mm"
        )
        return
    fitted = _fitted(image, tile)
    x, y = left + (tile - fitted.width) // 2, top + (tile - fitted.height) // 2
    sheet.paste(fitted, (x, y))
    draw.rectangle(
        (x - wide, y - wide, x + fitted.width + wide - 1, y + fitted.height + wide - 1), outline=frame, width=wide
    )


def _opened(picture: Picture | None) -> Image.Image | None:
    if picture is None or isinstance(picture, Image.Image):
        return picture.convert("RGB") if picture else None
    try:
        with Image.open(picture) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError):  # gone or damaged: what Pillow raises for either
        return None


def _fitted(image: Image.Image, tile: int) -> Image.Image:
    """Enlarged by the largest whole factor that fits, else shrunk to fit."""
    longest = max(image.size)
    if longest <= tile:
        factor = tile // longest
        return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    smaller = (max(1, image.width * tile // longest), max(1, image.height * tile // longest))
    return image.resize(smaller, Image.Resampling.LANCZOS)


def wrapped(text: str, width: int, font: Font, lines: int = LINES) -> list[str]:
    """`text` in at most `lines` lines of `width` pixels, the last ending in … when there is more."""
    parts = [clean(part, LONGEST) for part in text.split("\t", 1)]
    if len(parts) > 1:
        return ["\t".join(parts)]
    found = [""]
    for word in parts[0].split():
        for piece in _pieces(word, width, font):
            joined = f"{found[-1]} {piece}".strip()
            if font.getlength(joined) <= width:
                found[-1] = joined
            else:
                found.append(piece)
    return found if len(found) <= lines else [*found[: lines - 1], _ended(found[lines - 1], width, font)]


def _pieces(word: str, width: int, font: Font) -> list[str]:
    """A word in parts that fit a line."""
    parts = [""]
    for mark in word:
        if font.getlength(parts[-1] + mark) <= width:
            parts[-1] += mark
        else:
            parts.append(mark)
    return parts


def _ended(text: str, width: int, font: Font) -> str:
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip(" ,") + "…"


def line_height(font: Font) -> int:
    """Pixels from one line of text to the next."""
    return round(1.3 * getattr(font, "size", 10))


@cache
def font_file(bold: bool) -> Path | None:
    """DejaVu Sans as matplotlib brings it along (found, not imported), or None."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / f"DejaVuSans{'-Bold' if bold else ''}.ttf"
    return file if file.is_file() else None


@cache
def font_for(width: int, *, bold: bool) -> Font:
    """A face that suits a column of `width` pixels; Pillow's own where there is no DejaVu (`palate doctor` says so)."""
    size = max(10, min(18, round(width / 16)))
    file = font_file(bold)
    return ImageFont.truetype(str(file), size) if file else ImageFont.load_default(size)
