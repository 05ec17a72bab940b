"""give_feedback: words about why images scored as they did (LLM prompt optimisation for PIAA, section 3.2).

The evidence is counted, not imagined: each vocabulary word with the rating points it goes with. The language model puts it
into a sentence; the rule planner has a plain one.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from prompts.errors import ToolError
from prompts.evidence import effects, feedback_sentence
from prompts.messages import feedback_messages
from tools.context import Arguments, Context, Outcome
from tools.likings import likings


class GiveFeedback(Arguments):
    """Say in words what the person seems to like and dislike, from the ratings so far."""

    words: Annotated[int, Field(ge=2, le=8, description="how many words of evidence to use")]


class Feedback(Arguments):
    """The sentence that comes back."""

    feedback: Annotated[str, StringConstraints(min_length=1, max_length=240)]


def give_feedback(args: GiveFeedback, context: Context) -> Outcome:
    """Ratings that are all alike say nothing, and no word is evidence. Raises ToolError when nothing is rated yet."""
    ratings = likings(context.trail)
    rated = [(ratings[row.id], row.prompt) for row in context.trail.images() if row.id in ratings]
    known = effects(rated, context.vocabulary)
    evidence = [(word, shown) for word, effect in known[: args.words] if (shown := round(effect, 1))]
    if not known:
        raise ToolError("No rated image has words of the vocabulary to learn from yet: call ask_person first.")
    return Outcome({"feedback": _words(evidence, context), "evidence": [list(pair) for pair in evidence]})


def _words(evidence: list[tuple[str, float]], context: Context) -> str:
    if context.write is None:
        return feedback_sentence(evidence)
    with context.timed("llm"):
        said = str(context.write(feedback_messages(evidence), Feedback, purpose="feedback").feedback)
    # Of ratings that are all alike any reason is invented. The model is asked all the same: a replay of a run has its answer in this place.
    return said if evidence else feedback_sentence(evidence)
