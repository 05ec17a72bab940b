"""The rules' round: half of it the screened search's children, half random within the brief, as the rule planner shares it out."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tools.search.history import History
from tools.search.screened import Screened
from tools.search.space import Space
from tools.search.strategy import Proposal, RandomSearch


@dataclass(frozen=True)
class Rules:
    """`prompts.routine.shared_out` as a strategy."""

    space: Space
    mutation: float = 0.2
    elites: int = 1

    def propose(self, history: History, count: int, rng: random.Random) -> list[Proposal]:
        """As `Strategy.propose`."""
        drawn = RandomSearch(self.space).propose(history, count, rng)
        if len(history.rated) < 2:
            return drawn
        bred = Screened(self.space, self.mutation, self.elites).propose(history, count // 2, rng)
        return [*bred, *drawn[: count - len(bred)]]
