"""ask_person: choose which images the person is asked about, and as what question. The asking itself is the graph's interrupt."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from prompts.errors import ToolError
from tools.context import Arguments, Context, Outcome
from tools.questions import questions


class AskPerson(Arguments):
    """Show the newest images to the person and ask for ratings from 0 to 10."""

    question: Annotated[str, StringConstraints(min_length=1, max_length=120)]
    images: Annotated[int, Field(ge=1, le=8, description="how many of the newest images to ask about")]


def ask_person(args: AskPerson, context: Context) -> Outcome:
    """The images of the newest round that have no rating yet, at most as many as may be rated; or questions of the kind that the
    run's config wants, in `questions`. Raises ToolError where nothing is left to ask."""
    asking = context.settings.asking
    clicks = min(asking.clicks or args.images, context.ratings_left)
    if asking.plain:
        rated = context.trail.ratings()
        waiting = [row.id for row in context.trail.round_images() if row.id not in rated]
        if not waiting:
            raise ToolError("Every image of this round is rated already: call give_feedback or learn_taste.")
        return Outcome({"asked": waiting[:clicks], "question": args.question})
    found = questions(clicks, context)
    if not found:
        raise ToolError("Everything there is to ask was answered already: call give_feedback or learn_taste.")
    asked = list(dict.fromkeys(image for one in found for image in one["images"]))
    return Outcome({"asked": asked, "question": args.question, "questions": found})
