"""The tiny models of every class, made once a session."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from tests.tiny_models import build
from trainers.base_model import BaseModel, load


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], BaseModel]:
    """The tiny model of a name (see tests.tiny_models.PIPELINES), loaded as any checkpoint is."""

    @cache
    def loaded(name: str) -> BaseModel:
        return load(str(build(name, tmp_path_factory.mktemp("tiny") / name)), device="cpu")

    return loaded
