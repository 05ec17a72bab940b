"""agent/report/progress.py: what a narrator prints, on a terminal, into a pipe, and when quiet."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from agent.report.progress import Narrator
from agent.store.store import Store
from agent.store.summary import ratings_by_image
from prompts.ground.console import make_console
from tests.agent.invented_run import invent
from tests.terminals import LONG, Terminal, piped, screen, watched
from tools.records import StepRow


@pytest.fixture
def narrator() -> Narrator:
    return Narrator(console=make_console(file=io.StringIO()))


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Where a narrator prints lines and bars from now on, 120 wide. (No fixture: pytest sets the streams between set-up and test.)"""
    shown = Terminal()
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, shown)
    return shown


def said(narrator: Narrator) -> str:
    return narrator.console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_each_step_is_told_with_planner_decision_reason_and_outcome(store: Store, tmp_path: Path) -> None:
    run = invent(store, tmp_path)
    with Narrator(
        console=make_console(file=io.StringIO()), ratings=lambda asked: ratings_by_image(store, run, asked)
    ) as narrator:
        for step in store.steps(run):
            narrator.on_step(step)
    text = said(narrator)
    for piece in ("\nround 2\n", "the language model: paint a round from 5 of its own and 3 evolved prompts",
                  "(nothing is known of the taste yet)", "8 of 8 rated, 1 to 8, mean 4.6", "the rule planner: compare",
                  "failed: the answer cannot be used (prose): [bold]hm[/bold]", "75 % of 12"):  # fmt: skip
        assert piece in text, piece


def test_what_the_person_answered_is_told_before_the_next_step() -> None:
    ratings: dict[str, float] = {}
    narrator = Narrator(console=make_console(file=io.StringIO()), ratings=lambda asked: ratings)
    narrator.on_step(
        StepRow(step=1, round=1, node="act", tool="ask_person", result={"asked": ["a", "b"]}, planner="llm")
    )
    assert "2 images asked about, none rated yet" in said(narrator)
    ratings |= {"a": 4.0, "b": 8.0}
    narrator.on_step(StepRow(step=2, round=1, node="act", tool="finish", result={"summary": "over"}, planner="llm"))
    assert said(narrator).index("2 of 2 rated, 4 to 8, mean 6.0") < said(narrator).index("over")


def test_a_run_taken_up_again_remembers_what_was_said_before() -> None:
    told = StepRow(step=1, round=1, node="act", tool="give_feedback", result={"feedback": "You like rings."})
    narrator = Narrator(console=make_console(file=io.StringIO()), earlier=[told])
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


def test_bars_move_on_a_terminal_and_go_away(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = terminal(monkeypatch)
    with Narrator() as narrator:
        for done in range(1, 9):
            narrator.progress("paint", done, 8)
        narrator.progress("train", 3, 60)
        narrator.waiting(2.0, "loading \x1b[31mweights")
        narrator.waited()
        assert list(narrator._tasks) == ["train"]
        narrator.on_step(StepRow(step=1, round=1, node="act", tool="finish", result={"summary": "over"}))
        assert not narrator._tasks
    text = shown.getvalue()
    assert "painting" in text and "training" in text and "3/60" in text and "loading [31mweights" in text
    assert [line for line in screen(text) if line][-2:] == ["  1  no planner: end the run", "     over  [0.0 s]"]


def test_without_a_terminal_a_wait_is_told_once_in_a_while(narrator: Narrator) -> None:
    for done in range(1, 60):
        narrator.progress("train", done, 60)
        narrator.waiting(float(done), "starting")
    assert said(narrator).count("training: 1 of 60") == 1 and said(narrator).count("waiting for") == 1


def test_a_part_of_unknown_length_and_name_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = terminal(monkeypatch)
    narrator = Narrator()
    narrator.progress("something else", 3, 0)
    narrator.close()
    assert "something else" in shown.getvalue()


# A server that is waited for, a step that is told meanwhile, and where the report is.
NARRATED = f"""
from agent.report.progress import Narrator
from tools.records import StepRow
with Narrator() as narrator:
    narrator.progress("paint", 1, 8)
    narrator.waiting(2.0, "loading")
    narrator.on_step(StepRow(step=1, round=1, node="act", tool="finish", result={{"summary": "over"}}))
    narrator.say("report: {LONG}")
    narrator.waited()
    narrator.progress("train", 3, 60)
"""


def test_a_narration_in_a_pipe_is_whole_lines_without_bars() -> None:
    heard = piped("-c", NARRATED, COLUMNS="40")
    assert heard.err == "" and heard.status == 0 and "\x1b" not in heard.out
    assert heard.out.splitlines() == [
        "     painting: 1 of 8", "     waiting for the language model's server (loading): 2 s", "round 1",
        "  1  no planner: end the run", "     over  [0.0 s]", f"report: {LONG}", "     training: 3 of 60",
    ]  # fmt: skip


def test_a_narration_on_a_terminal_stands_above_its_bars_which_go_away() -> None:
    heard = watched("-c", NARRATED)
    assert "painting" in heard.err and "waiting for" in heard.err and "3/60" in heard.err and "over" not in heard.out
    lines = [line for line in screen(heard.err) if line]  # where the bars were, so that these could stay below
    assert lines[0].startswith("round 1 ─") and len(lines[0]) == 60 and lines[1] == "  1  no planner: end the run"
    assert "".join(line.strip() for line in lines[3:]).replace(" ", "") == f"report:{LONG}".replace(" ", "")
    assert max(map(len, lines)) <= 60


def test_what_is_narrated_into_a_file_stays_there_while_a_terminal_shows_the_bars() -> None:
    heard = watched("-c", NARRATED, out_is_a_file=True)
    assert heard.out.splitlines() == [
        "round 1",
        "  1  no planner: end the run",
        "     over  [0.0 s]",
        f"report: {LONG}",
    ]
    assert "3/60" in heard.err and not any(screen(heard.err))
