"""tools/actions/feedback.py and tools/actions/ask.py: words from counted evidence, and questions about what is not rated yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prompts.errors import ToolError
from tests.tools.given import PROMPTS, Trail, context, image_row, rated_trail
from tools.actions.ask import AskPerson, ask_person
from tools.actions.feedback import Feedback, GiveFeedback, give_feedback

RATED = [(9.0, PROMPTS[0]), (8.0, PROMPTS[0].replace("teal circle", "pink ring")), (1.0, PROMPTS[1]), (2.0, PROMPTS[2])]


def test_evidence_names_what_goes_with_high_and_low_ratings(tmp_path: Path) -> None:
    result = give_feedback(GiveFeedback(words=8), context(rated_trail(RATED), tmp_path)).result
    effects = dict(result["evidence"])
    assert len(effects) == 8 and effects["colour red"] > 2 and effects["background white"] > 2
    assert min(effects.values()) < 0
    assert [abs(effect) for effect in effects.values()] == sorted((abs(e) for e in effects.values()), reverse=True)
    assert result["feedback"].startswith("You like ")


@pytest.mark.parametrize("words", [2, 5])
def test_no_more_evidence_than_wanted(tmp_path: Path, words: int) -> None:
    assert (
        len(give_feedback(GiveFeedback(words=words), context(rated_trail(RATED), tmp_path)).result["evidence"]) == words
    )


def test_the_language_model_finds_the_words_when_there_is_one(tmp_path: Path) -> None:
    asked: list[Any] = []

    def write(messages: Any, schema: type[Feedback], *, purpose: str) -> Feedback:
        asked.append((messages, purpose))
        return schema(feedback="Red, and plenty of it.")

    given = context(rated_trail(RATED), tmp_path, write=write)
    assert give_feedback(GiveFeedback(words=4), given).result["feedback"] == "Red, and plenty of it."
    ((messages, purpose),) = asked
    assert purpose == "feedback" and "background white" in messages[1]["content"] and given.seconds["llm"] >= 0


@pytest.mark.parametrize("rating", [0.0, 5.1, 10.0])
def test_ratings_that_are_all_alike_are_no_evidence_whatever_a_model_says(tmp_path: Path, rating: float) -> None:
    def write(*_: Any, **__: Any) -> Feedback:
        return Feedback(feedback="You do not care for background red.")

    given = context(rated_trail([(rating, prompt) for prompt in PROMPTS[:3]]), tmp_path, write=write)
    result = give_feedback(GiveFeedback(words=8), given).result
    assert result == {"feedback": "Your ratings do not tell one word from another yet.", "evidence": []}


@pytest.mark.parametrize("rated", [[], [(5.0, "a photo of a cat")]])
def test_nothing_to_learn_from_is_told(tmp_path: Path, rated: Any) -> None:
    with pytest.raises(ToolError, match="call ask_person first"):
        give_feedback(GiveFeedback(words=4), context(rated_trail(rated), tmp_path))


def test_only_images_of_the_round_without_a_rating_are_asked_about(tmp_path: Path) -> None:
    old, new = [image_row("a", n, round=1) for n in range(2)], [image_row("b", n, round=2) for n in range(3)]
    trail = Trail([*old, *new], {new[0].id: 5.0})
    result = ask_person(AskPerson(question="?", images=8), context(trail, tmp_path)).result
    assert result == {"asked": [new[1].id, new[2].id], "question": "?"}
    assert ask_person(AskPerson(question="?", images=1), context(trail, tmp_path)).result["asked"] == [new[1].id]
    assert (
        len(ask_person(AskPerson(question="?", images=8), context(trail, tmp_path, ratings_left=1)).result["asked"])
        == 1
    )


def test_a_round_that_is_rated_is_not_asked_about_again(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="rated already"):
        ask_person(AskPerson(question="?", images=8), context(rated_trail(RATED), tmp_path))
