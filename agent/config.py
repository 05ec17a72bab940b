"""A run's config: one YAML file, every key known. Below this file there are flat values only.

Unknown keys are errors that name the nearest known key; the resolved config is stored with the run.

Long because every key of a run, with its bounds and its sentence, stands in one place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from evaluators.gate import Rules
from prompts.errors import InputError
from prompts.ground.clean import clean
from prompts.ground.console import typed
from prompts.ground.reading import nameable
from prompts.ground.yaml_files import OF_A_PERSON, OF_OURS, Read, read_yaml
from tools.asking import Asking
from tools.gal.spec import GalSpec
from tools.jobs.taken import mistaken, named, said
from tools.searching import SearchSpec
from tools.shown import ShownPicture
from tools.sliders import Slider, distinct_names

MODELS = Path(__file__).parents[1] / "models"
CONFIGS = Path(__file__).parents[1] / "configs"
UNKNOWN = "known when it runs"
MOST_TOLD = 8
Name = Annotated[str, AfterValidator(nameable)]  # of a folder, a file, or something on a hub or a server


class Section(BaseModel):
    """A part of the config: no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LlmSection(Section):
    """Who plans in words."""

    model: Name = Field("bauhaus-lm", description="a bundled model, a model folder, or the name a server knows it by")
    url: str | None = Field(None, description="an OpenAI-compatible server to use instead of starting vLLM")
    temperature: float = Field(0.6, ge=0, le=2, description="0 repeats itself; higher is more varied")
    timeout: float = Field(120.0, gt=0, le=3600, description="seconds for one whole answer")
    attempts: int = Field(4, ge=1, le=10, description="tries for one answer")
    patience: float = Field(
        120.0, ge=0, le=86_400, description="seconds that a busy server may ask us to wait, at most"
    )
    answer_bytes: int = Field(2**20, ge=1024, le=2**30, description="bytes of one answer, at most")
    answer_tokens: int | None = Field(
        None, ge=16, le=1_000_000, description="tokens of one answer; none: 700, too few for a model that thinks first"
    )
    context: int = Field(2048, ge=512, le=131_072, description="tokens of context the local server allows")
    sees: bool = Field(
        False, description="whether it is shown pictures; a model without eyes gets the words CLIP finds"
    )


class FinetuneSection(Section):
    """How adapters are trained."""

    method: Literal["dpo", "dreambooth"] = Field("dpo", description="what the routine proposes")
    steps: int = Field(60, ge=1, le=2000, description="training steps, at most")
    pool_prompts: int = Field(12, ge=1, le=24, description="loose prompts that get a pool of images each")
    pool_size: int = Field(6, ge=2, le=20, description="images a pool (N of HG-DPO)")
    settings: dict[str, Any] = Field({}, description="anything of DpoConfig or DreamBoothConfig, over the defaults")
    active_learning: dict[str, Any] | None = Field(
        None,
        description="anything of GalSpec (tools/gal/spec.py): dreambooth then chooses its own next references (GAL)",
    )

    @field_validator("active_learning")
    @classmethod
    def _can_run_alone(cls, given: dict[str, Any] | None) -> dict[str, Any] | None:
        try:
            spec = GalSpec(**{"non_subject": UNKNOWN, **(given or {})})
        except ValidationError as error:
            raise ValueError(
                "; ".join(f"{clean(one['loc'][0], 80)} = {one['input']!r:.200}: {one['msg']}" for one in error.errors())
            ) from error
        if spec.subject and "anchors" not in (given or {}):
            raise ValueError(
                f"subject {spec.subject!r} needs anchors with a place for it: name a set, a file or a list"
            )
        if "anchors" in (given or {}):
            spec.resolved()
        if spec.strategy == "human":
            raise ValueError(
                f"strategy 'human' needs a person at the job: use `{typed('train', 'gal', 'CONFIG')}`, or another strategy here"
            )
        return given


class GateSection(Rules):
    """When an adapter is promoted. Its colours may move and its pictures resemble each other: a taste may well be for that."""

    maximum_hue_shift: float | None = Field(None, ge=0, description="per cent of the mean before; none: no limit")
    maximum_saturation_shift: float | None = Field(
        None, ge=0, description="per cent of the mean before; none: no limit"
    )
    maximum_value_shift: float | None = Field(None, ge=0, description="per cent of the mean before; none: no limit")
    minimum_diversity: float | None = Field(
        None, ge=0, description="share of the pictures' mean distance that stays; none: no limit"
    )


class ProfileSection(Section):
    """The taste profile that a run starts from."""

    name: str = Field(max_length=64, description="what it was called when it was imported")
    strength: float = Field(0.5, ge=0, le=1, description="how much its ratings count: 0 nothing, 1 as if given now")


class Limits(Section):
    """Budgets, enforced outside the language model."""

    images: int = Field(200, ge=1, le=100_000, description="images shown in rounds")
    trainings: int = Field(1, ge=0, le=100, description="training jobs")
    ratings: int = Field(1000, ge=0, le=1_000_000, description="ratings asked of the person")
    llm_tokens: int = Field(1_000_000, ge=0, le=10**12, description="tokens in and out")
    training_seconds: float = Field(3600.0, gt=0, le=1e9, description="seconds for one training job")
    steps: int = Field(300, ge=1, le=100_000, description="tool calls")


class Config(Section):
    """Everything a run needs to know."""

    name: str = Field("run", max_length=80)
    brief: str = Field("", max_length=500, description="what the person wants, in words")
    wishes: tuple[str, ...] = Field((), max_length=12, description="vocabulary words with + or - in front")
    model: Name = Field("bauhaus", description="a bundled model, a diffusers folder, or a hub id")
    clip: Name = Field("bauhaus-clip", description="a bundled model or an open_clip folder")
    pickscore: Name = Field("bauhaus-pickscore", description="a bundled model, a folder, or a hub id")
    vocabulary: Name = Field("bauhaus", description="a bundled vocabulary or a YAML file")
    planner: Literal["llm", "rules"] = Field("llm", description="who decides")
    rater: Annotated[int, Field(ge=0)] | Literal["person"] = Field(
        "person", description="a simulated rater's seed, or a person"
    )
    population: bool | Literal["pickscore"] = Field(
        False,
        description="the taste starts from what other people like: true, population.npz in the model's folder; pickscore, what it says of the run's pictures",
    )
    rounds: int = Field(4, ge=1, le=100)
    images_per_round: int = Field(8, ge=1, le=8)
    seed: int = Field(0, ge=0, lt=2**31)
    steps: int = Field(20, ge=1, le=200, description="sampling steps")
    guidance_scale: float = Field(3.0, ge=0, le=30)
    size: int | None = Field(None, ge=8, le=2048, multiple_of=8, description="pixels a side; none: the model's own")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1")
    llm: LlmSection = LlmSection()
    finetune: FinetuneSection = FinetuneSection()
    evaluate_prompts: int = Field(16, ge=4, le=32)
    gate: GateSection = GateSection()
    limits: Limits = Limits()
    asking: Asking = Asking()
    search: SearchSpec | None = Field(
        None, description="how evolve_prompts finds prompts; none: screened, half a round"
    )
    keep_brief: bool = Field(True, description="prompts say the vocabulary's words of the brief, whoever proposes them")
    sliders: tuple[Slider, ...] = Field((), max_length=8, description="adapters whose weights are genes of the search")
    shown: ShownPicture | None = Field(None, description="a picture to look at besides the words (IP-Adapter)")
    profile: ProfileSection | None = Field(
        None,
        description="a taste profile to start from: every run hears its taste, the searches screened, belief and rules its words too",
    )

    @field_validator("sliders")
    @classmethod
    def _named_apart(cls, sliders: tuple[Slider, ...]) -> tuple[Slider, ...]:
        return distinct_names(sliders)

    @field_validator("search")
    @classmethod
    def _somebody_writes(cls, search: SearchSpec | None, info: ValidationInfo) -> SearchSpec | None:
        if search is not None and search.asks_llm and info.data.get("planner") == "rules":
            raise ValueError(
                f"strategy {search.strategy!r} asks a language model, and planner: rules has none: set planner: llm, "
                "or choose one of screened, genetic, belief, rules, random"
            )
        return search

    @field_validator("profile")
    @classmethod
    def _alone(cls, profile: ProfileSection | None, info: ValidationInfo) -> ProfileSection | None:
        if profile is None or profile.strength == 0:
            return profile
        if info.data.get("population"):
            raise ValueError(
                "the taste starts either from this profile or from what other people like: leave out population: true, or the profile"
            )
        return profile

    @field_validator("wishes")
    @classmethod
    def _signed(cls, wishes: tuple[str, ...]) -> tuple[str, ...]:
        for wish in wishes:
            if wish[:1] not in "+-" or len(wish) < 2:
                raise ValueError(f"{wish!r} must be a vocabulary word with + or - in front")
        return wishes


def run_folder(home: Path, run_id: str) -> Path:
    """Where a run keeps its files."""
    return home / "runs" / run_id


def bundled(name: str) -> str:
    """The folder of a bundled model, the absolute path of another that is there, or the name as it is: a hub id, or a server's word."""
    if "/" not in name:
        return str(MODELS / name) if name not in ("", ".", "..") and os.path.isdir(MODELS / name) else name
    folder = os.path.expanduser(name)
    return os.path.abspath(folder) if os.path.isdir(folder) else name


def load_config(path: str | Path, **changes: Any) -> Config:
    """Read a YAML file and lay `changes` (None: unchanged) over it. Raises InputError for anything wrong."""
    file = Path(path)
    if not os.path.isfile(file) and os.path.isfile(CONFIGS / f"{path}.yaml"):
        file = CONFIGS / f"{path}.yaml"
    if not os.path.exists(file) or os.path.isdir(file):
        known = ", ".join(sorted(f"configs/{p.name}" for p in CONFIGS.glob("*.yaml")))
        raise InputError(
            f"There is no config {str(path)!r:.300}: give the path of a YAML file, for example one of {known}."
        )
    read = read_keys(file)
    values = placed(read.values, file.parent) | {key: value for key, value in changes.items() if value is not None}
    models = {key: _from_anywhere(values[key]) for key in ("model", "clip", "pickscore") if key in values}
    return make_config(values | models, read)


def _from_anywhere(name: Any) -> Any:
    """A model's folder as an absolute path: the run may go on from another one. Bundled models and hub ids keep their names."""
    return bundled(name) if isinstance(name, str) and "/" in name else name


def placed(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """`values` with the files of sliders and of the shown picture as absolute paths, found beside the YAML file or from the current
    folder. Raises InputError for one that is in neither: better now than when the first picture is painted."""
    found = dict(values)
    if isinstance(found.get("sliders"), list | tuple):
        found["sliders"] = [_with_files(one, ("adapter",), folder) for one in found["sliders"]]
    return found | ({"shown": _with_files(found["shown"], ("image", "adapter"), folder)} if "shown" in found else {})


def _with_files(block: Any, keys: tuple[str, ...], folder: Path) -> Any:
    """What is no block, or no path, is left for the check of the whole config."""
    if not isinstance(block, dict):
        return block
    return block | {key: _file(key, block[key], folder) for key in keys if isinstance(block.get(key), str)}


def _file(key: str, path: str, folder: Path) -> str:
    for place in (folder / path, Path(path)):
        if os.path.exists(place):
            return str(place.resolve())
    raise InputError(
        f"{key} = {path!r:.300} is neither beside the config, in {str(folder)!r}, nor in the current folder: give its path"
    )


def read_keys(file: Path, *, ours: bool = False) -> Read:
    """The keys and values of a YAML file, none for an empty one; `ours`: which we wrote, and may be large. Raises InputError."""
    read = read_yaml(file, "The config", OF_OURS if ours else OF_A_PERSON)
    if read.values is None:
        return Read({})
    if not isinstance(read.values, dict):
        kind = type(read.values).__name__
        raise InputError(f"The config {str(file)!r} holds a {kind}: it must hold keys and values.")
    return read


def make_config(values: dict[str, Any], read: Read | None = None) -> Config:
    """What a person wrote, checked whole, with what is handed on to trainers; `read` knows the lines. Raises InputError naming each
    wrong key or value."""
    config = kept_config(values, read)
    at = (read or Read(None)).at
    wrong = [f"{named(where)} = {value!r:.200}{at(where)}: {hint}" for where, value, hint in _mistakes(values, config)]
    if wrong:
        raise _wrong(wrong)
    if config.finetune.settings:
        from tools.jobs.spec import check_settings

        check_settings(
            config.finetune.method, config.finetune.settings, lambda path: at(("finetune", "settings", *path))
        )
    return config


def kept_config(values: dict[str, Any], read: Read | None = None) -> Config:
    """The same of what a run kept, whose values earlier versions may have written otherwise: taken as they took them."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise _wrong([said(one, Config, (read or Read(None)).at) for one in error.errors()]) from error


def _mistakes(values: dict[str, Any], config: Config) -> Iterator[tuple[tuple[Any, ...], Any, str]]:
    """What was taken for another kind of value, in the block for GAL, too."""
    yield from mistaken(values, config)
    learning = config.finetune.active_learning
    if learning is not None:
        spec = GalSpec(**{"non_subject": UNKNOWN, **learning})
        yield from mistaken(learning, spec, ("finetune", "active_learning"))


def _wrong(told: list[str]) -> InputError:
    more = f"; and {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else ""
    return InputError("The config is wrong: " + "; ".join(told[:MOST_TOLD]) + more)
