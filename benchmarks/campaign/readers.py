"""What we read, damaged at random: pictures, captions, prompts, vocabularies, tables, arrays, profiles. Each is read, or refused in our words.

    python -m benchmarks.campaign --only readers           (2,000 damaged files of every reader)

Also what tests/test_readers.py asks of hypothesis. A failure names the reader, its number and the seed, from which `damaged` makes the
same bytes again. Nothing needs a model's weights.
"""

from __future__ import annotations

import io
import json
import logging
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from benchmarks.campaign.part import Part
from evaluators.preference import model as preference
from evaluators.preference.people import load_people
from prompts.errors import PalateError
from prompts.lists import load_anchors, prompts_in, records_in
from prompts.vocabulary import FOLDER, load_vocabulary
from tools.files import read_parameters, save_image
from tools.gate.promotions import NAME, history
from tools.jobs.folder import examples
from tools.photos import photo
from tools.profiles.archive import pack_arrays
from tools.profiles.profile import to_bytes
from tools.profiles.reading import read as read_profile
from tools.search import prior
from tools.search.space import Space

FULL, TENTH = 2000, 10
SLOW = 10.0  # seconds that no small file may take
LIMITS = {"PALATE_MOST_PIXELS": "4000000", "PALATE_MOST_ARRAYS": str(2**26), "PALATE_MOST_PNG_TEXT": str(2**22)}
# Bytes that lengths, counts and marks of text are made of.
TELLING = (
    b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\xe9", b"\n", b"\r", b'"', b"{", b"[",
    b"," , b": ", b"null", b"NaN", b"1e999", b"- ", b"&a ", b"*a", b"\xe2\x80\xa8", b"9" * 40,
)  # fmt: skip
Reader = Callable[[Path], object]


def readers() -> dict[str, tuple[str, Reader, list[bytes]]]:
    """By name: how the file is called, what reads it, and whole ones."""
    return {
        **{f"picture {kind}": (f"a.{kind}", photo, [data]) for kind, data in pictures().items()},
        "record in a PNG": ("a.png", read_parameters, [recorded()]),
        "captions beside": ("a.txt", _folder, ["ein Hund, größer\n".encode(), b"two\nlines\n"]),
        "captions in JSONL": ("metadata.jsonl", _folder, [b'{"file_name": "a.png", "text": "a dog", "width": 3}\n']),
        "captions in CSV": ("metadata.csv", _folder, [b'file_name,text\na.png,"a dog, red"\n']),
        "prompts": ("p.txt", lambda file: list(prompts_in(file)), ["a dog\n\nein großer Hund\r\n".encode()]),
        "prompts in JSONL": ("p.jsonl", lambda file: list(prompts_in(file)), [b'{"prompt": "a dog"}\n{"prompt": "\\u00e9"}\n']),
        "data in JSONL": ("d.jsonl", lambda file: list(records_in(file, "dataset")), [b'{"image": "a.png", "prompt": "a", "weight": 1.5}\n']),
        "anchors": ("g.txt", lambda file: load_anchors(str(file)), [b"{subject} on the moon | on the moon\n"]),
        "vocabulary": ("v.yaml", _said, [(FOLDER / f"{name}.yaml").read_bytes() for name in ("painting", "bauhaus")]),
        "ratings in CSV": ("r.csv", _people, [b"rater,image,rating,block\nann,a.png,3.5,1\nbob,a.png,2,1\n"]),
        "promotions": (NAME, lambda file: history(file.parent), [promoted()]),
        "taste": ("t.npz", preference.load, tastes()),
        "prior": (prior.FILE, lambda file: prior.prior_for(Space(load_vocabulary("bauhaus")), file.parent), [priors()]),
        "profile": ("p.palate", read_profile, [profile()]),
    }  # fmt: skip


def damaged(whole: bytes, rng: random.Random, other: bytes = b"") -> bytes:
    """The bytes after one to four accidents: changed, cut, doubled, filled in, or another file's."""
    data = bytearray(whole)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((1, 2, 4, 16, 200)))
        kind = rng.randrange(7)
        if kind == 0 and at < len(data):
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at:end]
        elif kind == 2:
            data[at:at] = data[at:end]
        elif kind == 3:
            told = rng.choice(TELLING)
            data[at : at + len(told)] = told
        elif kind == 4:
            data[at:at] = rng.choice(TELLING)
        elif kind == 5:
            del data[at:]
        else:
            data[at:end] = other[at:end] or rng.randbytes(end - at)
    return bytes(data)


def tried(name: str, data: bytes, folder: Path) -> str:
    """What went wrong when the reader called `name` was given `data`: "" where it read it, or refused it in words of ours."""
    called, read, _ = _known()[name]
    file, began = folder / called, time.monotonic()
    file.write_bytes(data)
    load_vocabulary.cache_clear()
    try:
        read(file)
    except PalateError as error:
        if not str(error).strip() or "\n" in str(error)[:1]:
            return "refused without a word"
    except (Exception, RecursionError) as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        file.unlink()
    took = time.monotonic() - began
    return f"took {took:.0f} s" if took > SLOW else ""


@contextmanager
def workplace() -> Iterator[Path]:
    """An empty folder, smaller limits, and nothing told."""
    before = {key: os.environ.get(key) for key in LIMITS}
    os.environ.update(LIMITS)
    logging.disable(logging.CRITICAL)
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    finally:
        logging.disable(logging.NOTSET)
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.__setitem__(key, value)


def run(seed: int, quick: bool) -> Part:
    """Damage every reader's files."""
    part, known = Part("readers"), _known()
    count = FULL // TENTH if quick else FULL
    with workplace() as folder:
        for name, (_, _, wholes) in known.items():
            for number in range(count):
                rng = random.Random(f"{seed} {name} {number}")
                data = damaged(rng.choice(wholes), rng, rng.choice(wholes))
                part.attempt(f"{name} {number} (seed {seed})", lambda name=name, data=data: tried(name, data, folder))  # type: ignore[misc]
    part.notes = f"{len(known)} readers given {count} damaged files each: read, or refused in our words"
    return part


@lru_cache
def _known() -> Mapping[str, tuple[str, Reader, list[bytes]]]:
    return readers()


def _folder(file: Path) -> object:
    """A data folder with one picture beside the file."""
    Image.new("RGB", (4, 4)).save(file.parent / "a.png")
    try:
        return examples(file.parent, "a thing")
    finally:
        (file.parent / "a.png").unlink()


def _said(file: Path) -> object:
    vocabulary = load_vocabulary(str(file))
    return vocabulary.parse(vocabulary.phrase(vocabulary.random(random.Random(0))))


def _people(file: Path) -> object:
    features = file.parent / "f.npz"
    features.write_bytes(pack_arrays({"X": np.ones((1, 3)), "files": np.array(["a.png"])}))
    try:
        return load_people(file, features)
    finally:
        features.unlink()


def pictures() -> dict[str, bytes]:
    """A small picture in every format that PIL writes here, some with a colour profile, EXIF and text."""
    grain = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    image, found = Image.fromarray(grain), {}
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_text("workflow", "nodes " * 200, zip=True)
    more: dict[str, dict[str, object]] = {
        "png": {"pnginfo": text, "icc_profile": profile}, "jpg": {"exif": exif, "icc_profile": profile}, "webp": {"icc_profile": profile}, "tif": {"exif": exif},
    }  # fmt: skip
    for kind in ("png", "jpg", "webp", "tif", "gif", "bmp", "jp2", "avif", "ppm", "tga"):
        buffer = io.BytesIO()
        try:
            image.save(
                buffer, format={"jpg": "JPEG", "tif": "TIFF", "jp2": "JPEG2000"}.get(kind, kind), **more.get(kind, {})
            )
        except (KeyError, OSError):  # PIL was built without it
            continue
        found[kind] = buffer.getvalue()
    return found


def recorded() -> bytes:
    """A picture that says how it was painted."""
    with tempfile.TemporaryDirectory() as folder:
        saved = save_image(
            Image.new("RGB", (8, 8)),
            Path(folder),
            prompt="a",
            seed=1,
            model="m",
            steps=2,
            guidance_scale=3.0,
            size=(8, 8),
        )
        return saved.path.read_bytes()


def promoted() -> bytes:
    """A log of one verdict."""
    adapter = {"path": "a", "sha256": "0" * 64}
    return json.dumps({"base_model": "b", "adapter": adapter, "promoted": True, "reasons": ["won"]}).encode() + b"\n"


def tastes() -> list[bytes]:
    """Saved preference models of three kinds."""
    rng, found = np.random.default_rng(0), []
    features, ratings = rng.normal(size=(12, 4)), rng.uniform(0, 10, 12)
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("bayes", "knn", "blend"):
            preference.fit(features, ratings, kind).save(Path(folder, "t.npz"))
            found.append(Path(folder, "t.npz").read_bytes())
    return found


def priors() -> bytes:
    """What is believed of every word before a rating, of a painter that was never measured."""
    space = Space(load_vocabulary("bauhaus"))
    width = len(space.columns)
    with tempfile.TemporaryDirectory() as folder:
        return prior.save_prior(folder, space, np.zeros(width), np.eye(width), 0.5, np.zeros(width)).read_bytes()


def profile() -> bytes:
    """A taste profile of a person who never was."""
    from benchmarks.profiles import as_profile

    rng, vocabulary = random.Random(0), load_vocabulary("bauhaus")
    rated = [(float(rng.randrange(11)), vocabulary.random(rng)) for _ in range(12)]
    return to_bytes(
        as_profile("ann", rated, np.random.default_rng(0).normal(size=(12, 6)).astype(np.float32), "0" * 12)
    )
