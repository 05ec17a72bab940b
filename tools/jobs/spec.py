"""What a training job is: its kinds, its settings, and its data as they lie on disk.

Knows the trainers' arguments and reads the files that a job names. Does not know processes; tools.jobs.job runs what is read here.

Long because a job's records, what they are checked for, and how each becomes a trainer's data are read together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from prompts.errors import InputError
from prompts.ground.reading import nameable, ordinary
from tools.gal.spec import GalSpec
from tools.gate.spec import GateSpec, Plan, planned
from tools.jobs.pairs import PoolSpec
from tools.jobs.taken import Path as Place
from tools.jobs.taken import mistaken, named
from tools.photos import photo
from tools.scorers import KEYS, Folders, clip_of

WITH_PRIOR = ("dreambooth", "custom_diffusion", "gal")  # kinds that keep the class by images of it
SUBJECTS = (*WITH_PRIOR, "textual_inversion")  # whose dataset shows a subject


Name = Annotated[str, AfterValidator(nameable)]  # of a folder, a file, or something on a hub


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AdapterSpec(_Record):
    """An adapter that acts during the training."""

    path: Path
    weight: float = Field(1.0, ge=-10, le=10)


class Example(_Record):
    """One image for dreambooth, textual_inversion, custom_diffusion and sft. `weight` scales its loss (not sft's)."""

    image: Path
    prompt: str
    weight: float = Field(1.0, ge=0, le=100)


class PairFiles(_Record):
    """One pair for dpo; sft learns its winner."""

    prompt: str
    win: Path
    lose: Path


class JudgedFile(_Record):
    """One liked or disliked image for kto."""

    image: Path
    prompt: str
    liked: bool | Literal[0, 1]


class SliderFiles(_Record):
    """One pair for a slider: the same picture with little and with much of an attribute that the prompt does not mention."""

    prompt: str
    low: Path
    high: Path


class PromptLine(_Record):
    """One prompt to paint for reward."""

    prompt: str = Field(min_length=1)


class Job(_Record):
    """A training job. `config`: the fields of the kind's config; `pool`: make pairs for dpo, after those in `dataset`, which a
    person compared; `gal`: how gal chooses, dreambooth's config beside it; `pickscore`, `clip`, `preference`, `aesthetic`,
    `hpsv2`, `image_reward`: folders or files of what scores them (reward pushes pickscore up, gal asks clip); `gate`: judge the
    adapter when it is trained; `out`: where checkpoints and the adapter go; `dtype`: of the base model, auto is bfloat16 on a GPU and
    float32 on a CPU; `processes`: that share each batch, a GPU each."""

    kind: Literal["dpo", "sft", "kto", "reward", "dreambooth", "textual_inversion", "custom_diffusion", "slider", "gal"]
    config: dict[str, Any] = Field(default_factory=dict)
    base_model: Name
    adapters: list[AdapterSpec] = Field(default_factory=list)
    dataset: list[dict[str, Any]] = Field(default_factory=list)
    pool: PoolSpec | None = None
    gal: GalSpec | None = None
    prior: list[Example] = Field(default_factory=list)
    pickscore: Name | None = None
    clip: Name | None = None
    preference: Name | None = None
    aesthetic: Name | None = None
    hpsv2: Name | None = None
    image_reward: Name | None = None
    gate: GateSpec | None = None
    out: Path
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    processes: int = Field(1, ge=1, le=64)
    name: str = Field("", pattern=r"^[\w.-]*$", max_length=80)

    @property
    def folders(self) -> Folders:
        """What is named for the scorers."""
        return {key: getattr(self, key) for key in KEYS}


class Kind(NamedTuple):
    """A trainer: its config, its function, and how a job's data become its arguments (the dataset, then what else it takes)."""

    config: Any
    train: Callable[..., Any]
    data: Callable[[Job], tuple[list[Any], dict[str, Any]]]


def kind_of(job: Job) -> Kind:
    """The trainer that a job asks for. Raises InputError for fields that another kind has."""
    if job.prior and job.kind not in WITH_PRIOR:
        raise InputError(
            f"prior images are for kind {' or '.join(map(repr, WITH_PRIOR))}: leave prior out of a {job.kind!r} job"
        )
    if job.pool and job.kind != "dpo":
        raise InputError(f"a pool makes pairs for kind 'dpo': leave pool out of a {job.kind!r} job")
    if job.pool and job.config.get("size", job.pool.size) != job.pool.size:
        raise InputError(f"config.size = {job.config['size']!r} and pool.size = {job.pool.size!r}: give the same size")
    if job.config.get("learns") == "denoiser" and (job.gate is not None or job.kind == "gal"):
        raise InputError(
            "config.learns = 'denoiser' makes a model, and gal and the gate take adapters: let a LoRA learn"
        )
    if job.kind in ("gal", "slider") and job.processes > 1:
        raise InputError(
            f"a {job.kind!r} job is several trainings and more between them: processes = {job.processes!r} must be 1"
        )
    if job.kind == "reward" and job.pickscore is None:
        raise InputError("a 'reward' job pushes a score up: give pickscore, a folder or hub id")
    if job.kind == "gal" and (job.gal is None or job.clip is None or not job.dataset):
        raise InputError(
            "a 'gal' job needs references in dataset, a block `gal`, and clip, the folder of what compares"
        )
    if job.gal and job.kind != "gal":
        raise InputError(f"a block `gal` is for kind 'gal': leave it out of a {job.kind!r} job")
    return kinds()[job.kind]


def kinds() -> dict[str, Kind]:
    """Every trainer by name."""
    from tools.gal import gal
    from trainers import custom_diffusion, dpo, dreambooth, kto, reward, sft, slider, textual_inversion

    return {
        "dpo": Kind(dpo.DpoConfig, dpo.train, _pairs), "sft": Kind(sft.SftConfig, sft.train, _winners),
        "kto": Kind(kto.KtoConfig, kto.train, _judged), "reward": Kind(reward.RewardConfig, reward.train, _prompts),
        "dreambooth": Kind(dreambooth.DreamBoothConfig, dreambooth.train, _subject),
        "custom_diffusion": Kind(custom_diffusion.CustomDiffusionConfig, custom_diffusion.train, _subject),
        "textual_inversion": Kind(textual_inversion.TextualInversionConfig, textual_inversion.train, _examples),
        "slider": Kind(slider.SliderConfig, slider.train, _sliders),
        "gal": Kind(dreambooth.DreamBoothConfig, gal.train, _references),
    }  # fmt: skip


def dtype_of(job: Job) -> Any:
    """torch's dtype for the base model, None for `auto`."""
    import torch

    return None if job.dtype == "auto" else getattr(torch, job.dtype)


def nowhere(_path: Place) -> str:
    """The line of what no file has."""
    return ""


def validated(record: Any, values: Any, where: str, at: Callable[[Place], str] = nowhere) -> Any:
    """`values` as a `record`. Raises InputError naming the first field that is wrong, its value, its line, and the fields there are."""
    try:
        return record.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field, known = named((where, *first["loc"])), ", ".join(record.model_fields)
        said = f"{field} = {first['input']!r:.200}{at(first['loc'])}: {first['msg']} (known: {known})"
        raise InputError(said) from error


def checked(record: Any, values: Any, where: str, at: Callable[[Place], str] = nowhere) -> Any:
    """The same of what a person wrote: also raises InputError for a value of another kind, which a record would convert."""
    made = validated(record, values, where, at)
    for path, value, hint in mistaken(values, made):
        raise InputError(f"{named((where, *path))} = {value!r:.200}{at(path)}: {hint}")
    return made


def check_settings(kind: str, settings: dict[str, Any], at: Callable[[Place], str] = nowhere) -> None:
    """Raises InputError for settings of a run's trainer that it does not know, or whose values it would refuse after hours."""
    made = checked(kinds()[kind].config, settings, "finetune.settings", at)
    if getattr(made, "learns", "lora") != "lora":
        raise InputError(
            f"finetune.settings.learns = {made.learns!r}{at(('learns',))}: a run promotes adapters, so let a LoRA learn"
        )


def check_whole(job: Job, at: Callable[[Place], str] = nowhere) -> None:
    """Raises InputError for whatever of a person's job its trainer would refuse; pictures must be there, and are not opened, nor are models."""
    checked(kind_of(job).config, job.config, "config", _under(at, "config"))
    record = _record(job)
    for number, item in enumerate(job.dataset):
        made = checked(record, item, f"dataset[{number}]", _under(at, "dataset", number))
        for key, value in made:
            if isinstance(value, Path):
                ordinary(value, f"dataset[{number}].{key}")
    for number, one in enumerate(job.prior):
        ordinary(one.image, f"prior[{number}].image")


def _under(at: Callable[[Place], str], *above: Any) -> Callable[[Place], str]:
    return lambda path: at((*above, *path))


def _record(job: Job) -> type[_Record]:
    """What each item of the dataset is."""
    if job.kind == "sft" and job.dataset and "win" in job.dataset[0]:
        return PairFiles
    kinds: dict[str, type[_Record]] = {"dpo": PairFiles, "kto": JudgedFile, "slider": SliderFiles, "reward": PromptLine}
    return kinds.get(job.kind, Example)


def _items(record: Any, job: Job) -> list[Any]:
    return [validated(record, item, f"dataset[{i}]") for i, item in enumerate(job.dataset)]


def _pictures(rows: Sequence[Any], fields: Sequence[str], of: str = "dataset") -> list[tuple[Any, ...]]:
    """The pictures that rows name, all of them tried. Raises InputError naming the rows whose pictures cannot be read."""
    found, bad = [], list[str]()
    for number, row in enumerate(rows, start=1):
        try:
            found.append(tuple(photo(getattr(row, field)) for field in fields))
        except InputError as error:
            bad.append(f"row {number} of {of}: {error}")
    if bad:
        more = f"{len(bad)} of {len(rows)} rows have pictures that cannot be read. " if len(bad) > 1 else ""
        raise InputError(more + "; ".join(bad[:5]) + ("; .." if len(bad) > 5 else ""))
    return found


def _shown(rows: Sequence[Any], of: str = "dataset") -> list[tuple[Any, str]]:
    """Rows of one picture each, as (picture, prompt)."""
    return [(image, row.prompt) for (image,), row in zip(_pictures(rows, ["image"], of), rows, strict=True)]


def _examples(job: Job) -> tuple[list[Any], dict[str, Any]]:
    items = _items(Example, job)
    return _shown(items), {"weights": [x.weight for x in items]}


def _subject(job: Job) -> tuple[list[Any], dict[str, Any]]:
    dataset, weights = _examples(job)
    return dataset, {"prior": _shown(job.prior, "prior"), **weights}


def _references(job: Job) -> tuple[list[Any], dict[str, Any]]:
    from trainers.model.load import device_of

    assert job.clip is not None, "kind_of has seen to it"
    data, more = _subject(job)
    return data, {**more, "spec": job.gal, "clip": clip_of(job.clip, str(device_of(job.device)))}


def _pairs(job: Job) -> tuple[list[Any], dict[str, Any]]:
    from trainers.dpo import Pair

    rows = _items(PairFiles, job)
    return [Pair(x.prompt, *two) for x, two in zip(rows, _pictures(rows, ["win", "lose"]), strict=True)], {}


def _sliders(job: Job) -> tuple[list[Any], dict[str, Any]]:
    from trainers.slider import Pair

    rows = _items(SliderFiles, job)
    return [Pair(x.prompt, *two) for x, two in zip(rows, _pictures(rows, ["low", "high"]), strict=True)], {}


def _winners(job: Job) -> tuple[list[Any], dict[str, Any]]:
    if _record(job) is PairFiles:
        rows = _items(PairFiles, job)
        return [(win, x.prompt) for x, (win,) in zip(rows, _pictures(rows, ["win"]), strict=True)], {}
    return _shown(_items(Example, job)), {}


def _judged(job: Job) -> tuple[list[Any], dict[str, Any]]:
    from trainers.kto import Judged

    rows = _items(JudgedFile, job)
    return [Judged(x.prompt, image, bool(x.liked)) for x, (image, _) in zip(rows, _shown(rows), strict=True)], {}


def _prompts(job: Job) -> tuple[list[Any], dict[str, Any]]:
    from evaluators.scorers.pickscore import PickScore
    from trainers.model.load import device_of

    assert job.pickscore is not None, "kind_of has seen to it"
    scorer = PickScore(job.pickscore, str(device_of(job.device)))
    return [x.prompt for x in _items(PromptLine, job)], {"scorer": scorer.of_pixels, "scorer_version": scorer.version}


def gate_of(job: Job) -> Plan | None:
    """The gate that a job asks for, with what its training says of itself: who guided it, and the pictures of its subject.

    Raises InputError for what the gate needs and is not there."""
    if job.gate is None:
        return None
    guides = tuple(job.pool.scorers) if job.pool else ("pickscore",) if job.kind == "reward" else ()
    subject = [Path(one["image"]) for one in job.dataset if "image" in one] if job.kind in SUBJECTS else []
    return planned(job.gate, job.folders, guides=guides, instances=subject)
