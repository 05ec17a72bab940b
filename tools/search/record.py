"""A run's record as a search's history, and the means that a run has: where the strategies meet the agent.

Reads the trail; writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from prompts.vocabulary import Genome
from tools.context import Context
from tools.likings import likings
from tools.records import ImageRow
from tools.search.brief import Brief, read_brief
from tools.search.history import History, Tried
from tools.search.space import Space
from tools.search.strategy import Means
from tools.searching import SearchSpec
from tools.sliders import genes_of

if TYPE_CHECKING:
    import numpy as np

TAGS = 5  # words that CLIP finds in a picture
AROUND, LEAST = 1300, 200  # tokens of the question and its answer beside the history, which has the least at least


def read_history(context: Context, space: Space, spec: SearchSpec) -> History:
    """Every rated picture of the run. What CLIP sees in them is looked for only where `spec` asks for it."""
    ratings = likings(context.trail)
    rows = [row for row in context.trail.images() if row.id in ratings]
    tags = _tags(rows, context) if "images" in spec.context and not context.settings.llm_sees and spec.asks_llm else {}
    near = _alignment(rows, context) if spec.minimum_alignment is not None and context.brief else {}
    feedback = _feedback(context)
    tried = [
        Tried(
            row.prompt, genome_of(row, space), ratings[row.id], row.round, row.seed, feedback.get(row.round, ""), row.path,
            tags.get(row.id, ()), None, near.get(row.id),
        )
        for row in rows
    ]  # fmt: skip
    return History(tuple(tried), context.rounds_left)


def means_of(context: Context, space: Space, spec: SearchSpec) -> Means:
    """What the run's strategy is made of."""
    native = spec.dialect == "native"
    return Means(
        space,
        _with_room(spec, context.settings.llm_context),
        read_brief(context.brief, context.wishes, space, context.avoided),
        write=_timed(context, context.write_native if native else context.write),
        sees=context.settings.llm_sees,
        open_image=lambda path: (context.folder / path).read_bytes(),
        align=(lambda texts: _cosines(texts, context))
        if context.brief and spec.minimum_prompt_alignment is not None
        else None,
        prior_folder=context.settings.model,
        earlier=tuple(context.start.earlier(context.vocabulary)) if context.start else (),
    )


def asked(context: Context, space: Space) -> Brief | None:
    """What the brief asks of every prompt that the vocabulary can read, whoever proposes it; None where the brief says no word of it,
    and in runs from before this was heeded. Raises InputError for what cannot be kept."""
    says = (
        read_brief(context.brief, (), space, context.avoided) if context.settings.keep_brief and context.brief else None
    )
    if says is None or not (says.wanted or says.unwanted):
        return None
    return read_brief(context.brief, context.wishes, space, context.avoided)


def _with_room(spec: SearchSpec, context: int | None) -> SearchSpec:
    """The spec with no more tokens of history than a server's context has room for beside the question and its answer."""
    if context is None:
        return spec
    return spec.model_copy(update={"history_tokens": min(spec.history_tokens, max(LEAST, context - AROUND))})


def genome_of(row: ImageRow, space: Space) -> Genome | None:
    """The genome of a picture: what its prompt says, and how it was painted. None: the vocabulary cannot read it."""
    words = space.parse(row.prompt)
    if words is None:
        return None
    return (
        words | space.unsaid(row.seed, float(str(row.sampler.get("guidance_scale", 0)))) | genes_of(row, space.sliders)
    )


def _feedback(context: Context) -> dict[int, str]:
    """Round to what give_feedback said of it."""
    told = [step for step in context.trail.results("give_feedback") if isinstance(step.result, dict)]
    return {step.round: str(step.result.get("feedback", "")) for step in told if isinstance(step.result, dict)}


def _timed(context: Context, write: Callable[..., Any] | None) -> Callable[..., Any] | None:
    if write is None:
        return None

    def timed(*given: Any, **named: Any) -> Any:
        with context.timed("llm"):
            return write(*given, **named)

    return timed


def _tags(rows: Sequence[ImageRow], context: Context) -> dict[str, tuple[str, ...]]:
    if not rows:
        return {}
    with context.timed("score"):
        found = context.studio.clip.tags([context.open_image(row) for row in rows], context.vocabulary.words, top=TAGS)
    return {row.id: tuple(tag.word for tag in tags) for row, tags in zip(rows, found, strict=True)}


def _alignment(rows: Sequence[ImageRow], context: Context) -> dict[str, float]:
    if not rows:
        return {}
    cosines = context.features(rows) @ _of_text([context.brief], context)[0]
    return {row.id: float(cosine) for row, cosine in zip(rows, cosines, strict=True)}


def _cosines(texts: Sequence[str], context: Context) -> list[float]:
    brief, *found = _of_text([context.brief, *texts], context)
    return [float(one @ brief) for one in found]


def _of_text(texts: Sequence[str], context: Context) -> np.ndarray:
    with context.timed("score"):
        return context.studio.clip.text_features(texts)
