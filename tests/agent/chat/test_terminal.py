"""agent/chat/terminal.py: what is typed is stored and answered, and a chat that was left goes on where it stood."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.cli.main import main
from agent.config import Config
from agent.llm.scripted import ScriptedLlm
from agent.loop.crew import Crew
from agent.loop.listening import Wish
from agent.loop.recall import read_facts
from agent.loop.runner import hired
from agent.loop.session import open_store, stored_config
from agent.replay.verify import verify
from agent.report.report import write_report
from agent.report.telling import decision, outcome
from agent.store.store import Store
from agent.store.summary import round_images
from agent.store.trail import StoreTrail
from prompts.errors import LlmError
from tests.agent.fast import ASK, FINISH, LEARN, PAINT, SCORE, SHORT, completion, serving
from tools.context import Studio
from tools.records import StepRow

BLUE = Wish(like=["blue"], avoid=["red"], reply="Blue it is.")
LONG = f"{'please ' * 70}teal, {'please ' * 15}red"


class Typed(io.StringIO):
    """A terminal at which these lines are typed; an exception among them is raised."""

    def __init__(self, lines: Sequence[str | BaseException]) -> None:
        super().__init__()
        self._lines = list(lines)

    def isatty(self) -> bool:
        return True

    def readline(self, *_: Any) -> str:
        line = self._lines.pop(0) if self._lines else None
        if isinstance(line, BaseException):
            raise line
        return "" if line is None else f"{line}\n"


@dataclass
class Desk:
    """A terminal, a home, and a language model that says `replies` when there are some."""

    home: Path
    write: Callable[..., Path]
    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]
    replies: list[Any] | None = None
    on_call: Callable[[Crew, Store], None] = lambda crew, store: None
    crews: list[Crew] = field(default_factory=list)

    def chat(self, *lines: str | BaseException, **changes: Any) -> tuple[int, str]:
        """A new chat: its exit status, and all it printed on one line."""
        return self.palate("chat", "--config", str(self.write(**changes)), lines=lines)

    def resume(self, *lines: str | BaseException) -> tuple[int, str]:
        """The newest chat, taken up again."""
        return self.palate("chat", "--resume", "last", lines=lines)

    def palate(self, *words: str, lines: Sequence[str | BaseException] = ()) -> tuple[int, str]:
        self.patch.setattr(sys, "stdin", Typed(lines))
        code = main(["--home", str(self.home), *words])
        return code, " ".join(" ".join(self.capture.readouterr()).split())

    @contextmanager
    def hired(self, crew: Crew, _: Any) -> Iterator[None]:
        """In place of `agent.loop.runner.hired`: every answer costs 7 tokens."""

        def heard(call: Any) -> None:
            crew.calls.append({**call, "prompt_tokens": 5, "completion_tokens": 2})
            self.on_call(crew, crew.store)

        crew.llm = None if self.replies is None else ScriptedLlm(self.replies, on_call=heard)
        self.crews.append(crew)
        yield

    @contextmanager
    def kept(self) -> Iterator[Kept]:
        """What the store holds of the newest run."""
        with open_store(self.home) as store:
            yield Kept(store, store.runs()[0].id, self.home)


@dataclass
class Kept:
    """One run in the store."""

    store: Store
    run_id: str
    home: Path

    @property
    def heard(self) -> list[StepRow]:
        return [step for step in self.store.steps(self.run_id) if step.node == "listen"]

    @property
    def wishes(self) -> tuple[str, ...]:
        return read_facts(StoreTrail(self.store, self.run_id), stored_config(self.store, self.run_id)).wishes

    def ratings(self, round: int = 1) -> dict[int, float]:
        """Number on the round's sheet to rating."""
        given = {row.image: row.value for row in self.store.ratings(self.run_id)}
        rows = round_images(self.store, self.run_id, round)
        return {number: given[row.id] for number, row in enumerate(rows, 1) if row.id in given}

    def assert_replayed(self) -> None:
        verdict = verify(self.store, self.home, self.run_id)
        assert verdict.same, verdict.differences


@pytest.fixture
def desk(
    configured: Callable[..., Config],
    models: Studio,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Desk:
    def write(**changes: Any) -> Path:
        planner = "rules" if made.replies is None else "llm"
        config = configured(**{**SHORT, "brief": "", "rater": "person", "planner": planner, **changes})
        (tmp_path / "chat.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
        return tmp_path / "chat.yaml"

    made = Desk(tmp_path / "home", write, monkeypatch, capsys)
    monkeypatch.setattr("agent.loop.crew.Studio", lambda settings: models)  # loaded once for all tests
    monkeypatch.setattr("agent.chat.terminal.hired", made.hired)
    monkeypatch.setenv("COLUMNS", "10000")
    return made


def test_ratings_are_kept_by_the_numbers_on_the_sheet(desk: Desk) -> None:
    code, told = desk.chat("", "2:8 1:3")
    assert code == 0 and "sheets/round-01.png" in told and "Done. The report is" in told
    with desk.kept() as kept:
        assert kept.ratings() == {1: 3.0, 2: 8.0}
        assert kept.store.run(kept.run_id).state == "done"
        kept.assert_replayed()


def test_a_wrong_rating_or_an_empty_line_is_explained_and_asked_again(desk: Desk) -> None:
    _, told = desk.chat("", "9:5", "", "1:7 2:eleven", "1:7", "1:6.5", "")
    for words in ("There is no image 9", "Nothing is rated yet", "'eleven' of image 2", "Kept. To go: 2; or an empty"):
        assert words in told
    with desk.kept() as kept:
        assert kept.ratings() == {1: 6.5}
        kept.assert_replayed()


def test_without_a_language_model_a_wish_is_looked_up(desk: Desk) -> None:
    _, told = desk.chat("more teal", "no red, more blue", "paint my cat", "1:1 2:2")
    for reply in ("I will try more teal.", "I will try more blue, less red.", "I know no word of that wish"):
        assert told.count(reply) == 1
    with desk.kept() as kept:
        assert [(step.step, step.planner, step.args["wish"]) for step in kept.heard] == [
            (1, "person", "more teal"), (5, "person", "no red, more blue"), (6, "person", "paint my cat"),
        ]  # fmt: skip
        assert set(kept.wishes) == {"+teal", "+blue", "-red"}
        kept.assert_replayed()


def test_a_wish_has_one_reading_that_counts_the_language_models(desk: Desk) -> None:
    desk.replies = [BLUE, PAINT, ASK, Wish(like=["ring"], avoid=[], reply="Rings, then."), LEARN, FINISH]
    _, told = desk.chat("anything but teal", "my ex wore a green ring", "1:1 2:2")
    assert "Blue it is." in told and "Rings, then." in told and "I will try" not in told
    with desk.kept() as kept:
        assert [(step.step, step.planner, step.args.get("instead_of")) for step in kept.heard] == [
            (1, "person", None), (2, "llm", 1), (5, "person", None), (6, "llm", 5),
        ]  # fmt: skip
        assert set(kept.wishes) == {"+blue", "-red", "+ring"}  # neither teal nor green, which were only looked up
        assert [decision(step) for step in kept.heard][:2] == [
            'wish: "anything but teal"', "read the wish of step 1 in place of the look-up",
        ]  # fmt: skip
        assert outcome(kept.heard[1]) == '+blue -red; "Blue it is."'


def test_the_words_are_stored_before_the_language_model_is_asked(desk: Desk) -> None:
    stored: list[Any] = []
    desk.on_call = lambda crew, store: stored.extend(store.steps(store.runs()[0].id)[-1:])
    desk.replies = [BLUE, FINISH]
    desk.chat("calmer")
    assert (stored[0].node, stored[0].args) == ("listen", {"wish": "calmer"})


def test_a_wish_that_a_crash_left_unread_is_read_when_the_chat_goes_on(desk: Desk) -> None:
    desk.replies = [RuntimeError("struck")]
    with pytest.raises(RuntimeError, match="struck"):
        desk.chat("more teal")
    with desk.kept() as kept:
        assert kept.wishes == ("+teal",)
    desk.replies = [BLUE, PAINT, ASK, LEARN, FINISH]
    code, told = desk.resume("1:1 2:2")
    assert code == 0 and told.count("Blue it is.") == 1
    with desk.kept() as kept:
        assert [step.step for step in kept.heard] == [1, 2] and set(kept.wishes) == {"+blue", "-red"}


def test_a_language_model_that_fails_costs_no_wish(desk: Desk) -> None:
    desk.replies = [LlmError("gone"), PAINT, ASK, LEARN, FINISH]
    _, told = desk.chat("more teal", "1:1 2:2")
    assert "did not answer" in told and "I will try more teal." in told
    with desk.kept() as kept:
        assert kept.wishes == ("+teal",)


def test_what_is_cut_of_a_long_wish_is_told_and_stored(desk: Desk) -> None:
    assert len(LONG) > 600
    _, told = desk.chat(LONG, "1:1 2:2")
    assert f'I will try more teal. (I read 500 characters of a wish and left out: "{"please " * 15}red".' in told
    with desk.kept() as kept:
        assert kept.heard[0].args == {"wish": LONG} and kept.wishes == ("+teal",)


def test_a_long_wish_is_cut_for_the_language_model_too(desk: Desk) -> None:
    desk.replies = [BLUE, PAINT, ASK, BLUE, LEARN, FINISH]
    _, told = desk.chat("x" * 600, "y" * 600, "1:1 2:2")
    assert f'Blue it is. (I read 500 characters of a wish and left out: "{"x" * 100}"' in told
    asked = [messages[-1]["content"] for messages in desk.crews[0].llm.asked]
    assert "wish: " + "x" * 500 in asked and "wish: " + "y" * 500 in asked


def test_who_leaves_is_told_how_to_go_on_and_finds_everything_there(desk: Desk) -> None:
    code, told = desk.chat("", "1:7", "more teal", "quit")
    with desk.kept() as kept:
        assert code == 0 and f"`palate chat --resume {kept.run_id}` goes on" in told
        assert kept.store.run(kept.run_id).state == "stopped" and kept.ratings() == {1: 7.0}
        report = write_report(kept.store, kept.run_id, kept.home / "runs" / kept.run_id).read_text()
        assert f"`palate chat --resume {kept.run_id}` goes on" in report
    code, told = desk.resume("2:4")
    assert code == 0 and "To rate: 2." in told and "Done." in told
    with desk.kept() as kept:
        assert kept.ratings() == {1: 7.0, 2: 4.0} and kept.wishes == ("+teal",)
        kept.assert_replayed()
    code, told = desk.resume()
    assert code == 1 and "is done" in told


def test_who_leaves_before_the_first_wish_may_still_wish(desk: Desk) -> None:
    assert desk.chat("Quit")[0] == 0
    with desk.kept() as kept:
        assert kept.store.run(kept.run_id).state == "stopped" and kept.heard == []
    assert desk.resume("more teal", "1:1 2:2")[0] == 0
    with desk.kept() as kept:
        assert kept.wishes == ("+teal",)


def test_the_end_of_the_input_is_leaving_too(desk: Desk) -> None:
    code, told = desk.chat("", "1:7")
    assert code == 0 and "palate chat --resume" in told


def test_a_signal_is_no_leaving_but_says_how_to_go_on_too(desk: Desk) -> None:
    code, told = desk.chat("", KeyboardInterrupt("SIGINT"))
    with desk.kept() as kept:
        assert (
            code == 130
            and f"Stopped by SIGINT. Everything so far is stored; `palate chat --resume {kept.run_id}`" in told
        )
        assert kept.store.run(kept.run_id).state == "stopped"
    code, told = desk.palate("resume", "last")
    assert code == 1 and "`palate chat --resume" in told


def test_flags_beside_resume_are_refused_by_name(desk: Desk) -> None:
    desk.chat("quit")
    code, told = desk.palate("chat", "--resume", "last", "--rounds", "3", "--llm-url", "http://127.0.0.1:9/v1")
    assert code == 1 and "--rounds, --llm-url cannot be changed" in told and "'last' alone" in told


def test_numbers_stay_those_of_the_sheet_when_part_of_a_round_is_rated(desk: Desk) -> None:
    desk.replies = [PAINT, ASK, ASK, LEARN, FINISH]
    code, told = desk.chat("", "1:5 3:6", "", "3:9", "4:2", "2:1", images_per_round=4)
    assert code == 0 and "To rate: 2, 4." in told and "Image 3 is not asked about now: rate 2, 4." in told
    with desk.kept() as kept:
        assert kept.ratings() == {1: 5.0, 2: 1.0, 3: 6.0, 4: 2.0}


def test_the_tokens_of_wishes_count_at_once(desk: Desk) -> None:
    desk.replies = [BLUE, PAINT, ASK, BLUE, LEARN, FINISH]
    desk.chat("calmer", "calmer still", "1:1 2:2")
    with desk.kept() as kept:
        assert len(kept.store.llm_calls(kept.run_id)) == 6 and desk.crews[0].tokens == 6 * 7


def test_a_chat_whose_tokens_a_wish_used_up_is_replayed_to_the_same_end(desk: Desk) -> None:
    desk.patch.setattr("agent.chat.terminal.hired", hired)  # a real client of a server on loopback
    said = [BLUE.model_dump_json(), PAINT, ASK, BLUE.model_dump_json(), SCORE, LEARN]
    with serving(lambda number, _: completion(said[number])) as url:
        desk.replies = []
        limits = {"trainings": 0, "llm_tokens": 90}  # 20 an answer
        code, _ = desk.chat("calmer", "bluer", "1:1 2:2", llm={"url": url, "model": "scripted"}, limits=limits)
    assert code == 0
    with desk.kept() as kept:
        tools = [step.tool for step in kept.store.steps(kept.run_id)]
        assert tools == [None, None, "generate_images", "ask_person", None, None, "score_images"]
        kept.assert_replayed()


def test_a_choice_is_one_key_and_undo_takes_it_back(desk: Desk) -> None:
    desk.replies = [PAINT, ASK, BLUE, FINISH]
    lines = ("", "u", "", "a b 1", "a", "=", "u", "0 s", "b", "u", "s", "")
    code, told = desk.chat(*lines, images_per_round=4, asking={"kind": "ab", "clicks": 4})
    assert code == 0
    for words in (
        "4 questions: ", "sheets/questions-002.png", "there is nothing to undo", "Nothing is answered yet.", "Question 2 of 4: A or B?",
        "The answer to question 2 is taken back.", "Blue it is.", "Everything is answered", "question 4 is taken back",
    ):  # fmt: skip
        assert words in told
    with desk.kept() as kept:
        rows = {row.question: row for row in kept.store.answers(kept.run_id)}
        assert [rows[number].answer for number in range(4)] == [rows[0].shown[0], "both bad", "skip", "skip"]
        assert len(kept.store.answers(kept.run_id, superseded=True)) == 6


def test_a_pick_of_four_is_a_number_and_who_leaves_goes_on_where_they_stood(desk: Desk) -> None:
    desk.replies = [PAINT, ASK, BLUE, FINISH]
    how = {"images_per_round": 8, "asking": {"kind": "best", "clicks": 3}}
    code, told = desk.chat("", "3", "5", "quit", **how)
    assert code == 0 and "palate chat --resume" in told
    desk.replies = [FINISH]
    code, told = desk.resume("1", "0", "")
    assert code == 0 and "Question 2 of 3" in told and "Question 1 of 3" not in told
    with desk.kept() as kept:
        rows = kept.store.answers(kept.run_id)
        assert [row.shown.index(row.answer) if row.answer in row.shown else row.answer for row in rows] == [
            2,
            0,
            "both bad",
        ]
        assert len(kept.store.comparisons(kept.run_id)) == 6


def test_more_like_a_picture_is_kept_and_a_picture_that_is_not_there_told(desk: Desk) -> None:
    code, told = desk.chat("", "more like 9", "More like 2.", "1:1 2:2")
    assert code == 0 and "There is no such picture on the sheet" in told and "More like that one" in told
    with desk.kept() as kept:
        second = round_images(kept.store, kept.run_id, 1)[1].id
        assert StoreTrail(kept.store, kept.run_id).wanted_more() == [second]
        assert kept.wishes == () and kept.heard[-1].args == {"wish": "More like 2.", "more_like": second}
        kept.assert_replayed()


def test_after_eight_ratings_the_chat_says_how_sure_it_is(desk: Desk) -> None:
    code, told = desk.chat("", " ".join(f"{number}:{number}" for number in range(1, 9)), images_per_round=8)
    assert code == 0 and "I order your pictures rightly in " in told and "of held-out pairs, from 8 answers." in told
    with desk.kept() as kept:
        kept.assert_replayed()
