"""Third parties keep still for a while: what matters of their work we report ourselves.

Knows the libraries' own switches, and imports none of them before it is used. It stands in the lowest house because whoever
loads a model needs it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def quiet() -> Iterator[None]:
    """diffusers, transformers and the hub keep still for a while: what matters we report ourselves."""
    import huggingface_hub.utils.logging as of_hub
    import transformers.utils.logging as of_transformers
    from diffusers.utils import logging as of_diffusers

    modules: list[Any] = [of_diffusers, of_transformers, of_hub]
    before = [module.get_verbosity() for module in modules]
    for module in modules:
        module.set_verbosity_error()
    of_diffusers.disable_progress_bar()
    of_transformers.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"peft\.")  # several adapters in one model is what we mean
            yield
    finally:
        for module, level in zip(modules, before, strict=True):
            module.set_verbosity(level)
        of_diffusers.enable_progress_bar()
        of_transformers.enable_progress_bar()
