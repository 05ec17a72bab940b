"""A LoRA file as halves of layers, whoever wrote it: every tensor belongs to a layer, or the file is refused by that tensor's name.

Knows how programs name a layer's two halves and where they say its alpha, in tensors and in headers. Does not know models, nor which
layer a name means.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from prompts.errors import InputError
from prompts.ground.clean import clean
from trainers.files.header import Told, base_named, told_of

# Keys that give away what is no LoRA, and what its people call it.
OTHERS = {
    r"\.hada_(w[12]|t[12])": "a LoHa", r"\.lokr_w[12]|\.lokr_t2": "a LoKr", r"\.dora_scale$|lora_magnitude_vector": "a DoRA",
    r"\.oft_(blocks|diag|R)|\.boft_|\.oft_r\.": "an OFT", r"\.on_input$": "an (IA)3", r"\.diff(_b)?$": "a file of full differences",
    r"\.[ab][12]\.weight$": "a GLoRA", r"\.vera_lambda_|\.lora_(vector|embedding)_": "a LoRA of a kind of its own (VeRA, VB-LoRA, embeddings)",
    r"^model\.diffusion_model\.(?!.*\.lora_)|^first_stage_model\.": "a whole checkpoint",
    r"^emb_params$|^string_to_param|^bundle_emb\.|^clip_[lg]$|^<.*>$": "a file with words of its own (textual inversion)",
}  # fmt: skip
INSTEAD = (
    "only LoRA and LoCon can be loaded: merge it into its base model with the program that made it and extract a LoRA from the "
    "difference, or ask its author for a plain LoRA"
)
# diffusers writes "to_q.lora.down", older files "to_q_lora.down", text encoders "lora_linear_layer", PEFT "lora_A" (with the adapter's
# name behind it where its state was saved as it is), kohya "lora_down", cloneofsimo ":down".
_HALF = re.compile(
    r"^(?P<name>.+?)(?:\.lora_(?P<peft>[AB])(?:\.(?!bias$|weight$)(?P<adapter>[\w-]+))?\.weight|\.lora_(?P<kohya>down|up|mid)\.weight"
    r"|(?:_lora|\.lora|\.lora_linear_layer|)\.(?P<older>down|up)\.weight|(?::(?P<number>down|up))"
    r"|(?:_lora|\.lora|\.lora_linear_layer|)\.(?:lora_)?(?P<alpha>alpha))$"
)
_LAYOUTS = {"peft": "diffusers", "kohya": "kohya", "older": "diffusers", "number": "cloneofsimo"}
_ROLES = {"A": "down", "B": "up"}
_LARGEST = torch.finfo(torch.float32).max
_SENSIBLE = 1e18  # of a change, whose square float32 can still hold; a base's weights are about 1
_TELLING = {"double_blocks": "FLUX", "single_transformer_blocks": "FLUX", "joint_blocks": "Stable Diffusion 3", "input_blocks": "SDXL", "lora_te2_": "SDXL", "down_blocks": "a UNet"}  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """One layer's change: `scale` (alpha / rank) * up @ down. `key`: that of its down weights, as the file has it."""

    key: str
    down: Tensor
    up: Tensor
    alpha: float
    scale: float
    layout: str

    @property
    def rank(self) -> int:
        return len(self.down)

    @property
    def scaled(self) -> Tensor:
        """The up weights with the scale folded in; the very tensor where there is none."""
        return self.up if self.scale == 1 else self.up.float() * self.scale


@dataclass(frozen=True)
class LoraFile:
    """A file whose tensors are all accounted for: `layers` by the name that the file gives each."""

    file: Path
    layers: Mapping[str, Layer]
    metadata: Mapping[str, str]

    def unfit(self, why: str) -> InputError:
        """That the file does not fit a model, and which base it says that it is for."""
        return InputError(
            f"adapter {str(self.file)!r} does not fit this model: {why}; {self._made_for()}: use the adapter with the model it was made for"
        )

    def _made_for(self) -> str:
        if named := base_named(self.metadata):
            return f"its header says that it was made for {named!r}"
        looks = next((one for part, one in _TELLING.items() if any(part in name for name in self.layers)), None)
        return "its header does not say for which model it is" + (
            f", its layers are named as those of {looks}" if looks else ""
        )


def opened(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a LoRA file. Raises InputError for a damaged file and, by name, for what is no LoRA."""
    try:
        with safe_open(file, "pt") as stream:
            tensors = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118  not a dict
            metadata = dict(stream.metadata() or {})
    except (
        OSError,
        SafetensorError,
        ValueError,
        RuntimeError,
        LookupError,
        TypeError,
        AttributeError,
        MemoryError,
    ) as error:
        # the reader translates nothing: a type that torch does not have, a shape that it cannot make
        why = clean(error, 200)
        raise InputError(f"adapter {str(file)!r} is not a LoRA file we can read ({why}): export it again") from error
    for pattern, name in OTHERS.items():
        if key := next((key for key in tensors if re.search(pattern, key)), None):
            raise InputError(f"adapter {str(file)!r} is {name} (its key {shown(key)}), and {INSTEAD}")
    return tensors, metadata


def of_layer(key: str) -> bool:
    """Whether a tensor of this name is of a layer, in whatever kind of adapter; a learned word is not."""
    kinds = (pattern for pattern, name in OTHERS.items() if "words of its own" not in name)
    return "lora_" in key or bool(_HALF.match(key)) or any(re.search(pattern, key) for pattern in kinds)


def shown(key: str) -> str:
    """A key of a file as a person may see it."""
    return repr(clean(key, 120))


def read(file: Path) -> LoraFile:
    """The layers of a LoRA file. Raises InputError naming the tensor that is no half of a layer, has no other half, another rank than
    it, values that are not finite, or a shape or type that no LoRA has."""
    tensors, metadata = opened(file)
    if not tensors:
        raise InputError(f"adapter {str(file)!r} holds no LoRA weights: export it again")
    grouped: dict[str, dict[str, tuple[str, Tensor]]] = {}
    layouts: dict[str, str] = {}
    for key, tensor in tensors.items():
        match = _HALF.match(key)
        if match is None:
            raise InputError(f"adapter {str(file)!r} holds {shown(key)} of shape {tuple(tensor.shape)}, which is no part of a LoRA that we know: export it without")  # fmt: skip
        _check_values(file, key, tensor)
        kind, said = next((kind, said) for kind in (*_LAYOUTS, "alpha") if (said := match[kind]))
        roles = grouped.setdefault(match["name"], {})
        if (role := _ROLES.get(said, said)) in roles:
            raise InputError(f"adapter {str(file)!r} holds both {shown(roles[role][0])} and {shown(key)}: which is meant? export it again with one")  # fmt: skip
        roles[role] = key, tensor
        layouts.setdefault(match["name"], _LAYOUTS.get(kind, ""))
        layouts[match["name"]] = layouts[match["name"]] or _LAYOUTS.get(kind, "")
    told = told_of(file, metadata, grouped)
    layers = {name: _layer(file, roles, layouts[name], told.get(name)) for name, roles in grouped.items()}
    return LoraFile(file, layers, metadata)


def finite(tensor: Tensor) -> bool:
    """Whether all its numbers are, as float32; in one pass, without a copy of the whole."""
    if not tensor.numel():
        return True
    kind = tensor if tensor.element_size() > 1 else tensor.float()  # eight bits know no comparison
    low, high = torch.aminmax(kind)  # a number that is none passes through
    return bool(float(low) >= -_LARGEST) and bool(float(high) <= _LARGEST)


def _check_values(file: Path, key: str, tensor: Tensor) -> None:
    if not (tensor.is_floating_point() or (key.endswith("alpha") and not tensor.is_complex())):
        raise InputError(f"adapter {str(file)!r} holds {shown(key)} as {str(tensor.dtype).removeprefix('torch.')}, not as floating point numbers: export it again")  # fmt: skip
    if tensor.dtype != torch.bool and not finite(tensor):
        raise InputError(f"adapter {str(file)!r} holds numbers that are not finite in {shown(key)}: its training broke, or the file is damaged; get it again or use another")  # fmt: skip


def _adapter(key: str) -> str | None:
    """The name of the adapter behind a half, where PEFT's state was saved as it is."""
    match = _HALF.match(key)
    return match and match["adapter"]


def _layer(file: Path, roles: Mapping[str, tuple[str, Tensor]], layout: str, told: Told | None) -> Layer:
    for half, other in (("down", "up"), ("up", "down")):
        if half not in roles:
            key = next(iter(roles.values()))[0]
            has = (
                f"{shown(key)} has no {half} weights beside it"
                if other in roles
                else f"{shown(key)} belongs to no layer"
            )
            raise InputError(f"adapter {str(file)!r} is not whole: {has}: export it again")
    (key, down), (up_key, up) = roles["down"], roles["up"]
    if _adapter(key) != _adapter(up_key):
        raise InputError(f"adapter {str(file)!r} is not whole: {shown(key)} and {shown(up_key)} are of two adapters: export it again")  # fmt: skip
    for one, tensor in ((key, down), (up_key, up)):
        if tensor.ndim not in (2, 4) or not tensor.numel():
            raise InputError(f"adapter {str(file)!r} holds {shown(one)} of shape {tuple(tensor.shape)}: a half of a layer has two dimensions, or four, and none is 0")  # fmt: skip
    if "mid" in roles:
        down = _folded(file, down, *roles["mid"])
    if up.shape[1] != len(down):
        raise InputError(f"adapter {str(file)!r} holds {shown(key)} of rank {len(down)} and {shown(up_key)} of rank {up.shape[1]}: the two are not of one layer, export it again")  # fmt: skip
    alpha, scale = _alpha(file, key, len(down), roles.get("alpha"), told)
    if not float(up.double().norm()) * float(down.double().norm()) * abs(scale) <= _SENSIBLE:
        raise InputError(f"adapter {str(file)!r} holds a change in {shown(key)} too large for any number: its training broke, use another")  # fmt: skip
    return Layer(key, down, up, alpha, scale, layout)


def _folded(file: Path, down: Tensor, key: str, mid: Tensor) -> Tensor:
    """LyCORIS' Tucker core of a convolution (rank, rank, h, w) and the 1x1 before it, as one convolution."""
    rank = len(down)
    if mid.ndim != 4 or mid.shape[:2] != (rank, rank) or down.flatten(1).shape[1] != down.shape[1] or not mid.numel():
        raise InputError(f"adapter {str(file)!r} holds {shown(key)} of shape {tuple(mid.shape)}, which does not join halves of rank {rank}: export it again")  # fmt: skip
    return torch.einsum("mnhw,ni->mihw", mid.float(), down.float().flatten(1))


def _alpha(file: Path, key: str, rank: int, given: tuple[str, Tensor] | None, told: Told | None) -> tuple[float, float]:
    """Alpha and what it makes of the change: of the tensor, else of the header, else the rank."""
    if told is not None and told.rank not in (None, rank):
        raise InputError(f"adapter {str(file)!r} says in its header that {shown(key)} has the rank {told.rank}, but it has {rank}: export it again")  # fmt: skip
    alphas = {told.alpha} if told is not None else set()
    if given is not None:
        if given[1].numel() != 1:
            raise InputError(f"adapter {str(file)!r} holds {shown(given[0])} of shape {tuple(given[1].shape)}: alpha is one number for a layer, export it again")  # fmt: skip
        alphas.add(float(given[1]))
    alpha = min(alphas, default=float(rank))
    if len(alphas) > 1 or alpha == 0 or not math.isfinite(alpha):
        raise InputError(
            f"adapter {str(file)!r} says alpha {sorted(alphas)} of {shown(key)}: give one number other than 0"
        )
    return alpha, alpha / (math.sqrt(rank) if told is not None and told.rooted else rank)


def norm_of(layer: Layer) -> float:
    """The squared length (Frobenius) of a layer's change. The product of the two halves is never made."""
    first, second = layer.up.double().flatten(1), layer.down.double().flatten(1)
    return layer.scale**2 * max(0.0, float(((first.T @ first) * (second @ second.T)).sum()))  # rounding may go below


def halves(state: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Module, down and up of every layer in a state under PEFT's names."""
    for key, down in state.items():
        if key.endswith(".lora_A.weight"):
            module = key.removesuffix(".lora_A.weight")
            yield module, down, state[f"{module}.lora_B.weight"]
