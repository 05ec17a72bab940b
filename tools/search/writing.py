"""What both strategies with a language model share: the history as lines, an answer checked prompt by prompt, and its shape.

An answer that was given before, that another answer of the round gives, or that the vocabulary cannot read is not used; the model is
asked once more, then the place is filled at random, and the proposal says so.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from prompts.errors import LlmError
from prompts.facts import Facts
from prompts.messages import plan_messages
from prompts.optimiser import Line, Message, told
from tools.search.history import History, Tried, distinct_prompts, folded, score_of
from tools.search.strategy import Means, Proposal, filled

TOKENS_PER_PROMPT, TOKENS_AROUND = 90, 120
SHOWN = 3  # words for what the best pictures show
Ask = Callable[[int, Sequence[str]], Sequence[str]]
"""(how many, prompts that are not new) -> prompts."""


class Prompts(BaseModel):
    """The shape of an answer."""

    prompts: list[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]] = Field(
        min_length=1, max_length=8
    )


@dataclass
class _Sorted:
    """The answers of one round so far."""

    kept: list[Proposal]
    repeated: list[str]
    unread: list[str]

    def reason(self) -> str:
        """Why the model's own answers were too few."""
        said = [f"it repeated {len(self.repeated)} ({self.repeated[0]!r})"] if self.repeated else []
        said += [f"{len(self.unread)} were in no form of the vocabulary ({self.unread[0]!r})"] if self.unread else []
        return "drawn at random: the language model proposed too few of its own" + (
            f": {', '.join(said)}" if said else ""
        )


def written(ask: Ask, history: History, count: int, means: Means, rng: random.Random) -> list[Proposal]:
    """`count` proposals from what `ask` answers, checked; what is missing after the retries is drawn at random."""
    found = _Sorted([], [], [])
    for _ in range(means.spec.retries + 1):
        if len(found.kept) < count:
            _sort(ask(count - len(found.kept), found.repeated), found, history, count, means, rng)
    drawn = filled(found.kept, count, means.space, history, rng)
    return [*found.kept, *(replace(one, reason=found.reason()) for one in drawn[len(found.kept) :])]


def _sort(
    answers: Sequence[str], found: _Sorted, history: History, count: int, means: Means, rng: random.Random
) -> None:
    for prompt in answers:
        genome = means.space.parse(prompt)
        if genome is None:
            found.unread.append(prompt)
            continue
        genome = means.space.whole(genome, rng)
        said = means.space.phrase(genome)
        if history.has(said) or folded(said) in {folded(one.prompt) for one in found.kept}:
            found.repeated.append(said)
        elif len(found.kept) < count:
            found.kept.append(Proposal(said, genome, means.space.seed_of(genome)))


def asked(messages: Sequence[Message], count: int, means: Means, rng: random.Random) -> list[str]:
    """One question to the language model; [] where its answer cannot be used. Raises LlmError where it does not answer."""
    assert means.write is not None
    tokens, seed = TOKENS_PER_PROMPT * count + TOKENS_AROUND, rng.getrandbits(31)
    try:
        return list(means.write(messages, Prompts, purpose="search", max_tokens=tokens, seed=seed).prompts)
    except LlmError as error:
        if not hasattr(
            error, "problem"
        ):  # what answered, and badly, says its problem: it may do better when asked again
            raise
        return []


def history_lines(history: History, means: Means) -> list[Line]:
    """What the config's `context` shows of the history, best first and within its tokens; [] where it shows nothing."""
    parts = means.spec.context
    if "prompts" not in parts and "images" not in parts:
        return []
    shown = history.within(
        means.spec.history_tokens, lambda one: told(line_of(one, history, means)), top=means.spec.keeps
    )
    exemplars = {folded(one.prompt) for one in shown[: means.spec.exemplars]}
    return [line_of(one, history, means, show=folded(one.prompt) in exemplars) for one in shown]


def line_of(one: Tried, history: History, means: Means, *, show: bool = False) -> Line:
    """One picture as the config's `context` tells it, with the tags that it has; `show`: with its pixels where the model sees."""
    parts = means.spec.context
    picture = None
    if show and "images" in parts and means.sees and means.open_image and one.image:
        picture = means.open_image(one.image)
    return Line(
        one.prompt if "prompts" in parts else "",
        history.whole(score_of(one)) if "scores" in parts else None,
        one.tags if "images" in parts else (),
        picture,
    )


def feedback_of(history: History, means: Means) -> list[str]:
    """The newest round's feedback, where the config's `context` has it."""
    newest = [one.feedback for one in history.tried if one.round == history.rounds and one.feedback]
    return list(dict.fromkeys(newest)) if "feedback" in means.spec.context else []


def native_messages(history: History, count: int, means: Means) -> list[Message]:
    """The question in the words that the bundled model was taught: `generate_images`, after the routine's other tools."""
    parts, scored = means.spec.context, distinct_prompts(history.best_first)
    shown = tuple((score_of(one), one.prompt) for one in scored) if {"scores", "prompts"} <= set(parts) else ()
    done = ("score_images", "ask_person", "give_feedback", "learn_taste", "evolve_prompts") if history.tried else ()
    left = history.rounds_left or 1
    facts = Facts(
        brief=means.brief.text, round=history.rounds, rounds=history.rounds + left, images_per_round=count,
        images_left=count * left, rated=shown, done=done, feedback=" ".join([*feedback_of(history, means), *_seen_in(history, means)]),
    )  # fmt: skip
    return [dict(one) for one in plan_messages(facts, means.space.vocabulary)]


def _seen_in(history: History, means: Means) -> list[str]:
    """What CLIP finds in the best pictures, as a sentence: the bundled model's own message has no other place for it."""
    if "images" not in means.spec.context:
        return []
    tags = [tag for one in history.best_first[: means.spec.exemplars] for tag in one.tags]
    often = sorted(dict.fromkeys(tags), key=lambda tag: -tags.count(tag))[:SHOWN]
    return [f"The best pictures show {' and '.join(often)}."] if often else []
