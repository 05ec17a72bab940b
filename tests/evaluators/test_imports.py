"""The judges that need no model stay free of torch, so that whoever asks them starts at once."""

import subprocess
import sys

import pytest

LIGHT = [
    "asking.belief", "asking.normal", "asking.questions", "looks.colour", "looks.features", "looks.raters", "looks.shapes",
    "numbers.agreement", "numbers.comparisons", "numbers.diversity", "numbers.win_rate", "overfit", "preference.model",
    "scorers.score", "scorers.weights",
]  # fmt: skip


@pytest.mark.parametrize("names", [LIGHT])
def test_numpy_is_all_they_need(names):
    lines = [f"import evaluators.{name}" for name in names]
    heavy = "{'torch', 'transformers', 'open_clip', 'diffusers', 'trainers', 'tools', 'agent'}"
    code = "\n".join(["import sys", *lines, f"found = {heavy} & set(sys.modules)", "assert not found, found"])
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
