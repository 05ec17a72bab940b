"""What a run works with: its config, store, models, language model, and whom it tells. Made once, passed to the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.config import Config, bundled
from agent.store.store import Store
from prompts.errors import ReplayError, ToolError
from prompts.vocabulary import Vocabulary, load_vocabulary
from tools.context import Settings, Studio, nothing
from tools.files import SavedImage, save_image
from tools.records import AdapterRow, LlmCall, StepRecord
from tools.searching import SearchSpec

TAUGHT = "bauhaus-lm"  # the one that knows the native dialect


@dataclass
class Crew:
    """The helpers of one run. `calls` collects what the language model's client reports (its `on_call`)."""

    config: Config
    home: Path
    store: Store
    llm: Any = None  # an agent.llm.client.Llm, a ScriptedLlm, or None with the rule planner
    calls: list[dict[str, Any]] = field(default_factory=list)
    on_step: Callable[[StepRecord], None] = nothing
    on_progress: Callable[[str, int, int], None] = nothing
    recorded_jobs: dict[int, AdapterRow | ToolError] | None = None  # replay: what each training gave; None: train
    save: Callable[..., SavedImage] = save_image  # replay on another machine keeps the recorded picture instead
    profiles: Path | None = None  # replay: the home whose profiles there are; none: `home`
    tokens: int = 0
    store_seconds: float = 0.0

    def __post_init__(self) -> None:
        self.settings = make_settings(self.config)
        self.studio = Studio(self.settings)
        self.vocabulary: Vocabulary = load_vocabulary(self.config.vocabulary)

    def spend(self, calls: Iterable[LlmCall]) -> None:
        """Count the tokens of these calls against the run's budget."""
        self.tokens += sum(call.prompt_tokens + call.completion_tokens for call in calls)

    def recorded_job(self, step: int) -> AdapterRow | None:
        """The adapter that a recorded step trained; None where nothing is replayed.

        Raises the recorded ToolError of a training that failed, and ReplayError where no training is recorded.
        """
        if self.recorded_jobs is None:
            return None
        found = self.recorded_jobs.get(step)
        if found is None:
            raise ReplayError(f"missing record: step {step} trains an adapter, and the record has none.")
        if isinstance(found, ToolError):
            raise found
        return found


def make_settings(config: Config) -> Settings:
    """The flat values that tools need."""
    return Settings(
        model=bundled(config.model), clip=bundled(config.clip), pickscore=bundled(config.pickscore), seed=config.seed, steps=config.steps,
        guidance_scale=config.guidance_scale, size=config.size, images_per_round=config.images_per_round,
        pool_prompts=config.finetune.pool_prompts, pool_size=config.finetune.pool_size, method=config.finetune.method, train_steps=config.finetune.steps, evaluate_prompts=config.evaluate_prompts,
        finetune=config.finetune.settings, active_learning=config.finetune.active_learning, model_name=config.model, rules=config.gate,
        sliders=config.sliders, shown=config.shown, population=config.population, asking=config.asking, search=_search_of(config), keep_brief=config.keep_brief,
        llm_sees=config.llm.sees, llm_context=config.llm.context if config.llm.url is None else None,
        device=config.device, job_timeout=config.limits.training_seconds,
    )  # fmt: skip


def _search_of(config: Config) -> SearchSpec | None:
    """The search with its dialect decided: the bundled language model reads no other words than it was taught."""
    search = config.search
    if search is None or search.dialect != "auto":
        return search
    return search.model_copy(update={"dialect": "native" if config.llm.model == TAUGHT else "plain"})
