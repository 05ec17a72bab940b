"""Replay, mode *verify*: run the real code again, with every language model answer, rating and training taken from the record.

Images must be the same by hash, and scores within a tolerance. A missing record fails; nothing is ever called live. With other
versions or on another device images must look the same (agent/replay/lookalikes.py), and the tolerance of numbers is wider.
Trainings are taken from the record too (their adapter's hash is checked): a verification needs no GPU and no server.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import BaseModel

from agent.config import Config, run_folder
from agent.llm.answers import InvalidPlan, Problem, read_call, read_object
from agent.llm.scripted import ScriptedLlm
from agent.loop.crew import Crew
from agent.loop.people import RecordedPerson
from agent.loop.planners import PROPOSE
from agent.loop.session import drive, stored_config, versions
from agent.replay.lookalikes import lookalikes
from agent.stopping import Stopped
from agent.store.store import Store
from agent.store.wholeness import OLD, changed_files, unreadable
from prompts.errors import ReplayError, ToolError
from prompts.ground.clean import clean
from prompts.ground.console import typed
from tools.actions.catalogue import TOOLS
from tools.actions.feedback import Feedback
from tools.context import nothing
from tools.records import AdapterRow, ImageRow, LlmCall
from tools.search.writing import Prompts

TOLERANCE = 1e-4  # of a score, relative to its size
ROUNDED = 2e-3  # of a number in a result: some are rounded to three places there
ELSEWHERE = 1e-2  # of either, with other versions or on another device
CALLED = frozenset({"plan", PROPOSE})  # answered by a tool call
# What the language model writes for a tool, by purpose.
WRITTEN: dict[str, type[BaseModel]] = {"feedback": Feedback, "search": Prompts}


@dataclass
class Verdict:
    """What a verification found; `differences` is empty when the run is reproduced."""

    run_id: str
    steps: int = 0
    images: int = 0
    scores: int = 0
    lookalikes: int = 0  # images that are the recorded one's like, not its equal: possible elsewhere only
    farthest: float = 0.0  # of those, in levels of 255
    elsewhere: str = ""  # what is not here as it was when the run was made
    chained: bool = True  # whether the record could be held against its chain
    seconds: dict[str, float] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether everything was reproduced."""
        return not self.differences

    def tolerance(self, here: float) -> float:
        """How far a number may be off, relative to its size; `here` where nothing is other than it was then."""
        return ELSEWHERE if self.elsewhere else here

    def told(self) -> str:
        """In a sentence, and one more when the run was made elsewhere."""
        how, then = "by hash", ""
        if self.elsewhere:
            how = f"({self.lookalikes} by look, {self.farthest:.2g} of 255 levels off at most)"
            then = f" Not as it was then: {self.elsewhere}."
        same = "The same" if self.same else "NOT the same"
        then += "" if self.chained else f" {OLD}."
        return f"{same}: {self.steps} steps, {self.images} images {how}, {self.scores} scores.{then}"


def verify(store: Store, home: Path, run_id: str, *, on_step: Callable[[Any], None] = nothing) -> Verdict:
    """Make the run again in a temporary folder and compare. Raises InputError, ReplayError (a record is missing)."""
    verdict = Verdict(run_id, elsewhere=elsewhere(store.run(run_id).versions), chained=store.chained(run_id))
    verdict.differences += store.altered(run_id) if verdict.chained else unreadable(store, run_id)
    try:
        _made_again(store, home, run_id, verdict, on_step)
    except ReplayError as error:
        raise ReplayError(f"{error}{_altered_too(verdict)}") from error
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        if not verdict.differences:
            raise
        verdict.differences.append(
            f"as it is now it cannot be made again ({type(error).__name__}: {clean(error, 160)})"
        )
    verdict.differences += changed_files(store, run_id, run_folder(home, run_id))
    return verdict


def _altered_too(verdict: Verdict) -> str:
    return f" The record is not as it was written: {verdict.differences[0]}." if verdict.differences else ""


def _made_again(store: Store, home: Path, run_id: str, verdict: Verdict, on_step: Callable[[Any], None]) -> None:
    config = stored_config(store, run_id)
    looks = lookalikes(store.images(run_id), run_folder(home, run_id))
    with tempfile.TemporaryDirectory(prefix="palate-verify-") as folder:
        again = Path(folder)
        with Store(again / "palate.sqlite") as copy:
            crew = _crew(store, home, run_id, config, copy, again, on_step)
            crew.save = looks.save if verdict.elsewhere else crew.save
            begun_with = {key: value for key, value in store.run(run_id).versions.items() if key == "profile"}
            new_id = copy.new_run(config.brief, config.model_dump(mode="json"), begun_with, config.seed)
            _lend_adapters(store, home, run_id, run_folder(again, new_id))
            _drive_again(store, run_id, crew, new_id, verdict.elsewhere)
            compare(store, run_id, copy, new_id, verdict)
    verdict.lookalikes, verdict.farthest = looks.unequal, looks.farthest


def _drive_again(store: Store, run_id: str, crew: Crew, new_id: str, other: str) -> None:
    """To the end, with the recorded person. Raises ReplayError when the record has too little or too much."""
    hear = _listener(store, run_id, crew, new_id)
    hear(0)
    ratings = store.ratings(run_id, superseded=True)
    answers = {(row.step, row.question): (row.answer, row.rater) for row in store.answers(run_id)}
    people = RecordedPerson({(row.step, row.image): (row.value, row.rater) for row in ratings}, hear, answers)
    try:
        drive(crew, new_id, people)
    except Stopped as error:  # whose advice would name the run made again, which goes with its folder
        again = typed("replay", run_id, "--mode", "verify")
        raise Stopped(f"{error.by}. Nothing of the run {run_id!r} was changed; `{again}` begins anew.") from error
    except ReplayError as error:
        why = _already_other(store.images(run_id), crew.store.images(new_id), other)
        raise ReplayError(f"{error}{why}") from error
    if crew.llm is not None and crew.llm.left:
        raise ReplayError(
            f"{crew.llm.left} recorded answers were never asked for: the run ended earlier than its record."
        )


def _already_other(old: Sequence[ImageRow], new: Sequence[ImageRow], other: str) -> str:
    """What most often is the reason of a record that is missing: a picture of another hash has another name."""
    differ = {row.sha256 for row in new} - {row.sha256 for row in old}
    if not differ:
        return ""
    then = f"; not as it was then: {other}" if other else ""
    return f" {len(differ)} of {len(new)} images painted until then are not the record's{then}."


def _crew(
    store: Store, home: Path, run_id: str, config: Config, copy: Store, again: Path, on_step: Callable[[Any], None]
) -> Crew:
    crew = Crew(config, again, copy, on_step=on_step, recorded_jobs=_recorded_jobs(store, home, run_id), profiles=home)
    if config.planner == "llm":
        used = [call for call in store.llm_calls(run_id) if _was_used(call)]
        tokens = iter([(call.prompt_tokens, call.completion_tokens) for call in used])

        def on_call(call: Any) -> None:  # with the tokens of then: a budget that ended the run must end it again
            told = dict(zip(("prompt_tokens", "completion_tokens"), next(tokens), strict=True))
            crew.calls.append({**call, **told})

        crew.llm = ScriptedLlm(recorded_answers(used), on_call=on_call)
    return crew


def _listener(store: Store, run_id: str, crew: Crew, new_id: str) -> Callable[[int], None]:
    """What a person said in words, written again where it was said: after a step, before the next tool.

    Its readings come from the record too, and cost what they cost then.
    """
    steps = store.steps(run_id)

    def hear(after: int) -> None:
        following = [step for step in steps if step.step > after]
        for step in takewhile(lambda step: step.node == "listen", following):
            record = store.step(run_id, step.step)
            crew.store.add_step(new_id, record)
            crew.spend(record.llm_calls)

    return hear


def _was_used(call: LlmCall) -> bool:
    """Not a failed attempt, which another followed; nor a wish, whose meaning is a step of its own."""
    return call.response is not None and call.purpose != "wish"


def recorded_answers(calls: Sequence[LlmCall]) -> list[Any]:
    """Each answer that was used, as the client gave it then: read again from the raw response, unless it was useless."""
    return [_answer(call) for call in calls if _was_used(call)]


def _answer(call: LlmCall) -> Any:
    kind, _, text = (call.problem or "").partition(": ")
    if kind in get_args(Problem):  # as it was judged then: the tools on offer were those of that moment
        return InvalidPlan(cast(Problem, kind), text)
    try:
        if call.purpose in CALLED:
            return read_call(call.response, list(TOOLS.values()))
        return read_object(call.response, WRITTEN[call.purpose])
    except InvalidPlan as error:
        return error


def _recorded_jobs(store: Store, home: Path, run_id: str) -> dict[int, AdapterRow | ToolError]:
    """Step to the adapter it trained, whose file must still be what was recorded; or to why the training failed."""
    failed = [step for step in store.steps(run_id) if step.tool == "finetune" and step.error is not None]
    jobs: dict[int, AdapterRow | ToolError] = {s.step: ToolError(str(s.error), retryable=False) for s in failed}
    for row in store.adapters(run_id):
        file = run_folder(home, run_id) / row.path / "pytorch_lora_weights.safetensors"
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != row.sha256:
            raise ReplayError(
                f"missing record: the adapter of step {row.step} is not at {str(file)!r} as it was recorded."
            )
        jobs[row.step] = row.model_copy(update={"promoted": None})
    return jobs


def _lend_adapters(store: Store, home: Path, run_id: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    for row in store.adapters(run_id):
        shutil.copytree(run_folder(home, run_id) / row.path, folder / row.path)


def compare(store: Store, run_id: str, copy: Store, new_id: str, verdict: Verdict) -> None:
    """Fill in the differences between a run and its repetition."""
    _compare_steps(store, run_id, copy, new_id, verdict)
    old, new = store.images(run_id), copy.images(new_id)
    verdict.images = len(new)
    lost = {row.sha256 for row in old} ^ {row.sha256 for row in new}
    if lost:
        verdict.differences.append(f"{len(lost)} image hashes differ, for example {min(lost)[:16]}")
    was = {(row.step, row.image, row.name): row.value for row in store.scores(run_id)}
    now = {(row.step, row.image, row.name): row.value for row in copy.scores(new_id)}
    verdict.scores = len(now)
    tolerance = verdict.tolerance(TOLERANCE)
    wrong = [key for key in was.keys() | now.keys() if not _close(was.get(key), now.get(key), tolerance)]
    verdict.differences += [
        f"score {name} of image {image} at step {step}: {was.get((step, image, name))} then {now.get((step, image, name))}"
        for step, image, name in wrong[:5]
    ]


def _compare_steps(store: Store, run_id: str, copy: Store, new_id: str, verdict: Verdict) -> None:
    old = [step for step in store.steps(run_id) if step.node == "act"]
    new = [step for step in copy.steps(new_id) if step.node == "act"]
    verdict.steps = len(new)
    for step in new:
        for part, seconds in {**step.seconds_by_part, "all": step.seconds}.items():
            verdict.seconds[part] = verdict.seconds.get(part, 0.0) + seconds
    if len(old) != len(new):
        verdict.differences.append(f"{len(old)} steps were recorded and {len(new)} made again")
    for before, after in zip(old, new, strict=False):
        if (before.tool, before.args, before.error is None) != (after.tool, after.args, after.error is None):
            verdict.differences.append(
                f"step {before.step}: {before.tool} {before.args} then {after.tool} {after.args} ({after.error})"
            )
        elif not alike(before.result, after.result, verdict.tolerance(ROUNDED)):
            verdict.differences.append(f"step {before.step}: {before.tool} gave {before.result} then {after.result}")


def elsewhere(made_with: Mapping[str, Any]) -> str:
    """What is not here as it was when the run was made: hashes are promised for the same versions and machine only."""
    here = versions()
    other = [
        f"{name} {made_with[name]} then, {here[name]} now"
        for name in here
        if made_with.get(name, here[name]) != here[name]
    ]
    return ", ".join(other)


def alike(before: Any, after: Any, tolerance: float = ROUNDED) -> bool:
    """Whether two results say the same: numbers within `tolerance`, relative to their size, the rest exactly."""
    if isinstance(before, dict) and isinstance(after, dict):
        return before.keys() == after.keys() and all(alike(before[key], after[key], tolerance) for key in before)
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(alike(*pair, tolerance) for pair in zip(before, after, strict=True))
    if isinstance(before, float) and isinstance(after, int | float):
        return _close(before, after, tolerance)
    return bool(before == after)


def _close(before: float | None, after: float | None, tolerance: float) -> bool:
    return before is not None and after is not None and abs(before - after) <= tolerance * max(1.0, abs(before))
