"""Where the clone is, and the data beside it that is no part of it."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHARED_DATA = Path(os.environ.get("PALATE_SHARED_DATA", ROOT.parent / "shared" / "data"))
