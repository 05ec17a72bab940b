"""tools/jobs/folder.py: the data folders that other programs leave are read as they meant them; what is left out is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from prompts.errors import InputError
from tools.jobs.folder import examples
from tools.photos import told_together


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures."""
    for name in ("a", "b"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
    return tmp_path


def said(folder: Path, prompt: object = None) -> dict[str, object]:
    """Caption by the picture's name."""
    return {Path(one["image"]).name: one["prompt"] for one in examples(folder, prompt)}


@pytest.mark.parametrize("name", ["a.txt", "a.caption", "a.png.txt", "a.TXT"])
def test_a_file_beside_a_picture_is_its_caption(folder: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    (folder / name).write_bytes(b"\xef\xbb\xbfa red dog\r\n")
    assert said(folder, "a dog") == {"a.png": "a red dog", "b.png": "a dog"}
    assert "1 of the 2 pictures have a caption of their own; the other 1 get prompt, 'a dog'" in caplog.text


def test_the_hubs_tables_are_captions(folder: Path) -> None:
    (folder / "metadata.jsonl").write_text(
        json.dumps({"file_name": "a.png", "text": "one"}) + "\n" + json.dumps({"file_name": "b.png", "text": "two"})
    )
    assert said(folder) == {"a.png": "one", "b.png": "two"}
    (folder / "metadata.jsonl").unlink()
    (folder / "metadata.csv").write_text('file_name,caption,width\na.png,"one, two",8\n./b.png,three,8\n')
    assert said(folder) == {"a.png": "one, two", "b.png": "three"}


def test_a_table_in_a_sub_folder_counts_from_there(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "10_sks dog").mkdir()
    Image.new("RGB", (8, 8)).save(folder / "10_sks dog" / "c.jfif", format="JPEG")
    (folder / "10_sks dog" / "metadata.csv").write_text("file_name,text\nc.jfif,deep\n")
    assert said(folder, "a dog") == {"a.png": "a dog", "b.png": "a dog", "c.jfif": "deep"}
    assert "1 of the 3 pictures in" in caplog.text and "number of repeats is not heeded" in caplog.text


def test_captions_that_contradict_each_other_are_refused_and_equal_ones_are_one(folder: Path) -> None:
    (folder / "a.txt").write_text("a dog")
    (folder / "a.caption").write_text("a dog\n")
    assert said(folder, "x")["a.png"] == "a dog"
    (folder / "metadata.csv").write_text("file_name,text\na.png,a cat\n")
    with pytest.raises(
        InputError, match=r"a\.png' has two captions: 'a cat' in line 2 of .*metadata\.csv'?, and 'a dog' in .*a\.txt"
    ):
        examples(folder, "x")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("metadata.csv", "file_name,text\nz.png,a\n", "line 2 of .* names 'z.png', and there is no such picture"),
        ("metadata.csv", "name,text\na.png,a\n", "line 2 of .* has no file_name"),
        ("metadata.csv", "file_name,label\na.png,3\n", "line 2 of .* has no caption .*text or caption or prompt"),
        ("metadata.csv", "file_name,text\na.png,a dog, red\n", "line 2 of .* has more columns"),
        ("metadata.jsonl", '{"file_name": "a.png"', "line 1 of captions .*no JSON"),
        ("metadata.jsonl", '{"file_name": "a.png", "text": 3}', "line 1 of .* has the text 3, no text"),
        ("metadata.jsonl", "[" * 100_000, "line 1 of captions .*no JSON"),
        (
            "a.txt",
            b"gr\xfcn",
            "caption .*a.txt' cannot be read, it is not UTF-8: line 1 holds the byte 0xFC, in Latin-1 'ü'",
        ),
    ],
)
def test_a_caption_that_cannot_be_read_is_named_with_its_line(
    folder: Path, name: str, text: str | bytes, told: str
) -> None:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=told):
        examples(folder, "a dog")


def test_what_is_left_out_is_counted_and_told_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.txt", "z.txt", "notes.md", "clip.mp4"):
        (folder / name).write_text("one\ntwo\n")
    with told_together():
        assert said(folder, "a dog") == {"a.png": "one", "b.png": "a dog"}
    told = [record.getMessage() for record in caplog.records]
    assert sum("that are no pictures, left out: 3 (clip.mp4, notes.md, z.txt)" in line for line in told) == 1
    assert any("captions of several lines, of which the first is read: 1" in line for line in told) and len(told) == 3


def test_a_picture_without_caption_and_prompt_is_named(folder: Path) -> None:
    (folder / "a.txt").write_text("a dog")
    (folder / "b.txt").write_text("  \n")
    with pytest.raises(InputError, match=r"prompt = None.*1 of 2 have no caption, the first 'b\.png'"):
        examples(folder, None)
