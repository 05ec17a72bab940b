"""agent/loop/graph.py with a scripted language model: every tool once, and everything that a model can get wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from agent.llm.answers import InvalidPlan, ToolCall
from agent.loop.graph import Loop, build_graph
from tests.agent.fast import ASK, EVOLVE, FEEDBACK, FINISH, LEARN, OTHER, PAINT, PROMPT, SCORE, Begin, Started
from tools.actions.catalogue import TOOLS

PROSE = InvalidPlan("prose", "I would love to paint!")
USELESS = [
    PROSE,
    InvalidPlan("broken_json", '{"prompts": ['),
    InvalidPlan("wrong_types", "prompts: should be a list"),
    InvalidPlan("unknown_tool", "'paint_mona_lisa' is not one of generate_images"),
    InvalidPlan("cut_off", "{"),
    InvalidPlan("empty", ""),
]


def said(started: Started, question: int) -> str:
    """What the planner was told in question number `question`."""
    return str(started.crew.llm.asked[question][1]["content"])


def test_every_tool_runs_in_one_session(finished: Started) -> None:
    assert set(finished.tools) == set(TOOLS)
    assert [step.error for step in finished.steps] == [None] * len(finished.steps)
    assert {step.planner for step in finished.steps} == {"llm"}
    assert finished.store.run(finished.run_id).state == "done"


def test_steps_are_numbered_without_gaps_and_rounds_follow_the_paintings(finished: Started) -> None:
    assert [step.step for step in finished.steps] == list(range(1, len(finished.steps) + 1))
    rounds = [step.round for step in finished.steps]
    assert rounds == sorted(rounds) and set(rounds) == {1, 2}
    painted = [row for row in finished.store.images(finished.run_id) if row.sampler["purpose"] == "paint"]
    assert [row.round for row in painted] == [1] * 4 + [2] * 4


def test_every_image_has_its_file_and_every_file_its_row(finished: Started) -> None:
    assert finished.files() == finished.rows() != set()


def test_what_tools_made_is_in_the_trajectory(finished: Started) -> None:
    store, run_id = finished.store, finished.run_id
    purposes = {str(row.sampler["purpose"]) for row in store.images(run_id)}
    assert purposes == {"paint", "pool", "with", "without", "anchors"}
    (adapter,) = store.adapters(run_id)
    assert adapter.promoted in (True, False) and "rate" in adapter.metrics
    assert (finished.folder / adapter.path / "pytorch_lora_weights.safetensors").is_file()
    assert len(store.pairs(run_id)) == 2 and len(store.preferences(run_id)) == 2 and len(store.ratings(run_id)) == 8
    assert {row.name for row in store.scores(run_id)} == {"pickscore", "clip_t", "clip_i", "preference"}
    (job,) = store.jobs(run_id)
    assert (job.state, job.at_step, job.total) == ("done", 2, 2)


def test_half_of_a_round_can_come_from_the_last_evolution(finished: Started) -> None:
    evolve = next(step for step in finished.steps if step.tool == "evolve_prompts")
    paint = [step for step in finished.steps if step.tool == "generate_images"][1]
    assert isinstance(evolve.result, dict) and isinstance(paint.result, dict)
    assert paint.result["prompts"] == [PROMPT, *[p for p in evolve.result["prompts"] if p != PROMPT][:3]]


def test_every_question_and_answer_of_the_language_model_is_kept(finished: Started) -> None:
    calls = finished.store.llm_calls(finished.run_id)
    assert [call.purpose for call in calls].count("plan") == len(finished.steps)
    assert [call.purpose for call in calls].count("feedback") == 1
    assert all(call.request["messages"] and call.response and call.prompt_tokens == 10 for call in calls)


def test_a_checkpoint_holds_no_pixels(finished: Started, largest: dict[str, int]) -> None:
    assert finished.steps and 0 < largest["bytes"] < 65_536


def test_the_nodes_follow_one_another_in_one_direction(begin: Begin) -> None:
    run = begin([PAINT, ASK, FINISH])
    graph: Any = build_graph(Loop(run.crew, run.run_id), InMemorySaver())
    thread = {"configurable": {"thread_id": "one"}}
    nodes = [name for update in graph.stream({"run_id": run.run_id}, thread) for name in update]
    assert nodes == ["recall", "plan", "act", "record", "recall", "plan", "act", "record", "__interrupt__"]
    (waiting,) = graph.get_state(thread).interrupts
    assert waiting.value["asked"] and waiting.value["step"] == 2
    answer = {"rater": "me", "ratings": [[image, 5] for image in waiting.value["asked"]]}
    nodes = [name for update in graph.stream(Command(resume=answer), thread) for name in update]
    assert nodes == ["ask", "recall", "plan", "act", "record"]
    assert len(run.store.ratings(run.run_id)) == 2


@pytest.mark.parametrize("useless", USELESS, ids=lambda error: error.problem)
def test_a_useless_answer_is_a_step_of_its_own_that_the_next_plan_sees(begin: Begin, useless: InvalidPlan) -> None:
    run = begin([useless, FINISH]).drive()
    wrong, right = run.steps
    assert (wrong.tool, wrong.planner) == (None, "llm") and useless.problem in str(wrong.error)
    assert f"error: the language model's answer cannot be used ({useless.problem})" in said(run, 1)
    assert right.tool == "finish" and right.error is None


def test_three_useless_answers_hand_one_round_to_the_rules(begin: Begin) -> None:
    words = '{"feedback": "You like red."}'  # the rules have words found by the language model, as it would itself
    run = begin([PROSE, PROSE, PROSE, words, SCORE, FINISH], rounds=2, images_per_round=1).drive()
    assert [step.planner for step in run.steps[:3]] == ["llm"] * 3
    by_rules = [step for step in run.steps if step.planner == "rules"]
    assert [step.tool for step in by_rules] == [
        "generate_images", "score_images", "ask_person", "give_feedback", "learn_taste", "evolve_prompts", "generate_images",
    ]  # fmt: skip
    assert [(step.planner, step.tool) for step in run.steps[-2:]] == [("llm", "score_images"), ("llm", "finish")]


def test_a_good_plan_in_between_starts_the_count_anew(begin: Begin) -> None:
    run = begin([PROSE, PROSE, PAINT, PROSE, PROSE, FINISH]).drive()
    assert {step.planner for step in run.steps} == {"llm"}


class Stubborn:
    """A language model with one idea."""

    def __init__(self, call: ToolCall) -> None:
        self.call = call

    def choose_tool(self, *_: Any, **__: Any) -> ToolCall:
        return self.call

    def write(self, _: Any, schema: Any, **__: Any) -> Any:
        raise PROSE


@pytest.mark.parametrize("same", [SCORE, PAINT, EVOLVE, FEEDBACK], ids=lambda call: call.name)
def test_the_same_call_for_ever_is_ended_by_the_rules(begin: Begin, same: ToolCall) -> None:
    run = begin([], rounds=1)
    run.crew.llm = Stubborn(same)
    run.drive()
    assert run.store.run(run.run_id).state == "done" and len(run.steps) < 20
    assert (run.steps[-1].tool, run.steps[-1].planner) == ("finish", "rules")


def test_a_tool_that_cannot_act_says_why_to_the_next_plan(begin: Begin) -> None:
    run = begin([LEARN, FINISH]).drive()
    assert "too few to learn from: call ask_person" in str(run.steps[0].error)
    assert "error: 0 rated images are too few to learn from: call ask_person first." in said(run, 1)


def test_words_that_cannot_be_used_do_not_end_the_run(begin: Begin) -> None:
    run = begin([PAINT, ASK, FEEDBACK, InvalidPlan("broken_json", "{"), FINISH]).drive()
    assert run.tools[-2:] == ["give_feedback", "finish"] and "broken_json" in str(run.steps[-2].error)
    assert [call.purpose for call in run.store.llm_calls(run.run_id, run.steps[-2].step)] == ["plan", "feedback"]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (ToolCall("generate_images", {"prompts": [], "evolved": 0}), "write 1 to 8 prompts"),
        (ToolCall("generate_images", {"prompts": [""], "evolved": 0}), "prompts.0"),
        (ToolCall("generate_images", {"prompts": ["   "], "evolved": 0}), "prompts.0"),
        (ToolCall("generate_images", {"prompts": ["red " * 2500], "evolved": 0}), "at most 300"),
        (ToolCall("generate_images", {"prompts": ["red"] * 10_000, "evolved": 0}), "at most 8"),
        (ToolCall("generate_images", {"prompts": [], "evolved": 10_000}), "less than or equal to 8"),
        (ToolCall("generate_images", {"prompts": ["red"], "evolved": -1}), "greater than or equal to 0"),
        (ToolCall("generate_images", {"prompts": "red", "evolved": 0}), "valid list"),
        (ToolCall("generate_images", {"prompts": ["red"]}), "evolved: Field required"),
        (ToolCall("generate_images", {"prompts": ["red"], "evolved": 0, "style": "nice"}), "style: Extra inputs"),
        (ToolCall("ask_person", {"question": "?", "images": 0}), "greater than or equal to 1"),
        (ToolCall("ask_person", {"question": "?", "images": 10_000}), "less than or equal to 8"),
        (ToolCall("score_images", {"scorers": ["beauty"]}), "pickscore"),
        (ToolCall("learn_taste", {"kind": None}), "kind"),
        (ToolCall("finetune", {"method": "dpo", "steps": 10**9, "rank": 8}), "2000"),
        (ToolCall("evaluate_adapter", {"prompts": 4}), "call finetune first"),
        (ToolCall("select_anchors", {"anchors": 1, "samples": 2}), "call finetune first"),
    ],
    ids=lambda value: f"{value.name}-{json.dumps(value.args)[:40]}" if isinstance(value, ToolCall) else "",
)
def test_bad_arguments_are_told_and_paint_nothing(begin: Begin, call: ToolCall, told: str) -> None:
    run = begin([call, FINISH], limits={"trainings": 1}).drive()
    assert told in str(run.steps[0].error) and run.steps[0].args == call.args
    assert run.rows() == run.files() == set()


def test_prompts_in_any_script_are_painted_and_what_was_cut_off_is_told(begin: Begin) -> None:
    long = "красный квадрат на синем фоне " * 10
    strange = [long.strip()[:300], "🎨" * 60]
    run = begin([ToolCall("generate_images", {"prompts": strange, "evolved": 0}), FINISH]).drive()
    result = run.steps[0].result
    assert isinstance(result, dict) and result["prompts"] == strange and len(run.rows()) == 2
    assert isinstance(result["cut"], dict) and result["cut"][strange[0]]
    assert [row.prompt for row in run.store.images(run.run_id)] == strange


def test_a_short_prompt_is_painted_again_with_other_seeds_to_fill_a_round(begin: Begin) -> None:
    run = begin([ToolCall("generate_images", {"prompts": [OTHER], "evolved": 0}), FINISH]).drive()
    rows = run.store.images(run.run_id)
    assert [row.prompt for row in rows] == [OTHER, OTHER] and rows[0].seed != rows[1].seed


def test_the_budget_of_images_holds(begin: Begin) -> None:
    other = ToolCall("generate_images", {"prompts": [OTHER, PROMPT], "evolved": 0})
    run = begin([PAINT, other, PAINT, FINISH], rounds=9, limits={"images": 3}).drive()
    assert [row.step for row in run.store.images(run.run_id)] == [1, 1, 2]
    assert "No images are left" in str(run.steps[2].error)


def test_the_budget_of_rounds_holds(begin: Begin) -> None:
    other = ToolCall("generate_images", {"prompts": [OTHER], "evolved": 0})
    run = begin([PAINT, other, FINISH], rounds=1).drive()
    assert "All 1 rounds are painted" in str(run.steps[1].error) and len(run.rows()) == 2


def test_the_budget_of_trainings_holds(begin: Begin) -> None:
    run = begin([PAINT, ASK, LEARN, ToolCall("finetune", {"method": "dpo", "steps": 1, "rank": 1}), FINISH]).drive()
    assert "budget of 0 trainings" in str(run.steps[3].error) and not run.store.jobs(run.run_id)


def test_a_training_that_was_never_begun_costs_no_budget(begin: Begin) -> None:
    early = ToolCall("finetune", {"method": "dpo", "steps": 1, "rank": 1})
    run = begin([early, FINISH], limits={"trainings": 1}).drive()
    assert "call learn_taste first" in str(run.steps[0].error)
    assert "trainings 1" in said(run, 1) and "adapter" not in said(run, 1)


def test_the_budget_of_ratings_holds(begin: Begin) -> None:
    other = ToolCall("generate_images", {"prompts": [OTHER, PROMPT], "evolved": 0})
    run = begin([PAINT, ASK, other, ASK, FINISH], rounds=2, limits={"ratings": 1}).drive()
    assert len(run.store.ratings(run.run_id)) == 1
    assert "budget of 1 ratings" in str(run.steps[3].error)


def test_the_budget_of_tokens_ends_the_run(begin: Begin) -> None:
    run = begin([PAINT, SCORE, ASK, FINISH], limits={"llm_tokens": 1000})
    run.crew.llm._on_call = lambda call: run.crew.calls.append({**call, "prompt_tokens": 600})
    run.drive()
    assert run.tools == ["generate_images", "score_images"] and run.store.run(run.run_id).state == "done"


@pytest.mark.parametrize("steps", [1, 2])
def test_the_budget_of_steps_ends_the_run_even_at_a_question(begin: Begin, steps: int) -> None:
    run = begin([PAINT, ASK, FINISH], limits={"steps": steps}).drive()
    assert len(run.steps) == steps and run.store.run(run.run_id).state == "done"


@pytest.mark.parametrize("limits", [{"ratings": 0}, {"images": 3}, {"ratings": 1, "trainings": 1}, {"images": 1}])
def test_the_rules_end_whatever_the_budget(begin: Begin, limits: dict[str, int]) -> None:
    run = begin(rounds=3, finetune={"pool_prompts": 1}, limits={"steps": 60, **limits}).drive()
    assert run.tools[-1] == "finish" and len(run.steps) < 30
    assert len([tool for tool in run.tools if tool == "generate_images"]) <= 3
