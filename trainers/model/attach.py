"""Attach adapters, LoRAs and learned words, to a loaded pipeline under names of their own, and take them off again.

Knows PEFT's layers. Does not know how a pipeline is loaded, painting, or what an adapter was trained for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prompts.errors import InputError
from prompts.ground.quiet import quiet
from trainers.files import adapter_file, word_file
from trainers.files.adapter_file import AdapterRef
from trainers.files.injected import inject
from trainers.files.lora_layers import lora_layers, remove
from trainers.files.third_party import translated
from trainers.model import words
from trainers.model.base_model import BaseModel

CACHED_ADAPTERS = 8

Adapters = Mapping[Any, float] | Sequence[AdapterRef]


@contextmanager
def attached(model: BaseModel, adapters: Adapters = ()) -> Iterator[dict[str, float]]:
    """Attach adapters (a mapping of path to weight, or AdapterRefs) for the length of a with block.

    Yields {name inside the pipeline: weight}. An adapter of weight 0 is checked but not attached, so it changes no
    bit. A word has no weight but 1 or 0: the prompts say how much of it. Afterwards what acted before acts again. Raises
    InputError when any of them cannot be used; the pipeline is then as it was."""
    given = [AdapterRef(p, w) for p, w in adapters.items()] if isinstance(adapters, Mapping) else list(adapters)
    refs = [one for ref in given for one in adapter_file.with_word(ref)]
    before = model.active
    try:
        with words.reading_with(model.pipe, words.own(model)):
            names = _load_adapters(model, refs)
            activate(model, names)
            yield names
    finally:
        activate(model, *before)


def activate(model: BaseModel, names: Mapping[str, float], trainable: str | None = None) -> None:
    """Make exactly `names` act, each with its weight, in every part of the pipeline; only `trainable` learns."""
    model.active = dict(names), trainable
    for layer in lora_layers(model.pipe):
        here = [name for name in names if name in layer.lora_A]
        layer.set_adapter(here, inference_mode=True)
        for name in here:
            layer.set_scale(name, names[name])
        if trainable in here:
            layer.lora_A[trainable].requires_grad_(True)
            layer.lora_B[trainable].requires_grad_(True)


def unload(model: BaseModel) -> None:
    """Take every adapter out of the pipeline: its layers are the plain ones again."""
    if lora_layers(model.pipe):
        with quiet():
            model.pipe.unload_lora_weights()
    model.loaded.clear()


def _load_adapters(model: BaseModel, refs: Sequence[AdapterRef]) -> dict[str, float]:
    files = [adapter_file.find(ref.path) for ref in refs]
    keys = [adapter_file.sha256(file) for file in files]
    for ref in refs:
        if not isinstance(ref.weight, int | float) or not -10 <= ref.weight <= 10:
            raise InputError(f"adapter weight {ref.weight!r} for {str(ref.path)!r} is not a number from -10 to 10")
    if len(set(keys)) < len(keys):
        raise InputError(f"the same adapter is given twice in {[str(ref.path) for ref in refs]!r}: give it once")
    said = _speak(model, dict(zip(keys, files, strict=True)), refs)
    new = {key: file for key, file in zip(keys, files, strict=True) if key not in model.loaded and key not in said}
    found = {
        key: translated(file, model.pipe) for key, file in new.items()
    }  # all of them, before the pipeline is touched
    for key, file in new.items():
        name = f"adapter_{key[:16]}"
        inject(model.pipe, found.pop(key), name, file)
        model.loaded[key] = name
    for key in keys:  # the ones in use become the newest
        if key not in said:
            model.loaded[key] = model.loaded.pop(key)
    for key in list(model.loaded)[: max(0, len(model.loaded) - max(CACHED_ADAPTERS, len(keys)))]:
        remove(model.pipe, model.loaded.pop(key))
    names = said | {key: model.loaded[key] for key in keys if key not in said}
    return {names[key]: ref.weight for key, ref in zip(keys, refs, strict=True) if ref.weight != 0}


def _speak(model: BaseModel, files: Mapping[str, Path], refs: Sequence[AdapterRef]) -> dict[str, str]:
    """Make the pipeline know the words among `files` (by sha256), and name them."""
    said = {key: word for key, file in files.items() if (word := word_file.read(file)) is not None}
    for key, ref in zip(files, refs, strict=True):
        if key in said and ref.weight not in (0, 1):
            raise InputError(
                f"adapter {str(ref.path)!r} is the word {said[key].token!r}, which has no weight {ref.weight!r}: give 1, or 0 to leave it "
                "out, and say in the prompt how much of it you want"
            )
        if key in said:
            words.check(model.pipe, said[key], model.name)
        if key in said and ref.weight:
            words.speak(model.pipe, said[key], model.name)
    return {key: f"word_{key[:16]}" for key in said}
