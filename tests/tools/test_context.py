"""tools/context.py: what a tool is given."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tools.context import Settings, Studio


@pytest.mark.parametrize(("name", "maker"), [("clip", "clip.Clip"), ("pickscore", "pickscore.PickScore")])
def test_a_scorer_is_loaded_where_the_painter_is(name: str, maker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[str, str]] = []
    monkeypatch.setattr(f"evaluators.scorers.{maker}", lambda folder, device="cpu": given.append((folder, device)))
    studio: Any = Studio(Settings(model="", clip="a folder", pickscore="a folder", seed=0))
    studio.painter = SimpleNamespace(device=torch.device("cuda:1"))
    getattr(studio, name)
    assert given == [("a folder", "cuda:1")]
