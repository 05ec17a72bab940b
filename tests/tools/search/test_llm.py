"""tools/search with a language model: what it is told, and what becomes of answers that are old, unreadable or beside the brief."""

from __future__ import annotations

import base64
import random
from dataclasses import replace
from typing import Any

import pytest

from prompts.errors import InputError, LlmError
from prompts.optimiser import Line, proposal_messages, told
from tests.tools.search.given import SPACE, VOCABULARY, made, means, tried
from tools.search.history import History, tokens_of
from tools.search.llm import feedback_on
from tools.search.writing import history_lines

NEW = [VOCABULARY.phrase(VOCABULARY.random(random.Random(f"new {i}"))) for i in range(24)]


class Writer:
    """Answers with what it was given, in order, and remembers what it was asked."""

    def __init__(self, *answers: list[str] | Exception) -> None:
        self.answers, self.asked = list(answers), list[Any]()

    def __call__(self, messages: Any, schema: Any, **sampling: Any) -> Any:
        self.asked.append((messages, sampling))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return schema(prompts=answer)


def text_of(asked: Any) -> str:
    content = asked[0][-1]["content"]
    return content if isinstance(content, str) else "\n".join(part.get("text", "(picture)") for part in content)


def test_the_prompts_that_it_writes_are_the_proposals() -> None:
    writer = Writer(NEW[:4])
    found = made("llm", write=writer).propose(History(tuple(tried(6))), 4, random.Random(0))
    assert [one.prompt for one in found] == NEW[:4] and not any(one.reason for one in found) and len(writer.asked) == 1


def test_what_was_proposed_before_is_asked_again_then_drawn_at_random_with_the_reason() -> None:
    history = History(tuple(tried(6)))
    old = history.tried[2].prompt
    writer = Writer([NEW[0], old.upper() + ".", NEW[0], "a cat in a hat"], [old])
    found = made("llm", write=writer).propose(history, 4, random.Random(0))
    assert found[0].prompt == NEW[0] and len({one.prompt for one in found}) == 4
    assert f"Not again: {old}" in text_of(writer.asked[1]) and "Write 3 new prompts" in text_of(writer.asked[1])
    assert all("repeated 3" in one.reason and "a cat in a hat" in one.reason for one in found[1:])
    assert not {one.prompt for one in found} & {one.prompt for one in history.tried}


def test_an_answer_that_leaves_the_brief_is_mended() -> None:
    writer = Writer(NEW[:3])
    found = made("llm", "a red ring on black", write=writer).propose(History(), 3, random.Random(0))
    assert all("ring" in one.prompt and "red" in one.prompt and "black" in one.prompt for one in found)
    assert any("kept to the brief" in one.reason for one in found)
    assert "Every prompt must say: ring, red, black" in text_of(writer.asked[0])


def test_an_answer_that_cannot_be_used_is_no_answer_and_a_dead_server_is_an_error() -> None:
    class Useless(LlmError):
        problem = "prose"

    found = made("llm", write=Writer(Useless("chatter"), NEW[:2])).propose(History(), 2, random.Random(0))
    assert [one.prompt for one in found] == NEW[:2]
    with pytest.raises(LlmError, match="nobody there"):
        made("llm", write=Writer(LlmError("nobody there"))).propose(History(), 2, random.Random(0))


@pytest.mark.parametrize(
    ("context", "has", "has_not"),
    [
        ((), [], ["Tried so far", "What was said", "in the picture"]),
        (("scores", "prompts"), ["90: "], ["What was said", "in the picture"]),
        (("scores", "prompts", "feedback"), ["90: ", "What was said of the pictures: more teal"], ["in the picture"]),
        (("scores", "prompts", "feedback", "images"), ["90: ", "more teal", "in the picture: ring, teal"], []),
        (("prompts",), ["Tried so far"], ["90: "]),
    ],
)
def test_the_context_is_what_the_config_says(context: Any, has: list[str], has_not: list[str]) -> None:
    writer = Writer(NEW[:2])
    seen = [replace(one, feedback="more teal", tags=("ring", "teal"), score=9.0) for one in tried(4)]
    made("llm", context=context, write=writer).propose(History(tuple(seen)), 2, random.Random(0))
    asked = text_of(writer.asked[0])
    assert all(part in asked for part in has) and not any(part in asked for part in has_not)


def test_a_model_that_sees_gets_the_pictures_and_no_tags() -> None:
    writer = Writer(NEW[:2])
    seen = [replace(one, image=f"{i}.png", tags=("ring",)) for i, one in enumerate(tried(5))]
    parts = ("scores", "prompts", "images")
    given = made("llm", context=parts, preset="opro", write=writer, sees=True, open_image=lambda name: name.encode())
    given.propose(History(tuple(seen)), 2, random.Random(0))
    content = writer.asked[0][0][-1]["content"]
    pictures = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
    best = [one.image for one in History(tuple(seen)).best_first[:3]]
    assert pictures == ["data:image/png;base64," + base64.b64encode(name.encode()).decode() for name in reversed(best)]
    assert "in the picture: ring" not in "".join(part.get("text", "") for part in content[-6:])


def test_the_history_is_sorted_distinct_in_whole_scores_and_within_its_tokens() -> None:
    seen = [*tried(30), replace(tried(1)[0], score=0.5)]
    history, given = History(tuple(seen)), means("llm", history_tokens=120)
    lines = history_lines(history, given)
    assert 2 <= len(lines) < 10 and sum(tokens_of(told(line)) + 1 for line in lines) <= 120
    scores = [line.score for line in lines]
    assert scores == sorted(scores, key=lambda score: -(score or 0)) and all(isinstance(score, int) for score in scores)
    assert len({line.prompt for line in history_lines(history, means("llm", history_tokens=9000))}) == 30
    assert len(history_lines(history, means("llm", history_tokens=9000, preset="opro"))) == 20


def test_whole_scores_are_0_to_100_of_any_scale() -> None:
    assert [History().whole(score) for score in (0.0, 6.5, 10.0, 11.0)] == [0, 65, 100, 100]
    assert History(low=-1.0, high=1.0).whole(0.0) == 50


def test_opro_shows_the_best_last() -> None:
    lines = [Line("best", 90), Line("worst", 10)]
    asked = proposal_messages(lines, [], 8, brief="", asked="", vocabulary=None, best_last=True)[-1]["content"]
    assert asked.index("10: worst") < asked.index("90: best") and "8 new prompts" in asked


def test_crossover_by_a_language_model_shows_two_different_parents_a_child() -> None:
    writer, history = Writer(NEW[:3]), History(tuple(tried(10)))
    found = made("genetic_llm", write=writer).propose(history, 4, random.Random(0))
    assert found[0].prompt == history.best_first[0].prompt and [one.prompt for one in found[1:]] == NEW[:3]
    asked = text_of(writer.asked[0]).split("Pair ")[1:]
    assert len(asked) == 3
    for pair in asked:
        parents = pair.splitlines()[1:3]
        assert len(set(parents)) == 2 and all(any(one.prompt in line for one in history.tried) for line in parents)


def test_the_bundled_model_is_asked_in_its_own_words() -> None:
    writer, history = Writer([NEW[0], NEW[1]], [NEW[2]], [NEW[3]]), History(tuple(tried(10)), rounds_left=2)
    made("llm", dialect="native", write=writer).propose(history, 2, random.Random(0))
    system, user = (one["content"] for one in writer.asked[0][0])
    assert system.startswith("You are Palate.") and "round 1 of 3\nimages 2, left 4" in user and "guesses:" in user
    made("genetic_llm", dialect="native", write=writer, elites=0).propose(history, 2, random.Random(0))
    assert all(
        len([line for line in text_of(asked).splitlines() if line[:2].strip().isdigit()]) == 5
        for asked in writer.asked[1:]
    )


def test_feedback_is_asked_for_the_newest_round_and_its_scores() -> None:
    class Critic:
        def __call__(self, messages: Any, schema: Any, **sampling: Any) -> Any:
            self.asked = messages
            return schema(feedback="more teal")

    critic, newest = Critic(), tried(3, seed=4, round=2)
    history = History((*tried(3), *newest))
    assert feedback_on(history, means("llm", write=critic)) == "more teal"
    content = critic.asked[-1]["content"]
    assert all(one.prompt in content for one in newest) and tried(3)[0].prompt not in content
    assert feedback_on(History(), means("llm", write=critic)) == ""


@pytest.mark.parametrize("name", ["llm", "genetic_llm"])
def test_without_a_language_model_the_strategy_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"search.strategy = '{name}' asks a language model"):
        made(name)


@pytest.mark.parametrize("context", [["scores"], ["prompts", "prompts"], ["smell"]])
def test_a_context_that_cannot_be_is_told(context: list[str]) -> None:
    with pytest.raises(ValueError, match=r"scores without|a part twice|smell"):
        means("llm", context=context)
    assert SPACE.parse(NEW[0])
