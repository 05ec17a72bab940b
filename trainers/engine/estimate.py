"""Will it fit? The memory that a training needs, counted before anything is loaded.

A step of the real denoiser is taken with tensors that have shapes and no contents (torch's FakeTensorMode), and every storage is
counted from its making to its end, so weights, activations, gradients, gradient checkpointing and the optimizer's state are counted
and not guessed. Knows a pipeline's configs. Does not know data, nor what a loss means; trainers.model.memory tells of what ran out.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from prompts.errors import InputError
from prompts.ground.quiet import quiet
from trainers.model.denoiser import FAMILIES, Conditions, images_at_once

GIB = 2**30
SPARE = (
    1.1  # of what was counted: kernels need a little room to work in, and an allocator loses some between its blocks
)


class Counter(TorchDispatchMode):
    """While it is active: bytes of all tensors that live (`now`), and the most that lived at once (`peak`)."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in tree_leaves(made):
            if isinstance(one, Tensor):
                self._count(one.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        if id(storage) not in self._known:
            self._known.add(id(storage))
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._forget, id(storage), storage.nbytes())

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


@dataclass(frozen=True)
class Plan:
    """What of a training decides its memory. `rows`: samples that go through the denoiser with a gradient; `parts`: configs of the
    pipeline's denoiser and VAE; `others`: bytes of the parts beside the denoiser; `recompute`: gradient checkpointing; `bits`: of each
    number of the optimizer's state; `pictures`: samples that are painted on the way; `whole`: every weight learns, and no LoRA."""

    family: str
    parts: dict[str, dict[str, Any]]
    others: int
    rows: int
    size: int
    rank: int = 8
    targets: tuple[str, ...] = ("to_q", "to_k", "to_v", "to_out.0")
    dtype: torch.dtype = torch.bfloat16
    device: str = "cuda"
    recompute: bool = False
    bits: int = 32
    pictures: int = 0
    whole: bool = False


@dataclass(frozen=True)
class Estimate:
    """Bytes at most: while data are encoded, while a step is taken, while samples are painted."""

    encoding: int
    step: int
    painting: int

    @property
    def peak(self) -> int:
        return max(self.encoding, self.step, self.painting)


def estimate(plan: Plan) -> Estimate:
    """What `plan` needs at most. On a GPU the other parts of the pipeline are away while steps are taken. Raises InputError for a
    class of pipelines that we do not train."""
    if plan.family not in FAMILIES:
        raise InputError(
            f"{plan.family!r} cannot be trained, so its memory is not known: we train {', '.join(FAMILIES)}"
        )
    weights, step = counted(plan)
    stay = 0 if plan.device == "cuda" else plan.others
    encoding = weights + plan.others + _vae(plan, images_at_once(plan.size), decode=False)
    painting = weights + plan.others + _vae(plan, plan.pictures, decode=True) if plan.pictures else 0
    return Estimate(encoding, step + stay, painting)


def counted(plan: Plan, *, contents: bool = False) -> tuple[int, int]:
    """Bytes of the denoiser with all that learns, and the most of them during one step. `contents`: with real numbers on the CPU."""
    denoiser = _built(plan.parts["denoiser"], plan.dtype)
    _let_learn(denoiser, plan)
    with _without_contents(contents), Counter() as counter, quiet():
        _give_storage(denoiser)
        own = [torch.zeros(one.shape, dtype=plan.dtype) for one in denoiser.parameters()] if plan.whole else []
        weights = [one for one in denoiser.parameters() if one.requires_grad]
        if plan.recompute:
            denoiser.enable_gradient_checkpointing()
            denoiser.train()
        optimizer = torch.optim.AdamW(weights)
        noisy, times, told = _inputs(plan, denoiser.config)
        held = counter.now
        with torch.autocast("cpu", dtype=plan.dtype, enabled=plan.dtype != torch.float32):
            answer = FAMILIES[plan.family].predict(denoiser, noisy, times, told, 1.0).float()
        (answer - noisy).square().mean().backward()
        del answer
        optimizer.step()
        del own  # the model's own weights stay beside those that learn (own_weights.py)
        state = 2 * sum(4 * one.numel() for one in weights)
        return held, counter.peak - (state * (32 - plan.bits) // 32)


def lighter(plan: Plan, batch: int) -> Iterator[tuple[dict[str, Any], Plan]]:
    """Changes of a job with this batch_size that need less and less memory, and the plan that each makes."""
    light, changes = replace(plan, recompute=True), {"gradient_checkpointing": True}
    if not plan.recompute:
        yield changes, light
    while batch > 1:
        light = replace(light, rows=light.rows // batch * (batch // 2))
        batch //= 2
        yield changes | {"batch_size": batch}, light
    for size in (plan.size * 3 // 4 // 64 * 64, plan.size // 2 // 64 * 64):
        if size:
            yield changes | {"batch_size": batch, "size": size}, replace(light, size=size)


def _built(config: dict[str, Any], dtype: torch.dtype) -> Any:
    """The part of a pipeline that `config` describes, without storage."""
    import diffusers

    kind = getattr(diffusers, config["_class_name"])
    with torch.device("meta"), quiet():
        made = kind.from_config(config)
        for one in made.parameters():
            one.data = one.data.to(dtype)
        return made.requires_grad_(False).eval()


def _let_learn(denoiser: Any, plan: Plan) -> None:
    """A LoRA, or every weight; either learns in float32."""
    from peft import LoraConfig

    with torch.device("meta"), quiet():
        if plan.whole:
            denoiser.requires_grad_(True)
        else:
            denoiser.add_adapter(LoraConfig(r=plan.rank, lora_alpha=plan.rank, target_modules=list(plan.targets)))
        for one in denoiser.parameters():
            if one.requires_grad:
                one.data = one.data.float()
        if plan.device == "cuda" and plan.dtype != torch.float32:
            _norms_in_float32(denoiser)


def _norms_in_float32(denoiser: Any) -> None:
    """CUDA's autocast does so; the CPU's, under which we count, does not."""
    for part in denoiser.modules():
        if isinstance(part, torch.nn.GroupNorm | torch.nn.LayerNorm):
            for one in part.parameters():
                one.data = one.data.float()
            part.register_forward_pre_hook(lambda _, given: tuple(one.float() for one in given))


def _give_storage(part: Any) -> None:
    """Turn a part's meta tensors into the CPU's, of the mode that is active."""
    for module in part.modules():
        for name, one in module._parameters.items():
            if one is not None:
                made = torch.zeros(one.shape, dtype=one.dtype)
                module._parameters[name] = torch.nn.Parameter(made, requires_grad=one.requires_grad)
        for name, one in module._buffers.items():
            if one is not None:
                module._buffers[name] = torch.zeros(one.shape, dtype=one.dtype)


def _inputs(plan: Plan, config: Any) -> tuple[Tensor, Tensor, Conditions]:
    """Latents, times and conditions, shaped as the family's."""
    vae, n = plan.parts["vae"], plan.rows
    side = plan.size // 2 ** (len(vae["block_out_channels"]) - 1)
    noisy = torch.zeros(n, vae["latent_channels"], side, side)
    tokens = {"StableDiffusion3Pipeline": 77 + 256, "FluxPipeline": 512}.get(plan.family, 77)
    width = config.get("joint_attention_dim") or config["cross_attention_dim"]
    embeds = torch.zeros(n, tokens, width, dtype=plan.dtype)
    return noisy, torch.zeros(n, dtype=torch.long), Conditions(embeds, _extras(plan, config))


def _extras(plan: Plan, config: Any) -> dict[str, Tensor]:
    def zeros(width: int) -> Tensor:
        return torch.zeros(plan.rows, width, dtype=plan.dtype)

    if plan.family == "StableDiffusionXLPipeline":
        pooled = config["projection_class_embeddings_input_dim"] - 6 * config["addition_time_embed_dim"]
        return {"text_embeds": zeros(pooled), "time_ids": zeros(6)}
    return {"pooled_projections": zeros(config["pooled_projection_dim"])} if "pooled_projection_dim" in config else {}


def _vae(plan: Plan, count: int, *, decode: bool) -> int:
    """The most that the VAE needs: it reads in float32 and paints in the model's dtype."""
    vae = _built(plan.parts["vae"], plan.dtype if decode else torch.float32)
    side = plan.size // 2 ** (len(vae.config.block_out_channels) - 1)
    with _without_contents(False), Counter() as counter, torch.no_grad():
        _give_storage(vae)
        if decode:
            vae.decode(torch.zeros(count, vae.config.latent_channels, side, side, dtype=plan.dtype))
        else:
            vae.encode(torch.zeros(count, 3, plan.size, plan.size))
    return counter.peak


@contextmanager
def _without_contents(contents: bool) -> Iterator[None]:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with nullcontext() if contents else FakeTensorMode():
        yield
