"""Custom Diffusion (Kumari et al. 2023): only the keys and values of the cross attention learn, and, if wanted, a new word.

Knows which weights these are and how their change becomes a LoRA that others load. The losses are dreambooth's. Does not merge
several subjects into one set of weights (the paper's section 3.2): attach the adapters together instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Self, Unpack

import torch
from pydantic import Field, model_validator
from torch import Tensor

from prompts.errors import InputError
from prompts.ground.quiet import quiet
from trainers.dreambooth import SubjectConfig, subject_losses
from trainers.engine.fit import fit
from trainers.engine.lora import NEW
from trainers.engine.own_weights import OwnWeights
from trainers.engine.training import How, Training
from trainers.files.adapter_file import Adapter
from trainers.files.export import last, save_adapter
from trainers.files.lora_layers import remove
from trainers.model import words
from trainers.model.attach import Adapters
from trainers.model.base_model import BaseModel
from trainers.sft import Example, encoded, spoken
from trainers.textual_inversion import READERS, SPELLING, NewWord, check_prompts

LEARNS = ("attn2.to_k.weight", "attn2.to_v.weight")  # attn2 is diffusers' name of a UNet's cross attention


class CustomDiffusionConfig(SubjectConfig):
    """Settings of one Custom Diffusion job."""

    learning_rate: float = Field(1e-4, gt=0, le=0.1, description="AdamW's step size; 1e-5 suits SD 1.5 and SDXL")
    steps: int = Field(250, ge=1, le=100_000, description="optimizer steps")
    word: str | None = Field(
        None,
        pattern=SPELLING,
        max_length=40,
        description="a new word that learns besides, as in 'a photo of <new> dog'",
    )
    initial: str | None = Field(
        None, min_length=1, max_length=80, description="the word it begins from: a rare one, as 'sks'"
    )
    energy: float = Field(
        0.999, gt=0, le=1, description="share of each matrix's squared change that the LoRA must keep"
    )
    rank: int | None = Field(None, ge=1, le=1024, description="rank of the LoRA that is saved; None: as `energy` asks")

    @model_validator(mode="after")
    def _word_begins_somewhere(self) -> Self:
        if (self.word is None) != (self.initial is None):
            raise ValueError("word and initial belong together: give both or none")
        if self.word and self.loss == "dco":
            raise ValueError(
                "dco compares with the model as it was, which does not know the new word: give loss simple, or no word"
            )
        return self


class CrossAttention:
    """Keys and values of the UNet's cross attention, and a word or none."""

    def __init__(self, config: CustomDiffusionConfig) -> None:
        self.config = config
        self.matrices = OwnWeights(lambda name: name.endswith(LEARNS))
        self.word = NewWord(config.word, config.initial or "", 1) if config.word else None

    def begin(self, training: Training) -> None:
        self.matrices.begin(training)
        if self.word:
            self.word.begin(training)

    def weights(self, model: BaseModel) -> dict[str, torch.nn.Parameter]:
        return self.matrices.weights(model) | (self.word.weights(model) if self.word else {})

    @contextmanager
    def before(self, training: Training) -> Iterator[None]:
        with self.word.before(training) if self.word else nullcontext(), self.matrices.before(training):
            yield

    def save(self, training: Training, out: Path, about: dict[str, Any], name: str) -> Adapter:
        """Write the change as a LoRA, and the word beside it. The metrics tell its rank and the energy that it keeps."""
        factors, kept = low_rank(self.matrices.changes(), self.config.energy, self.config.rank)
        rank = len(next(iter(factors.values()))[0])
        self.matrices.end(training)
        _inject(training.model, factors, rank)
        if self.word:
            self.word.write(out)
        return save_adapter(
            out, training.model.pipe, NEW, rank=rank, alpha=float(rank), about=about,
            metrics=last(training.history) | {"rank": float(rank), "energy": kept}, name=name,
            beside=self.word.beside() if self.word else None,
        )  # fmt: skip

    def end(self, training: Training) -> None:
        remove(training.model.pipe, NEW)
        self.matrices.end(training)
        if self.word:
            self.word.end(training)


def low_rank(
    changes: Mapping[str, Tensor], energy: float, rank: int | None
) -> tuple[dict[str, tuple[Tensor, Tensor]], float]:
    """Each matrix (out, in) as (down (rank, in), up (out, rank)) with up @ down nearest to it (Eckart & Young 1936).

    One rank for all: `rank`, or the least at which each keeps the share `energy` of its squared entries. Returns the factors
    and the smallest share that any keeps."""
    found = {name: torch.linalg.svd(change, full_matrices=False) for name, change in changes.items()}
    shares = {name: _shares(sizes) for name, (_, sizes, _) in found.items()}
    needed = max(int((share < energy).sum()) + 1 for share in shares.values())
    most = max(len(share) for share in shares.values())
    rank = min(rank or needed, most)
    kept = min(float(share[min(rank, len(share)) - 1]) for share in shares.values())
    return {name: _factors(left, sizes, right, rank) for name, (left, sizes, right) in found.items()}, kept


def _shares(sizes: Tensor) -> Tensor:
    """The share of the energy that the first 1, 2, .. singular values have; all of it where nothing changed."""
    squares = sizes.double().square()
    total = squares.sum()
    return (squares.cumsum(0) / total).clamp(max=1) if total > 0 else torch.ones_like(squares)


def _factors(left: Tensor, sizes: Tensor, right: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    root = sizes[:rank].sqrt()
    down, up = root[:, None] * right[:rank], left[:, :rank] * root
    more = rank - len(root)  # a smaller matrix has nothing more to give
    return torch.nn.functional.pad(down, (0, 0, 0, more)).contiguous(), torch.nn.functional.pad(
        up, (0, more)
    ).contiguous()


def _inject(model: BaseModel, factors: Mapping[str, tuple[Tensor, Tensor]], rank: int) -> None:
    """The factors as a LoRA of the model in memory."""
    from peft import LoraConfig as PeftConfig

    with quiet():
        model.denoiser.add_adapter(PeftConfig(r=rank, lora_alpha=rank, target_modules=list(factors)), adapter_name=NEW)
    for name, (down, up) in factors.items():
        layer = model.denoiser.get_submodule(name)
        layer.lora_A[NEW].weight.data, layer.lora_B[NEW].weight.data = down, up


def train(
    config: CustomDiffusionConfig,
    dataset: Sequence[Example],
    *,
    base_model: BaseModel,
    out: Path,
    adapters: Adapters = (),
    prior: Sequence[Example] = (),
    weights: Sequence[float] | None = None,
    **how: Unpack[How],
) -> Adapter:
    """Train keys and values of the cross attention on (image, prompt) pairs, as dreambooth.train does a LoRA, with its arguments.

    The paper's images of the class are `prior`. Raises InputError for a model without cross attention (SD 3.5, FLUX), too."""
    _check(base_model, config, dataset)
    losses, data = subject_losses(
        config, dataset, prior, weights, base_model, adapters, spoken if config.word else encoded
    )
    return fit(
        config, losses, CrossAttention(config), kind="custom_diffusion", model=base_model, adapters=adapters, out=out, data=data,
        **how, needed=READERS if config.word else (),
    )  # fmt: skip


def _check(model: BaseModel, config: CustomDiffusionConfig, dataset: Sequence[Example]) -> None:
    if getattr(model.pipe, "unet", None) is None or not CrossAttention(config).weights(model):
        raise InputError(
            f"{model.name!r} is a {type(model.pipe).__name__}, whose denoiser has no cross attention to train: use dreambooth, "
            "or a model with a UNet (SD 1.5, SDXL)"
        )
    if config.word:
        words.places(model.pipe, model.name)
        check_prompts(dataset, config.word)
