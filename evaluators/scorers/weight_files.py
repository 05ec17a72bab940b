"""Weight files that other people published, read without running what may be in them, and put into a model whole.

Safetensors, or a .pt or .pth file that holds nothing but tensors and plain values (torch's weights_only reader refuses the rest).
Knows names and shapes. Does not know what the tensors mean.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch

from prompts.errors import InputError
from prompts.ground.clean import clean

Tensors = Mapping[str, torch.Tensor]


def read(file: Path) -> dict[str, torch.Tensor]:
    """A file's tensors by name, on the CPU. Of a checkpoint, which wraps them in `state_dict`, those; names lose the `module.`
    that training on several GPUs puts before them.

    Raises: InputError if the file is truncated, is no such file, or holds more than tensors and plain values.
    """
    held = _opened(file)
    held = held["state_dict"] if isinstance(held, dict) and isinstance(held.get("state_dict"), dict) else held
    named = isinstance(held, dict) and bool(held) and all(isinstance(key, str) for key in held)
    if not named or not all(isinstance(one, torch.Tensor) for one in held.values()):
        raise InputError(f"{str(file)!r} holds no tensors by name ({type(held).__name__}): give a model's state dict")
    for key, tensor in held.items():
        _check_there(key, tensor, file)
    found = {key.removeprefix("module."): tensor for key, tensor in held.items()}
    if len(found) < len(held):
        raise InputError(
            f"{str(file)!r} holds a tensor both with 'module.' before its name and without: give a model's state dict"
        )
    return found


def fill(module: torch.nn.Module, tensors: Tensors, file: Path) -> None:
    """Put all `tensors` into `module`, in float32 and without copies where they are that already; it may lie on torch's meta device.

    Raises: InputError naming the first tensor that `module` lacks in the file, does not know, or has in another shape."""
    wanted = module.state_dict()
    for kind, names in (("lacks", wanted.keys() - tensors.keys()), ("also holds", tensors.keys() - wanted.keys())):
        if names:
            raise InputError(
                f"{str(file)!r} {kind} {min(names)!r}: it is not the model that it should be, get it again"
            )
    for name, tensor in wanted.items():
        if tensor.shape != tensors[name].shape:
            shapes = f"{tuple(tensors[name].shape)}, not {tuple(tensor.shape)}"
            raise InputError(f"{str(file)!r} has {name!r} of the shape {shapes}: check which model the file is of")
    for name in wanted:
        if not tensors[name].isfinite().all():
            raise InputError(f"{str(file)!r} has values in {name!r} that are not finite: get it again")
    module.load_state_dict({name: tensors[name].float() for name in wanted}, assign=True)


def folded(tensors: Tensors, layers: Sequence[str], file: Path) -> tuple[np.ndarray, float]:
    """Linear layers without activations between them, as the one affine map (D,), bias that they are; float64.

    `layers`: their names, first to last. Raises: InputError if one is missing or their widths do not follow on each other."""
    weight, bias = None, np.zeros(1)
    for name in layers:
        own, shift = (_array(tensors, f"{name}.{part}", file) for part in ("weight", "bias"))
        if own.ndim != 2 or shift.shape != own.shape[:1] or (weight is not None and own.shape[1] != len(weight)):
            raise InputError(f"{str(file)!r}: {name!r} of the shape {own.shape} does not follow on the layer before it")
        weight, bias = (own, shift) if weight is None else (own @ weight, own @ bias + shift)
    if weight is None or len(weight) != 1:
        raise InputError(f"{str(file)!r} does not end in one number: give a head that scores")
    return weight[0], float(bias[0])


def _check_there(key: str, tensor: torch.Tensor, file: Path) -> None:
    """That a tensor's values lie in the file, each in a place of its own: a shape is only a claim, and a copy of it takes the memory
    that it claims (a stride of 0 makes 40 GB of four bytes)."""
    plain = tensor.layout == torch.strided and not tensor.is_meta and not tensor.is_quantized
    size, there = tensor.numel() * tensor.element_size(), file.stat().st_size
    if (
        not plain
        or not size <= tensor.untyped_storage().nbytes() <= there
        or not (tensor.is_contiguous() or _spread(tensor))
    ):
        raise InputError(
            f"{str(file)!r} has {clean(key, 120)!r} of the shape {tuple(tensor.shape)}, {size} bytes, which are not in its {there} bytes "
            "one by one: get it again, or convert it to safetensors"
        )
    if tensor.is_complex():
        raise InputError(
            f"{str(file)!r} has {clean(key, 120)!r} as complex numbers: give a model's weights, which are real"
        )


def _spread(tensor: torch.Tensor) -> bool:
    """Whether no two of its values share a place, as in a transposed tensor."""
    steps = sorted((step, size) for step, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1)
    reach = 0
    for step, size in steps:
        if step <= reach:
            return False
        reach += step * (size - 1)
    return True


def _array(tensors: Tensors, key: str, file: Path) -> np.ndarray:
    if key not in tensors:
        raise InputError(f"{str(file)!r} lacks {key!r}: it holds {', '.join(sorted(tensors)[:6])}")
    found: np.ndarray = tensors[key].double().numpy()
    if not np.isfinite(found).all():
        raise InputError(f"{str(file)!r} has values in {key!r} that are not finite: get it again")
    return found


def _opened(file: Path) -> Any:
    from safetensors.torch import load_file

    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        _check_stored(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old pickles: what cannot be read is refused below
            return torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise InputError(
            f"{str(file)!r} holds more than tensors, or is damaged, and reading it could run code: convert it to safetensors, or get it again"
        ) from error
    except InputError:
        raise
    except Exception as error:  # torch's reader translates nothing: a damaged pickle may raise whatever Python can
        why = clean(f"{type(error).__name__}: {error}", 120)
        raise InputError(f"{str(file)!r} cannot be read, it may be cut short ({why}): get it again") from error


def _check_stored(file: Path) -> None:
    """torch stores tensors as they are; what is packed may unpack to any size."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as packed:
            strange = next((one.filename for one in packed.infolist() if one.compress_type != zipfile.ZIP_STORED), None)
        if strange is not None:
            raise InputError(
                f"{str(file)!r} has its part {clean(strange, 80)!r} packed, as torch never writes it: get it again"
            )
