"""Files with other people's weights, a little wrong: LoRAs under five programs' names, learned words, and weights as .pth and safetensors.

Each is read as a person would have it read. It may be refused in words that name the file; otherwise all that it holds must act, which
is counted here by a reader of its own: the squared length of every layer's change in the file against what PEFT carries. No traceback.
"""

from __future__ import annotations

import io
import json
import math
import random
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from agent.config import MODELS
from benchmarks.campaign.part import Part
from evaluators.scorers import weight_files
from prompts.errors import InputError
from trainers.files.adapter_about import about
from trainers.files.adapter_file import AdapterRef
from trainers.files.lora_layers import change_of, lora_layers
from trainers.model.attach import attached
from trainers.model.base_model import BaseModel
from trainers.model.load import load

ADAPTERS, WEIGHTS = 3000, 2000
Tensors = dict[str, Tensor]
# A program's prefix for each part, whether it keeps the dots of a path, and how it ends the two halves.
STYLES = [
    ({"unet": "unet.", "text_encoder": "text_encoder."}, True, ".lora_A.weight", ".lora_B.weight"),
    ({"unet": "unet.", "text_encoder": "text_encoder."}, True, ".lora.down.weight", ".lora.up.weight"),
    ({"unet": "lora_unet_", "text_encoder": "lora_te_"}, False, ".lora_down.weight", ".lora_up.weight"),
    ({"unet": "diffusion_model.", "text_encoder": "text_encoder."}, True, ".lora_A.weight", ".lora_B.weight"),
    (
        {"unet": "base_model.model.", "text_encoder": "base_model.model."},
        True,
        ".lora_A.default.weight",
        ".lora_B.default.weight",
    ),
]
ODD = (0.0, -1.0, 1e-30, 1e30, math.inf, -math.inf, math.nan)
KINDS = (
    torch.float16,
    torch.bfloat16,
    torch.float64,
    torch.int32,
    torch.int8,
    torch.bool,
    torch.complex64,
    torch.float8_e4m3fn,
)
HEADERS = ('{"unet.r": 3}', '{"unet.r": 2, "unet.lora_alpha": 1e400}', "[]", "{", '{"unet.lora_alpha": null}', '{"unet.alpha_pattern": 3, "unet.r": 2}', "\u202e", "[" * 5000)  # fmt: skip


def good(model: BaseModel, draw: random.Random) -> Tensors:
    """A sound LoRA of one to four layers."""
    prefix, dots, low, high = draw.choice(STYLES)
    tensors: Tensors = {}
    for part in ("unet", "text_encoder"):
        known = [path for path, one in getattr(model.pipe, part).named_modules() if isinstance(one, torch.nn.Linear) and ".lora_" not in path]  # fmt: skip
        for path in draw.sample(
            sorted({one.removesuffix(".base_layer") for one in known}), draw.randint(part == "unet", 2)
        ):
            high_side, low_side = getattr(model.pipe, part).get_submodule(path).weight.shape
            rank, name = draw.randint(1, 4), prefix[part] + (path if dots else path.replace(".", "_"))
            tensors[f"{name}{low}"], tensors[f"{name}{high}"] = (
                torch.randn(rank, low_side),
                torch.randn(high_side, rank),
            )
            if draw.random() < 0.3:
                tensors[f"{name}.alpha"] = torch.tensor(float(draw.choice([1, 2, 8])))
    return tensors


def wrong_key(tensors: Tensors, draw: random.Random) -> None:
    """A tensor lost, renamed, doubled under another name, or added."""
    key = draw.choice(sorted(tensors))
    at = draw.randrange(len(key))
    kept = tensors if draw.random() < 0.5 else {**tensors, key: tensors.pop(key)}
    turned = {
        ".lora_A": ".lora_down",
        ".lora_B": ".lora_up",
        "up": "down",
        "unet": "transformer",
        "lora_te_": "lora_te2_",
        "_0": "_9",
    }
    new = draw.choice(
        [
            key[:at] + draw.choice("qz0._:\x1b") + key[at + 1 :],
            key[:at],
            key[at:],
            *(key.replace(*pair) for pair in turned.items()),
        ]
    )
    if new:
        tensors[new] = kept[key].clone()


def wrong_shape(tensors: Tensors, draw: random.Random) -> None:
    """A tensor of another rank, width or number of dimensions."""
    key = draw.choice(sorted(key for key, one in tensors.items() if one.numel()))
    one = tensors[key]
    ways: list[Callable[[], Tensor]] = [
        lambda: one.T if one.ndim == 2 else one.flatten()[:1], lambda: one[:0] if one.ndim else one.reshape(1, 1), lambda: one.flatten(),
        lambda: torch.tensor(1.0), lambda: one[None], lambda: one.reshape(*one.shape, 1, 1), lambda: torch.cat([one.reshape(len(one) if one.ndim else 1, -1)] * 2),
        lambda: one[..., :-1] if one.ndim else one.repeat(3), lambda: one[None, None, None],
    ]  # fmt: skip
    tensors[key] = draw.choice(ways)().contiguous().clone()


def wrong_value(tensors: Tensors, draw: random.Random) -> None:
    """One number, or all, of another size or kind."""
    key = draw.choice(sorted(key for key, one in tensors.items() if one.numel()))
    one = tensors[key].clone()
    if draw.random() < 0.4 or not one.is_floating_point() or one.element_size() == 1:
        tensors[key] = one.to(draw.choice(KINDS))
    else:
        flat = one.reshape(-1)
        if draw.random() < 0.5:
            flat[draw.randrange(len(flat))] = draw.choice(ODD)
        else:
            flat[:] = draw.choice(ODD)
        tensors[key] = one


def wrong_bytes(data: bytes, draw: random.Random) -> bytes:
    """Some bytes changed, most of them in the header, or the end cut off."""
    changed, head = bytearray(data), 8 + struct.unpack("<Q", data[:8])[0]
    for _ in range(draw.randint(1, 3)):
        changed[draw.randrange(head if draw.random() < 0.9 else len(changed))] = draw.randrange(256)
    return bytes(changed[: draw.randrange(len(changed))]) if draw.random() < 0.1 else bytes(changed)


def written(model: BaseModel, file: Path, draw: random.Random) -> str:
    """Write a LoRA with one or two faults; says which."""
    tensors, metadata, told = good(model, draw), {"format": "pt"}, []
    for _ in range(draw.randint(1, 2)):
        fault = draw.choice([wrong_key, wrong_shape, wrong_value, None])
        told.append("header" if fault is None else fault.__name__)
        if fault is not None and any(one.numel() for one in tensors.values()):
            fault(tensors, draw)
        elif fault is None:
            metadata |= {
                draw.choice(
                    ["lora_adapter_metadata", "unet", "text_encoder", "ss_base_model_version", "token"]
                ): draw.choice(HEADERS)
            }
    data = save({key: one.contiguous() for key, one in tensors.items()}, metadata)
    if draw.random() < 0.3:
        told.append("bytes")
        data = wrong_bytes(data, draw)
    file.write_bytes(data)
    return ", ".join(told)


def length(file: Path) -> float | None:
    """The squared length of all changes that a file holds, by a reader that knows nothing of models; None where only we can say."""
    tensors = load_file(file)
    if "lora_adapter_metadata" in json.dumps(_header(file)):
        return None
    found, used = 0.0, set[str]()
    for key, down in tensors.items():
        low = next((low for _, _, low, _ in STYLES if key.endswith(low)), None)
        stem = key.removesuffix(low or "")
        # each half of a pair says by itself which half it is, whatever style the other is written in
        high = next((stem + high for *_, high in STYLES if stem + high in tensors), None)
        if low and high:
            alpha, up = tensors.get(f"{stem}.alpha"), tensors[high]
            scale = 1.0 if alpha is None else float(alpha) / len(down)
            found += float((scale * up.double().flatten(1) @ down.double().flatten(1)).square().sum())
            used |= {key, high, f"{stem}.alpha"}
    return found if tensors.keys() <= used else math.nan


def _header(file: Path) -> Any:
    data = file.read_bytes()
    return json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]]).get("__metadata__", {})


def acts_or_is_refused(model: BaseModel, file: Path) -> str:
    """What is wrong with how a LoRA file was taken; "" when it acts whole, or was refused in words."""
    refused = _refusal(lambda: about(file), file)
    try:
        with attached(model, [AdapterRef(file)]) as names:
            acting = sum(float(change_of(one, name).double().square().sum()) for name in names for one in lora_layers(model.pipe) if name in one.lora_A)  # fmt: skip
    except InputError as error:
        return _worded(error, file)
    wanted = length(file) if not any(name.startswith("word_") for name in names) else None
    if refused:
        return f"it acts, and show refuses it: {refused}"
    return (
        ""
        if wanted is None or math.isclose(acting, wanted, rel_tol=1e-3, abs_tol=1e-9)
        else f"{acting:.6g} acts of {wanted:.6g}"
    )


def _refusal(trial: Callable[[], Any], file: Path) -> str:
    try:
        trial()
    except InputError as error:
        if wrong := _worded(error, file):
            raise AssertionError(wrong) from error
        return str(error)
    except SafetensorError as error:
        raise AssertionError(f"untranslated: {error}") from error
    return ""


def _worded(error: InputError, file: Path) -> str:
    """A refusal is one harmless line that names the file, or the word in it."""
    text = str(error)
    if any(ord(mark) < 32 for mark in text):
        return f"a refusal steers the terminal: {text!r:.200}"
    return "" if file.name in text or "the word" in text else f"a refusal without the file's name: {text:.200}"


def weights(file: Path, draw: random.Random) -> str:
    """Write a file of weights with a fault; says which."""
    tensors: dict[Any, Any] = {"0.weight": torch.randn(3, 4), "0.bias": torch.randn(3)}
    claims = [(0, 0), (1, 1), (0, 1), (2**40, 1)]
    faults: list[tuple[str, Callable[[], Any]]] = [
        ("stride", lambda: torch.as_strided(torch.ones(4), (10 ** draw.randint(1, 5), 10 ** draw.randint(1, 5)), (0, draw.choice([0, 1 - 1])))),
        ("overlap", lambda: torch.as_strided(torch.ones(4), (2, 2), claims[draw.randrange(3)])), ("meta", lambda: torch.empty(9, 9, device="meta")),
        ("sparse", lambda: torch.eye(3).to_sparse()), ("complex", lambda: torch.ones(2, dtype=torch.complex64)), ("none", lambda: None),
        ("text", lambda: "weights"), ("nested", lambda: {"a": torch.ones(1)}), ("scalar", lambda: torch.tensor(1.0)), ("empty", lambda: torch.ones(0)),
    ]  # fmt: skip
    told, fault = draw.choice(faults)
    if draw.random() < 0.5:
        tensors[draw.choice(["0.weight", "1.weight", 7, None, "module.0.bias"])] = fault()
    else:
        told = "bytes"
    held = io.BytesIO()
    torch.save(
        draw.choice([tensors, {"state_dict": tensors}]), held, _use_new_zipfile_serialization=draw.random() < 0.5
    )
    data = bytearray(held.getvalue())
    for _ in range(draw.randint(1, 4) if told == "bytes" else 0):
        data[draw.randrange(len(data))] = draw.randrange(256)
    file.write_bytes(data)
    return told


def read_or_refused(file: Path) -> str:
    """What is wrong with how a file of weights was read; "" when its tensors are no larger than it, or it was refused in words."""
    try:
        found = weight_files.read(file)
    except InputError as error:
        return _worded(error, file)
    size = max((one.numel() * one.element_size() for one in found.values()), default=0)
    return "" if size <= file.stat().st_size else f"{size} bytes of a file of {file.stat().st_size}"


def run(seed: int, quick: bool) -> Part:
    """Thousands of files; `quick`: a tenth."""
    part = Part(
        "files",
        notes="LoRAs, words and weights with wrong keys, shapes, values, headers and bytes: they act whole or are refused in words",
    )
    model, few = load(str(MODELS / "bauhaus"), device="cpu"), 10 if quick else 1
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ADAPTERS // few):
            torch.manual_seed(seed + number)
            file = Path(folder) / f"adapter-{number}.safetensors"
            what = written(model, file, random.Random(f"{seed} {number}"))
            part.attempt(f"seed {seed}, adapter {number} ({what})", lambda file=file: acts_or_is_refused(model, file))  # type: ignore[misc]
            file.unlink()
        for number in range(WEIGHTS // few):
            file = Path(folder) / f"weights-{number}.pth"
            what = weights(file, random.Random(f"{seed} {number}"))
            part.attempt(f"seed {seed}, weights {number} ({what})", lambda file=file: read_or_refused(file))  # type: ignore[misc]
            file.unlink()
    return part
