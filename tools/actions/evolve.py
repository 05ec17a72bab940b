"""evolve_prompts: new prompts from the rated ones, by the search strategy of the run's config (tools.search).

Where the config names none, it is the genetic algorithm that a belief about genes screens (tools.search.screened), after "Human
Aesthetic Preference-Based Large Text-to-Image Model Personalization", section 6, with the person's ratings as the score.

Where it names one, that strategy proposes, kept to the brief, and the result says of every prompt that was changed for it why.
A strategy that asks a language model asks it through the context, so that the record has every answer.

Where the run has sliders, the weight of each is one more gene: a number in the genome (tools.sliders).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from prompts.errors import InputError, ToolError
from prompts.vocabulary import Genome
from tools.context import Arguments, Context, Outcome
from tools.likings import likings
from tools.search.genetic import Rated
from tools.search.kept import Kept
from tools.search.record import asked, genome_of, means_of, read_history
from tools.search.screened import Screened, evolved
from tools.search.space import Space
from tools.search.strategies import make_strategy
from tools.search.strategy import proposal
from tools.searching import SearchSpec


class EvolvePrompts(Arguments):
    """Breed new prompts from the rated ones: the best live on, others cross and mutate."""

    children: Annotated[int, Field(ge=1, le=8, description="how many prompts to return")]
    mutation: Annotated[float, Field(ge=0, le=1, description="chance that a gene is redrawn")]
    elites: Annotated[int, Field(ge=0, le=4, description="how many of the best rated prompts return unchanged")]


def evolve_prompts(args: EvolvePrompts, context: Context) -> Outcome:
    """Children, best first, distinct. Raises ToolError below two rated prompts that the vocabulary can read."""
    if context.settings.search is not None:
        return _searched(args, context, context.settings.search)
    ratings, space = likings(context.trail), Space(context.vocabulary, tuple(context.settings.sliders))
    seen = [(row, genome_of(row, space)) for row in context.trail.images() if row.id in ratings]
    rated: list[Rated] = [(ratings[row.id], genome) for row, genome in seen if genome is not None]
    if len(rated) < 2:
        raise ToolError(
            f"{len(rated)} rated prompts fit the vocabulary's form, and two are needed to cross: rate more images."
        )
    rng, wanted = random.Random(context.seed), 0 if space.seed_gene else args.elites  # no picture twice
    earlier = context.start.earlier(context.vocabulary) if context.start else ()
    near = more_like(context, space, args.children)
    elites, chosen = evolved(rated, args.children, wanted, args.mutation, space, rng, near=near, earlier=earlier)
    return _kept(chosen, elites, space, context)


def _kept(chosen: Sequence[Genome], elites: int, space: Space, context: Context) -> Outcome:
    """What was bred, as the brief asks for it where it does."""
    try:
        brief = asked(context, space)
        if brief is None:
            return Outcome(_result(chosen, elites, space))
        rng = random.Random(f"brief {context.seed}")
        found = Kept(Screened(space), brief, space).mended(
            [proposal(space, genome) for genome in chosen], read_history(context, space, SearchSpec()), rng
        )
    except InputError as error:  # no planner can mend a brief
        raise ToolError(str(error), retryable=False) from error
    reasons = {one.prompt: one.reason for one in found if one.reason}
    return Outcome(_result([one.genome for one in found], elites, space) | ({"reasons": reasons} if reasons else {}))


def more_like(context: Context, space: Space, room: int) -> list[Genome]:
    """Two near copies, one or two words redrawn, of each picture that the person wants more like; at most half of `room`."""
    rng, found = random.Random(f"more like {context.seed}"), list[Genome]()
    wanted = set(context.trail.wanted_more())
    genomes = [genome_of(row, space) for row in context.trail.images() if row.id in wanted]
    words = {gene: values for gene, values in space.vocabulary.genes.items() if len(values) > 1}
    for genome, changes in ((genome, changes) for changes in (1, 2) for genome in genomes if genome is not None):
        fresh = dict(genome)
        for gene in rng.sample(sorted(words), min(changes, len(words))):
            fresh[gene] = rng.choice([value for value in words[gene] if value != genome[gene]])
        found.append(space.mend(fresh, rng))
    return found[: room // 2]


def _result(genomes: Sequence[Genome], elites: int, space: Space) -> dict[str, Any]:
    """What the planner reads back, and `generate_images`."""
    result: dict[str, Any] = {"prompts": [space.phrase(genome) for genome in genomes], "elites": elites}
    hows = [space.how(genome) for genome in genomes]
    weights = [{slider.name: genome[slider.gene] for slider in space.sliders} for genome in genomes]
    return result | ({"sliders": weights} if space.sliders else {}) | ({"hows": hows} if any(hows) else {})


def _whole_round(context: Context) -> int:
    """How many pictures the next round has, whatever the planner asks for."""
    return max(1, min(context.settings.images_per_round, context.images_left))


def _searched(args: EvolvePrompts, context: Context, spec: SearchSpec) -> Outcome:
    """What the config's strategy proposes; its mutation and elites are the planner's where the config has none."""
    spec = spec.model_copy(
        update={
            "mutation": args.mutation if spec.mutation is None else spec.mutation,
            "elites": args.elites if spec.elites is None else spec.elites,
        }
    )
    space, rng = Space(context.vocabulary, tuple(context.settings.sliders)), random.Random(context.seed)
    wanted = _whole_round(context) if spec.whole_rounds else args.children
    near = [proposal(space, genome) for genome in more_like(context, space, wanted)]
    try:
        history, strategy = read_history(context, space, spec), make_strategy(means_of(context, space, spec))
        proposed = strategy.propose(history, wanted - len(near), rng)
        found = strategy.mended([*near, *proposed], history, rng)
    except InputError as error:  # a brief that no prompt can keep: a person has to change it, no planner can
        raise ToolError(str(error), retryable=False) from error
    reasons = {one.prompt: one.reason for one in found if one.reason}
    result = _result([one.genome for one in found], sum(history.has(one.prompt) for one in proposed), space)
    return Outcome(result | {"strategy": spec.strategy} | ({"reasons": reasons} if reasons else {}))
