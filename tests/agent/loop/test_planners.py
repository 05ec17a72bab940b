"""agent/loop/planners.py: the rules give plans that run, honour wishes, and never try the same failure twice."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from agent.llm.answers import InvalidPlan, ToolCall
from agent.llm.scripted import ScriptedLlm
from agent.loop.planners import plan_by_llm, plan_by_rules, useful_tools, wished_genome
from prompts.facts import Facts
from prompts.routine import next_call
from prompts.vocabulary import load_vocabulary
from tests.tools.profiles.made import ANN, person
from tools.actions.catalogue import TOOLS
from tools.profiles.taste import Start

VOCABULARY = load_vocabulary("bauhaus")


def rules(facts: Facts, **options: Any) -> Any:
    return plan_by_rules(facts, VOCABULARY, **{"seed": 1, **options})


def after(plan: Any, facts: Facts) -> Facts:
    """The facts once a plan has worked."""
    if plan.tool == "generate_images":
        wanted = len(plan.args["prompts"]) + plan.args["evolved"]
        return replace(facts, round=facts.round + 1, done=(), evolved=0, images_left=facts.images_left - wanted)
    changes: dict[str, Any] = {
        "evolve_prompts": {"evolved": 8}, "finetune": {"adapter": "trained", "trainings_left": facts.trainings_left - 1},
        "evaluate_adapter": {"adapter": "promoted"},
    }.get(plan.tool, {})  # fmt: skip
    return replace(facts, done=(*facts.done, plan.tool), **changes)


@pytest.mark.parametrize("rounds", [1, 2, 4])
@pytest.mark.parametrize("trainings", [0, 1])
def test_the_rules_lead_from_nothing_to_the_end(rounds: int, trainings: int) -> None:
    facts, tools = Facts(rounds=rounds, trainings_left=trainings, images_left=100), []
    while "finish" not in tools and len(tools) < 100:
        plan = rules(facts)
        TOOLS[plan.tool].arguments.model_validate(plan.args)
        tools.append(plan.tool)
        facts = after(plan, facts)
    assert tools.count("generate_images") == rounds and tools.count("finetune") == trainings
    assert tools.count("ask_person") == tools.count("learn_taste") == rounds
    assert tools[-1] == "finish" and tools.count("evolve_prompts") == rounds - 1


def test_prompts_are_distinct_and_of_the_vocabulary() -> None:
    prompts = rules(Facts(images_per_round=8)).args["prompts"]
    assert len(set(prompts)) == 8 and all(VOCABULARY.parse(prompt) for prompt in prompts)


def test_evolved_prompts_fill_a_round_first() -> None:
    facts = Facts(round=1, done=("evolve_prompts",), evolved=8)
    assert rules(facts).args == {"prompts": [], "evolved": 8}
    plan = rules(replace(facts, evolved=3))
    assert plan.args["evolved"] == 3 and len(plan.args["prompts"]) == 5


def test_no_more_prompts_than_images_are_left() -> None:
    assert len(rules(Facts(images_left=3)).args["prompts"]) == 3


def test_the_same_seed_gives_the_same_plan_and_another_gives_another() -> None:
    assert rules(Facts()) == rules(Facts())
    assert rules(Facts()) != rules(Facts(), seed=2)


def test_unwanted_words_never_appear_and_loved_ones_often() -> None:
    facts = Facts(wishes=("+teal", "-hatched", "-red", "-one"))
    genomes = [wished_genome(facts, VOCABULARY, random.Random(seed)) for seed in range(300)]
    words = [word for genome in genomes for word in genome.values()]
    assert not {"hatched", "red", "one"} & set(words)
    assert words.count("teal") > 2.5 * words.count("green")
    assert all(genome[first] != genome[second] for genome in genomes for first, second in VOCABULARY.different)


def test_a_gene_whose_every_word_is_unwanted_keeps_its_words() -> None:
    facts = Facts(wishes=("-small", "-large"))
    assert wished_genome(facts, VOCABULARY, random.Random(0))["size"] in ("small", "large")


def test_what_failed_is_passed_over_and_in_the_end_the_run_is_finished() -> None:
    facts = Facts(round=4, rounds=4, done=("score_images",))
    assert rules(facts).tool == "ask_person"
    assert rules(facts, failed=frozenset({"ask_person"})).tool == "give_feedback"
    tools = frozenset({"ask_person", "give_feedback", "learn_taste", "finetune"})
    assert rules(facts, failed=tools).tool == "finish"
    assert rules(Facts(), failed=frozenset({"generate_images"})).tool == "finish"


def test_the_language_models_call_becomes_a_plan() -> None:
    llm = ScriptedLlm([ToolCall("finish", {"summary": "so"}, repaired=True)])
    plan = plan_by_llm(llm, [], seed=0, facts=Facts())
    assert (plan.planner, plan.tool, plan.args, plan.repaired) == ("llm", "finish", {"summary": "so"}, True)


def test_a_useless_answer_becomes_a_plan_without_a_tool() -> None:
    plan = plan_by_llm(ScriptedLlm([InvalidPlan("prose", "well")]), [], seed=0, facts=Facts())
    assert plan.tool is None and plan.problem is not None and "prose" in plan.problem


def test_the_language_model_may_only_choose_what_gets_a_run_further() -> None:
    start = Facts(rounds=2, images_per_round=4)
    assert useful_tools(start) == {"generate_images"}
    painted = replace(start, round=1)
    assert useful_tools(painted) == {"score_images", "ask_person"}
    rated = replace(painted, done=("score_images", "ask_person", "give_feedback"))
    assert useful_tools(rated) == {"generate_images", "learn_taste", "evolve_prompts"}
    last = replace(rated, round=2, done=(*rated.done, "learn_taste"))
    assert useful_tools(last) == {"finetune"}
    assert useful_tools(replace(last, adapter="trained")) == {"evaluate_adapter", "select_anchors"}
    assert "finish" in useful_tools(replace(last, adapter="promoted", trainings_left=0))


@pytest.mark.parametrize("round", [0, 1, 2])
def test_what_the_routine_proposes_is_always_useful(round: int) -> None:
    order = ("score_images", "ask_person", "give_feedback", "learn_taste", "evolve_prompts")
    for count in range(6 if round == 1 else 5):
        facts = Facts(round=round, rounds=2, done=order[:count] if round else ())
        assert next_call(facts)[0] in useful_tools(facts)


def test_a_first_round_that_starts_from_a_profile_has_half_of_its_words_and_all_of_the_wishes() -> None:
    start, vocabulary = Start(person("ann", ANN), 1.0), VOCABULARY
    facts = Facts(images_per_round=8, wishes=("-ring",))
    plan = plan_by_rules(facts, vocabulary, seed=3, start=start)
    grounds = [(vocabulary.parse(prompt) or {})["background"] for prompt in plan.args["prompts"]]
    assert len(set(plan.args["prompts"])) == 8 and grounds[:4].count("teal") >= 3
    assert not any("ring" in prompt for prompt in plan.args["prompts"])
    later = Facts(round=1, images_per_round=8, done=("evolve_prompts",), evolved=4)
    assert plan_by_rules(later, vocabulary, seed=3, start=start) == plan_by_rules(later, vocabulary, seed=3)
