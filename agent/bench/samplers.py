"""Optuna's samplers as search strategies: the general-purpose baselines on the same vocabulary space.

TPE (Bergstra et al. 2011) and a Gaussian process with expected improvement, as Optuna ships them, with their defaults. Each round a
study is made anew from the history, and asked for the whole round at once; both know of running trials. Needs the extra `bench`.
"""

from __future__ import annotations

import random
import warnings
from dataclasses import dataclass
from typing import Any, Literal

from prompts.errors import InputError
from prompts.genes import Range, Seed, Several
from tools.search.history import History
from tools.search.space import Space
from tools.search.strategy import Proposal, proposal

Kind = Literal["tpe", "gp"]


@dataclass(frozen=True)
class Sampler:
    """Raises InputError where Optuna is not installed, or for a gene of several words: Optuna has no such parameter."""

    space: Space
    kind: Kind

    def __post_init__(self) -> None:
        several = [gene for gene, one in self.space.vocabulary.more.items() if isinstance(one, Several)]
        if several:
            raise InputError(
                f"the gene {several[0]!r} has several words at once, which Optuna cannot draw: leave it out"
            )
        _optuna()

    def propose(self, history: History, count: int, rng: random.Random) -> list[Proposal]:
        """As `Strategy.propose`."""
        optuna = _optuna()
        seed, known = rng.getrandbits(31), self._distributions(optuna)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # GPSampler calls itself experimental
            kinds = {"tpe": optuna.samplers.TPESampler, "gp": optuna.samplers.GPSampler}
            study = optuna.create_study(direction="maximize", sampler=kinds[self.kind](seed=seed))
            for score, genome in history.rated:
                params = {gene: genome[gene] for gene in known}
                study.add_trial(optuna.trial.create_trial(params=params, distributions=known, value=score))
            drawn = [dict(study.ask(known).params) for _ in range(count)]
        return [proposal(self.space, self.space.mend(genome, rng)) for genome in drawn]

    def _distributions(self, optuna: Any) -> dict[str, Any]:
        kinds = optuna.distributions
        found = {gene: kinds.CategoricalDistribution(words) for gene, words in self.space.vocabulary.genes.items()}
        for gene, one in self.space.vocabulary.more.items():
            if isinstance(one, Range):
                found[gene] = kinds.FloatDistribution(one.low, one.high)
            elif isinstance(one, Seed):
                found[gene] = kinds.IntDistribution(0, one.seeds - 1)
        return found | {one.gene: kinds.FloatDistribution(one.low, one.high) for one in self.space.sliders}


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise InputError(
            f"Optuna is not installed ({error}): install the extra with `pip install palate[bench]`"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
