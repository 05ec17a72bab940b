"""The judges that need no model stay free of torch, so that whoever asks them starts at once."""

import subprocess
import sys

import pytest

LIGHT = [
    "agreement", "belief", "colour", "comparisons", "diversity", "features", "normal", "overfit", "preference", "questions", "raters",
    "score", "shapes", "weights", "win_rate",
]  # fmt: skip


@pytest.mark.parametrize("names", [LIGHT])
def test_numpy_is_all_they_need(names):
    lines = [f"import evaluators.{name}" for name in names]
    heavy = "{'torch', 'transformers', 'open_clip', 'diffusers', 'trainers', 'tools', 'agent'}"
    code = "\n".join(["import sys", *lines, f"found = {heavy} & set(sys.modules)", "assert not found, found"])
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
