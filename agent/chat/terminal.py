"""The chat in a terminal: the agent paints, the person rates (`3:8 5:2`) and wishes in words, until they love what they see.

Images are files; a contact sheet is made for each round and its path printed. Whatever is typed is stored before it is answered.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.chat.questioning import Questions
from agent.config import Config, run_folder
from agent.loop.crew import Crew
from agent.loop.listening import look_up, looks_like_ratings, read_more_like, read_ratings, understand
from agent.loop.people import Answer, Person, choices_of, simulated_person, to_rate
from agent.loop.runner import hired
from agent.loop.session import answered_for, drive
from agent.report.progress import Narrator
from agent.report.report import write_report
from agent.report.sheets import question_sheet, round_sheet
from agent.report.telling import how_sure, resume_command
from agent.stopping import Stopped
from agent.store.store import Store
from agent.store.summary import ratings_by_image, round_images, wanting
from prompts.errors import InputError
from prompts.ground.clean import clean
from tools.records import LlmCall, StepRecord, StepRow

HELP = "Rate with image number and 0 to 10: 3:8 5:2. Or say what you wish for in your own words: calmer, fewer things. Empty: go on. quit: stop, all is kept."
LEAVING = ("quit", "exit", "q")
LONGEST = 500  # characters that are read of a wish: a small language model has little room for it


class Left(Stopped):
    """The person left on purpose. Everything so far is stored."""


@dataclass
class TerminalPerson:
    """Asks at the terminal. Ratings may come in several lines; an empty line goes on to the next round."""

    crew: Crew
    run_id: str
    teller: Narrator

    def answer(self, asked: Mapping[str, Any]) -> Answer:
        """Every line is stored at once; wrong ones are explained and asked again. Raises Left.

        What was rated before the person left or a crash counts: only the rest is asked for. Questions are asked by agent/chat/questioning.py.
        """
        if choices_of(asked):
            return self._questions(asked)
        given = {image: value for image, value, _ in self.crew.store.ratings_of(self.run_id, asked["asked"])}
        self._show(asked, given)
        while len(given) < len(asked["asked"]):
            line = read_line(self.run_id, self.crew.config.rater)
            if not line and given:
                break
            self._take(line, asked, given)
        return {"rater": "person", "ratings": [list(pair) for pair in given.items()]}

    def _show(self, asked: Mapping[str, Any], given: Mapping[str, float]) -> None:
        self.teller.close()
        if asked.get("questions"):
            self.teller.say(
                f"The images asked about: {question_sheet(self.crew.store, self.run_id, asked, self.crew.home)}"
            )
        else:
            sheet = round_sheet(self.crew.store, self.run_id, int(asked["round"]), self.crew.home)
            self.teller.say(f"The images of round {asked['round']}: {sheet}")
        waiting = [image for image in asked["asked"] if image not in given]
        shown = self._shown(asked)
        which = f"To rate: {numbers(waiting, shown)}. " if len(waiting) < len(shown) else ""
        self.teller.say(f"{asked['question']} {which}{HELP}")

    def _take(self, line: str, asked: Mapping[str, Any], given: dict[str, float]) -> None:
        try:
            if looks_like_ratings(line):
                self._keep(line, asked, given)
            elif line:
                self.teller.say(self._hear(line, asked))
            else:
                self.teller.say(f"Nothing is rated yet. {HELP}")
        except InputError as error:
            self.teller.say(str(error))

    def _keep(self, line: str, asked: Mapping[str, Any], given: dict[str, float]) -> None:
        shown = self._shown(asked)
        ratings = read_ratings(line, shown)
        others = [image for image, _ in ratings if image not in asked["asked"]]
        if others:
            wanted = numbers(asked["asked"], shown)
            raise InputError(f"Image {numbers(others, shown)} is not asked about now: rate {wanted}.")
        self.crew.store.add_ratings(self.run_id, asked["step"], ratings, "person")
        given |= dict(ratings)
        waiting = [image for image in asked["asked"] if image not in given]
        to_go = f" To go: {numbers(waiting, shown)}; or an empty line to go on."
        self.teller.say("Kept." + (to_go if waiting else ""))

    def _questions(self, asked: Mapping[str, Any]) -> Answer:
        self.teller.close()
        sheet = question_sheet(self.crew.store, self.run_id, asked, self.crew.home)
        self.teller.say(f"{asked['question']} {len(asked['questions'])} questions: {sheet}")
        store, read = self.crew.store, lambda: read_line(self.run_id, self.crew.config.rater)
        hear_wish = lambda line: self._hear(line, asked)  # noqa: E731
        return Questions(store, self.run_id, asked, read, hear_wish, self.teller.say).answer()

    def _hear(self, line: str, asked: Mapping[str, Any]) -> str:
        """A wish in words, or for more like a picture of the sheet. Raises InputError for one that is not there."""
        wanted, round = read_more_like(line), int(asked["round"])
        if wanted is None:
            return hear(self.crew, self.run_id, line, round)
        return keep_more_like(self.crew, self.run_id, line, self._pointed_at(asked, *wanted), round)

    def _pointed_at(self, asked: Mapping[str, Any], number: int, place: int | None) -> str:
        choices = choices_of(asked)
        shown = asked["questions"][number - 1]["images"] if choices and 1 <= number <= len(asked["questions"]) else []
        shown, at = (shown, place) if choices else (self._shown(asked), number - 1 if place is None else None)
        if at is None or not 0 <= at < len(shown):
            example = "more like 2b, or more like 2.3" if choices else f"more like 1, up to {len(shown)}"
            raise InputError(
                f"There is no such picture on the sheet: name one as it is numbered there, like {example}."
            )
        return str(shown[at])

    def _shown(self, asked: Mapping[str, Any]) -> list[str]:
        """The images as the sheet numbers them, from 1: all of the round's, also when only some are asked about."""
        if asked.get("questions"):
            return to_rate(asked)
        return [row.id for row in round_images(self.crew.store, self.run_id, int(asked["round"]))]


def numbers(images: Sequence[str], shown: Sequence[str]) -> str:
    """Images by their numbers on the sheet: "3, 5"."""
    return ", ".join(str(shown.index(image) + 1) for image in images)


def read_line(run_id: str, rater: object) -> str:
    """One line from the person. Raises Left when they leave, with a word or by ending the input."""
    try:
        line = input("> ").strip()
    except EOFError:
        line = LEAVING[0]
    if line.lower() in LEAVING:
        raise Left(f"Everything so far is stored; `{resume_command(run_id, rater)}` goes on.")
    return line


def hear(crew: Crew, run_id: str, wish: str, round: int) -> str:
    """Store a wish as it was said, then read it; returns the reply."""
    return reply_to(crew, run_id, keep_wish(crew, run_id, wish, round))


def keep_wish(crew: Crew, run_id: str, wish: str, round: int) -> StepRecord:
    """A wish as a step of its own, durable on return. Its words looked up count until a language model has read it."""
    said = StepRecord(
        node="listen", step=crew.store.last_step(run_id) + 1, round=round, planner="person", args={"wish": wish},
        result=look_up(parted(wish)[0], crew.vocabulary).model_dump(),
    )  # fmt: skip
    crew.store.add_step(run_id, said)
    return said


def keep_more_like(crew: Crew, run_id: str, wish: str, image: str, round: int) -> str:
    """A wish for more like a picture, as a step of its own, durable on return; `evolve_prompts` heeds it. Returns the reply."""
    reply = "More like that one: the next round has its words again, with one or two changed."
    said = StepRecord(
        node="listen", step=crew.store.last_step(run_id) + 1, round=round, planner="person",
        args={"wish": wish, "more_like": image}, result={"like": [], "avoid": [], "reply": reply},
    )  # fmt: skip
    crew.store.add_step(run_id, said)
    return reply


def reply_to(crew: Crew, run_id: str, said: StepRow) -> str:
    """The reply to a stored wish, the run's last step. Read by the language model where there is one."""
    wish, rest = parted(str(said.args["wish"]))
    reply = str(said.facts["reply"]) if crew.llm is None else _read(crew, run_id, said, wish)
    left_out = f' (I read {LONGEST} characters of a wish and left out: "{clean(rest, 160)}". Say that again alone.)'
    return reply + (left_out if rest else "")


def parted(wish: str) -> tuple[str, str]:
    """What is read of a wish, and the rest; no word is cut in two."""
    first, *rest = textwrap.wrap(wish, LONGEST)
    return first, " ".join(rest)


def _read(crew: Crew, run_id: str, said: StepRow, wish: str) -> str:
    """Store the language model's reading, which takes the place of the look-up's: a misread word must not stay."""
    crew.calls.clear()
    heard = understand(crew.llm, wish, crew.vocabulary)
    calls = tuple(LlmCall.model_validate({**call, "attempt": i}) for i, call in enumerate(crew.calls))
    reading = StepRecord(
        node="listen", step=said.step + 1, round=said.round, planner="llm",
        args={"wish": said.args["wish"], "instead_of": said.step}, result=heard.model_dump(),
        seconds=sum(call.seconds for call in calls), llm_calls=calls,
    )  # fmt: skip
    crew.store.add_step(run_id, reading)
    crew.spend(calls)
    return heard.reply


def converse(config: Config, home: Path, store: Store, run_id: str) -> int:
    """Run a chat to its end or until the person leaves; 0 for both, but 1 where it has not got what it was for (`wanting`). Raises what
    `drive` raises."""
    earlier = store.each_step(run_id)
    with Narrator(ratings=lambda asked: ratings_by_image(store, run_id, asked), earlier=earlier) as teller:
        crew = Crew(config, home, store, on_step=lambda step: tell(teller, step), on_progress=teller.progress)
        folder = run_folder(home, run_id)
        teller.say(f"This is run {run_id}; the model is {config.model}; pictures and ratings are kept in {folder}.")
        try:
            with answered_for(store, run_id):
                talk(crew, run_id, teller)
        except Left as left:
            teller.say(str(left))
            return 0
        short = wanting(store, run_id)
        if short is not None:
            teller.say(f"palate: {short}")
    return 0 if short is None else 1


def tell(teller: Narrator, step: StepRecord) -> None:
    """A step, and after each learning how sure we are."""
    teller.on_step(step)
    for learned in step.preferences:
        sure = how_sure(learned.metrics)
        if sure:
            teller.say(f"     {sure}")


def talk(crew: Crew, run_id: str, teller: Narrator) -> None:
    """A chat from the first wish, asked for before the minute that the language model takes to start, to its report."""
    _ask_first_wish(crew, run_id, teller)
    with hired(crew, teller):
        _reply_to_last(crew, run_id, teller)
        drive(crew, run_id, _person(crew, run_id, teller))
    teller.say(f"Done. The report is {write_report(crew.store, run_id, crew.home / 'runs' / run_id)}")


def _person(crew: Crew, run_id: str, teller: Narrator) -> Person:
    simulated = crew.config.rater != "person"
    return simulated_person(crew, run_id) if simulated else TerminalPerson(crew, run_id, teller)


def _ask_first_wish(crew: Crew, run_id: str, teller: Narrator) -> None:
    if crew.store.newest_step(run_id) or crew.config.brief or not sys.stdin.isatty():
        return
    teller.say("What would you like to see? A wish in words, or an empty line to be surprised.")
    wish = read_line(run_id, crew.config.rater)
    if wish:
        keep_wish(crew, run_id, wish, 0)


def _reply_to_last(crew: Crew, run_id: str, teller: Narrator) -> None:
    """Reply to the wish at which the run stands: the first one, or one that a crash left unread."""
    last = crew.store.newest_step(run_id)
    if last is not None and last.node == "listen" and last.planner == "person" and "more_like" not in last.args:
        teller.say(reply_to(crew, run_id, last))
