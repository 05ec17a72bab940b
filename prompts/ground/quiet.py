"""Libraries keep still while they load, save and paint: no bars, no chatter. What matters we report ourselves.

Their bars and warnings ("Loading weights: 100%|...") would land in the middle of a person's words and of the output that programs read. What
they cannot do they still raise. Knows the libraries' switches, and not what is loaded. It stands in the lowest house because trainers
and evaluators both load models, and may not know each other.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import RLock
from typing import Any

LIBRARIES = ("huggingface_hub", "transformers", "diffusers")
BARRED = LIBRARIES[1:]  # that of transformers is the hub's switch, too
# Of a bar that nobody sees, too, tqdm's own lock is a semaphore of all processes: a worker that is ended leaves it behind, and Python complains.
LOCK = RLock()
OURS = ("agent.", "tools.", "trainers.", "evaluators.", "prompts.")


@contextmanager
def quiet() -> Iterator[None]:
    """The libraries keep still for a while; afterwards each speaks as it did before."""
    import_module("tqdm").tqdm.set_lock(LOCK)
    modules: dict[str, Any] = {name: import_module(f"{name}.utils.logging") for name in LIBRARIES}
    levels = {name: module.get_verbosity() for name, module in modules.items()}
    barred = [name for name in BARRED if modules[name].is_progress_bar_enabled()]
    with warnings.catch_warnings(), _root_log():
        warnings.filterwarnings("ignore", module=r"peft\.")  # several adapters in one model is what we mean
        # the hub, where HF_HUB_DISABLE_PROGRESS_BARS has decided already
        warnings.filterwarnings("ignore", message="Cannot (dis|en)able progress bars")
        for module in modules.values():
            module.set_verbosity_error()
        for name in BARRED:
            modules[name].disable_progress_bar()
        try:
            yield
        finally:
            for name, level in levels.items():
                modules[name].set_verbosity(level)
            for name in barred:
                modules[name].enable_progress_bar()


class _Swallow(logging.Handler):
    """What a library says through the root logger, as open_clip does; our own warnings go where they would have gone."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(OURS) and logging.lastResort is not None:
            logging.lastResort.handle(record)


@contextmanager
def _root_log() -> Iterator[None]:
    """Nothing through the root logger, unless somebody has set it up. The first word there would set it up for good, and our own
    warnings would look different ever after."""
    if logging.root.handlers:
        yield
        return
    swallow = _Swallow()
    logging.root.addHandler(swallow)
    try:
        yield
    finally:
        logging.root.removeHandler(swallow)
