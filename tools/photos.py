"""Photographs as people have them: upright, of any size and mode, as RGB; refused with the next step where they cannot be read.

Knows files of pictures. Does not know what they are for; trainers crop and scale them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prompts.atomic import ordinary
from prompts.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

READ = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif")
_NOT_READ = (".heic", ".heif", ".hif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".jxl", ".psd")
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_AVIF = {b"avif", b"avis"}
_AS_JPEG = "export it as JPEG (Preview or Photos: File > Export; an iPhone takes JPEG with Settings > Camera > Formats > Most Compatible)"


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder, by name. Raises InputError when there are none, and for pictures that `photo` cannot read: none
    is left out in silence."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    bad = [path.name for path in files if path.suffix.lower() in _NOT_READ or is_heic(path)]
    if bad:
        raise InputError(
            f"folder {str(folder)!r} holds {len(bad)} pictures that cannot be read ({', '.join(bad[:5])}): {_AS_JPEG}, or move them "
            "elsewhere"
        )
    found = [path for path in files if path.suffix.lower() in READ]
    if not found:
        raise InputError(f"dataset folder {str(folder)!r} holds no pictures ({', '.join(READ)})")
    return found


def photo(path: Path) -> Image.Image:
    """The picture in a file as RGB: upright by its EXIF orientation, transparency laid on white, 16 bits brought to 8.

    Raises InputError for a file that cannot be read (HEIC, truncated, no picture) or that moves."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    from evaluators.looks.colour import flatten

    if is_heic(ordinary(path, "image")):
        raise InputError(f"image {str(path)!r} is HEIC, which cannot be read here: {_AS_JPEG}")
    try:
        with Image.open(path) as image:
            _check_still(image, path)
            return flatten(_eight_bits(ImageOps.exif_transpose(image)))
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(f"image {str(path)!r} cannot be read ({error}): check the path and the file") from error


def is_heic(path: Path) -> bool:
    """Whether a file is HEIC or HEIF by its first bytes, whatever it is called. AVIF, which has the same container, is not."""
    try:
        with path.open("rb") as stream:
            head = stream.read(64)
    except OSError:
        return False
    if head[4:8] != b"ftyp":
        return False
    brands = _brands(head[: int.from_bytes(head[:4], "big")])
    return bool(brands & _HEIC) and not brands & _AVIF


def _brands(box: bytes) -> set[bytes]:
    return {box[8:12], *(box[at : at + 4] for at in range(16, len(box), 4))}


def _check_still(image: Image.Image, path: Path) -> None:
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # a phone's MPO is a photo with a preview behind it
        raise InputError(f"image {str(path)!r} has {frames} frames or pages: save the one you mean as PNG or JPEG")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Greys of 16 bits, which PIL would cut off at 255, brought to 8; what has 8 is left alone."""
    import numpy as np
    from PIL import Image

    if not image.mode.startswith("I") and image.mode != "F":
        return image
    values = np.asarray(image, dtype=np.float64)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 65_535:
        raise ValueError(
            f"mode {image.mode} with values from {values.min():g} to {values.max():g}, and 0 to 65535 are known"
        )
    most = 1.0 if image.mode == "F" and values.max() <= 1 else 65_535.0
    return Image.fromarray(np.round(values / most * 255).astype(np.uint8))
