"""agent/chat/terminal.py: what is typed is stored and answered, and a chat that was left goes on where it stood."""

from __future__ import annotations

from agent.report.report import write_report
from tests.agent.chat.desk import BLUE, Desk
from tests.agent.fast import ASK, FINISH, LEARN, PAINT


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


def test_who_leaves_is_told_how_to_go_on_and_finds_everything_there(desk: Desk) -> None:
    code, told = desk.chat("", "1:7", "more teal", "quit")
    with desk.kept() as kept:
        assert code == 0 and f"`palate --home {kept.home} chat --resume {kept.run_id}` goes on" in told
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


def test_the_end_of_the_input_is_leaving_too(desk: Desk) -> None:
    code, told = desk.chat("", "1:7")
    assert code == 0 and "chat --resume" in told


def test_a_signal_is_no_leaving_but_says_how_to_go_on_too(desk: Desk) -> None:
    code, told = desk.chat("", KeyboardInterrupt("SIGINT"))
    with desk.kept() as kept:
        assert (
            code == 130
            and f"Stopped by SIGINT. Everything so far is stored; `palate --home {kept.home} chat --resume {kept.run_id}`"
            in told
        )
        assert kept.store.run(kept.run_id).state == "stopped"
    code, told = desk.palate("resume", "last")
    assert code == 1 and "`palate --home" in told and "chat --resume" in told


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
    assert code == 0 and "chat --resume" in told
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


def test_after_eight_ratings_the_chat_says_how_sure_it_is(desk: Desk) -> None:
    code, told = desk.chat("", " ".join(f"{number}:{number}" for number in range(1, 9)), images_per_round=8)
    assert code == 0 and "I order your pictures rightly in " in told and "of held-out pairs, from 8 answers." in told
    with desk.kept() as kept:
        kept.assert_replayed()
