"""How others load what we hand out, without us: folders that load as they are, and the Python to paste.

Knows stock diffusers and transformers. Does not know torch, how anything was trained, nor which run it belongs to; the agent's report
stands on it too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prompts.ground.atomic import write_atomically

LORA, WORD, WHOLE = (
    "pytorch_lora_weights.safetensors",
    "learned_embeds.safetensors",
    "model",
)  # as trainers.files.adapter_file names them


def in_one_dtype(folder: Path) -> None:
    """Let every part of a saved model load as float32 where nobody says another dtype, however its weights are stored.

    diffusers then takes float32 for its own parts, and transformers what config.json says: with float16 there, a text encoder in half
    precision feeds a denoiser in single, which cannot multiply."""
    for file in sorted(folder.rglob("config.json")):
        told = json.loads(file.read_text())
        if told.get("dtype", "float32") != "float32":
            write_atomically(file, json.dumps(told | {"dtype": "float32"}, indent=2) + "\n")


def card_of(folder: Path) -> dict[str, Any]:
    """What adapter.json tells of what lies in `folder`; nothing where there is none that can be read."""
    try:
        found = json.loads((folder / "adapter.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def base_of(model: str) -> str:
    """A base model as a snippet names it: a folder by its absolute path, so that it does not matter where Python starts; else its hub id."""
    folder = Path(model).expanduser()
    return str(folder.resolve()) if folder.exists() else model


def loading(
    base: str, files: Sequence[str], place: str = ".", *, word: str = "", readers: Sequence[str] = (), prompt: str = ""
) -> str:
    """Python that paints `prompt` with an adapter of `files`, which lie in `place` as seen from where Python starts.

    `word`: the learned one; `readers`: the keys of its file where several text encoders know it."""
    whole = WHOLE in files
    source = repr(_below(place, WHOLE)) if whole else f"{base_of(base)!r})  # the base model: a folder or a hub id"
    lines = ["from diffusers import AutoPipelineForText2Image", ""]
    lines += [f"pipe = AutoPipelineForText2Image.from_pretrained({source}" + (")" if whole else "")]
    if LORA in files:
        lines += [f"pipe.load_lora_weights({place!r}, weight_name={LORA!r})"]
    if WORD in files:
        lines += _word(place, word, readers)
    said = prompt or ("a picture of" if word else "a red circle")
    said = said if word in said else f"{said} {word}"
    return "\n".join([*lines, f'pipe({said!r}).images[0].save("painted.png")'])


def _word(place: str, word: str, readers: Sequence[str]) -> list[str]:
    if len(readers) < 2:
        return [f"pipe.load_textual_inversion({place!r}, weight_name={WORD!r}, token={word!r})"]
    ends = [(key, "" if number == 0 else f"_{number + 1}") for number, key in enumerate(readers)]
    calls = [
        f"pipe.load_textual_inversion(read[{key!r}], token={word!r}, text_encoder=pipe.text_encoder{end}, tokenizer=pipe.tokenizer{end})"
        for key, end in ends
    ]
    return ["", "from safetensors.torch import load_file", "", f"read = load_file({_below(place, WORD)!r})", *calls]


def pasted(code: str) -> str:
    """A snippet in Markdown, and where it is to be pasted."""
    return f"Paste this into Python, started in the folder of this file:\n\n```python\n{code}\n```"


def _below(place: str, name: str) -> str:
    return f"{place}/{name}"
