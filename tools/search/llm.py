"""A language model as the optimiser: it reads what was tried and writes the next round's prompts, several at once.

After "Personalized Preference Optimization for Text-to-Image Generation using Large Language Models", section 3.2, and OPRO, whose
settings are a preset (tools.searching). The model comes in as a function; which one it is, nobody here knows.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, StringConstraints

from prompts.errors import InputError
from prompts.optimiser import Message, critic_messages, proposal_messages
from tools.search.history import History
from tools.search.strategy import Means, Proposal
from tools.search.writing import asked, feedback_of, history_lines, line_of, native_messages, written


@dataclass(frozen=True)
class Llm:
    """Raises InputError where there is no language model."""

    means: Means

    def __post_init__(self) -> None:
        need_writer(self.means)

    def propose(self, history: History, count: int, rng: random.Random) -> list[Proposal]:
        """As `Strategy.propose`. Raises LlmError where the model does not answer."""

        def ask(number: int, repeated: Sequence[str]) -> list[str]:
            return asked(self._messages(history, number, repeated), number, self.means, rng)

        return written(ask, history, count, self.means, rng)

    def _messages(self, history: History, count: int, repeated: Sequence[str]) -> list[Message]:
        means = self.means
        if means.spec.dialect == "native":
            return native_messages(history, count, means)
        return proposal_messages(
            history_lines(history, means), feedback_of(history, means), count, brief=means.brief.text,
            asked=means.brief.asked(), vocabulary=means.space.vocabulary, best_last=means.spec.best_last,
            without=repeated if "prompts" in means.spec.context else (),
        )  # fmt: skip


class Feedback(BaseModel):
    """The shape of a feedback."""

    feedback: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=400)]


def feedback_on(history: History, means: Means) -> str:
    """Words about the newest round, from its pictures (or their tags) and scores; "" where nothing of it has a score."""
    need_writer(means)
    assert means.write is not None
    newest = [one for one in history.best_first if one.round == history.rounds]
    if not newest:
        return ""
    messages = critic_messages([line_of(one, history, means, show=True) for one in newest])
    return str(means.write(messages, Feedback, purpose="feedback", max_tokens=240).feedback)


def need_writer(means: Means) -> None:
    """Raises InputError where there is no language model."""
    if means.write is None:
        raise InputError(
            f"search.strategy = {means.spec.strategy!r} asks a language model, and this run has none: "
            "set planner: llm, or choose one of screened, genetic, belief, rules, random."
        )
