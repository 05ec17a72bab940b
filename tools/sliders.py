"""Weights of adapters as genes: what the genetic search breeds besides words.

After "Human Aesthetic Preference-Based Large Text-to-Image Model Personalization", section 6: average crossover and uniform
mutation of continuous genes. An adapter that is only on or off has a few weights to choose from, and is crossed as words are.
Knows numbers and the rows that keep them. Does not know painting; it imports no torch.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tools.records import ImageRow

Weights = dict[str, float]  # a slider's name to its weight in one picture


class Slider(BaseModel):
    """An adapter of the run's config, and the weights that its pictures may have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[\w.-]+$", max_length=40, description="what records call it")
    adapter: str = Field(min_length=1, description="a .safetensors file, or the folder it lies in")
    low: float = Field(-1.0, ge=-10, le=10, description="smallest weight")
    high: float = Field(1.0, ge=-10, le=10, description="largest weight")
    weights: tuple[float, ...] | None = Field(
        None, min_length=2, max_length=16, description="these weights only: [0, 1] is off or on"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Slider:
        if self.low >= self.high:
            raise ValueError(f"low = {self.low!r} must be below high = {self.high!r}")
        if self.weights is not None and not all(-10 <= weight <= 10 for weight in self.weights):
            raise ValueError(f"weights = {list(self.weights)!r} must be from -10 to 10")
        return self

    @property
    def gene(self) -> str:
        """Its key in a genome; no gene of words has a space in it."""
        return f"slider {self.name}"

    def drawn(self, rng: random.Random) -> float:
        """Any of its weights, uniformly."""
        return rng.choice(self.weights) if self.weights else _rounded(rng.uniform(self.low, self.high))

    def crossed(self, first: float, second: float, mutation: float, rng: random.Random) -> float:
        """The mean of the parents' weights (one of them where weights are listed); with chance `mutation` any weight."""
        if rng.random() < mutation:
            return self.drawn(rng)
        return rng.choice([first, second]) if self.weights else _rounded((first + second) / 2)

    def unit(self, weight: float) -> float:
        """The weight, on a scale from -1 to 1 over its range."""
        low, high = (min(self.weights), max(self.weights)) if self.weights else (self.low, self.high)
        return 2 * (weight - low) / (high - low) - 1 if high > low else 0.0


def distinct_names(sliders: tuple[Slider, ...]) -> tuple[Slider, ...]:
    """The sliders as they are. Raises ValueError for a name that two of them have: it is how weights are found again."""
    names = [slider.name for slider in sliders]
    if len(set(names)) < len(names):
        raise ValueError(f"the names {names!r} must differ: weights are found again by them")
    return sliders


def drawn(sliders: Sequence[Slider], rng: random.Random) -> Weights:
    """A random weight of each."""
    return {slider.name: slider.drawn(rng) for slider in sliders}


def weights_of(row: ImageRow, sliders: Sequence[Slider]) -> Weights:
    """The weights that a picture was painted with; 0 for a slider that did not act."""
    kept = {str(one.get("name")): one for one in row.adapters if one.get("slider")}
    return {slider.name: _number(kept.get(slider.name, {})) for slider in sliders}


def genes_of(row: ImageRow, sliders: Sequence[Slider]) -> dict[str, Any]:
    """The same as genes."""
    weights = weights_of(row, sliders)
    return {slider.gene: weights[slider.name] for slider in sliders}


def _number(one: Mapping[str, Any]) -> float:
    return float(one.get("weight", 0.0))


def _rounded(weight: float) -> float:
    """To hundredths: what a person can read, and no float that prints otherwise elsewhere."""
    return round(weight, 2)
