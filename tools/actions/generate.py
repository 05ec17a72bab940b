"""generate_images: paint the next round, from prompts of the planner's own and from the last evolution's children.

Where the run's config chose a search strategy for whole rounds, its prompts come before the planner's own.
Where the run has sliders, a child is painted with the weights it was bred with, a prompt of the planner's own with random ones.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from prompts.errors import InputError, ToolError
from tools.context import Arguments, Context, Outcome, Prompt
from tools.painting import How, paint_rows, promoted
from tools.search.record import asked
from tools.search.space import Space
from tools.sliders import Weights, drawn

Said = tuple[str, Weights, How]  # a prompt, its sliders' weights, and a seed or guidance scale of its own


class GenerateImages(Arguments):
    """Paint images, one for each prompt; this starts a new round."""

    prompts: Annotated[list[Prompt], Field(max_length=8, description="your own prompts, one image each")]
    evolved: Annotated[int, Field(ge=0, le=8, description="how many prompts to take from the last evolve_prompts")]


def generate_images(args: GenerateImages, context: Context) -> Outcome:
    """Paint up to the images that are left. Raises ToolError when no prompt is left to paint."""
    args, reasons = _as_asked(args, context)
    chosen = _chosen(args, context)
    prompts, weights, hows = [one[0] for one in chosen], [one[1] for one in chosen], [one[2] for one in chosen]
    rows, cut = paint_rows(
        prompts, context.seed, context, adapters=promoted(context), purpose="paint", weights=weights, hows=hows
    )
    result = {"images": [row.id for row in rows], "prompts": prompts}
    more = ({"cut": cut} if cut else {}) | ({"reasons": reasons} if reasons else {})
    return Outcome(result | more, images=tuple(rows))


def _as_asked(args: GenerateImages, context: Context) -> tuple[GenerateImages, dict[str, str]]:
    """The planner's own prompts as the brief asks for them, and why one is not the planner's. A prompt that the vocabulary cannot read
    is painted as it is."""
    space, reasons, prompts = Space(context.vocabulary), dict[str, str](), list[str]()
    try:
        brief, rng = asked(context, space), random.Random(f"brief {context.seed}")
        for prompt in args.prompts:
            genome = space.parse(prompt) if brief else None
            if brief is None or genome is None or brief.keeps(genome):
                prompts.append(prompt)
                continue
            prompts.append(space.phrase(brief.mended(space.whole(genome, rng), space, rng)))
            reasons[prompts[-1]] = f"kept to the brief ({brief.asked()}): it was {prompt!r}"
    except InputError as error:  # no planner can mend a brief
        raise ToolError(str(error), retryable=False) from error
    return args.model_copy(update={"prompts": prompts}), reasons


def _chosen(args: GenerateImages, context: Context) -> list[Said]:
    rng = random.Random(context.seed)
    space = Space(context.vocabulary)
    own: list[Said] = [
        (prompt, drawn(context.settings.sliders, rng), space.how(space.whole({}, rng)))
        for prompt in dict.fromkeys(args.prompts)
    ]
    wanted = min(context.settings.images_per_round, context.images_left)
    search = context.settings.search
    if search is not None and search.whole_rounds and (bred := evolved_prompts(context, [])):
        written = [one for one in own if one[0] not in {child for child, *_ in bred}]
        own, args = [*bred, *written][:wanted], args.model_copy(update={"evolved": 0})
    prompts = own + evolved_prompts(context, args.prompts)[: args.evolved]
    if not prompts:
        raise ToolError("generate_images was given no prompts, and no evolved ones wait: write 1 to 8 prompts.")
    if wanted < 1:
        raise ToolError("No images are left in this run's budget: call finish.")
    # too few prompts: the same ones again, with another seed
    return [prompts[i] if i < len(prompts) else _elsewhere(prompts[i % len(prompts)]) for i in range(wanted)]


def _elsewhere(said: Said) -> Said:
    return said[0], said[1], {key: value for key, value in said[2].items() if key != "seed"}


def evolved_prompts(context: Context, without: Sequence[str]) -> list[Said]:
    """The children of this round's evolution that are not among `without`."""
    found = [step.result for step in context.trail.results("evolve_prompts", context.round)]
    last = found[-1] if found and isinstance(found[-1], dict) else {}
    children, bred, own = last.get("prompts"), last.get("sliders"), last.get("hows")
    if not isinstance(children, list):
        return []
    weights: list[Any] = bred if isinstance(bred, list) else [{}] * len(children)
    hows: list[Any] = own if isinstance(own, list) else [{}] * len(children)
    said = zip(children, weights, hows, strict=True)
    return [(str(child), dict(one), dict(how)) for child, one, how in said if child not in without]
