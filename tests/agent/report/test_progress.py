"""agent/report/progress.py: what a narrator prints, on a terminal, into a pipe, and when quiet."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from agent.report.progress import Narrator
from agent.store.store import Store
from agent.store.summary import ratings_by_image
from tests.agent.invented_run import invent
from tools.records import StepRow


def console(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=120, force_terminal=terminal, no_color=True)


def said(narrator: Narrator) -> str:
    return narrator.console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_each_step_is_told_with_planner_decision_reason_and_outcome(store: Store, tmp_path: Path) -> None:
    run = invent(store, tmp_path)
    with Narrator(console=console(), ratings=lambda: ratings_by_image(store, run)) as narrator:
        for step in store.steps(run):
            narrator.on_step(step)
    text = said(narrator)
    for piece in ("round 1 ", "round 2 ", "the language model: paint a round from 5 of its own and 3 evolved prompts",
                  "(nothing is known of the taste yet)", "8 of 8 rated, 1 to 8, mean 4.6", "the rule planner: compare",
                  "failed: the answer cannot be used (prose): [bold]hm[/bold]", "75 % of 12"):  # fmt: skip
        assert piece in text, piece


def test_what_the_person_answered_is_told_before_the_next_step() -> None:
    ratings: dict[str, float] = {}
    narrator = Narrator(console=console(), ratings=lambda: ratings)
    narrator.on_step(
        StepRow(step=1, round=1, node="act", tool="ask_person", result={"asked": ["a", "b"]}, planner="llm")
    )
    assert "2 images asked about, none rated yet" in said(narrator)
    ratings |= {"a": 4.0, "b": 8.0}
    narrator.on_step(StepRow(step=2, round=1, node="act", tool="finish", result={"summary": "over"}, planner="llm"))
    assert said(narrator).index("2 of 2 rated, 4 to 8, mean 6.0") < said(narrator).index("over")


def test_a_run_taken_up_again_remembers_what_was_said_before() -> None:
    told = StepRow(step=1, round=1, node="act", tool="give_feedback", result={"feedback": "You like rings."})
    narrator = Narrator(console=console(), earlier=[told])
    narrator.on_step(
        StepRow(step=2, round=2, node="act", tool="generate_images", result={"images": ["a"]}, planner="llm")
    )
    assert 'so far: "You like rings."' in said(narrator)


def test_quiet_goes_to_standard_error_one_line_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    with Narrator(quiet=True) as narrator:
        narrator.on_step(
            StepRow(step=1, round=1, node="act", tool="finish", result={"summary": "x" * 300}, planner="rules")
        )
        narrator.progress("paint", 1, 8)
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 2
    assert captured.err.startswith("step 1 (rules): end the run; xxx")


def test_bars_move_on_a_terminal_and_go_away() -> None:
    with Narrator(console=console(terminal=True)) as narrator:
        for done in range(1, 9):
            narrator.progress("paint", done, 8)
        narrator.progress("train", 3, 60)
        narrator.waiting(2.0, "loading \x1b[31mweights")
        narrator.waited()
        assert list(narrator._tasks) == ["train"]
        narrator.on_step(StepRow(step=1, round=1, node="act", tool="finish", result={"summary": "over"}))
        assert not narrator._tasks
    text = said(narrator)
    assert "painting" in text and "training" in text and "3/60" in text and "loading [31mweights" in text


def test_without_a_terminal_a_wait_is_told_once_in_a_while() -> None:
    narrator = Narrator(console=console())
    for done in range(1, 60):
        narrator.progress("train", done, 60)
        narrator.waiting(float(done), "starting")
    assert said(narrator).count("training: 1 of 60") == 1 and said(narrator).count("waiting for") == 1


def test_a_part_of_unknown_length_and_name_can_be_told() -> None:
    narrator = Narrator(console=console(terminal=True))
    narrator.progress("something else", 3, 0)
    narrator.close()
    assert "something else" in said(narrator)
