"""A run's config: one YAML file, every key known. Below this file there are flat values only.

Unknown keys are errors that name the nearest known key; the resolved config is stored with the run.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from evaluators.gate import Rules
from prompts.errors import InputError
from tools.asking import Asking
from tools.gal.spec import GalSpec
from tools.searching import SearchSpec
from tools.shown import ShownPicture
from tools.sliders import Slider, distinct_names

MODELS = Path(__file__).parents[1] / "models"
CONFIGS = Path(__file__).parents[1] / "configs"


class Section(BaseModel):
    """A part of the config: no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LlmSection(Section):
    """Who plans in words."""

    model: str = Field("bauhaus-lm", description="a bundled model, a model folder, or the name a server knows it by")
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
            spec = GalSpec(**{"non_subject": "known when it runs", **(given or {})})
        except ValidationError as error:
            raise ValueError(
                "; ".join(f"{one['loc'][0]} = {one['input']!r}: {one['msg']}" for one in error.errors())
            ) from error
        if spec.subject and "anchors" not in (given or {}):
            raise ValueError(
                f"subject {spec.subject!r} needs anchors with a place for it: name a set, a file or a list"
            )
        if "anchors" in (given or {}):
            spec.resolved()
        if spec.strategy == "human":
            raise ValueError(
                "strategy 'human' needs a person at the job: use `palate train gal`, or another strategy here"
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

    name: str = Field(max_length=64, description="what `palate profile import` called it")
    strength: float = Field(0.5, ge=0, le=1, description="how much its ratings count: 0 nothing, 1 as if given now")


class Limits(Section):
    """Budgets, enforced outside the language model."""

    images: int = Field(200, ge=1, le=100_000, description="images shown in rounds")
    trainings: int = Field(1, ge=0, le=100, description="training jobs")
    ratings: int = Field(1000, ge=0, le=1_000_000, description="ratings asked of the person")
    llm_tokens: int = Field(1_000_000, ge=0, description="tokens in and out")
    training_seconds: float = Field(3600.0, gt=0, description="seconds for one training job")
    steps: int = Field(300, ge=1, le=100_000, description="tool calls")


class Config(Section):
    """Everything a run needs to know."""

    name: str = Field("run", max_length=80)
    brief: str = Field("", max_length=500, description="what the person wants, in words")
    wishes: tuple[str, ...] = Field((), max_length=12, description="vocabulary words with + or - in front")
    model: str = Field("bauhaus", description="a bundled model, a diffusers folder, or a hub id")
    clip: str = Field("bauhaus-clip", description="a bundled model or an open_clip folder")
    pickscore: str = Field("bauhaus-pickscore", description="a bundled model, a folder, or a hub id")
    vocabulary: str = Field("bauhaus", description="a bundled vocabulary or a YAML file")
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
    """The folder of a bundled model, or the name as it is."""
    return str(MODELS / name) if (MODELS / name).is_dir() and "/" not in name else name


def load_config(path: str | Path, **changes: Any) -> Config:
    """Read a YAML file and lay `changes` (None: unchanged) over it. Raises InputError for anything wrong."""
    file = Path(path)
    if not file.is_file() and (CONFIGS / f"{path}.yaml").is_file():
        file = CONFIGS / f"{path}.yaml"
    if not file.is_file():
        known = ", ".join(sorted(f"configs/{p.name}" for p in CONFIGS.glob("*.yaml")))
        raise InputError(f"There is no config {str(path)!r}: give the path of a YAML file, for example one of {known}.")
    values = placed(read_yaml(file), file.parent)
    return make_config(values | {key: value for key, value in changes.items() if value is not None})


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
    return block | {key: _file(block[key], folder) for key in keys if isinstance(block.get(key), str)}


def _file(path: str, folder: Path) -> str:
    for place in (folder / path, Path(path)):
        if place.exists():
            return str(place.resolve())
    raise InputError(
        f"{path!r} is neither beside the config, in {str(folder)!r}, nor in the current folder: give its path"
    )


def read_yaml(file: Path) -> dict[str, Any]:
    """The keys and values of a YAML file. Raises InputError."""
    try:
        values = yaml.safe_load(file.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"The config {str(file)!r} cannot be read: {error}.") from error
    if not isinstance(values, dict):
        raise InputError(f"The config {str(file)!r} holds a {type(values).__name__}: it must hold keys and values.")
    return values


def make_config(values: dict[str, Any]) -> Config:
    """Validate plain values. Raises InputError naming each wrong key or value."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise InputError("The config is wrong: " + "; ".join(_said(one) for one in error.errors())) from error


def _said(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] != "extra_forbidden":
        return f"{where} = {error['input']!r}: {error['msg']}"
    near = difflib.get_close_matches(str(error["loc"][-1]), _keys(Config, error["loc"][:-1]), 1, 0.3)
    return f"unknown key {where!r}" + (
        f", did you mean {near[0]!r}?" if near else f"; known: {', '.join(_keys(Config, error['loc'][:-1]))}"
    )


def _keys(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    found: Any = model
    for part in path:
        if isinstance(part, int):  # the place in a list: its kind was found with the list
            continue
        kind = found.model_fields[part].annotation
        # a section that may be none, or of which there are several
        found = next((one for one in get_args(kind) if hasattr(one, "model_fields")), kind)
    return list(found.model_fields)
