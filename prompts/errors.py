"""The one tree of errors. A message names the value that was wrong and the next thing to do.

    PalateError          anything we understand well enough to explain
    ├── InputError       a person gave us something we cannot use (a config, an argument, a path, a rating)
    ├── ToolError        a tool cannot do what was asked; `retryable` says whether better arguments would help
    ├── LlmError         the language model or its server did not answer usefully
    ├── StoreError       the database is newer than this program, locked, or damaged
    └── ReplayError      a record is missing, or what was made again differs from what was recorded

They live in the lowest layer because every layer raises them.
"""


class PalateError(Exception):
    """Something we can explain: the command line prints the message without a traceback."""


class InputError(PalateError):
    """A person gave a value we cannot use."""


class ToolError(PalateError):
    """A tool could not act. `retryable`: other arguments may work, so the planner is told and may try again."""

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class LlmError(PalateError):
    """The language model or its server did not give a usable answer."""


class StoreError(PalateError):
    """The database cannot be used as it is."""


class ReplayError(PalateError):
    """A recorded run cannot be repeated from its record."""
