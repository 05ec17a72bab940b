"""A profile as a file."""

from __future__ import annotations

import pytest

from tests.tools.profiles.made import ANN, person
from tools.profiles.profile import to_bytes


@pytest.fixture(scope="session")
def data() -> bytes:
    """What Ann's profile is written as."""
    return to_bytes(person("ann", ANN))
