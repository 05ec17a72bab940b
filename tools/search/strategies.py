"""The strategies by name: the one place that knows them all."""

from __future__ import annotations

from collections.abc import Callable

from tools.search.genetic import Genetic
from tools.search.genetic_llm import GeneticLlm
from tools.search.kept import Kept
from tools.search.llm import Llm
from tools.search.screened import Screened
from tools.search.strategy import Means, RandomSearch, Strategy

MUTATION, ELITES = 0.2, 1  # of the routine (prompts.routine)


def make_strategy(means: Means) -> Kept:
    """The strategy that `means.spec` names, kept to the brief."""
    made = STRATEGIES[means.spec.strategy](means)
    spec = means.spec
    return Kept(made, means.brief, means.space, means.align, spec.minimum_prompt_alignment, spec.minimum_alignment)


def _bred(means: Means) -> tuple[float, int]:
    spec = means.spec
    elites = ELITES if spec.elites is None else spec.elites
    # A genome with a seed of its own is one picture: painted again it would be the very same.
    return MUTATION if spec.mutation is None else spec.mutation, 0 if means.space.seed_gene else elites


def _belief(means: Means) -> Strategy:
    from tools.search.belief import Belief
    from tools.search.prior import prior_for

    prior = prior_for(means.space, means.prior_folder)
    return Belief(means.space, prior.informed(means.space.columns, means.earlier))


def _screened(means: Means) -> Strategy:
    return Screened(means.space, *_bred(means), means.earlier)


STRATEGIES: dict[str, Callable[[Means], Strategy]] = {
    "random": lambda means: RandomSearch(means.space),
    "genetic": lambda means: Genetic(means.space, *_bred(means)),
    "screened": _screened,
    "belief": _belief,
    "llm": Llm,
    "genetic_llm": lambda means: GeneticLlm(means, _bred(means)[1]),
    # The rule planner takes as many evolved prompts as there are (agent.loop.planners): its rounds are the screened search's.
    "rules": _screened,
}
