"""How different the images of a set are from each other. numpy only; features come from outside (CLIP, as a rule)."""

from __future__ import annotations

import numpy as np


def diversity(features: np.ndarray) -> float:
    """Mean of 1 - cosine over all pairs of rows of (N, D), 0 (all alike) .. about 1; 0.0 for fewer than two images."""
    assert features.ndim == 2, f"features are (N, D), not {features.shape}"
    n = len(features)
    if n < 2:
        return 0.0
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    cosine = unit @ unit.T
    return float(1.0 - cosine[np.triu_indices(n, 1)].mean())
