"""The bundled painter."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainers.model.base_model import BaseModel
from trainers.model.load import load


@pytest.fixture(scope="module")
def model(studio: Path) -> BaseModel:
    """Loaded anew for every file, because its tests train it."""
    return load(str(studio), device="cpu")
