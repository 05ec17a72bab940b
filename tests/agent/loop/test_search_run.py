"""A run whose config chooses how it searches: its rounds are the strategy's, and its record repeats them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.chat.terminal import keep_wish
from agent.config import make_config
from agent.llm.answers import InvalidPlan, ToolCall
from agent.llm.scripted import ScriptedLlm
from agent.loop.crew import make_settings
from agent.loop.planners import PROPOSE, native_writer
from agent.replay.verify import recorded_answers, verify
from prompts.errors import InputError
from prompts.vocabulary import load_vocabulary
from tests.agent.fast import ASK, FEEDBACK, FINISH, LEARN, PAINT, PROMPT, SCORE, Started, completion
from tests.tools.given import Trail, context
from tools.actions.feedback import Feedback
from tools.records import LlmCall
from tools.search.record import means_of
from tools.search.space import Space
from tools.search.writing import Prompts
from tools.searching import SearchSpec

VOCABULARY = load_vocabulary("bauhaus")
WRITTEN = [VOCABULARY.phrase(VOCABULARY.random(random.Random(f"written {i}"))) for i in range(4)]
AGAIN = ToolCall("evolve_prompts", {"children": 1, "mutation": 0.2, "elites": 1})
PLAN = [PAINT, SCORE, ASK, FEEDBACK, Feedback(feedback="You like teal."), LEARN, AGAIN]


def evolved(run: Started) -> dict[str, Any]:
    result = next(step.result for step in run.steps if step.tool == "evolve_prompts")
    assert isinstance(result, dict)
    return result


@pytest.mark.parametrize("strategy", ["belief"])
def test_a_round_is_the_strategys_and_keeps_the_brief(begin: Callable[..., Started], strategy: str) -> None:
    run = begin(
        rounds=2, images_per_round=3, search={"strategy": strategy}, brief="a teal ring", wishes=["-hatched"]
    ).drive()
    result = evolved(run)
    second = [row.prompt for row in run.store.images(run.run_id) if row.round == 2]
    assert result["strategy"] == strategy and second == result["prompts"] and len(second) == 3
    assert all("teal" in prompt and "ring" in prompt and "hatched" not in prompt for prompt in second)
    assert verify(run.store, run.home, run.run_id).same


def test_without_the_key_a_run_breeds_as_ever(begin: Callable[..., Started]) -> None:
    run = begin(rounds=2, images_per_round=4).drive()
    result, second = evolved(run), [row.prompt for row in run.store.images(run.run_id) if row.round == 2]
    assert result.keys() == {"prompts", "elites"} and second == result["prompts"]


@pytest.mark.parametrize("dialect", ["plain", "native"])
def test_what_a_language_model_writes_is_painted_and_recorded(begin: Callable[..., Started], dialect: str) -> None:
    native = ToolCall("generate_images", {"prompts": WRITTEN[:1], "evolved": 0})
    answers: list[Any] = [native] * 2 if dialect == "native" else [Prompts(prompts=[PROMPT, WRITTEN[0]])] * 2
    answers = [InvalidPlan("prose", "well"), answers[0]]
    replies = [*PLAN, *answers, PAINT, SCORE, ASK, FEEDBACK, Feedback(feedback="More teal."), LEARN, FINISH]
    run = begin(replies, rounds=2, images_per_round=2, search={"strategy": "llm", "dialect": dialect}).drive()
    result = evolved(run)
    assert result["prompts"][0] == WRITTEN[0] and len(result["prompts"]) == 2
    assert "drawn at random" in next(iter(result["reasons"].values()))
    purposes = [call.purpose for step in run.steps for call in run.store.llm_calls(run.run_id, step.step)]
    assert purposes.count(PROPOSE if dialect == "native" else "search") == 2


def test_a_replay_reads_what_was_written_and_what_was_called_from_the_record() -> None:
    call = ToolCall("generate_images", {"prompts": WRITTEN[:2], "evolved": 0})
    said = Prompts(prompts=WRITTEN[2:])
    given = [(PROPOSE, completion(call)), ("search", completion(said.model_dump_json()))]
    calls = [
        LlmCall(attempt=0, purpose=purpose, model="m", request={}, response=response, seconds=0.0)
        for purpose, response in given
    ]
    found = recorded_answers(calls)
    assert (found[0].name, found[0].args) == (call.name, call.args) and found[1] == said


def test_a_native_answer_without_prompts_is_no_answer() -> None:
    with pytest.raises(InvalidPlan, match="without a prompt"):
        native_writer(ScriptedLlm([ToolCall("generate_images", {"prompts": [], "evolved": 4})]))([], Prompts)


@pytest.mark.parametrize("prompts", [["  "], ["x" * 400], ["x"] * 20])
def test_a_native_answer_of_another_shape_than_a_proposal_is_no_answer(prompts: list[str]) -> None:
    with pytest.raises(InvalidPlan, match="wrong_types"):
        native_writer(ScriptedLlm([ToolCall("generate_images", {"prompts": prompts, "evolved": 0})]))([], Prompts)


def test_a_seed_and_a_guidance_scale_can_be_genes(begin: Callable[..., Started], tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "name: mine\ntemplate: 'a {colour} {shape}'\ngenes: {colour: [red, teal, blue, black], shape: [ring, arc, bar, grid], "
        "noise: {seeds: 9}, guidance_scale: {from: 1.0, to: 4.0}}\n"
    )
    run = begin(
        rounds=2, images_per_round=3, vocabulary=str(file), search={"strategy": "genetic", "mutation": 0.5}
    ).drive()
    hows = evolved(run)["hows"]
    second = [row for row in run.store.images(run.run_id) if row.round == 2]
    painted = [(row.seed, row.sampler["guidance_scale"]) for row in second]
    assert painted == [(one["seed"], one["guidance_scale"]) for one in hows]
    assert len({row.sampler["guidance_scale"] for row in second}) > 1 and all(
        1.0 <= one["guidance_scale"] <= 4.0 for one in hows
    )
    verdict = verify(run.store, run.home, run.run_id)
    assert verdict.same, verdict.differences


@pytest.mark.parametrize(
    ("search", "told"),
    [
        ({"strategy": "magic"}, "search.strategy = 'magic'"),
        ({"strategi": "llm"}, "unknown key 'search.strategi', did you mean 'strategy'"),
        ({"strategy": "llm"}, "strategy 'llm' asks a language model, and planner: rules has none"),
        ({"context": ["scores"]}, "scores without the prompts"),
        ({"elites": 9}, "search.elites = 9"),
    ],
)
def test_a_search_that_cannot_be_is_told(search: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        make_config({"planner": "rules", "search": search})


@pytest.mark.parametrize(("model", "dialect"), [("bauhaus-lm", "native"), ("some/other", "plain")])
def test_the_dialect_is_what_the_language_model_was_taught(model: str, dialect: str) -> None:
    for said, meant in (("auto", dialect), ("plain", "plain"), ("native", "native")):
        config = make_config({"search": {"strategy": "llm", "dialect": said}, "llm": {"model": model}})
        search = make_settings(config).search
        assert search is not None and search.dialect == meant
    assert (
        make_config({"search": {}}).search == SearchSpec(dialect="auto")
        and make_settings(make_config({})).search is None
    )


@pytest.mark.parametrize(
    ("llm", "tokens"), [({}, 748), ({"context": 1024}, 200), ({"context": 8192}, 900), ({"url": "http://x/v1"}, 900)]
)
def test_the_history_has_no_more_tokens_than_the_server_has_room_for(
    tmp_path: Path, llm: dict[str, Any], tokens: int
) -> None:
    settings = make_settings(make_config({"search": {"strategy": "llm"}, "llm": llm}))
    assert settings.search is not None
    given = means_of(context(Trail(), tmp_path, settings=settings), Space(VOCABULARY), settings.search)
    assert given.spec.history_tokens == tokens


def test_a_brief_that_cannot_be_kept_is_told_before_anything_is_painted(begin: Callable[..., Started]) -> None:
    with pytest.raises(InputError, match="asks for 'red', and the wish '-red'"):
        begin(search={"strategy": "genetic"}, brief="a red ring", wishes=["-red"])


def test_a_later_wish_counts_and_the_search_goes_on(begin: Callable[..., Started]) -> None:
    run = begin(rounds=2, images_per_round=3, search={"strategy": "genetic"}, brief="a red ring, not hatched")
    keep_wish(run.crew, run.run_id, "no red", 0)
    found = evolved(run.drive())["prompts"]
    assert len(found) == 3 and all(
        "ring" in one and not {"red", "hatched"} & set(re.findall(r"\w+", one)) for one in found
    )
    assert verify(run.store, run.home, run.run_id).same
