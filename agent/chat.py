"""The chat in a terminal: the agent paints, the person rates (`3:8 5:2`) and wishes in words, until they love what they see.

Images are files; a contact sheet is made for each round and its path printed. Whatever is typed is stored before it is answered.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.config import Config
from agent.crew import Crew
from agent.listening import look_up, looks_like_ratings, read_ratings, understand
from agent.people import Answer, simulated_person
from agent.progress import Narrator
from agent.report import write_report
from agent.runner import hired
from agent.session import Stopped, drive
from agent.sheets import round_sheet
from agent.store import Store
from agent.summary import ratings_by_image
from prompts.errors import InputError
from tools.records import StepRecord

HELP = "Rate with image number and 0 to 10: 3:8 5:2. Or say what you wish for: calmer, more teal. Empty: go on. quit: stop, all is kept."


@dataclass
class TerminalPerson:
    """Asks at the terminal. Ratings may come in several lines; an empty line goes on to the next round."""

    crew: Crew
    run_id: str
    teller: Narrator

    def answer(self, asked: Mapping[str, Any]) -> Answer:
        """Every line is stored at once; wrong ones are explained and asked again."""
        sheet = round_sheet(self.crew.store, self.run_id, int(asked["round"]), self.crew.home)
        self.teller.close()
        self.teller.say(f"The images of round {asked['round']}: {sheet}")
        self.teller.say(f"{asked['question']} {HELP}")
        given: dict[str, float] = {}
        while len(given) < len(asked["asked"]):
            line = read_line("> ")
            if line.lower() in ("quit", "exit", "q"):
                raise Stopped(f"Stopped. Go on with `palate chat --resume {self.run_id}`.")
            if not line and given:
                break
            self._take(line, asked, given)
        return {"rater": "person", "ratings": [list(pair) for pair in given.items()]}

    def _take(self, line: str, asked: Mapping[str, Any], given: dict[str, float]) -> None:
        try:
            if looks_like_ratings(line):
                ratings = read_ratings(line, asked["asked"])
                self.crew.store.add_ratings(self.run_id, asked["step"], ratings, "person")
                given |= dict(ratings)
                left = len(asked["asked"]) - len(given)
                self.teller.say(f"Kept. {left} to go, or an empty line to go on." if left else "Kept.")
            elif line:
                self.teller.say(hear(self.crew, self.run_id, line, int(asked["round"])))
            else:
                self.teller.say(f"Nothing is rated yet. {HELP}")
        except InputError as error:
            self.teller.say(str(error))


def read_line(prompt: str) -> str:
    """One line from the person; the end of input stops the chat. Raises Stopped."""
    try:
        return input(prompt).strip()
    except EOFError as error:
        raise Stopped("The input ended. Everything so far is stored; `palate chat --resume last` goes on.") from error


def hear(crew: Crew, run_id: str, wish: str, round: int) -> str:
    """Store a wish as a step of its own, first as it was said, then as it was understood; returns the reply."""
    number = crew.store.steps(run_id)[-1].step + 1
    said = look_up(wish[:500], crew.vocabulary)
    kept = StepRecord(
        node="listen", step=number, round=round, planner="person", args={"wish": wish}, result=said.model_dump()
    )
    crew.store.add_step(run_id, kept)
    if crew.llm is None:
        return said.reply
    crew.calls.clear()
    heard = understand(crew.llm, wish[:500], crew.vocabulary)
    calls = [{**call, "attempt": i} for i, call in enumerate(crew.calls)]
    crew.store.add_step(
        run_id,
        StepRecord(
            node="listen",
            step=number + 1,
            round=round,
            planner="llm",
            args={"wish": wish},
            result=heard.model_dump(),
            llm_calls=calls,
        ),
    )
    return heard.reply


def converse(config: Config, home: Path, store: Store, run_id: str) -> int:
    """Run a chat to its end or until the person stops."""
    with Narrator(ratings=lambda: ratings_by_image(store, run_id), earlier=store.steps(run_id)) as teller:
        crew = Crew(config, home, store, on_step=teller.on_step, on_progress=teller.progress)
        teller.say(
            f"This is run {run_id}; the model is {config.model}; pictures and ratings are kept in {home / 'runs' / run_id}."
        )
        if not store.steps(run_id) and not config.brief and sys.stdin.isatty():
            teller.say("What would you like to see? A wish in words, or an empty line to be surprised.")
            _first_wish(crew, run_id, read_line("> "))
        with hired(crew, teller):
            drive(
                crew,
                run_id,
                simulated_person(crew, run_id) if config.rater != "person" else TerminalPerson(crew, run_id, teller),
            )
        teller.say(f"Done. The report is {write_report(store, run_id, home / 'runs' / run_id)}")
    return 0


def _first_wish(crew: Crew, run_id: str, wish: str) -> None:
    if wish:
        heard = look_up(wish[:500], crew.vocabulary)
        crew.store.add_step(
            run_id,
            StepRecord(
                node="listen", step=1, round=0, planner="person", args={"wish": wish}, result=heard.model_dump()
            ),
        )
