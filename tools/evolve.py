"""evolve_prompts: new prompts from the rated ones, by the search strategy of the run's config (tools.search).

Where the config names none, it is the genetic algorithm that a belief about genes screens (tools.search.screened), after "Human
Aesthetic Preference-Based Large Text-to-Image Model Personalization", section 6, with the person's ratings as the score.

Where the run has sliders, the weight of each is one more gene: a number in the genome (tools.sliders).
"""

from __future__ import annotations

import random
from typing import Annotated

from pydantic import Field

from prompts.errors import ToolError
from tools.context import Arguments, Context, Outcome
from tools.search.genetic import Rated
from tools.search.screened import evolved
from tools.search.space import Space
from tools.sliders import genes_of


class EvolvePrompts(Arguments):
    """Breed new prompts from the rated ones: the best live on, others cross and mutate."""

    children: Annotated[int, Field(ge=1, le=8, description="how many prompts to return")]
    mutation: Annotated[float, Field(ge=0, le=1, description="chance that a gene is redrawn")]
    elites: Annotated[int, Field(ge=0, le=4, description="how many of the best rated prompts return unchanged")]


def evolve_prompts(args: EvolvePrompts, context: Context) -> Outcome:
    """Children, best first, distinct. Raises ToolError below two rated prompts that the vocabulary can read."""
    ratings = context.trail.ratings()
    rows, sliders = [row for row in context.trail.images() if row.id in ratings], context.settings.sliders
    seen = [(row, context.vocabulary.parse(row.prompt)) for row in rows]
    rated: list[Rated] = [(ratings[row.id], words | genes_of(row, sliders)) for row, words in seen if words is not None]
    if len(rated) < 2:
        raise ToolError(
            f"{len(rated)} rated prompts fit the vocabulary's form, and two are needed to cross: rate more images."
        )
    space, rng = Space(context.vocabulary, tuple(sliders)), random.Random(context.seed)
    elites, chosen = evolved(rated, args.children, args.elites, args.mutation, space, rng)
    result = {"prompts": [space.phrase(genome) for genome in chosen], "elites": elites}
    weights = [{slider.name: genome[slider.gene] for slider in sliders} for genome in chosen]
    return Outcome(result | ({"sliders": weights} if sliders else {}))
