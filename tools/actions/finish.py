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
    """Keep the planner's sentence, and beside it what the record says: a small model's sentence need not be true."""
    return Outcome({"summary": args.summary, "outcome": _outcome(context)})


def _outcome(context: Context) -> str:
    adapters = context.trail.adapters()
    verdicts = {True: "promoted", False: "rejected", None: "not judged"}
    trained = f"the adapter was {verdicts[adapters[-1].promoted]}" if adapters else "no adapter was trained"
    return f"{context.round} round{'' if context.round == 1 else 's'}, {trained}"
