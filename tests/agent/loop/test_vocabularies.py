"""The agent knows no world: another vocabulary file is all that another model needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent.config import Config
from prompts.vocabulary import load_vocabulary
from tests.agent import fast
from tools.context import Studio

PAINTING = load_vocabulary("painting")


def test_a_run_with_another_vocabulary_paints_asks_learns_and_evolves_in_its_words(
    configured: Callable[..., Config], models: Studio, tmp_path: Path
) -> None:
    config = configured(vocabulary="painting", rounds=2, images_per_round=3, steps=1, limits={"trainings": 0})
    started = fast.start(config, tmp_path, models).drive()
    assert started.tools[-1] == "finish" and "evolve_prompts" in started.tools and "give_feedback" in started.tools
    prompts = [row.prompt for row in started.store.images(started.run_id)]
    assert len(prompts) == 6 and all(PAINTING.parse(prompt) for prompt in prompts)


def test_a_brief_in_its_words_is_painted_by_the_default_search_from_the_first_round_on(
    configured: Callable[..., Config], models: Studio, tmp_path: Path
) -> None:
    config = configured(
        vocabulary="painting",
        brief="the harbour at night, no woodcut",
        rounds=2,
        images_per_round=4,
        steps=1,
        limits={"trainings": 0},
    )
    started = fast.start(config, tmp_path, models).drive()
    genomes = [PAINTING.parse(row.prompt) for row in started.store.images(started.run_id)]
    assert len(genomes) == 8 and all(
        genome and genome["subject"] == "a harbour" and genome["medium"] != "a woodcut" for genome in genomes
    )
    painted = [step for step in started.store.steps(started.run_id) if step.tool == "generate_images"]
    assert "kept to the brief (a harbour, not a woodcut)" in str(painted[0].facts)
