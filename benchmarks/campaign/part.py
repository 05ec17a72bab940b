"""One part of the campaign: what was tried, how often, and what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Part:
    """`tried`: how many attempts; `failures`: one line each, with what is needed to see it again (seed, input, command)."""

    name: str
    tried: int = 0
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0
    notes: str = ""

    def attempt(self, what: str, trial: Callable[[], str]) -> None:
        """Count one trial; it gives "" when all was as it should be, else what was wrong. An exception is a failure, too."""
        self.tried += 1
        try:
            wrong = trial()
        except Exception as error:  # whatever escapes is what the campaign looks for
            wrong = f"{type(error).__name__}: {str(error)[:200]}"
        if wrong:
            self.failures.append(f"{what}: {wrong}")
