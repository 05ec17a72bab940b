"""Which questions `ask_person` puts to the person: of the kind that the run's section `asking` wants, about pictures it may show.

Which of them teach the most is evaluators/asking/questions.py's to say; which side a picture stands on is drawn here, and recorded.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tools.context import Context
from tools.records import ImageRow

if TYPE_CHECKING:
    import numpy as np

    from evaluators.asking.belief import Belief, Question

NOISE = 0.4  # SD of one look at a picture, in SDs of liking: who rates a picture twice correlates with themselves at about 0.86


def questions(count: int, context: Context) -> list[dict[str, Any]]:
    """Up to `count` questions {"kind", "images": ids in the order to show them}; which side a picture stands on is drawn.

    One kind at a time: "auto" takes the kind whose first question is worth the most.
    """
    from evaluators.asking.questions import at_random, choose

    asking, rows = context.settings.asking, _pictures(context)
    asked, rng = _asked(rows, context), random.Random(f"sides {context.seed}")
    free = [i for i, row in enumerate(rows) if row.id not in context.trail.ratings()]
    kind: Any = asking.kind
    if asking.choose == "newest" and kind != "auto":
        found = at_random(kind, count, free, asked=asked, seed=context.seed)
    else:
        how: dict[str, Any] = {"asked": asked, "exploit": asking.exploit, "seed": context.seed}
        belief = _belief(rows, context)
        shown = free if kind == "rate" else range(len(rows))
        if kind == "auto":
            kind = next((one.kind for one in choose(belief, "auto", 1, candidates=shown, **how)), "ab")
        found = choose(belief, kind, count, candidates=shown, **how)
    return [{"kind": one.kind, "images": _shuffled([rows[i].id for i in one.images], rng)} for one in found]


def _pictures(context: Context) -> list[ImageRow]:
    """Those that may be asked about: of the newest round, or of every round."""
    if context.settings.asking.choose == "newest":
        return list(context.trail.round_images())
    return [row for row in context.trail.images() if row.shown]


def _asked(rows: Sequence[ImageRow], context: Context) -> list[Question]:
    """What was answered before; a question that was skipped is not asked again either."""
    from evaluators.asking.belief import Question

    number = {row.id: i for i, row in enumerate(rows)}
    rated = [Question("rate", (number[image],)) for image in context.trail.ratings() if image in number]
    answered = [one for one in context.trail.answers() if all(image in number for image in one.shown)]
    return rated + [Question(one.kind, tuple(number[image] for image in one.shown)) for one in answered]


def _belief(rows: Sequence[ImageRow], context: Context) -> Belief:
    """What is known of the pictures' likings: from all that was said so far, or from their looks alone before that is anything.

    By preference "head", whatever kind the planner learns: it knows what the liking of one picture says of another's. It starts where
    learn_taste does: from a profile, or from what other people like.
    """
    import numpy as np

    from evaluators.asking.belief import Belief, learned, unlearned
    from evaluators.preference.model import Preference
    from evaluators.preference.population import Population
    from tools.taste import before, fit, said

    told, prior = said(context.trail), before("head", context)
    looked_at = list({row.id: row for row in (*rows, *told.rows)}.values())
    seen = dict(zip((row.id for row in looked_at), context.features(looked_at), strict=True))
    features, known = (np.array([seen[row.id] for row in some]) for some in (rows, told.rows))
    if told.clicks < 2 or not (told.pairs or np.ptp(told.ratings) > 0):
        if isinstance(prior, Population):
            return learned(prior.prior.mean(features), prior.prior.covariance(features, features), NOISE)
        if isinstance(prior, Preference):
            mean, covariance = prior.joint(features)
            return learned(mean, covariance, NOISE * _spread(mean, covariance) / _spread(0 * mean, covariance))
        return unlearned(features, NOISE)
    mean, covariance = fit(known, told, "head", context.settings.seed, prior).joint(features)
    return Belief(mean, covariance, NOISE * _spread(mean, covariance))


def _spread(mean: np.ndarray, covariance: np.ndarray) -> float:
    """The SD of likings over all pictures: of what is known, and of what is not."""
    return float((mean.var() + covariance.diagonal().mean()) ** 0.5) or 1.0


def _shuffled(images: list[str], rng: random.Random) -> list[str]:
    rng.shuffle(images)
    return images
