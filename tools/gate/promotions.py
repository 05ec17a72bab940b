"""Which adapters act: promotions.jsonl, a line a verdict, only ever added to.

One idea: what acts is what was measured. A line names the adapter that was judged and those that acted beside it on both sides. An
adapter stands while its own newest line says promoted (one that was never judged stands). For a base model acts the newest
promotion whose adapters all stand. So a promoted adapter that is judged again and fails is withdrawn, the promotion before it acts
again, and nothing was rewritten. A run of the agent keeps its own record, in its store.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prompts.errors import InputError, PalateError
from prompts.ground.reading import read_text

NAME = "promotions.jsonl"


class Acting(BaseModel):
    """An adapter that acts; `path` is where it lies on this machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    weight: float = 1.0


class Promotion(BaseModel):
    """One verdict. `beneath`: the adapters that acted on both sides."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"), description="when, UTC")
    base_model: str
    adapter: Acting
    beneath: tuple[Acting, ...] = ()
    promoted: bool
    reasons: tuple[str, ...]

    @property
    def together(self) -> tuple[Acting, ...]:
        """All that acts when this promotion does, the judged adapter last."""
        return (*self.beneath, self.adapter)


def record(home: Path, verdict: Promotion) -> bool:
    """Add a verdict to the log, unless the adapter's newest line says the same; whether it was added.

    Raises InputError for a log that cannot be read, PalateError when it cannot be written."""
    same = (verdict.base_model, verdict.adapter.sha256)
    before = [line for line in history(home) if (line.base_model, line.adapter.sha256) == same]
    if before and _said(before[-1]) == _said(verdict):
        return False
    try:
        home.mkdir(parents=True, exist_ok=True)
        with (home / NAME).open("ab", buffering=0) as log:  # one write a line: two processes do not mix theirs
            log.write(verdict.model_dump_json().encode() + b"\n")
            os.fsync(log.fileno())
    except OSError as error:
        raise PalateError(
            f"{str(home / NAME)!r} cannot be written ({error}): make room or give another --home"
        ) from error
    return True


def _said(verdict: Promotion) -> dict[str, Any]:
    return verdict.model_dump(exclude={"at"})


def history(home: Path) -> list[Promotion]:
    """Every verdict, oldest first. Raises InputError naming a line that is damaged."""
    file = home / NAME
    lines = read_text(file, "promotions").split("\n")[:-1] if file.is_file() else []
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(Promotion.model_validate_json(line))
        except ValidationError as error:
            raise InputError(
                f"line {number} of {str(file)!r} is {line!r:.80}: no verdict; mend it or delete it"
            ) from error
    return found


def acting(home: Path, base_model: str) -> Promotion | None:
    """The promotion that acts for a base model now; None when none stands."""
    told = [line for line in history(home) if line.base_model == base_model]
    stands = {line.adapter.sha256: line.promoted for line in told}  # the newest line of each has the last word
    for line in reversed([line for line in told if line.promoted]):
        if all(stands.get(one.sha256, True) for one in line.together):
            return line
    return None
