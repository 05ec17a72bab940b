"""tools/files.py with real files: the bytes, the text chunks, full disks and killed processes."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from prompts.errors import InputError, PalateError
from prompts.ground.atomic import write_atomically
from tests.processes import run_python
from tools.files import SavedImage, read_parameters, save_image, sweep

HASH = "0123456789abcdef" * 4


def painted(colour: str = "teal") -> Image.Image:
    return Image.new("RGB", (64, 64), colour)


def save(folder: Path, image: Image.Image | None = None, **changes: Any) -> SavedImage:
    values: dict[str, Any] = {
        "prompt": "three rings, on blue",
        "seed": 7,
        "model": "bauhaus",
        "steps": 20,
        "guidance_scale": 3.0,
        "size": (64, 64),
        "adapters": [{"sha256": HASH, "weight": 0.8, "name": "calm"}],
        "extra": {"sampler": "DDIM", "negative_prompt": "noise", "round": 2},
    }
    return save_image(image or painted(), folder, **values | changes)


def test_an_image_is_named_by_the_hash_of_its_bytes(tmp_path: Path) -> None:
    saved = save(tmp_path)
    assert hashlib.sha256(saved.path.read_bytes()).hexdigest() == saved.sha256
    assert saved.path == tmp_path / "images" / f"{saved.id}.png" and saved.relative == f"images/{saved.id}.png"
    assert list((tmp_path / "images").iterdir()) == [saved.path]
    with Image.open(saved.path) as image:
        assert image.tobytes() == painted().tobytes()


def test_the_same_picture_and_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    tagged = painted()
    tagged.info = {"dpi": (300, 300), "comment": "from elsewhere"}
    first, again, other = save(tmp_path), save(tmp_path, tagged), save(tmp_path, seed=8)
    assert first == again and other.sha256 != first.sha256
    assert tagged.info["dpi"] == (300, 300)


def test_the_record_in_the_image_is_read_back(tmp_path: Path) -> None:
    assert read_parameters(save(tmp_path).path) == {
        "prompt": "three rings, on blue",
        "seed": 7,
        "model": "bauhaus",
        "steps": 20,
        "guidance_scale": 3.0,
        "size": [64, 64],
        "adapters": [{"sha256": HASH, "weight": 0.8, "name": "calm"}],
        "extra": {"sampler": "DDIM", "negative_prompt": "noise", "round": 2},
    }


def test_image_browsers_find_the_a1111_text(tmp_path: Path) -> None:
    with Image.open(save(tmp_path, model="sd, 1.5").path) as image:
        assert image.info["parameters"] == (
            "three rings, on blue <lora:calm:0.8>\n"
            "Negative prompt: noise\n"
            "Steps: 20, Sampler: DDIM, CFG scale: 3.0, Seed: 7, Size: 64x64, "
            'Model: "sd, 1.5", Lora hashes: "calm: 0123456789ab", Version: palate'
        )


@pytest.mark.parametrize("prompt", ["Größe", "青い円", "half \ud83d", "nul \0 byte", "two\nlines", ""])
def test_any_prompt_survives(tmp_path: Path, prompt: str) -> None:
    assert read_parameters(save(tmp_path, prompt=prompt).path)["prompt"] == prompt


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK"])
def test_every_usual_mode_can_be_saved(tmp_path: Path, mode: str) -> None:
    assert read_parameters(save(tmp_path, painted().convert(mode)).path)["seed"] == 7


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, Path("a")])
def test_what_is_not_plain_json_is_refused_before_anything_is_written(tmp_path: Path, value: object) -> None:
    with pytest.raises(PalateError, match="plain finite JSON"):
        save(tmp_path, extra={"odd": value})
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_a_record_is_refused_by_name(tmp_path: Path) -> None:
    painted().save(tmp_path / "bare.png")
    (tmp_path / "text.png").write_text("no image")
    painted().save(tmp_path / "photo.jpg")
    for name in ("bare.png", "text.png", "photo.jpg", "missing.png", "."):
        with pytest.raises(InputError, match="holds no palate record"):
            read_parameters(tmp_path / name)


def test_writing_atomically_replaces_and_makes_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.json"
    for data in (b"old", b"new", b""):
        write_atomically(path, data)
        assert path.read_bytes() == data and list(path.parent.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PalateError, match=r"file/below/a\.png"):
        write_atomically(tmp_path / "file" / "below" / "a.png", b"x")
    (tmp_path / "taken").mkdir()
    with pytest.raises(PalateError, match="taken"):
        write_atomically(tmp_path / "taken", b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken"]


def test_a_full_disk_leaves_no_part_and_names_the_path_and_the_room(tmp_path: Path) -> None:
    code = """
import resource, sys
from pathlib import Path
from prompts.errors import PalateError
from tools.files import write_atomically
path = Path(sys.argv[1])
write_atomically(path, b"old")
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_atomically(path, b"x" * 1_000_000)
except PalateError as error:
    print(error)
"""
    path = tmp_path / "images" / "a.png"
    out, problems = run_python(code, str(path)).communicate()
    assert problems == "" and f"no room to write {str(path)!r}" in out and "MiB free" in out
    assert path.read_bytes() == b"old" and list(path.parent.iterdir()) == [path]


def test_a_kill_leaves_whole_images_and_sweep_takes_the_rest(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from PIL import Image
from tools.files import save_image
for n in range(10**6):
    noise = Image.frombytes("RGB", (256, 256), os.urandom(256 * 256 * 3))
    save_image(noise, Path(sys.argv[1]), prompt="p", seed=n, model="m", steps=1, guidance_scale=1, size=(256, 256))
    print(n, flush=True)
"""
    for lines in (1, 3, 6):
        process = run_python(code, str(tmp_path))
        assert process.stdout
        for _ in range(lines):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate()
    images = sorted((tmp_path / "images").glob("*.png"))
    assert len(images) >= 10
    for path in images:
        assert hashlib.sha256(path.read_bytes()).hexdigest()[:16] == path.stem
    kept = {images[0].stem}
    sweep(tmp_path, kept)
    assert list((tmp_path / "images").iterdir()) == [images[0]]


def test_sweep_takes_orphans_and_abandoned_files_only(tmp_path: Path) -> None:
    kept, orphan = save(tmp_path), save(tmp_path, seed=8)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    abandoned = tmp_path / "adapters" / f".a.safetensors.{ended.pid}-00000000.tmp"
    in_use = tmp_path / "adapters" / f".b.safetensors.{os.getppid()}-00000000.tmp"
    mine = tmp_path / "images" / "holiday.png"
    note = tmp_path / "adapters" / ".note.tmp"
    for path in (abandoned, in_use, mine, note):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    parts = [tmp_path / "adapters" / f".{name}.{ended.pid}" for name in ("checkpoint-12", "final", "model")]
    others = [
        tmp_path / "adapters" / name for name in (f".checkpoint-12.{os.getppid()}", f".notes.{ended.pid}", "final.7")
    ]
    for folder in (*parts, *others):
        folder.mkdir()
        (folder / "training.safetensors").write_bytes(b"x")
    assert sweep(tmp_path, {kept.id}) == sorted([abandoned, orphan.path, *parts])
    assert all(path.exists() for path in (kept.path, in_use, mine, note, *others))
    assert sweep(tmp_path, {kept.id}) == [] == sweep(tmp_path / "nowhere", set())
