"""Show the model a picture besides the words: IP-Adapter (Ye et al. 2023), a choice at painting, where a UNet has one.

Knows diffusers' loader for a local file with its image encoder beside it. Does not know painting; nothing of it stays in the
pipeline afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from safetensors import SafetensorError, safe_open

from prompts.errors import InputError
from prompts.ground.clean import clean
from trainers.files import adapter_file
from trainers.files.halves import finite
from trainers.model.base_model import BaseModel

ENCODER = "image_encoder"  # the folder beside the file, a CLIPVisionModelWithProjection


@dataclass(frozen=True)
class Shown:
    """A picture to look at. `adapter`: an IP-Adapter's .safetensors file; `weight`: 0 does not look, 1 looks above all."""

    image: Image.Image
    adapter: Path | str
    weight: float = 0.6


@contextmanager
def looking(model: BaseModel, shown: Shown | None) -> Iterator[dict[str, Any]]:
    """Load the IP-Adapter for the length of a with block; yields what the pipeline's call takes besides.

    Raises InputError for models without a UNet, pickles, a missing image encoder, and files that do not fit the model."""
    if shown is None:
        yield {}
        return
    file, pipe = _file(shown, model), model.pipe
    before = dict(pipe.unet.attn_processors), pipe.image_encoder, pipe.feature_extractor
    try:
        _load(pipe, file, model.name)
        pipe.set_ip_adapter_scale(shown.weight)
        yield {"ip_adapter_image": shown.image.convert("RGB")}
    finally:
        pipe.unload_ip_adapter()
        pipe.unet.set_attn_processor(before[0])
        pipe.register_modules(image_encoder=before[1], feature_extractor=before[2])


def _file(shown: Shown, model: BaseModel) -> Path:
    if getattr(model.pipe, "unet", None) is None or not hasattr(model.pipe, "image_encoder"):
        kind = type(model.pipe).__name__
        raise InputError(f"{model.name!r} is a {kind}, which takes no IP-Adapter here: SD 1.5 and SDXL do; paint without a picture")  # fmt: skip
    if not 0 <= shown.weight <= 2:
        raise InputError(f"weight {shown.weight!r} of the picture must be from 0 to 2")
    file = adapter_file.find(shown.adapter)
    if not (file.parent / ENCODER / "config.json").is_file():
        raise InputError(f"IP-Adapter {str(file)!r} needs its image encoder beside it: no folder {ENCODER!r} with a config.json there")  # fmt: skip
    return file


def _load(pipe: Any, file: Path, name: str) -> None:
    try:
        with safe_open(file, "pt") as stored:
            bad = next((key for key in stored.keys() if not finite(stored.get_tensor(key))), None)  # noqa: SIM118  not a dict
        if bad is not None:
            raise InputError(
                f"IP-Adapter {str(file)!r} holds numbers that are not finite in {clean(bad, 120)!r}: get it again"
            )
        pipe.load_ip_adapter(str(file.parent), subfolder="", weight_name=file.name, local_files_only=True)
    except (ValueError, RuntimeError, KeyError, OSError, SafetensorError) as error:
        raise InputError(f"IP-Adapter {str(file)!r} does not fit {name!r}: use the one made for it [{str(error)[:200]}]") from error  # fmt: skip
