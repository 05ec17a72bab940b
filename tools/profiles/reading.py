"""Reading a taste profile with suspicion: everything in it is checked before anything of it is used, and refused by name.

Whatever is wrong (cut short, changed, of a newer Palate, links, bombs, paths, NaN) is a `Refused` that says what and what to do.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, TypeAdapter, ValidationError

from evaluators.preference import model as preference
from evaluators.preference.model import Preference
from prompts.errors import InputError
from prompts.ground.atomic import write_atomically
from prompts.ground.console import typed
from tools.profiles.archive import LARGEST, Refused, same_again, unpack, unpack_arrays
from tools.profiles.profile import PARTS, Profile, to_bytes
from tools.profiles.records import VERSION, Compared, Genome, Manifest, Rated, Trained

MOST_LINES = 5000  # of ratings, and pictures: what is learned from them takes a table of each with each
LARGEST_FEATURE = 1e4  # unit rows as a rule
DEEPEST = 2  # tastes that correct one another: a person's corrects a population's
# What arrays of wrong shapes or meanings may raise in a model.
UNFIT = (InputError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError, RuntimeError)
R = TypeVar("R", bound=BaseModel)


def write(path: Path, profile: Profile) -> Profile:
    """Write it, whole or not at all, and give back what is read from there. Raises PalateError for a full disk."""
    data = to_bytes(profile)
    found = from_bytes(data, repr(str(path)))  # nothing is written that could not be read
    write_atomically(path, data)
    return found


def read(path: str | Path) -> Profile:
    """A profile from a file. Raises Refused for anything that is not wholly as it was exported, InputError for no file."""
    return from_bytes(bytes_of(Path(path)), repr(str(path)))


def bytes_of(file: Path) -> bytes:
    """What a file holds that may be a profile. Raises InputError for no file, Refused for one that is too large."""
    if not file.is_file():
        raise InputError(f"There is no profile at {str(file)!r}: give the path of a .palate file, or make one with `{typed('profile', 'export', 'RUN', '--out', 'MINE.palate')}`.")  # fmt: skip
    try:
        size = file.stat().st_size
        if size > LARGEST:
            raise Refused(f"{str(file)!r} holds {size} bytes, more than the largest profile: it was not opened.")
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"The profile {str(file)!r} cannot be read ({error.strerror}): check that the file is yours.") from error  # fmt: skip


def from_bytes(data: bytes, where: str) -> Profile:
    """As `read`, of bytes that are called `where` in messages."""
    parts = unpack(data, where)
    manifest = _manifest(parts, where)
    _check_members(manifest, parts, where)
    same_again(parts, data, where)
    arrays = unpack_arrays(parts["features.npz"], f"{where}, features.npz")
    features, images = _features(manifest, arrays, where)
    profile = Profile(
        manifest, _rows(Rated, parts, "ratings.jsonl", where), _rows(Compared, parts, "comparisons.jsonl", where),
        images, features, tuple(_taste(parts[one.member], one.member, where) for one in manifest.tastes),
        _one(Genome.model_validate, parts, "genome.json", where),
        tuple(_one(TypeAdapter(list[Trained]).validate_python, parts, "adapters.json", where)),
        _text(parts["summary.md"], f"{where}, summary.md"), hashlib.sha256(data).hexdigest(),
    )  # fmt: skip
    _check_whole(profile, where)
    return profile


def _manifest(parts: dict[str, bytes], where: str) -> Manifest:
    """Raises Refused; what a newer Palate wrote is told by its version before anything else is asked of it."""
    if "manifest.json" not in parts:
        raise Refused(f"{where} has no manifest.json: it is no taste profile, or was cut. Have it exported again.")
    values = _parsed(parts["manifest.json"], f"{where}, manifest.json")
    if not isinstance(values, dict) or values.get("format") != "palate profile":
        raise Refused(
            f"{where} is no taste profile: give a file that `{typed('profile', 'export', 'RUN', '--out', 'MINE.palate')}` made."
        )
    version = values.get("version")
    if isinstance(version, int) and version > VERSION:
        raise Refused(
            f"{where} was written by a newer Palate (format {version}, and this one reads up to {VERSION}): upgrade Palate, or have "
            "it exported with this version."
        )
    found: Manifest = _valid(Manifest.model_validate, values, f"{where}, manifest.json")
    return found


def _check_members(manifest: Manifest, parts: dict[str, bytes], where: str) -> None:
    wanted = [*PARTS, *(one.member for one in manifest.tastes)]
    names = {"manifest.json", *wanted}
    if unknown := sorted(set(parts) - names):
        raise Refused(f"{where} has an unknown member {unknown[0]!r}: it is not as it was exported. Have it exported again.")  # fmt: skip
    if missing := sorted(names - set(parts)):
        raise Refused(f"{where} has no member {missing[0]!r}: it was cut. Have it exported again.")
    for name in wanted:
        if hashlib.sha256(parts[name]).hexdigest() != manifest.members.get(name):
            raise Refused(f"{where}: {name!r} was changed after the export (its sha256 is another): have it exported again.")  # fmt: skip


def _features(manifest: Manifest, arrays: dict[str, np.ndarray], where: str) -> tuple[np.ndarray, tuple[str, ...]]:
    features, images = arrays.get("features", np.zeros(0)), arrays.get("images", np.zeros(0))
    if features.ndim != 2 or features.dtype != np.float32 or images.dtype.kind != "U" or images.shape != features.shape[:1]:  # fmt: skip
        raise Refused(f"{where}: features of shape {features.shape} for {images.shape} pictures: have it exported again.")  # fmt: skip
    if features.shape[1] != manifest.features.dimension:
        raise Refused(
            f"{where} holds features of {features.shape[1]} numbers a picture and its manifest says {manifest.features.dimension}: have "
            "it exported again."
        )
    if len(features) > MOST_LINES or not (np.abs(features) < LARGEST_FEATURE).all():
        raise Refused(
            f"{where} holds features of {len(features)} pictures up to {np.abs(features).max(initial=0.0):g}: a profile has at most "
            f"{MOST_LINES}, of numbers below {LARGEST_FEATURE:g}. Have fewer runs exported, or have it exported again."
        )
    return features, tuple(str(image) for image in images)


def _taste(data: bytes, member: str, where: str) -> Preference:
    names = unpack_arrays(data, f"{where}, {member}")  # before anything else reads it
    if any(name.startswith("population/" * DEEPEST) for name in names):
        raise Refused(f"{where}: {member!r} corrects more than {DEEPEST - 1} other tastes: have it exported again.")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / member
        file.write_bytes(data)
        try:
            return preference.load(file)
        except UNFIT as error:
            raise Refused(f"{where}: {member!r} is no preference model ({error}): have it exported again.") from error


def _check_whole(profile: Profile, where: str) -> None:
    """What each part says of the others."""
    told, known = profile.manifest, set(profile.images)
    if len(known) < len(profile.images) or (len(profile.ratings), len(profile.comparisons)) != (told.ratings, told.comparisons):  # fmt: skip
        raise Refused(
            f"{where} holds {len(profile.ratings)} ratings and {len(profile.comparisons)} comparisons of {len(known)} pictures, and its "
            f"manifest says {told.ratings} and {told.comparisons}: have it exported again."
        )
    named = [one.image for one in profile.ratings] + [image for one in profile.comparisons for image in (one.first, one.second)]  # fmt: skip
    if strangers := [image for image in named if image not in known]:
        raise Refused(f"{where} rates the picture {strangers[0][:16]!r} and has no features of it: have it exported again.")  # fmt: skip
    if not named:
        raise Refused(f"{where} holds neither ratings nor comparisons: there is no taste in it. Have it exported again.")  # fmt: skip
    if any(one.first == one.second for one in profile.comparisons):
        raise Refused(f"{where} compares a picture with itself: have it exported again.")
    if any(one.source >= len(told.tastes) for one in profile.ratings):
        raise Refused(f"{where} has ratings of a person whom its manifest does not name: have it exported again.")
    genome = profile.genome
    if genome.best.keys() != genome.genes.keys() or any(pair not in genome.genes for pairs in genome.different for pair in pairs):  # fmt: skip
        raise Refused(f"{where}: genome.json names genes that it does not describe: have it exported again.")
    if not all(genome.genes.values()):
        raise Refused(f"{where}: genome.json has a gene without words: have it exported again.")
    for about, taste in zip(told.tastes, profile.tastes, strict=True):
        _check_taste(taste, about.member, profile.features[:4], where)


def _check_taste(taste: Preference, member: str, features: np.ndarray, where: str) -> None:
    """A preference model must say something finite of the profile's own pictures. Arrays of wrong shapes fail in many ways."""
    try:
        with np.errstate(all="ignore"):  # a model that divides by nothing is told below
            mean, std = taste.predict(features)
        fits = mean.shape == std.shape == (len(features),) and np.isfinite(mean).all() and np.isfinite(std).all()
    except UNFIT as error:
        raise Refused(
            f"{where}: {member!r} cannot judge the profile's own pictures ({error}): have it exported again."
        ) from error
    if not fits:
        raise Refused(f"{where}: {member!r} gives no finite likings: have it exported again.")


def _rows(record: type[R], parts: dict[str, bytes], name: str, where: str) -> tuple[R, ...]:
    lines = _text(parts[name], f"{where}, {name}").split("\n")[
        :-1
    ]  # not splitlines, which also parts at marks that may stand in a prompt
    if len(lines) > MOST_LINES:
        raise Refused(
            f"{where}, {name}: {len(lines)} lines are more than {MOST_LINES}: export fewer runs, or blend smaller profiles."
        )
    return tuple(
        _valid(record.model_validate, _parsed(line.encode(), f"{where}, {name}, line {number}"), f"{where}, {name}, line {number}")
        for number, line in enumerate(lines, 1)
    )  # fmt: skip


def _one(validate: Callable[[Any], Any], parts: dict[str, bytes], name: str, where: str) -> Any:
    return _valid(validate, _parsed(parts[name], f"{where}, {name}"), f"{where}, {name}")


def _valid(validate: Callable[[Any], Any], values: Any, where: str) -> Any:
    try:
        return validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]).encode("unicode_escape").decode()  # a stranger's keys
        raise Refused(f"{where}: {place} = {first['input']!r:.80}: {first['msg']}. Have it exported again.") from error


def _parsed(data: bytes, where: str) -> Any:
    def refuse(constant: str) -> float:
        raise ValueError(f"{constant} is no number that counts")

    try:
        return json.loads(data, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise Refused(f"{where} cannot be read ({error}): have the profile exported again.") from error


def _text(data: bytes, where: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Refused(f"{where} is no text ({error}): have the profile exported again.") from error
