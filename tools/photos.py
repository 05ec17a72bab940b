"""Photographs as people have them: upright, of any size, mode and colour space, as RGB; refused with the next step where they cannot be read.

The one place that opens a stranger's picture: PIL raises whatever its parsing stumbles on, and here it becomes an InputError. What is
converted, scaled or left out is counted and told (`told_together`). Does not know what pictures are for; trainers crop and scale them.
Long because every way in which a stranger's folder or picture may surprise is met in one place.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from prompts.errors import InputError
from prompts.ground.clean import clean
from prompts.ground.reading import limit, ordinary

if TYPE_CHECKING:
    from PIL import Image

READ = (
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo", ".jp2", ".j2k", ".jpf", ".jpx", ".jpc", ".j2c", ".webp", ".bmp", ".dib",
    ".tif", ".tiff", ".gif", ".avif", ".avifs", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".tga", ".qoi",
)  # fmt: skip
MOST_PIXELS = ("PALATE_MOST_PIXELS", 300_000_000)  # of a picture that is opened at all
MOST_FILES = ("PALATE_MOST_FILES", 200_000)  # of a folder with its sub-folders: more is a disk, and not a data set
LARGE, SHORTEST = (
    2**26,
    2048,
)  # pixels from which a picture is scaled as it is read, and its short side after that at least
_NOT_READ = (".heic", ".heif", ".hif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".jxl", ".psd")
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_AVIF = {b"avif", b"avis"}
# How pictures without a known ending begin: PNG, JPEG, TIFF, GIF, JPEG 2000.
_BEGINS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"GIF8", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")
_SYSTEMS = ("thumbs.db", "desktop.ini", "__macosx")  # what file managers leave behind; nobody misses it
_AS_JPEG = "export it as JPEG (Preview or Photos: File > Export; an iPhone takes JPEG with Settings > Camera > Formats > Most Compatible)"
_SCALES = (
    "L",
    "LA",
    "RGB",
    "RGBA",
    "CMYK",
    "I",
    "F",
    "I;16",
    "I;16B",
    "I;16L",
)  # modes; a palette's numbers are no amounts
MOST_PNG_TEXT = (
    "PALATE_MOST_PNG_TEXT",
    2**28,
)  # bytes of text in a PNG, unpacked: web UIs write their whole workflow there
# What PIL may open. Not EPS, for which it would start another program.
_FORMATS = (
    "PNG", "JPEG", "MPO", "JPEG2000", "WEBP", "BMP", "DIB", "TIFF", "GIF", "AVIF", "PPM", "TGA", "QOI", "ICO", "ICNS", "PCX", "SGI", "PSD", "DDS",
)  # fmt: skip
_LOG = logging.getLogger(__name__)
_LOCK = RLock()  # PIL's limits are of the whole process
_TALLY: ContextVar[dict[str, list[str]] | None] = ContextVar("tally", default=None)


@contextmanager
def told_together() -> Iterator[None]:
    """What is to be told of pictures and folders meanwhile is counted, and told at the end of the outermost: one line a kind."""
    if _TALLY.get() is not None:
        yield
        return
    found: dict[str, list[str]] = {}
    token = _TALLY.set(found)
    try:
        yield
    finally:
        _TALLY.reset(token)
        for what, names in found.items():
            shown = ", ".join(names[:3]) + (", .." if len(names) > 3 else "")
            _LOG.warning("%s: %d (%s)", what, len(names), shown)


def tell(what: str, name: object) -> None:
    """Say `what` was done with `name`: at once, or with others of its kind where they are `told_together`."""
    tally, plain = _TALLY.get(), clean(name, 200)
    if tally is None:
        _LOG.warning("%s: %s", what, plain)
    elif plain not in (names := tally.setdefault(what, [])):
        names.append(plain)


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder and its sub-folders, by name. What else lies there is told. Raises InputError when there are none, and
    for pictures that `photo` cannot read."""
    with told_together():
        pictures, others = sorted_out(folder)
        tell_others(others, folder)
    return pictures


def sorted_out(folder: Path) -> tuple[list[Path], list[Path]]:
    """The pictures of a folder and its sub-folders, by name, and all other files but hidden ones. Raises as `pictures_in`."""
    files = sorted(_files(folder))
    bad = [str(path.relative_to(folder)) for path in files if path.suffix.lower() in _NOT_READ or is_heic(path)]
    if bad:
        raise InputError(
            f"folder {str(folder)!r} holds {len(bad)} pictures that cannot be read ({', '.join(bad[:5])}): {_AS_JPEG}, or move them "
            "elsewhere"
        )
    found = [path for path in files if path.suffix.lower() in READ or _begins_as_one(path)]
    if not found:
        raise InputError(f"dataset folder {str(folder)!r} holds no pictures ({', '.join(READ)})")
    below = [path for path in found if path.parent != folder]
    for name in dict.fromkeys(str(path.parent.relative_to(folder)) for path in below):
        tell(
            f"{len(below)} of the {len(found)} pictures in {str(folder)!r} are in sub-folders, and are taken too. Sub-folders",
            name,
        )
    pictures = set(found)
    return found, [path for path in files if path not in pictures]


def tell_others(others: Sequence[Path], folder: Path) -> None:
    """Tell which files of a data folder are left out."""
    for path in others:
        tell(f"files in {str(folder)!r} that are no pictures, left out", path.relative_to(folder))


def _files(folder: Path) -> Iterator[Path]:
    """All files, hidden ones and those of systems aside. A link to a folder may lead in circles: it is told, and left out."""
    count, most = 0, limit(MOST_FILES)
    for place, folders, names in os.walk(folder, onerror=_not_listed):
        folders[:] = sorted(name for name in folders if not _is_nothing(name))
        for name in folders:
            if Path(place, name).is_symlink():
                tell("links to folders, left out", Path(place, name))
        count += len(names)
        if count > most:
            raise InputError(
                f"folder {str(folder)!r} holds more than {most} files: name the one with the pictures, or raise the limit with the environment "
                f"variable {MOST_FILES[0]}"
            )
        yield from (path for name in names if not _is_nothing(name) and _is_file(path := Path(place, name)))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:  # a link to where only others may look
        raise InputError(
            f"file {str(path)!r} cannot be looked at ({error.strerror}): check that it is yours, or move it elsewhere"
        ) from error


def _is_nothing(name: str) -> bool:
    return name.startswith(".") or name.lower() in _SYSTEMS


def _not_listed(error: OSError) -> None:
    raise InputError(
        f"folder {error.filename!r} cannot be listed ({error.strerror}): check that it is yours"
    ) from error


def _begins_as_one(path: Path) -> bool:
    head = _head(path)
    return head.startswith(_BEGINS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def photo(path: Path) -> Image.Image:
    """The picture in a file as RGB of the sRGB colour space: upright by its EXIF orientation, transparency laid on white, 16 and 32
    bits brought to 8, very large ones scaled.

    Raises InputError for a file that cannot be read (HEIC, truncated, no picture), that moves, or that is beyond `MOST_PIXELS`."""
    if is_heic(ordinary(path, "image")):
        raise InputError(f"image {str(path)!r} is HEIC, which cannot be read here: {_AS_JPEG}")
    try:
        with _opened(path) as image:
            return _read(image, path)
    except InputError:
        raise
    except Exception as error:  # PIL's plugins raise whatever a damaged file makes of their arithmetic
        told = clean(error, 300) or type(error).__name__
        if "MAX_TEXT" in told or "Too much memory used in text chunks" in told:
            told = f"its text chunks hold more than {limit(MOST_PNG_TEXT)} bytes; {MOST_PNG_TEXT[0]} raises the limit"
        raise InputError(f"image {str(path)!r} cannot be read ({told}): check the path and the file") from error


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """PIL's picture, with limits of our own in place of its; what it warns of is told."""
    from PIL import Image, PngImagePlugin

    if path.exists() and not path.is_file():
        raise InputError(f"image {str(path)!r} is no plain file: give a picture")
    with _LOCK, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        before = Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY
        Image.MAX_IMAGE_PIXELS = None
        PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = limit(MOST_PNG_TEXT)
        try:
            Image.init()
            with Image.open(path, formats=[name for name in _FORMATS if name in Image.OPEN]) as image:
                yield image
        finally:
            Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = before
    for one in warned:
        if not issubclass(one.category, DeprecationWarning):  # those are ours to mend
            tell(f"pictures of which the reader says {clean(one.message, 160)!r}", path)


def _read(image: Image.Image, path: Path) -> Image.Image:
    from PIL import ImageOps

    from evaluators.looks.colour import flatten
    from evaluators.looks.colour_space import in_srgb

    most = limit(MOST_PIXELS)
    if image.width * image.height > most:
        raise InputError(
            f"image {str(path)!r} has {image.width} x {image.height} pixels, more than {most}: scale it down, or raise the limit with the "
            f"environment variable {MOST_PIXELS[0]}"
        )
    _check_still(image, path)
    upright = ImageOps.exif_transpose(_scaled(image, path))
    eight, told = _eight_bits(upright, image.mode.startswith("I;16"))
    found, also = in_srgb(eight, image)
    for what in filter(None, (told, also)):
        tell(what, path)
    return flatten(found)


def is_heic(path: Path) -> bool:
    """Whether a file is HEIC or HEIF by its first bytes, whatever it is called. AVIF, which has the same container, is not."""
    head = _head(path)
    if head[4:8] != b"ftyp":
        return False
    brands = _brands(head[: int.from_bytes(head[:4], "big")])
    return bool(brands & _HEIC) and not brands & _AVIF


def _head(path: Path) -> bytes:
    """A file's first bytes; none of what is no plain file, which might never answer."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as stream:
            return stream.read(64)
    except (OSError, ValueError):
        return b""


def _brands(box: bytes) -> set[bytes]:
    return {box[8:12], *(box[at : at + 4] for at in range(16, len(box), 4))}


def _check_still(image: Image.Image, path: Path) -> None:
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # a phone's MPO is a photo with a preview behind it
        raise InputError(f"image {str(path)!r} has {frames} frames or pages: save the one you mean as PNG or JPEG")


def _scaled(image: Image.Image, path: Path) -> Image.Image:
    """A picture of hundreds of megapixels brought down by a whole factor as it is read (JPEG does it while decoding), so that a folder
    of them fits into memory. What training can use of one stays."""
    width, height, factor = image.width, image.height, 1
    while (
        image.mode in _SCALES and width * height // factor**2 > LARGE and min(width, height) // (2 * factor) >= SHORTEST
    ):
        factor *= 2
    if factor == 1:
        return image
    image.draft(None, (width // factor, height // factor))
    image.load()
    rest = max(1, round(factor * max(image.size) / max(width, height)))
    smaller = image if rest == 1 else (image.convert("I") if image.mode.startswith("I;16") else image).reduce(rest)
    if smaller is not image:
        smaller.info = dict(image.info)
        smaller.getexif().update(image.getexif())
    tell(f"pictures of more than {LARGE // 10**6} megapixels, read at 1/{factor} of their width and height", path)
    return smaller


def _eight_bits(image: Image.Image, sixteen: bool) -> tuple[Image.Image, str]:
    """Greys of 16 and 32 bits, which PIL would cut off at 255, brought to 8, and what to tell of it; what has 8 is left alone.

    `sixteen`: the file says that its values are of 16 bits. Else their range tells: up to 1, up to 255, or up to 65535; real numbers
    may go a little beyond, as sharpening makes them."""
    import numpy as np
    from PIL import Image

    if not image.mode.startswith("I") and image.mode != "F":
        return image, ""
    values, real = np.asarray(image, dtype=np.float64), image.mode == "F"
    low, high = values.min(), values.max()
    most = 65_535 if sixteen or high > (300 if real else 255) else 1 if real and high < 4 else 255
    if not np.isfinite(values).all() or low < (-0.1 * most if real else 0) or high > 65_535:
        raise ValueError(f"mode {image.mode} with values from {low:g} to {high:g}, and 0 to 65535 are known")
    made = Image.fromarray(np.round(np.clip(values / most, 0, 1) * 255).astype(np.uint8))
    made.info = dict(image.info)
    cut = ", what is beyond cut off" if low < 0 or high > most else ""
    told = (
        "" if sixteen else f"pictures of {'real' if real else '32-bit'} numbers, taken as greys from 0 to {most}{cut}"
    )
    return made, told
