"""A search without an agent: plain callables paint, judge and look; what comes back is the history.

The same strategies run inside the agent, where the rounds are the run's and the history is read from its record (tools.actions.evolve).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from tools.search.brief import Brief
from tools.search.history import History, Tried
from tools.search.kept import Kept
from tools.search.space import Space
from tools.search.strategy import Proposal, Strategy


class Seen(NamedTuple):
    """What is found in one picture: CLIP features (D,), tags, cosine with the brief, and the name under which it is kept."""

    features: Any = None
    tags: tuple[str, ...] = ()
    alignment: float | None = None
    image: str = ""


def search(
    strategy: Strategy,
    *,
    paint: Callable[[Sequence[Proposal]], Sequence[Any]],
    rate: Callable[[Sequence[Any]], Sequence[float]],
    rounds: int,
    per_round: int,
    rng: random.Random,
    brief: Brief | None = None,
    space: Space | None = None,
    look: Callable[[Sequence[Any]], Sequence[Seen]] | None = None,
    say: Callable[[History], str] | None = None,
    on_round: Callable[[History, Sequence[Any]], None] | None = None,
) -> History:
    """Propose, paint, rate, `rounds` times `per_round`; the history of all.

    `paint` gives a picture for each proposal, `rate` a score (0 to 10) for each picture, `look` what is seen in them. `say` puts the
    newest round into words, which every picture of it keeps as its feedback. With `brief` and `space` the proposals keep the brief.
    `on_round(history, pictures)` after each round.
    """
    chosen = Kept(strategy, brief, space) if brief is not None and space is not None else strategy
    history = History(rounds_left=rounds)
    for number in range(1, rounds + 1):
        proposals = chosen.propose(history, per_round, rng)
        pictures = paint(proposals)
        scores, seen = rate(pictures), look(pictures) if look else [Seen()] * len(proposals)
        fresh = [
            Tried(one.prompt, one.genome, float(score), number, one.seed, "", found.image, found.tags, found.features, found.alignment, one.reason)
            for one, score, found in zip(proposals, scores, seen, strict=True)
        ]  # fmt: skip
        history = history.grown(fresh)
        history = said(history, say(history)) if say else history
        if on_round:
            on_round(history, pictures)
    return history


def said(history: History, feedback: str) -> History:
    """The history whose newest round has this feedback."""
    newest = history.rounds
    tried = [one if one.round < newest else replace(one, feedback=feedback) for one in history.tried]
    return replace(history, tried=tuple(tried))
