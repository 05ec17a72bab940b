"""finish: end the run with a sentence for the report."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from tools.context import Arguments, Context, Outcome


class Finish(Arguments):
    """End the run."""

    summary: Annotated[
        str, StringConstraints(min_length=1, max_length=200), Field(description="what was found, in one sentence")
    ]


def finish(args: Finish, context: Context) -> Outcome:
    """Nothing to do but to say so."""
    return Outcome({"summary": args.summary})
