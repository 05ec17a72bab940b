"""`palate demo | chat | run | resume`: a run begun, or taken up again.

Knows what a person types and reads. Heavy imports wait until a command runs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from prompts.errors import InputError, PalateError
from prompts.ground.clean import clean
from prompts.ground.console import say, typed
from tools.jobs.cores import sharing

if TYPE_CHECKING:
    from agent.config import Config

DEMO = Path(__file__).parents[2] / "configs" / "demo.yaml"
CHAT = DEMO.with_name("chat.yaml")
OF_A_NEW_RUN = ("config", "rater", "planner", "rounds", "limit_images", "seed", "llm_url", "llm_model")  # flags


def add_demo(parser: argparse.ArgumentParser) -> None:
    """The flags of `palate demo`."""
    _common(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("palate-demo"), help="the folder that receives a copy of all of it"
    )
    parser.set_defaults(command=run_config, config=DEMO, json=False)


def add_run(parser: argparse.ArgumentParser) -> None:
    """The flags of `palate run`."""
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file, for example configs/demo.yaml")
    parser.add_argument("--json", action="store_true", help="print one JSON object last, and nothing else on stdout")
    _common(parser)
    parser.set_defaults(command=run_config)


def add_chat(parser: argparse.ArgumentParser) -> None:
    """The flags of `palate chat`."""
    parser.add_argument("--config", type=Path, help=f"a YAML file; without it, configs/{CHAT.name}")
    parser.add_argument(
        "--resume", metavar="RUN", help="go on with an earlier chat (`last` is the newest run), without other flags"
    )
    _common(parser)
    parser.set_defaults(command=chat)


def add_resume(parser: argparse.ArgumentParser) -> None:
    """The flags of `palate resume`."""
    parser.add_argument("run", metavar="RUN", help="its id, or `last`")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(command=resume)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rater", type=int, help="seed of a simulated rater")
    parser.add_argument("--planner", choices=["llm", "rules"], help="who decides")
    parser.add_argument("--rounds", type=int, help="how many rounds")
    parser.add_argument("--limit-images", type=int, help="at most this many images shown")
    parser.add_argument("--seed", type=int, help="seed of the run")
    parser.add_argument(
        "--llm-url",
        help="an OpenAI-compatible server; its key comes from PALATE_LLM_KEY or OPENAI_API_KEY, and naming it here is a yes to that",
    )
    parser.add_argument("--llm-model", help="the model's name there, or a folder to serve")


def configured(chosen: argparse.Namespace) -> Config:
    """The config file with the flags laid over it. Raises InputError."""
    from agent.config import load_config, make_config

    config = load_config(
        chosen.config, rater=chosen.rater, planner=chosen.planner, rounds=chosen.rounds, seed=chosen.seed
    )
    values = config.model_dump(mode="json")
    values["llm"] |= {
        name: value for name, value in (("url", chosen.llm_url), ("model", chosen.llm_model)) if value is not None
    }
    if chosen.limit_images is not None:
        values["limits"]["images"] = chosen.limit_images
    wanted = make_config(values)
    _settle_key(wanted, named=chosen.llm_url is not None)
    return wanted


def _settle_key(config: Config, *, named: bool) -> None:
    """Whether the server may have the key is known before a run begins. Raises InputError."""
    if config.planner == "llm":
        from agent.llm.keys import settle

        settle(config.llm.url, named=named)


def run_config(chosen: argparse.Namespace) -> int:
    """palate demo, palate run."""
    from agent.loop.session import answered_for, new_run
    from agent.store.home import open_store

    config = configured(chosen)
    if config.rater == "person":
        raise InputError(
            f"This config wants a person's ratings: use `{typed('chat')}`, or give a simulated rater with --rater SEED."
        )
    with open_store(chosen.home) as store, sharing():
        run_id = new_run(config, chosen.home, store)
        with answered_for(store, run_id):
            return _carry_out(config, chosen, store, run_id)


def resume(chosen: argparse.Namespace) -> int:
    """palate resume."""
    from agent.loop.session import answered_for, stored_config, unfinished
    from agent.store.home import open_store

    with open_store(chosen.home) as store:
        run_id = store.find(chosen.run).id
        unfinished(store, run_id)
        config = stored_config(store, run_id)
        _settle_key(config, named=False)
        if config.rater == "person":
            raise InputError(f"The run {run_id!r} is a chat: go on with `{typed('chat', '--resume', run_id)}`.")
        with answered_for(store, run_id), sharing(store.run(run_id).versions.get("threads")):
            return _carry_out(config, chosen, store, run_id)


def chat(chosen: argparse.Namespace) -> int:
    """palate chat."""
    from agent.chat.terminal import converse
    from agent.loop.session import new_run, stored_config, unfinished
    from agent.store.home import open_store

    if chosen.resume is not None:
        _as_it_was_started(chosen)
        with open_store(chosen.home) as store:
            run_id = store.find(chosen.resume).id
            unfinished(store, run_id)
            config = stored_config(store, run_id)
            _settle_key(config, named=False)
            with sharing(store.run(run_id).versions.get("threads")):
                return converse(config, chosen.home, store, run_id)
    chosen.config = chosen.config or CHAT
    config = configured(chosen)
    with open_store(chosen.home) as store, sharing():
        return converse(config, chosen.home, store, new_run(config, chosen.home, store))


def _as_it_was_started(chosen: argparse.Namespace) -> None:
    """Raises InputError naming the flags that a chat taken up again cannot heed."""
    given = [f"--{name.replace('_', '-')}" for name in OF_A_NEW_RUN if getattr(chosen, name) is not None]
    if given:
        raise InputError(
            f"{', '.join(given)} cannot be changed in a run that has begun: give --resume {chosen.resume!r} alone, "
            "or start a new chat without --resume."
        )


def _carry_out(config: Config, chosen: argparse.Namespace, store: Any, run_id: str) -> int:
    from agent.loop.runner import carry_out

    with narrator(store, run_id, quiet=chosen.json) as teller:
        found = carry_out(config, chosen.home, store, run_id, teller)
        if not chosen.json:
            _farewell(found, teller)
    if chosen.json:
        say(json.dumps(found))
    if getattr(chosen, "out", None):
        _keep_copy(store, chosen.home, run_id, chosen.out / run_id)
    return _short_of(found["wanting"], sys.stderr if chosen.json else sys.stdout)


def _short_of(wanting: str | None, where: TextIO) -> int:
    """1 for a run that has not got what it was for; then that is the last thing it says."""
    if wanting is not None:
        say(f"palate: {clean(wanting)}", stderr=where is sys.stderr)
    return 0 if wanting is None else 1


def _keep_copy(store: Any, home: Path, run_id: str, folder: Path) -> None:
    """Everything of one run in one folder: report, sheets, images, adapter and its part of the database."""
    from agent.config import run_folder

    try:
        shutil.copytree(run_folder(home, run_id), folder)
    except OSError as error:
        raise PalateError(
            f"The copy of the run in {str(folder)!r} is not whole ({clean(error, 200)}). The run itself is kept in "
            f"{str(run_folder(home, run_id))!r}: make room, and copy that folder."
        ) from error
    store.copy_to(folder / "palate.sqlite", run_id)
    say(f"everything of this run: {folder}")


def narrator(store: Any, run_id: str, *, quiet: bool) -> Any:
    """Who tells a run's steps as they are taken."""
    from agent.report.progress import Narrator

    return Narrator(
        quiet=quiet,
        ratings=lambda asked: {image: value for image, value, _ in store.ratings_of(run_id, asked)},
        earlier=store.each_step(run_id),
    )


def _farewell(found: dict[str, Any], teller: Any) -> None:
    """The run in three lines: what changed, what it cost, where to look."""
    adapter = found["adapter"] or {}
    teller.say(
        f"ratings {found['score_first']} -> {found['score_last']}, hidden utility {found['hidden_first']} -> {found['hidden_last']} SD"
    )
    if adapter:
        teller.say(
            f"the adapter wins {(adapter.get('win_rate') or {}).get('rate')} of held-out prompts and was {'promoted' if adapter.get('promoted') else 'rejected'}"
        )
    parts = ", ".join(f"{part} {seconds:.0f} s" for part, seconds in found["seconds"].items())
    teller.say(f"{parts}; at most {found['peak_memory_mib']} MiB of memory")
    teller.say(f"report: {found['report']}")
