"""The whole graph with the bundled language model behind a real vLLM server."""

from pathlib import Path

import pytest

from agent.config import make_config
from agent.llm.brain import make_client
from agent.loop.crew import Crew
from agent.loop.listening import understand
from agent.loop.people import simulated_person
from agent.loop.session import drive, new_run
from agent.replay.verify import verify
from agent.store.home import open_store
from agent.store.summary import summarise

pytestmark = pytest.mark.vllm

SMALL = {
    "rater": 3, "rounds": 2, "images_per_round": 4, "steps": 6, "limits": {"images": 8, "trainings": 0}, "brief": "find my taste",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, studio: Path, llm_server):
    """A finished run planned by the language model."""
    home = tmp_path_factory.mktemp("home")
    config = make_config(SMALL)
    with open_store(home) as store:
        run_id = new_run(config, home, store)
        crew = Crew(config, home, store)
        with make_client(
            config, llm_server.base_url, llm_server.model, lambda call: crew.calls.append(dict(call)), tight=True
        ) as crew.llm:
            drive(crew, run_id, simulated_person(crew, run_id))
            yield crew, run_id


def test_the_language_model_plans_a_run_to_its_end(run) -> None:
    crew, run_id = run
    steps = crew.store.steps(run_id)
    assert crew.store.run(run_id).state == "done"
    assert steps[-1].tool == "finish"
    assert {"generate_images", "score_images", "ask_person", "learn_taste", "evolve_prompts"} <= {
        step.tool for step in steps
    }
    assert len(crew.store.ratings(run_id)) == 8


def test_its_plans_execute_as_given(run) -> None:
    crew, run_id = run
    plans = summarise(crew.store, run_id)["plans"]
    assert plans["as_given"] / plans["total"] >= 0.9, plans


def test_its_prompts_are_prompts_of_the_vocabulary(run) -> None:
    crew, run_id = run
    prompts = [row.prompt for row in crew.store.images(run_id)]
    readable = [prompt for prompt in prompts if crew.vocabulary.parse(prompt)]
    assert len(readable) >= 0.75 * len(prompts), prompts


def test_every_request_and_answer_is_in_the_log(run) -> None:
    crew, run_id = run
    calls = crew.store.llm_calls(run_id)
    assert {call.purpose for call in calls} == {"plan", "feedback"}
    assert all(call.request["messages"] and call.response and call.completion_tokens > 0 for call in calls)


def test_it_is_verified_without_any_server(run) -> None:
    crew, run_id = run
    verdict = verify(crew.store, crew.home, run_id)
    assert verdict.same, verdict.differences
    assert verdict.images == 8


def test_it_understands_a_wish(run) -> None:
    crew, _ = run
    heard = understand(crew.llm, "I love teal, no red", crew.vocabulary)
    assert "teal" in heard.like
    assert "red" not in heard.like
