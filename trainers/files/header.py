"""What a LoRA's header and the config beside it say: for which base it is, and with which alpha its layers act.

Knows the keys that programs write there. Does not know tensors; every word of it is a stranger's.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prompts.errors import InputError
from prompts.ground.clean import clean

_CONFIG = "lora_adapter_metadata"  # PEFT's config as JSON, as diffusers and SimpleTuner write it
_BESIDE = "adapter_config.json"  # the same beside PEFT's own files
RAW = "base_model.model."
_PARTS = ("unet", "transformer", "text_encoder", "text_encoder_2", "text_encoder_3")
_BASES = (
    "ss_base_model_version", "modelspec.architecture", "ss_sd_model_name", "base_model", "base_model_name_or_path", "base_model_version",
    "sd_version", "ss_base_model", "model_name",
)  # fmt: skip
_CHANGED_BASE = re.compile(r"^(pissa|olora|corda|loftq)", re.IGNORECASE)
_WORDS = re.compile(r"^\^?(\w|-|\\?\.)+\$?$")
_DEFAULT_ALPHA = 8  # PEFT's own, for a config that names none
_MOST = 4_000_000  # characters of JSON


@dataclass(frozen=True)
class Told:
    """What a header says of a layer; `rooted`: its alpha is divided by the root of the rank."""

    alpha: float
    rank: int | None
    rooted: bool


def base_named(metadata: Mapping[str, str]) -> str | None:
    """The base that a header names, its version and its file where it has both; None where it says nothing."""
    found = dict.fromkeys(clean(metadata[key], 80) for key in _BASES if metadata.get(key, "").strip())
    return ", ".join(list(found)[:2]) or None


def told_of(file: Path, metadata: Mapping[str, str], names: Iterable[str]) -> dict[str, Told]:
    """What is said of each of the layers called `names`, where anything is.

    Raises InputError for a config that is no LoRA's, cannot be read, or changes the base model as well."""
    if _CONFIG in metadata:
        config, where = _json(file, metadata[_CONFIG], f"its header's {_CONFIG!r}"), "its header"
        return {name: told for name in names if (told := _of(file, config, *_split(name), where))}
    beside = file.parent / _BESIDE
    if not any(name.startswith(RAW) for name in names) or not beside.is_file():
        return {}
    try:
        text = beside.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{str(beside)!r} cannot be read ({clean(error, 120)}): mend or remove it") from error
    config, where = _json(file, text, repr(str(beside))), _BESIDE
    if str(config.get("peft_type", "LORA")).upper() != "LORA":
        raise InputError(
            f"adapter {str(file)!r} is a {clean(config['peft_type'], 40)} by its {_BESIDE}: only LoRA can be loaded"
        )
    return {name: told for name in names if (told := _of(file, config, "", name.removeprefix(RAW), where))}


def _split(name: str) -> tuple[str, str]:
    part, dot, rest = name.partition(".")
    return (f"{part}.", rest) if dot and part in _PARTS else ("", name)


def _json(file: Path, text: str, what: str) -> dict[str, Any]:
    try:
        found = json.loads(text) if len(text) <= _MOST else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InputError(f"adapter {str(file)!r}: {what} is no JSON object that we can read: export it again")
    return found


def _of(file: Path, config: Mapping[str, Any], prefix: str, module: str, where: str) -> Told | None:
    said = {key: config.get(prefix + key) for key in ("r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "use_dora", "init_lora_weights", "lora_bias")}  # fmt: skip
    if said["use_dora"] or said["lora_bias"] or _CHANGED_BASE.match(str(said["init_lora_weights"])):
        named = "a DoRA" if said["use_dora"] else "a LoRA with biases" if said["lora_bias"] else f"a {clean(said['init_lora_weights'], 20)}, which changes its base model as well"  # fmt: skip
        raise InputError(
            f"adapter {str(file)!r} is {named} by {where}: only plain LoRA can be loaded, have it converted to one"
        )
    for name in ("alpha_pattern", "rank_pattern"):
        given = said[name]
        keys = list(given) if isinstance(given, dict) else [] if given is None else [given]
        if (strange := next((key for key in keys if not _WORDS.match(str(key))), None)) is not None:
            raise InputError(f"adapter {str(file)!r} says {name} of {clean(strange, 60)!r} in {where}, an expression that we do not run: export it with plain names")  # fmt: skip
    if said["r"] is None and said["lora_alpha"] is None:
        return None
    alpha = _matched(
        said["alpha_pattern"], module, _DEFAULT_ALPHA if said["lora_alpha"] is None else said["lora_alpha"]
    )
    rank = _matched(said["rank_pattern"], module, said["r"])
    if not _number(alpha) or not (rank is None or _number(rank)):
        raise InputError(f"adapter {str(file)!r} says alpha {clean(alpha, 40)!r} and rank {clean(rank, 40)!r} in {where}: both are numbers, export it again")  # fmt: skip
    return Told(float(alpha), None if rank is None else int(rank), bool(said["use_rslora"]))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9 and math.isfinite(value)


def _matched(pattern: Any, module: str, otherwise: Any) -> Any:
    """PEFT's rule: the first pattern that ends the module's name; only words are taken, a stranger's expression is not run."""
    for key, value in pattern.items() if isinstance(pattern, dict) else ():
        words = key.removeprefix("^").removesuffix("$").replace("\\.", ".")
        if module == words or (module.endswith(f".{words}") and not key.startswith("^")):
            return value
    return otherwise
