"""A person's taste as a function of image features: personal image aesthetics assessment (PIAA).

Kinds: "head" (default; Bayesian linear with departures), "knn", "blend" of the two, "finetune" (a small network), "maml" (a
network that other people's ratings taught where to start) and "bayes" (a Gaussian process whose prior is what other people's
tastes look like; the best one where a `Population` is at hand). All but "maml" can start from a `Scored` (PickScore, an aesthetic
head) and correct it. The prompt is no input: the picture is judged. Features come from elsewhere (CLIP rows, as a rule); ratings
are on one person's scale, comparisons need none.
"""

from evaluators.preference.held_out import held_out_agreement
from evaluators.preference.kinds.comparison import Comparison
from evaluators.preference.model import FLAT_STD, KINDS, Base, Kind, Preference, fit, load
from evaluators.preference.population import Population
from evaluators.preference.scored import Scored

__all__ = [
    "FLAT_STD",
    "KINDS",
    "Base",
    "Comparison",
    "Kind",
    "Population",
    "Preference",
    "Scored",
    "fit",
    "held_out_agreement",
    "load",
]
