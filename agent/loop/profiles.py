"""Profiles in the home folder, and a run started from one.

Knows the home and a run's config. What stands in a profile, and how a stranger's is read, is tools.profiles'; how a run is made into
one, agent.profile.export's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.config import Config, bundled
from prompts.errors import InputError, ReplayError
from prompts.ground.console import typed

if TYPE_CHECKING:  # numpy only when a profile is used
    from tools.profiles.profile import Profile
    from tools.profiles.taste import Start

SUFFIX = ".palate"


def place(home: Path, name: str) -> Path:
    """Where a home keeps the profile called `name`."""
    return home / "profiles" / f"{name}{SUFFIX}"


def find(home: Path, given: str) -> Profile:
    """A profile by its file's path, or by the name under which this home keeps it. Raises InputError."""
    from tools.profiles.reading import read

    kept = place(home, given)
    return read(kept if "/" not in given and not Path(given).is_file() and kept.is_file() else given)


def take_in(home: Path, file: Path, name: str | None = None, *, replace: bool = False) -> tuple[Profile, Path]:
    """Keep a checked copy of a profile in the home. Raises InputError for one that is not whole, or a name that is taken."""
    from prompts.ground.atomic import write_atomically
    from tools.profiles.reading import bytes_of, from_bytes, read

    data = bytes_of(file)
    profile = from_bytes(data, repr(str(file)))
    path = place(home, checked_name(name or profile.name))
    if path.is_file() and not replace and read(path).sha256 != profile.sha256:
        raise InputError(
            f"This home has another profile called {path.stem!r}: give --name with a new one, or --replace (runs that started from the "
            "old one can then not be verified)."
        )
    write_atomically(path, data)
    return profile, path


def checked_name(name: str) -> str:
    """A name that is a file's too. Raises InputError."""
    from pydantic import TypeAdapter, ValidationError

    from tools.profiles.records import Name

    try:
        return str(TypeAdapter(Name).validate_python(name))
    except ValidationError as error:
        raise InputError(
            f"The name {name!r} cannot be a profile's: use letters, digits, spaces, '.', '-' and '_', 64 at most, a letter or digit first."
        ) from error


def start_of(home: Path, config: Config, versions: Mapping[str, Any] | None = None) -> Start | None:
    """Where a run starts from, by its config: None without a profile, or at strength 0. `versions`: of a run that has begun.

    Raises InputError for a profile that is not there or whose pictures another CLIP saw; ReplayError where it is no longer the one
    that the run began with."""
    if config.profile is None:
        return None
    from tools.profiles.taste import Start

    begun = None if versions is None else versions.get("profile")
    profile = _kept(home, config.profile.name, begun)
    _check_clip(profile, config)
    return Start(profile, config.profile.strength) if config.profile.strength > 0 else None


def version_of_profile(home: Path, config: Config) -> dict[str, str]:
    """The sha256 of the profile that a run starts from, for its versions; nothing without one. Raises InputError."""
    if config.profile is None:
        return {}
    start_of(home, config)
    return {"profile": _kept(home, config.profile.name, None).sha256}


def _kept(home: Path, name: str, sha256: Any) -> Profile:
    from tools.profiles.reading import read

    path = place(home, checked_name(name))
    if not path.is_file():
        if sha256 is not None:
            raise ReplayError(
                f"missing record: the profile {name!r} that the run started from (sha256 {sha256}) is gone from {str(path.parent)!r}: "
                "import the same file again."
            )
        known = ", ".join(sorted(one.stem for one in path.parent.glob(f"*{SUFFIX}"))) or "none yet"
        raise InputError(f"There is no profile {name!r} in {str(path.parent)!r} (there: {known}): take one in with `{typed('profile', 'import', 'FILE')}`.")  # fmt: skip
    profile = read(path)
    if sha256 not in (None, profile.sha256):
        raise ReplayError(
            f"missing record: the run started from the profile {name!r} with sha256 {sha256}, and the one in {str(path.parent)!r} has "
            f"{profile.sha256}: import the same file again."
        )
    return profile


def _check_clip(profile: Profile, config: Config) -> None:
    from evaluators.scorers.weights import version_of

    told, here = profile.manifest.features, version_of(Path(bundled(config.clip)))
    if told.version != here:
        raise InputError(
            f"The profile {profile.name!r} was seen by the CLIP {told.model!r} (version {told.version}, {told.dimension} numbers a picture) "
            f"and this run's is {config.clip!r} (version {here}): name the same `clip` in the config, or export the profile with this one."
        )
