"""Images named by hash that carry how they were made, and plain pictures and JSON, each whole or absent.

It knows PNG text chunks. It does not know the store: who keeps an image says so to `sweep`.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from prompts.errors import InputError, PalateError
from prompts.ground.atomic import abandoned, remove, write_atomically

IMAGE_NAME = re.compile(r"[0-9a-f]{16}\.png")


@dataclass(frozen=True)
class SavedImage:
    """An image file: the sha256 of its bytes and where it is."""

    sha256: str
    path: Path

    @property
    def id(self) -> str:
        """The first 16 hex digits of the sha256."""
        return self.sha256[:16]

    @property
    def relative(self) -> str:
        """The path below the run's folder, as the store keeps it."""
        return f"images/{self.path.name}"


def save_image(
    image: Image.Image,
    folder: Path,
    *,
    prompt: str,
    seed: int,
    model: str,
    steps: int,
    guidance_scale: float,
    size: tuple[int, int],
    adapters: Sequence[Mapping[str, Any]] = (),
    extra: Mapping[str, Any] | None = None,
) -> SavedImage:
    """Save as `folder`/images/<first 16 of sha256>.png with two text chunks: `parameters` (A1111) and `palate` (JSON).

    size is (width, height); each adapter has at least `sha256` and `weight`, and may have a `name`. `extra` goes into
    the JSON under "extra"; its "sampler" and "negative_prompt" also into `parameters`. The same pixels and arguments
    give the same bytes.

    Raises: PalateError when the disk is full or the folder cannot be written (no partial file is left), or when an
    argument is not plain JSON.
    """
    facts = {
        "prompt": prompt,
        "seed": seed,
        "model": model,
        "steps": steps,
        "guidance_scale": guidance_scale,
        "size": list(size),
        "adapters": [dict(adapter) for adapter in adapters],
        "extra": dict(extra or {}),
    }
    data = _png(image, facts)
    sha256 = hashlib.sha256(data).hexdigest()
    path = folder / "images" / f"{sha256[:16]}.png"
    write_atomically(path, data)
    return SavedImage(sha256, path)


def read_parameters(path: Path) -> dict[str, Any]:
    """The JSON that `save_image` put into a PNG. Raises: InputError when it is not such a file."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            found = json.loads(image.info["palate"])
    except Exception as error:  # PIL raises whatever its parsing stumbles on
        raise _no_record(path, error) from error
    if not isinstance(found, dict):
        raise _no_record(path, TypeError("its palate chunk is not an object"))
    return found


def save_png(path: Path, image: Image.Image) -> None:
    """Write a picture that needs no facts inside, as durably as `write_atomically` does. Raises PalateError as that does."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    write_atomically(path, buffer.getvalue())


def opened(path: Path) -> Image.Image:
    """A picture of our own as RGB; people's are read by tools.photos."""
    with Image.open(path) as image:
        return image.convert("RGB")


def save_json(path: Path, values: Any, *, durable: bool = True) -> None:
    """Write plain values as JSON, as `write_atomically` writes. Raises PalateError as that does."""
    write_atomically(path, json.dumps(values, indent=1, default=str), durable=durable)


def sweep(folder: Path, keep: set[str]) -> list[Path]:
    """Remove what a crash left in a run's folder; returns the paths removed, sorted.

    That is: images whose id (16 hex digits) is not in `keep`, and unfinished files of processes that have ended.
    Call it when nothing is painting into `folder`: an image is orphaned until its step is recorded. Files that are not
    named as we name ours are left alone.

    Raises: PalateError when a file cannot be removed.
    """
    images = folder / "images"
    orphans = [path for path in images.glob("*.png") if IMAGE_NAME.fullmatch(path.name) and path.stem not in keep]
    removed = sorted(orphans + abandoned(folder))
    for path in removed:
        try:
            remove(path)
        except OSError as error:
            raise PalateError(f"cannot remove {str(path)!r} ({error}): check that the folder is yours.") from error
    return removed


def _png(image: Image.Image, facts: dict[str, Any]) -> bytes:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("parameters", _a1111(facts, image.size))
    try:
        chunks.add_text("palate", json.dumps(facts, sort_keys=True, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise PalateError(f"cannot write {facts!r} into an image ({error}): give plain finite JSON values.") from error
    bare = image.copy() if image.mode in ("L", "RGB", "RGBA") else image.convert("RGB")
    bare.info = {}  # a colour profile or resolution that came along would change the bytes
    buffer = io.BytesIO()
    bare.save(buffer, format="PNG", pnginfo=chunks, compress_level=6)
    return buffer.getvalue()


def _a1111(facts: Mapping[str, Any], size: tuple[int, int]) -> str:
    """The text that AUTOMATIC1111's web UI writes and image browsers read: prompt, negative prompt, settings."""
    names = [(str(adapter.get("name") or adapter["sha256"][:12]), adapter) for adapter in facts["adapters"]]
    extra = facts["extra"]
    settings = {"Steps": facts["steps"]}
    settings |= {"Sampler": extra["sampler"]} if extra.get("sampler") else {}
    settings |= {"CFG scale": facts["guidance_scale"], "Seed": facts["seed"], "Size": f"{size[0]}x{size[1]}"}
    settings |= {"Model": facts["model"]}
    hashes = ", ".join(f"{name}: {adapter['sha256'][:12]}" for name, adapter in names)
    settings |= {"Lora hashes": hashes} if hashes else {}
    lines = [" ".join([facts["prompt"], *(f"<lora:{name}:{adapter['weight']:g}>" for name, adapter in names)])]
    lines += [f"Negative prompt: {extra['negative_prompt']}"] if extra.get("negative_prompt") else []
    lines += [", ".join(f"{name}: {_quoted(value)}" for name, value in (settings | {"Version": "palate"}).items())]
    return "\n".join(lines).replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ",:\n") else text


def _no_record(path: Path, error: Exception) -> InputError:
    return InputError(f"{str(path)!r} holds no palate record ({error}): give a PNG that Palate painted.")
