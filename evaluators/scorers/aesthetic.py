"""Aesthetic heads: how beautiful most people would find a picture, as one affine map of its CLIP features.

Three layouts, told apart by their keys, are one map after loading:

- LAION's first (2022, `sa_0_4_vit_*_linear`): `weight` (1, D), `bias` (1), on features of length 1;
- SAC's (Simulacra Aesthetic Captions, `sac_public_*_linear`): `linear.weight`, `linear.bias`, on features of length sqrt(D);
- LAION's second (`sac+logos+ava1-l14-linearMSE`): `layers.0`, `.2`, `.4`, `.6`, `.7`, five linear layers without activations
  (what lies between is dropout), on features of length 1.

About 1 to 10, trained on ratings of that range. People get the files from the repositories "aesthetic-predictor" and
"improved-aesthetic-predictor" of LAION and its members and "simulacra-aesthetic-models" of Katherine Crowson; .pth, or the same
keys as .safetensors. All of them were fitted on OpenAI's own CLIPs, which use QuickGELU: another CLIP of the same width gives
numbers without meaning, and nothing in the file tells. Knows neither prompts nor who is asking.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evaluators.scorers.score import Score, check_one_each
from evaluators.scorers.weight_files import Tensors, folded, read
from evaluators.scorers.weights import version_of_file, weight_file
from prompts.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

    from evaluators.scorers.clip import Clip

LAYERS = ("layers.0", "layers.2", "layers.4", "layers.6", "layers.7")
WIDTHS = {768: "ViT-L/14", 512: "ViT-B/16 or ViT-B/32"}  # of OpenAI's CLIPs that heads were published for
_NAMED = re.compile(r"(?:vit_|-)([bl])_?(14|16|32)(?![0-9a-z])")  # ..._vit_b_32_linear, ...-l14-linearMSE


@dataclass(frozen=True, eq=False)
class AestheticHead:
    """score = weight . unit feature + bias. `weight` (D,) float64; `wants`: the CLIP it was fitted on, in
    words; `patch`: of that, in pixels, where the file's name tells; `clip`: what looks for it."""

    name: str
    version: str
    weight: np.ndarray
    bias: float
    wants: str
    patch: int | None
    clip: Clip | None = None

    def of_features(self, features: np.ndarray) -> np.ndarray:
        """(N,) scores of features (N, D) of any length above 0, row by row. Raises InputError for another width."""
        if features.ndim != 2 or features.shape[1] != len(self.weight):
            raise InputError(self._other(f"features of the shape {features.shape}"))
        lengths = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
        scores: np.ndarray = (features / np.maximum(lengths, 1e-12)) @ self.weight + self.bias
        return scores

    def __call__(
        self, images: Sequence[Image.Image], prompts: Sequence[str], references: Sequence[Image.Image] = ()
    ) -> Score:
        """Score each image (N); what its prompt (N) asks for does not matter, and `references` are not used."""
        check_one_each(images, prompts)
        if self.clip is None:
            raise InputError(f"the head {self.name!r} was loaded without a CLIP: load it with {self.wants}, or give it features")  # fmt: skip
        values = self.of_features(self.clip.image_features(images)) if images else ()
        return Score("aesthetic", self.version, tuple(float(value) for value in values))

    def check(self, clip: Clip) -> None:
        """Raises InputError for a CLIP of another width, or of other patches than the head's file name tells."""
        if clip.width != len(self.weight):
            raise InputError(self._other(f"a CLIP with {clip.width}"))
        if None not in (self.patch, clip.patch) and self.patch != clip.patch:
            raise InputError(self._other(f"a CLIP with patches of {clip.patch} pixels"))

    def _other(self, given: str) -> str:
        return f"the head {self.name!r} reads {len(self.weight)} features of {self.wants}, and was given {given}: give that CLIP's folder"


def load(path: str | Path, clip: Clip | None = None) -> AestheticHead:
    """The head in a file, or the only one in a folder. `clip` is needed to score images; with it the version is of both.

    Raises: InputError for a file that is damaged, is a pickle of more than tensors, or is no such head, and for a CLIP that it was
    not fitted on, as far as width and patches tell."""
    file = weight_file(Path(path))
    weight, bias = _map(read(file), file)
    version = version_of_file(file)
    if clip is not None:
        version = hashlib.sha256(f"{version} {clip.version}".encode()).hexdigest()[:12]
    head = AestheticHead(file.name, version, weight, bias, *_wants(file.stem, len(weight)), clip)
    if clip is not None:
        head.check(clip)
    return head


def _map(tensors: Tensors, file: Path) -> tuple[np.ndarray, float]:
    keys = set(tensors)
    if keys == {"weight", "bias"}:
        return folded({f"head.{key}": tensor for key, tensor in tensors.items()}, ["head"], file)
    if keys == {"linear.weight", "linear.bias"}:
        weight, bias = folded(tensors, ["linear"], file)
        return weight * np.sqrt(len(weight)), bias
    if keys == {f"{layer}.{part}" for layer in LAYERS for part in ("weight", "bias")}:
        return folded(tensors, LAYERS, file)
    raise InputError(
        f"{str(file)!r} holds {', '.join(sorted(keys)[:6])}: heads of LAION's and SAC's linear layouts are read, those with "
        "activations between their layers are not; give a linear one"
    )


def _wants(stem: str, width: int) -> tuple[str, int | None]:
    found = _NAMED.search(stem)
    if found is None:
        return f"OpenAI's CLIP {WIDTHS.get(width, f'of width {width}')}", None
    return f"OpenAI's CLIP ViT-{found[1].upper()}/{found[2]}", int(found[2])
