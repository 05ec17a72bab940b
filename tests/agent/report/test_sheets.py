"""agent/report/sheets.py and agent/report/drawing.py on real PNGs: where pictures land, what is marked, what happens when files are gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from agent.report.drawing import GAP, WON, contact_sheet, font_file, font_for, wrapped
from agent.report.sheets import before_after_sheet, draw_cover, rating_text, round_sheet
from agent.store.store import Store
from agent.store.summary import ratings_by_image, round_images
from prompts.errors import InputError
from tests.agent.invented_run import invent, picture

GREEN = tuple(bytes.fromhex(WON[1:]))


def colours(image: Image.Image) -> set[object]:
    return {colour for _, colour in image.getcolors(image.width * image.height) or []}


def test_small_pictures_are_enlarged_by_whole_factors_without_new_colours() -> None:
    small = picture(3)
    sheet = contact_sheet([(small, [])], tile=200)
    left = GAP + (200 - 192) // 2
    tile = sheet.crop((left, GAP + 4, left + 192, GAP + 4 + 192))
    assert tile.resize((64, 64), Image.Resampling.NEAREST).tobytes() == small.tobytes()
    assert colours(tile) == colours(small)


def test_large_pictures_are_shrunk_into_their_tile() -> None:
    sheet = contact_sheet([(Image.new("RGB", (900, 300), "red"), ["1"])], tile=192)
    reds = [(x, y) for x in range(sheet.width) for y in range(sheet.height) if sheet.getpixel((x, y)) == (255, 0, 0)]
    assert len(reds) == 192 * 64


def test_rows_grow_with_the_number_of_pictures_and_an_empty_sheet_still_opens() -> None:
    one, five = (contact_sheet([(picture(k), ["1", "a ring"]) for k in range(n)]) for n in (4, 5))
    assert one.width == five.width and five.height > one.height + 192
    assert contact_sheet([], title="nothing").width > 0


def test_captions_wrap_to_two_lines_and_end_in_an_ellipsis() -> None:
    font = font_for(192, bold=False)
    lines = wrapped("three large yellow circles and a purple diamond on a black background, hatched", 192, font)
    assert len(lines) == 2 and lines[-1].endswith("…")
    assert all(font.getlength(line) <= 192 for line in lines)
    assert wrapped("one ring", 192, font) == ["one ring"]


@pytest.mark.parametrize("prompt", ["", "x" * 10_000, "Ein grüner Ring, 三つの輪, 🎨", "two\nlines\x1b[31m", "\ud83d"])
def test_any_prompt_can_be_a_caption(prompt: str) -> None:
    prompt = prompt.encode("utf-8", "backslashreplace").decode()
    assert contact_sheet([(picture(1), ["1", prompt])]).height < 300


def test_the_bundled_font_is_found_without_importing_matplotlib() -> None:
    assert font_file(bold=False) is not None and font_file(bold=True) is not None


@pytest.mark.parametrize(
    ("value", "text"), [(7.5, "7.5"), (8.0, "8"), (10, "10"), (6.6666, "6.7"), (0, "0"), (None, "")]
)
def test_ratings_are_shown_as_people_write_them(value: float | None, text: str) -> None:
    assert rating_text(value) == text


def test_a_round_sheet_holds_the_rounds_pictures_in_the_order_of_their_numbers(store: Store, tmp_path: Path) -> None:
    run = invent(store, tmp_path)
    path = round_sheet(store, run, 2, tmp_path)
    assert path == tmp_path / "runs" / run / "sheets" / "round-02.png"
    rows = round_images(store, run, 2)
    assert len(rows) == 8 and {row.sampler["purpose"] for row in rows} == {"paint"}
    with Image.open(path) as sheet:
        assert sheet.width == GAP + 4 * (192 + GAP)
        with Image.open(tmp_path / "runs" / run / rows[1].path) as second:
            assert sheet.getpixel((2 * GAP + 192 + 100, sheet.height // 2 - 200)) in colours(second.convert("RGB"))


def test_a_round_that_was_not_painted_is_an_error_that_says_so(store: Store, tmp_path: Path) -> None:
    run = invent(store, tmp_path, rounds=1)
    with pytest.raises(InputError, match="round 9"):
        round_sheet(store, run, 9, tmp_path)
    with pytest.raises(InputError, match="no run 'nope'"):
        round_sheet(store, "nope", 1, tmp_path)


def test_a_sheet_opens_when_a_picture_is_gone_or_damaged(store: Store, tmp_path: Path) -> None:
    run = invent(store, tmp_path, rounds=1)
    first, second, *_ = [tmp_path / "runs" / run / row.path for row in round_images(store, run, 1)]
    first.unlink()
    second.write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    with Image.open(round_sheet(store, run, 1, tmp_path)) as sheet:
        assert (0xF2, 0xF2, 0xF2) in colours(sheet.convert("RGB"))


def test_the_side_that_scored_higher_is_framed_and_a_tie_is_not(store: Store, tmp_path: Path) -> None:
    run = invent(store, tmp_path)
    with Image.open(before_after_sheet(store, run, tmp_path)) as sheet:
        left = GAP + 200
        columns = [{sheet.getpixel((left + side * (128 + GAP) - 2, y)) for y in range(sheet.height)} for side in (0, 1)]
        assert GREEN not in columns[0] and GREEN in columns[1]
        assert GREEN not in {
            sheet.getpixel((left + 128 + GAP - 2, y)) for y in range(60, 180)
        }  # the first pair is a tie


def test_without_an_evaluation_there_is_no_before_and_after(store: Store, tmp_path: Path) -> None:
    run = invent(store, tmp_path, trained=False)
    with pytest.raises(InputError, match="no evaluation"):
        before_after_sheet(store, run, tmp_path)


def test_the_cover_shows_the_first_round_and_the_best_rated_pictures_since(store: Store, tmp_path: Path) -> None:
    run = invent(store, tmp_path)
    folder = tmp_path / "runs" / run
    path = draw_cover(store, run, folder)
    assert path == folder / "sheets" / "cover.png"
    with Image.open(path) as cover:
        assert cover.width == GAP + 8 * (128 + GAP)
        ratings = ratings_by_image(store, run)
        best = max((row for row in round_images(store, run, 2)), key=lambda row: ratings[row.id])
        with Image.open(folder / best.path) as loved:
            shown = loved.resize((256, 256), Image.Resampling.NEAREST)
        left = GAP + (256 + GAP - 256) // 2
        assert any(
            cover.crop((left, y, left + 256, y + 256)).tobytes() == shown.tobytes() for y in range(cover.height - 256)
        )


def test_there_is_no_cover_before_a_second_round_is_rated(store: Store, tmp_path: Path) -> None:
    run = invent(store, tmp_path, rounds=1)
    assert draw_cover(store, run, tmp_path / "runs" / run) is None
