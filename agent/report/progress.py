"""What a person sees while a run goes on: each decision with its reason in a line or two, and bars while they wait.

Lines go to standard output, or to standard error where that is kept for JSON; bars always to standard error. Knows nothing of the graph;
a `Narrator`'s methods fit its callbacks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.text import Text

from agent.report.telling import decision, outcome, planner, reason, warning
from prompts.ground.clean import clean, harmless
from prompts.ground.console import bars, make_console
from tools.records import StepRow

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

PARTS = {
    "paint": "painting", "pool": "painting the pool", "without": "painting without the adapter",
    "with": "painting with the adapter", "anchors": "painting anchors", "train": "training", "score": "scoring",
}  # fmt: skip
SERVER = "waiting for the language model's server"
SILENCE = 10.0  # seconds between two lines where no bar can be drawn


class Narrator:
    """A context manager; leaving it clears the bars.

    `quiet`: standard error, and a single line a step. `ratings` gives image id to 0..10 of the ids it is asked about, to tell what a
    person answered; `earlier` are the steps of a run that is taken up again.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        console: Console | None = None,
        ratings: Callable[[Sequence[str]], Mapping[str, float]] | None = None,
        earlier: Iterable[StepRow] = (),
    ) -> None:
        self.quiet, self.console = quiet, console or make_console(stderr=quiet)
        self._ratings, self._round = ratings, 0
        self._last: StepRow | None = None
        self._newest: dict[str, StepRow] = {}  # of each tool that worked: all that a reason goes by
        for step in earlier:
            self._remember(step)
        self._bars = bars()
        self._tasks: dict[str, TaskID] = {}
        self._spoke: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Clear the bars. Printing goes on working."""
        for part in list(self._tasks):
            self._finish(part)
        self._bars.stop()

    def on_step(self, step: StepRow) -> None:
        """Tell a recorded step: who decided what and why, and what came of it."""
        for part in [part for part in self._tasks if part != SERVER]:
            self._finish(part)
        self._tell_answer()
        if step.round != self._round and not self.quiet:
            self._above().rule(f"round {step.round}", align="left", style="dim")
        why = reason(step, list(self._newest.values()))
        came = outcome(step, self._answers(step))
        self._remember(step)
        if self.quiet:
            self.say(f"step {step.step} ({step.planner or step.node}): {decision(step)}; {came}")
        else:
            self.say(f"{step.step:>3}  {planner(step)}: {decision(step)}" + (f" ({why})" if why else ""))
            self.say(f"     {came}  [{step.seconds:.1f} s]", style="red" if step.error is not None else "dim")
        if warning(step):
            self.say(f"     {warning(step)}", style="bold red")

    def _tell_answer(self) -> None:
        """What the person answered to the last step, now that the answer is there."""
        last = self._last
        ratings = self._answers(last) if last is not None and last.error is None else {}
        if last is not None and ratings:
            self.say(f"     {outcome(last, ratings)}", style=None if self.quiet else "dim")

    def _answers(self, step: StepRow) -> Mapping[str, float]:
        """What the person said to the pictures that a step asked about."""
        asked = step.facts.get("asked") if step.tool == "ask_person" else None
        if self._ratings is None or not isinstance(asked, list):
            return {}
        return {image: value for image, value in self._ratings(list(map(str, asked))).items() if image in asked}

    def _remember(self, step: StepRow) -> None:
        """Not the steps themselves: a long run has tens of thousands."""
        self._last, self._round = step, step.round
        if step.tool and step.error is None:
            self._newest[step.tool] = step

    def progress(self, part: str, done: int, total: int) -> None:
        """Move the bar of `part` to `done` of `total`; it goes away when full. A `total` of 0 is not known."""
        label = PARTS.get(part, clean(part, 60))
        if total and done >= total:
            self._finish(part)
        elif not self._bars.disable:
            self._move(part, label, done, total)
        else:
            self._now_and_then(part, f"{label}: {done}" + (f" of {total}" if total else ""))

    def waiting(self, seconds: float, line: str) -> None:
        """The model server is starting: `seconds` so far, and the last line of its log. Ends with `waited`."""
        told = f"{SERVER} ({clean(line, 60)})" if line else SERVER
        if not self._bars.disable:
            self._move(SERVER, told, int(seconds), 0)
        else:
            self._now_and_then(SERVER, f"{told}: {seconds:.0f} s")

    def waited(self) -> None:
        """The server answers."""
        self._finish(SERVER)

    def say(self, text: str, style: str | None = None) -> None:
        """A line above the bars, as it is: no markup, no terminal codes."""
        self._above().print(Text(harmless(text).rstrip(), style=style or ""), soft_wrap=self.quiet or None)

    def _above(self) -> Console:
        """Where lines are printed so that the bars stay below them: a terminal shows both, a file only the lines."""
        return self._bars.console if self._tasks and self.console.is_terminal else self.console

    def _move(self, part: str, label: str, done: int, total: int) -> None:
        if part not in self._tasks:
            self._bars.start()
            self._tasks[part] = self._bars.add_task(label, total=total or None)
        self._bars.update(self._tasks[part], description=label, completed=done, total=total or None, refresh=True)

    def _now_and_then(self, part: str, text: str) -> None:
        """Where lines stay (a file, a pipe), one in a while will do."""
        if time.monotonic() - self._spoke.get(part, -SILENCE) >= SILENCE:
            self._spoke[part] = time.monotonic()
            self.say(f"     {text}")

    def _finish(self, part: str) -> None:
        task = self._tasks.pop(part, None)
        self._spoke.pop(part, None)
        if task is not None:
            self._bars.remove_task(task)
        if not self._tasks:
            self._bars.stop()
