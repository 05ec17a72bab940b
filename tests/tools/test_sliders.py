"""Weights of adapters as genes: bred as numbers, painted with, and read back from the pictures' rows."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from agent.config import make_config
from agent.loop.crew import make_settings
from prompts.errors import InputError
from prompts.vocabulary import load_vocabulary
from tests.tools.given import PROMPTS, Trail, context, rated_trail
from tools.actions.evolve import EvolvePrompts, evolve_prompts
from tools.actions.generate import GenerateImages, generate_images
from tools.context import Context, Settings
from tools.painting import _batches
from tools.records import StepRow
from tools.search.screened import GeneBelief, child, screened
from tools.search.space import Space
from tools.sliders import Slider, weights_of

VOCABULARY = load_vocabulary("bauhaus")
LIGHT = Slider(name="light", adapter="light.safetensors", low=-1, high=2)
HAT = Slider(name="hat", adapter="hat.safetensors", weights=(0, 1))
RATED = [(9.0, PROMPTS[0]), (2.0, PROMPTS[1]), (6.0, PROMPTS[2]), (4.0, PROMPTS[3])]


def slid(trail: Trail, *weights: dict[str, float]) -> Trail:
    """The trail's pictures, as painted with these weights."""
    kept = [
        [{"sha256": "0", "weight": weight, "name": name, "slider": True} for name, weight in one.items()]
        for one in weights
    ]
    trail.rows = [row.model_copy(update={"adapters": used}) for row, used in zip(trail.rows, kept, strict=True)]
    return trail


def settings(*sliders: Slider) -> Settings:
    return Settings(model="", clip="", pickscore="", seed=0, sliders=sliders)


def given(tmp_path: Path, *sliders: Slider) -> Context:
    trail = slid(rated_trail(RATED), *({one.name: weight for one in sliders} for weight in (1.0, 0.0, 1.0, 0.0)))
    return context(trail, tmp_path, settings=settings(*sliders))


def genome(weight: float) -> dict[str, Any]:
    return {**(VOCABULARY.parse(PROMPTS[0]) or {}), LIGHT.gene: weight}


def test_a_weight_is_the_mean_of_its_parents_and_a_listed_one_is_one_of_theirs() -> None:
    rng = random.Random(0)
    assert LIGHT.crossed(0.5, 1.0, 0.0, rng) == 0.75
    assert {HAT.crossed(0.0, 1.0, 0.0, rng) for _ in range(20)} == {0.0, 1.0}


def test_a_mutated_weight_is_anywhere_in_its_range() -> None:
    rng = random.Random(0)
    drawn = [LIGHT.crossed(0.5, 0.5, 1.0, rng) for _ in range(300)]
    assert -1 <= min(drawn) < -0.9 and 1.9 < max(drawn) <= 2 and all(value == round(value, 2) for value in drawn)


def test_children_have_weights_within_those_of_their_parents(tmp_path: Path) -> None:
    rated, rng = [(9.0, genome(0.25)), (8.0, genome(1.0))], random.Random(1)
    bred = {child(rated, 0.0, Space(VOCABULARY, (LIGHT,)), rng)[LIGHT.gene] for _ in range(60)}
    assert {0.25, 0.62} <= bred <= {0.25, 0.62, 1.0}  # 0.625, to hundredths


def test_the_best_rated_live_on_with_their_weights(tmp_path: Path) -> None:
    found = evolve_prompts(EvolvePrompts(children=6, mutation=0.2, elites=1), given(tmp_path, LIGHT, HAT)).result
    assert found["prompts"][0] == PROMPTS[0] and found["sliders"][0] == {"light": 1.0, "hat": 1.0}
    assert len(found["sliders"]) == len(found["prompts"]) == 6
    assert all(-1 <= one["light"] <= 2 and one["hat"] in (0, 1) for one in found["sliders"])


def test_without_sliders_children_are_bred_as_ever_and_results_say_nothing_of_them(tmp_path: Path) -> None:
    """These children were recorded before there were sliders: not one more number may be drawn."""
    rated, rng = [(rating, VOCABULARY.parse(prompt) or {}) for rating, prompt in RATED], random.Random(5)
    assert [VOCABULARY.phrase(child(rated, 0.3, Space(VOCABULARY), rng)) for _ in range(3)] == [
        "one large red square and a green circle on a purple background, scattered, apart, no lines, flat",
        "two small blue squares and a pink circle on a white background, scattered, overlapping, no lines, hatched",
        "one large green square and a teal circle on a black background, scattered, apart, no lines, flat",
    ]
    found = evolve_prompts(EvolvePrompts(children=3, mutation=0.2, elites=0), given(tmp_path)).result
    assert found.keys() == {"prompts", "elites"}


def test_the_search_finds_the_weight_that_is_liked_between_the_ends() -> None:
    rng = random.Random(2)
    weights = [LIGHT.drawn(rng) for _ in range(40)]
    rated = [(-((weight - 1.0) ** 2), {**VOCABULARY.random(rng), LIGHT.gene: weight}) for weight in weights]
    kept = [one[LIGHT.gene] for one in screened(rated, [], 8, 0.3, Space(VOCABULARY, (LIGHT,)), rng)]
    assert np.mean([(weight - 1.0) ** 2 for weight in kept]) < 0.5 * np.mean(
        [(weight - 1.0) ** 2 for weight in weights]
    )


def test_belief_has_a_weight_and_its_square_from_minus_one_to_one() -> None:
    rated = [(1.0, genome(-1.0)), (2.0, genome(2.0))]
    belief = GeneBelief(rated, Space(VOCABULARY, (LIGHT,)))
    assert belief.space.encode([genome(-1.0), genome(0.5), genome(2.0)])[:, -2:].tolist() == [[-1, 1], [0, 0], [1, 1]]


def test_a_slider_may_be_called_as_a_gene_of_words_is(tmp_path: Path) -> None:
    size = Slider(name="size", adapter="a")
    found = evolve_prompts(EvolvePrompts(children=4, mutation=0.2, elites=1), given(tmp_path, size)).result
    assert found["prompts"][0] == PROMPTS[0] and found["sliders"][0] == {"size": 1.0}


def test_pictures_with_the_same_weights_are_painted_together() -> None:
    same, other, plain = ({"light": 1.0}, {}), ({"light": 0.0}, {}), ({}, {})
    assert _batches([same] * 10 + [other, same]) == [range(8), range(8, 10), range(10, 11), range(11, 12)]
    assert _batches([plain] * 9) == [range(8), range(8, 9)] and _batches([]) == []


@pytest.fixture
def light(studio: Path, tmp_path: Path) -> Slider:
    """A slider with random weights on one attention layer of the bundled painter."""
    draw, key = torch.Generator().manual_seed(0), "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_v"
    from trainers.model.load import load

    width = load(str(studio), device="cpu").denoiser.get_submodule(key.removeprefix("unet.")).weight.shape
    weights = {f"{key}.lora_A.weight": torch.randn(4, width[1], generator=draw), f"{key}.lora_B.weight": torch.randn(width[0], 4, generator=draw)}  # fmt: skip
    save_file(weights, tmp_path / "light.safetensors")
    return Slider(name="light", adapter=str(tmp_path / "light.safetensors"), low=-2, high=2)


def test_children_are_painted_with_the_weights_that_they_were_bred_with(
    at_hand: Callable[..., Context], light: Slider
) -> None:
    """One prompt with three weights: three pictures, whose rows say which; nothing acts where no slider is set."""
    base = at_hand()
    prompt, weights = "a red circle on a white background", [{"light": -1.5}, {"light": 0.0}, {"light": 1.5}]
    bred = StepRow(
        step=4, round=1, node="act", tool="evolve_prompts", result={"prompts": [prompt] * 3, "sliders": weights}
    )
    base.trail.steps.append(bred)  # type: ignore[attr-defined]
    with_it = dataclasses.replace(base, settings=dataclasses.replace(base.settings, sliders=(light,)), images_left=3)
    rows = generate_images(GenerateImages(prompts=[], evolved=3), with_it).images
    assert [weights_of(row, [light]) for row in rows] == weights
    assert len({row.sha256 for row in rows}) == 3 and [row.seed for row in rows] == [with_it.seed + i for i in range(3)]
    plain = generate_images(
        GenerateImages(prompts=[prompt], evolved=0), dataclasses.replace(base, images_left=3)
    ).images
    assert all(row.adapters == [] for row in plain) and weights_of(plain[0], [light]) == {"light": 0.0}


def test_prompts_of_the_planners_own_get_random_weights_and_the_same_when_run_again(
    at_hand: Callable[..., Context], light: Slider
) -> None:
    base = at_hand()
    with_it = dataclasses.replace(base, settings=dataclasses.replace(base.settings, sliders=(light,)), images_left=3)
    call = GenerateImages(prompts=PROMPTS[:3], evolved=0)
    rows = generate_images(call, with_it).images
    assert len({weights_of(row, [light])["light"] for row in rows}) == 3
    assert generate_images(call, with_it).images == rows


@pytest.mark.parametrize(
    "wrong",
    [{"low": 1, "high": 1}, {"name": "a b"}, {"weights": (1,)}, {"weights": (0, 11)}, {"lo": 1}, {"adapter": ""}],
)
def test_a_slider_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Slider(**{"name": "light", "adapter": "a", **wrong})


def test_sliders_come_from_the_runs_config_by_names_that_differ() -> None:
    one = {"name": "light", "adapter": "a", "low": -1, "high": 1}
    config = make_config({"sliders": [one, {"name": "hat", "adapter": "b", "weights": [0, 1]}]})
    assert [slider.name for slider in make_settings(config).sliders] == ["light", "hat"]
    with pytest.raises(InputError, match=r"sliders.*'light', 'light'.*must differ"):
        make_config({"sliders": [one, one]})
