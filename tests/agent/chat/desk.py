"""A terminal at which lines are typed, what it prints, and what the store then holds of the chat."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main
from agent.llm.scripted import ScriptedLlm
from agent.loop.crew import Crew
from agent.loop.listening import Wish
from agent.loop.recall import read_facts
from agent.loop.session import stored_config
from agent.replay.verify import verify
from agent.store.home import open_store
from agent.store.store import Store
from agent.store.summary import round_images
from agent.store.trail import StoreTrail
from tools.records import StepRow

BLUE = Wish(like=["blue"], avoid=["red"], reply="Blue it is.")


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
