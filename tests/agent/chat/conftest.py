"""A desk to chat at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.config import Config
from tests.agent.chat.desk import Desk
from tests.agent.fast import SHORT
from tools.context import Studio


@pytest.fixture
def desk(
    configured: Callable[..., Config],
    models: Studio,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Desk:
    """Short chats in this test's own home, by the rules until it is given replies."""

    def write(**changes: Any) -> Path:
        planner = "rules" if made.replies is None else "llm"
        config = configured(**{**SHORT, "brief": "", "rater": "person", "planner": planner, **changes})
        (tmp_path / "chat.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
        return tmp_path / "chat.yaml"

    made = Desk(tmp_path / "home", write, monkeypatch, capsys)
    monkeypatch.setattr("agent.loop.crew.Studio", lambda settings: models)  # loaded once for all tests
    monkeypatch.setattr("agent.chat.terminal.hired", made.hired)
    monkeypatch.setenv("COLUMNS", "10000")
    return made
