"""Preference "maml": a small network that other people's ratings taught where to start, and the person's ratings move from there.

First-order model-agnostic meta-learning (Finn, Abbeel & Levine 2017, Algorithm 2 without second derivatives) over raters, as in
LLM prompt optimisation for PIAA, sec. 3.1: a task is a person, its support some of their ratings, its query others. How many
steps a person's own ratings are worth, and how wrong one is then, is measured on a fifth of the raters, held out. numpy only.
"""

from __future__ import annotations

import numpy as np

from evaluators.preference.kinds.scale import spread_of

Arrays = dict[str, np.ndarray]
_WIDTH, _HIDDEN, _TASKS, _OUTER, _INNER, _QUERY = 48, 32, 16, 300, 5, 15
_RATE, _META_RATE, _DECAY = 0.1, 4e-3, 1e-3
_SUPPORTS = (2, 5, 10, 20, 40, 80)  # sizes at which the worth of the person's own ratings is measured
_STEPS = (0, 2, 5, 10, 20, 40, 80)
_NAMES = ("weight_in", "bias_in", "weight_out", "bias_out")


def train(rows: np.ndarray, likings: np.ndarray, seed: int) -> Arrays:
    """Meta-train on standardised features (P, D) and likings (R, P) in SDs, NaN for none. Deterministic for a `seed`."""
    rng = np.random.default_rng([seed, 0x3A31])
    turn = _turn(rows)
    inputs = rows @ turn
    held = rng.permutation(len(likings))[: max(1, len(likings) // 5)]
    shown = np.setdiff1d(np.arange(len(likings)), held)
    start = _meta_train(inputs, likings[shown] if len(shown) else likings, rng)
    steps, misses = _worth(start, inputs, likings[held], rng)
    return {**start, "turn": turn.astype(np.float32), "steps": steps, "misses": misses}


def fit(rows: np.ndarray, ratings: np.ndarray, meta: Arrays) -> Arrays:
    """Adapt to standardised features (N, D) and ratings (N,), N >= 1."""
    centre, unit = float(ratings.mean()), spread_of(ratings)
    steps = int(meta["steps"][_nearest(len(ratings))])
    start = {name: meta[name][None].astype(float) for name in _NAMES}
    adapted = _adapt(start, (rows @ meta["turn"])[None], ((ratings - centre) / unit)[None], steps)
    miss = float(np.interp(np.log(len(ratings)), np.log(_SUPPORTS), meta["misses"]))
    return {
        **{name: adapted[name][0] for name in _NAMES}, "turn": meta["turn"],
        "centre": np.array(centre), "unit": np.array(unit), "miss": np.array(miss),
    }  # fmt: skip


def predict(arrays: Arrays, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and std (M,) in the person's points for standardised features (M, D); the std is what raters held out of the
    meta-training were missed by after as many ratings."""
    weights = {name: arrays[name][None] for name in _NAMES}
    out, unit = _forward(weights, (rows @ arrays["turn"])[None])[0][0], float(arrays["unit"])
    return float(arrays["centre"]) + unit * out, np.full(len(rows), unit * float(arrays["miss"]))


def _turn(rows: np.ndarray) -> np.ndarray:
    """(D, d) onto the main axes of the pictures, of size about 1 in all."""
    _, values, axes = np.linalg.svd(rows, full_matrices=False)
    kept = axes[: min(_WIDTH, int((values > 1e-6).sum()) or 1)].T
    return kept / max(float((rows @ kept).std()), 1e-9)


def _meta_train(inputs: np.ndarray, likings: np.ndarray, rng: np.random.Generator) -> Arrays:
    weights = _initial(inputs.shape[1], rng)
    first = {name: np.zeros_like(value) for name, value in weights.items()}
    second = {name: np.zeros_like(value) for name, value in weights.items()}
    for step in range(1, _OUTER + 1):
        x, y, count = _tasks(inputs, likings, int(rng.integers(2, 41)), rng)
        tasks = {name: np.repeat(value[None], len(x), axis=0) for name, value in weights.items()}
        adapted = _adapt(tasks, x[:, :count], y[:, :count], _INNER)
        slopes = _slopes(adapted, x[:, count:], y[:, count:])
        for name, value in weights.items():
            slope = slopes[name].mean(axis=0) + _DECAY * value
            first[name] = 0.9 * first[name] + 0.1 * slope
            second[name] = 0.999 * second[name] + 0.001 * slope**2
            rate = _META_RATE * min(1.0, 2.0 * (1.0 - step / (_OUTER + 1)))
            change = first[name] / (1.0 - 0.9**step) / (np.sqrt(second[name] / (1.0 - 0.999**step)) + 1e-8)
            weights[name] = value - rate * change
    return {name: value.astype(np.float32) for name, value in weights.items()}


def _worth(start: Arrays, inputs: np.ndarray, likings: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """For each size of support: the best number of steps, and the root mean squared error on other pictures then."""
    steps, misses = [], []
    for size in _SUPPORTS:
        x, y, count = _tasks(inputs, likings, size, rng, tasks=4 * _TASKS)
        tasks = {name: np.repeat(value[None].astype(float), len(x), axis=0) for name, value in start.items()}
        errors = []
        for number in _STEPS:
            out = _forward(_adapt(tasks, x[:, :count], y[:, :count], number), x[:, count:])[0]
            errors.append(float(np.sqrt(((out - y[:, count:]) ** 2).mean())))
        steps.append(_STEPS[int(np.argmin(errors))])
        misses.append(min(errors))
    return np.array(steps), np.array(misses)


def _tasks(
    inputs: np.ndarray, likings: np.ndarray, size: int, rng: np.random.Generator, *, tasks: int = _TASKS
) -> tuple[np.ndarray, np.ndarray, int]:
    """Pictures (T, n, d) and likings (T, n) of random raters, the first `count` of each for support."""
    counts = np.isfinite(likings).sum(axis=1)
    usable = np.flatnonzero(counts >= min(4, counts.max()))
    chosen = rng.choice(usable, size=tasks)
    wanted = min(size + _QUERY, int(counts[chosen].min()))
    count = max(1, min(size, wanted - max(1, wanted // 4)))
    picks = np.stack([rng.permutation(np.flatnonzero(np.isfinite(likings[one])))[:wanted] for one in chosen])
    return inputs[picks], likings[chosen[:, None], picks], count


def _adapt(weights: Arrays, x: np.ndarray, y: np.ndarray, steps: int) -> Arrays:
    for _ in range(steps):
        slopes = _slopes(weights, x, y)
        weights = {name: value - _RATE * slopes[name] for name, value in weights.items()}
    return weights


def _slopes(weights: Arrays, x: np.ndarray, y: np.ndarray) -> Arrays:
    """Of half the mean squared error, for each task."""
    out, hidden = _forward(weights, x)
    error = (out - y) / y.shape[1]
    back = error[:, :, None] * weights["weight_out"][:, None, :] * (1.0 - hidden**2)
    return {
        "weight_in": np.swapaxes(x, 1, 2) @ back, "bias_in": back.sum(axis=1),
        "weight_out": (np.swapaxes(hidden, 1, 2) @ error[:, :, None])[:, :, 0], "bias_out": error.sum(axis=1),
    }  # fmt: skip


def _forward(weights: Arrays, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Outputs (T, n) and hidden units (T, n, h) of T networks on (T, n, d)."""
    hidden = np.tanh(x @ weights["weight_in"] + weights["bias_in"][:, None, :])
    return (hidden @ weights["weight_out"][:, :, None])[:, :, 0] + weights["bias_out"][:, None], hidden


def _initial(width: int, rng: np.random.Generator) -> Arrays:
    return {
        "weight_in": rng.normal(size=(width, _HIDDEN)) / np.sqrt(width), "bias_in": np.zeros(_HIDDEN),
        "weight_out": rng.normal(size=_HIDDEN) * 0.3 / np.sqrt(_HIDDEN), "bias_out": np.zeros(()),
    }  # fmt: skip


def _nearest(count: int) -> int:
    return int(np.argmin(np.abs(np.log(np.array(_SUPPORTS)) - np.log(count))))
