"""The genetic search whose crossover and mutation are a language model's.

Selection, elitism and "no duplicates" are the genetic search's (tools.search.genetic); a child is what the model writes when it is
shown its parents with their scores (EvoPrompt, Guo et al. 2024, section 3.1: one call does both, parents never the same).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from prompts.optimiser import child_messages
from tools.search.genetic import by_rank, by_votes
from tools.search.history import History, Tried, hashable
from tools.search.llm import Llm, need_writer
from tools.search.strategy import Means, Proposal, proposal
from tools.search.writing import asked, line_of, native_messages, written

FAMILY = 5  # rated prompts that the bundled model is shown for one child: as many as its own history has


@dataclass(frozen=True)
class GeneticLlm:
    """`elites` of the best return unchanged. The first round is the language model's own."""

    means: Means
    elites: int = 1

    def __post_init__(self) -> None:
        need_writer(self.means)

    def propose(self, history: History, count: int, rng: random.Random) -> list[Proposal]:
        """As `Strategy.propose`. Raises LlmError where the model does not answer."""
        means, voted = self.means, by_votes(history.rated)
        if len(voted) < 2:
            return Llm(means).propose(history, count, rng)
        elite = [proposal(means.space, genome) for _, genome in voted[: min(self.elites, count)]]

        def ask(number: int, repeated: Sequence[str]) -> list[str]:
            families = [self._family(history, 2, rng) for _ in range(number)]
            if means.spec.dialect == "native":
                wider = [History(tuple(self._family(history, FAMILY, rng)), history.rounds_left) for _ in families]
                return [one for few in wider for one in asked(native_messages(few, 1, means), 1, means, rng)]
            pairs = [(line_of(first, history, means), line_of(second, history, means)) for first, second in families]
            without = repeated if "prompts" in means.spec.context else ()
            messages = child_messages(
                pairs,
                brief=means.brief.text,
                asked=means.brief.asked(),
                vocabulary=means.space.vocabulary,
                without=without,
            )
            return asked(messages, number, means, rng)

        return [*elite, *written(ask, history, count - len(elite), means, rng)]

    def _family(self, history: History, size: int, rng: random.Random) -> list[Tried]:
        """That many different parents, drawn by rank."""
        voted = by_votes(history.rated)
        by_key = {hashable(one.genome): one for one in history.scored if one.genome is not None}
        chosen: dict[object, Tried] = {}
        while len(chosen) < min(size, len(voted)):
            key = hashable(by_rank(voted, rng))
            chosen.setdefault(key, by_key[key])
        return list(chosen.values())
