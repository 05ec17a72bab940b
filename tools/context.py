"""What a tool is given and what it gives back: the models, the run's settings, the trail so far; then an outcome.

A tool never writes the trajectory. It returns rows, and the agent's `record` node writes them in one transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, StringConstraints

from evaluators.gate import Rules
from prompts.vocabulary import Vocabulary
from tools.asking import Asking
from tools.earlier import Earlier
from tools.files import SavedImage, save_image
from tools.records import (
    AdapterRow,
    AnswerRow,
    ComparisonRow,
    ImageRow,
    JobRow,
    PairRow,
    PreferenceRow,
    ScoreRow,
    StepRow,
)
from tools.searching import SearchSpec
from tools.shown import ShownPicture
from tools.sliders import Slider

if TYPE_CHECKING:  # torch only when a tool that needs it runs
    import numpy as np
    from PIL import Image

    from evaluators.preference.model import Preference
    from evaluators.scorers.clip import Clip
    from evaluators.scorers.pickscore import PickScore
    from trainers.model.base_model import BaseModel as PaintingModel

Prompt = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]


class Arguments(BaseModel):
    """A tool's arguments: at once the schema the language model must follow and the JSON that is stored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass
class Outcome:
    """What a tool did: `result` is what the planner reads back, the rest are rows of the trajectory."""

    result: dict[str, Any]
    images: tuple[ImageRow, ...] = ()
    scores: tuple[ScoreRow, ...] = ()
    pairs: tuple[PairRow, ...] = ()
    preferences: tuple[PreferenceRow, ...] = ()
    adapters: tuple[AdapterRow, ...] = ()


class Trail(Protocol):
    """The part of a run's trajectory that tools read."""

    def images(self) -> Sequence[ImageRow]: ...
    def round_images(self) -> Sequence[ImageRow]: ...
    def ratings(self) -> Mapping[str, float]: ...
    def answers(self) -> Sequence[AnswerRow]: ...
    def comparisons(self) -> Sequence[ComparisonRow]: ...
    def wanted_more(self) -> Sequence[str]: ...
    def results(self, tool: str, round: int | None = None) -> Sequence[StepRow]: ...
    def preference(self) -> PreferenceRow | None: ...
    def adapters(self) -> Sequence[AdapterRow]: ...


class Start(Protocol):
    """Where a run starts from, as its tools see it: a profile, at a strength (tools.profiles.taste)."""

    def prior(self) -> Preference:
        """The taste that the person's ratings correct."""
        ...

    def earlier(self, vocabulary: Vocabulary) -> Sequence[Earlier]:
        """Ratings of an earlier time as evidence about the words of `vocabulary`."""
        ...


@dataclass(frozen=True)
class Settings:
    """How a run paints and trains; flat values of the run's config."""

    model: str
    clip: str
    pickscore: str
    seed: int
    steps: int = 20
    guidance_scale: float = 3.0
    size: int | None = None
    images_per_round: int = 8
    pool_prompts: int = 8
    pool_size: int = 6
    method: str = "dpo"
    train_steps: int = 2000  # at most, whatever the planner asks for
    evaluate_prompts: int = 32  # likewise
    finetune: Mapping[str, Any] = field(default_factory=dict)  # of `method`
    rules: Rules = field(default_factory=Rules)  # of evaluate_adapter
    sliders: tuple[Slider, ...] = ()  # adapters whose weights are genes
    shown: ShownPicture | None = None  # a picture to look at besides the words, where a person sees what is painted
    search: SearchSpec | None = None  # how evolve_prompts finds prompts; None: by the screened genetic search
    keep_brief: bool = True  # prompts say what the brief asks for, whoever proposes them
    llm_sees: bool = False  # whether the language model is shown pictures
    llm_context: int | None = None  # tokens that its server has room for; None: nobody knows
    active_learning: Mapping[str, Any] | None = None  # of GalSpec: dreambooth chooses its own next references
    population: bool | Literal["pickscore"] = (
        False  # learn_taste starts from the model's population.npz, or from PickScore
    )
    asking: Asking = field(default_factory=Asking)  # how ask_person asks
    device: str = "auto"
    model_name: str = ""  # what records call it: a bundled model's folder is somewhere else on every machine
    job_timeout: float = 3600.0


@dataclass
class Studio:
    """The models of a run, each loaded when first needed and kept; all on the painter's device, where "auto" is resolved."""

    settings: Settings

    @cached_property
    def painter(self) -> PaintingModel:
        """The base model."""
        from trainers.model.load import load

        return load(self.settings.model, device=self.settings.device)

    @cached_property
    def clip(self) -> Clip:
        """The open_clip model that sees."""
        from evaluators.scorers.clip import Clip

        return Clip(self.settings.clip, str(self.painter.device))

    @cached_property
    def pickscore(self) -> PickScore:
        """The population's taste."""
        from evaluators.scorers.pickscore import PickScore

        return PickScore(self.settings.pickscore, str(self.painter.device))


def nothing(*_: Any) -> None:
    """A callback that does nothing."""


@dataclass
class Context:
    """Everything a tool may use at one step."""

    settings: Settings
    studio: Studio
    vocabulary: Vocabulary
    trail: Trail
    folder: Path  # the run's folder
    step: int
    round: int
    images_left: int = 10_000
    ratings_left: int = 10_000
    start: Start | None = None  # the profile that the run starts from
    brief: str = ""
    avoided: tuple[str, ...] = ()  # vocabulary words that the brief says are not wanted
    wishes: tuple[str, ...] = ()  # vocabulary words with + or - in front
    rounds_left: int | None = None  # that are not painted yet
    write: Callable[..., Any] | None = None  # the language model, for words; None with the rule planner
    write_native: Callable[..., Any] | None = None  # the same, asked for prompts as the bundled one was taught
    save: Callable[..., SavedImage] = save_image  # replay on another machine keeps the recorded picture instead
    recorded_job: Callable[[], AdapterRow | None] = nothing  # replay: the adapter this step made when it was recorded
    on_progress: Callable[[str, int, int], None] = nothing
    on_job: Callable[[JobRow], None] = nothing
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def model_name(self) -> str:
        """What records call the base model."""
        return self.settings.model_name or self.settings.model

    @property
    def seed(self) -> int:
        """A seed of this step's own: the same when the step is run again."""
        return (self.settings.seed * 1_000_003 + self.step * 1_009) % 2**31

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add the time spent inside to `seconds[part]` (paint, score, train, llm)."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - began

    def open_image(self, row: ImageRow) -> Image.Image:
        """The picture of a row."""
        from PIL import Image

        with Image.open(self.folder / row.path) as image:
            return image.convert("RGB")

    def features(self, rows: Sequence[ImageRow]) -> np.ndarray:
        """CLIP features (N, D) of the rows' pictures."""
        with self.timed("score"):
            return self.studio.clip.image_features([self.open_image(row) for row in rows])
