"""Questions at a terminal: two pictures or four, and one key for an answer. Each answer is stored before the next question is put.

One sheet shows all questions of a step, blind: no prompts, no scores, sides as they were drawn. Several keys on a line answer several
questions; `u` takes the newest answer back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.loop.listening import KEYS, read_keys
from agent.loop.people import Answer, choices_of
from agent.store.store import Store
from prompts.errors import InputError

PERSON = "person"
ASKED = {"ab": "A or B?", "best": "Which of the four is the best?", "worst": "Which of the four is the worst?"}


@dataclass
class Questions:
    """The choices of one step. `read` gives a line from the person, `hear` takes a wish and gives the reply, `say` tells."""

    store: Store
    run_id: str
    asked: Mapping[str, Any]
    read: Callable[[], str]
    hear: Callable[[str], str]
    say: Callable[[str], None]

    def answer(self) -> Answer:
        """Ask until every question is answered and an empty line agrees; an empty line before that leaves the rest out.

        What was answered before the person left or a crash counts. Raises what `read` raises.
        """
        self.say(help_for(self._kind))
        while True:
            waiting = self._waiting()
            self.say(self._next(waiting))
            line = self.read()
            if not line and self._given():
                return {
                    "rater": PERSON,
                    "ratings": [],
                    "answers": [list(pair) for pair in sorted(self._given().items())],
                }
            self._take(line)

    @property
    def _kind(self) -> str:
        return str(self.asked["questions"][choices_of(self.asked)[0]]["kind"])

    def _given(self) -> dict[int, str]:
        mine = [row for row in self.store.answers(self.run_id, step=self.asked["step"]) if row.rater == PERSON]
        return {row.question: row.answer for row in mine}

    def _waiting(self) -> list[int]:
        given = self._given()
        return [number for number in choices_of(self.asked) if number not in given]

    def _next(self, waiting: list[int]) -> str:
        if not waiting:
            return "Everything is answered: an empty line goes on, u takes the last answer back."
        return f"Question {waiting[0] + 1} of {len(self.asked['questions'])}: {ASKED[self._kind]}"

    def _take(self, line: str) -> None:
        try:
            keys = read_keys(line, self._kind)
            if keys is not None:
                for key in keys:
                    self._press(key)
            elif line:
                self.say(self.hear(line))
            else:
                self.say(f"Nothing is answered yet. {help_for(self._kind)}")
        except InputError as error:
            self.say(str(error))

    def _press(self, key: str) -> None:
        if key == "u":
            number = self.store.undo_answer(self.run_id, int(self.asked["step"]), PERSON)
            self.say(f"The answer to question {number + 1} is taken back.")
            return
        waiting = self._waiting()
        if not waiting:
            raise InputError(
                f"There is no question left for {key!r}: an empty line goes on, u takes the last answer back."
            )
        said, shown = KEYS[self._kind][key], self.asked["questions"][waiting[0]]["images"]
        answer = shown[said] if isinstance(said, int) else said
        self.store.add_answers(
            self.run_id, int(self.asked["step"]), self.asked["questions"], [(waiting[0], answer)], PERSON
        )


def help_for(kind: str) -> str:
    """What may be typed."""
    pick = "a or b, = as good, 0 both bad" if kind == "ab" else "1 to 4, 0 all bad"
    more = "2b" if kind == "ab" else "2.3"
    return (
        f"One key an answer: {pick}, s skip, u undo; several on a line answer several. Or say what you wish for, or `more like {more}`. "
        "Empty: go on. quit: stop, all is kept."
    )
