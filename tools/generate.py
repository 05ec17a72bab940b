"""generate_images: paint the next round, from prompts of the planner's own and from the last evolution's children.

Where the run has sliders, a child is painted with the weights it was bred with, a prompt of the planner's own with random ones.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from prompts.errors import ToolError
from tools.context import Arguments, Context, Outcome, Prompt
from tools.painting import paint_rows, promoted
from tools.sliders import Weights, drawn

Said = tuple[str, Weights]  # a prompt and its sliders' weights


class GenerateImages(Arguments):
    """Paint images, one for each prompt; this starts a new round."""

    prompts: Annotated[list[Prompt], Field(max_length=8, description="your own prompts, one image each")]
    evolved: Annotated[int, Field(ge=0, le=8, description="how many prompts to take from the last evolve_prompts")]


def generate_images(args: GenerateImages, context: Context) -> Outcome:
    """Paint up to the images that are left. Raises ToolError when no prompt is left to paint."""
    chosen = _chosen(args, context)
    prompts, weights = [prompt for prompt, _ in chosen], [one for _, one in chosen]
    rows, cut = paint_rows(prompts, context.seed, context, adapters=promoted(context), purpose="paint", weights=weights)
    result = {"images": [row.id for row in rows], "prompts": prompts}
    return Outcome(result | ({"cut": cut} if cut else {}), images=tuple(rows))


def _chosen(args: GenerateImages, context: Context) -> list[Said]:
    rng = random.Random(context.seed)
    own = [(prompt, drawn(context.settings.sliders, rng)) for prompt in dict.fromkeys(args.prompts)]
    prompts = own + evolved_prompts(context, args.prompts)[: args.evolved]
    wanted = min(context.settings.images_per_round, context.images_left)
    if not prompts:
        raise ToolError("generate_images was given no prompts, and no evolved ones wait: write 1 to 8 prompts.")
    if wanted < 1:
        raise ToolError("No images are left in this run's budget: call finish.")
    repeated = [prompts[i % len(prompts)] for i in range(wanted)]  # too few prompts: another seed of the same ones
    return repeated[:wanted]


def evolved_prompts(context: Context, without: Sequence[str]) -> list[Said]:
    """The children of this round's evolution that are not among `without`."""
    found = [step.result for step in context.trail.results("evolve_prompts") if step.round == context.round]
    last = found[-1] if found and isinstance(found[-1], dict) else {}
    children, bred = last.get("prompts"), last.get("sliders")
    if not isinstance(children, list):
        return []
    weights: list[Any] = bred if isinstance(bred, list) else [{}] * len(children)
    return [(str(child), dict(one)) for child, one in zip(children, weights, strict=True) if child not in without]
