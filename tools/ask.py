"""ask_person: choose which images the person is asked to rate. The asking itself is the graph's interrupt."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from prompts.errors import ToolError
from tools.context import Arguments, Context, Outcome


class AskPerson(Arguments):
    """Show the newest images to the person and ask for ratings from 0 to 10."""

    question: Annotated[str, StringConstraints(min_length=1, max_length=120)]
    images: Annotated[int, Field(ge=1, le=8, description="how many of the newest images to ask about")]


def ask_person(args: AskPerson, context: Context) -> Outcome:
    """The images of the newest round that have no rating yet, at most as many as may be rated. Raises ToolError: none."""
    rated = context.trail.ratings()
    waiting = [row.id for row in context.trail.round_images() if row.id not in rated]
    if not waiting:
        raise ToolError("Every image of this round is rated already: call give_feedback or learn_taste.")
    return Outcome({"asked": waiting[: min(args.images, context.ratings_left)], "question": args.question})
