"""A picture that the painter looks at besides the words, as a run's config names it: IP-Adapter (Ye et al. 2023).

Knows the files and what a record keeps of them. Does not know painting; it imports no torch before it is asked to open.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from trainers.model.ip_adapter import Shown


class ShownPicture(BaseModel):
    """The picture, the IP-Adapter that reads it, and how much it counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str = Field(min_length=1, description="a picture's file")
    adapter: str = Field(
        min_length=1, description="an IP-Adapter's .safetensors, or its folder; image_encoder/ is beside the file"
    )
    weight: float = Field(0.6, ge=0, le=2, description="0 does not look, 1 looks above all")

    def opened(self) -> Shown:
        """The picture as `trainers.model.paint.paint` takes it. Raises InputError for a file that is no picture."""
        from tools.photos import photo
        from trainers.model.ip_adapter import Shown

        return Shown(photo(Path(self.image)), Path(self.adapter), self.weight)

    def told(self) -> dict[str, Any]:
        """What an image's row keeps: both files' hashes and the weight."""
        from trainers.files.adapter_file import find

        return {"image": _hash(Path(self.image)), "adapter": _hash(find(self.adapter)), "weight": self.weight}


def _hash(file: Path) -> str:
    """Kept as long as the file is the same: an adapter is large, and each batch is told of it."""
    about = file.stat()
    return _hash_of(file, about.st_mtime_ns, about.st_size)


@lru_cache
def _hash_of(file: Path, *_about: int) -> str:
    from trainers.files.adapter_file import sha256

    return sha256(file)
