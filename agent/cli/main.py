"""The command line: palate demo | chat | run | train | gate | adapter | bench | profile | resume | logs | replay | serve | doctor.

It parses, calls one function, and turns errors into one sentence and an exit code. Heavy imports wait until a command needs
them, so that `--help` and `logs` answer at once.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.bench.cli import add_command as add_bench_command
from agent.cli.adapters import add_commands as add_adapter_commands
from agent.cli.profiles import add_commands as add_profile_commands
from agent.stopping import Stopped, stoppable
from prompts.errors import InputError, PalateError

if TYPE_CHECKING:
    from agent.config import Config

DEMO = Path(__file__).parents[2] / "configs" / "demo.yaml"
CHAT = DEMO.with_name("chat.yaml")
OF_A_NEW_RUN = ("config", "rater", "planner", "rounds", "limit_images", "seed", "llm_url", "llm_model")  # flags


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when it did what was asked or its person left, 1 for an error that has been explained, 130 when stopped."""
    chosen = make_parser().parse_args(arguments)
    try:
        with stoppable():
            return int(chosen.command(chosen) or 0)
    except PalateError as error:
        print(f"palate: {error}", file=sys.stderr)
        return 130 if isinstance(error, Stopped) else 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `palate logs | head`
        return 0
    except SystemExit as left:  # the same, said by rich
        if isinstance(left.__context__, BrokenPipeError) and chosen.command in (
            logs_list,
            logs_show,
            logs_query,
            replay,
            doctor,
        ):
            return 0
        raise


def make_parser() -> argparse.ArgumentParser:
    """Every command and flag."""
    parser = argparse.ArgumentParser(
        prog="palate", description="Personalise a text-to-image model to one person's taste."
    )
    parser.add_argument(
        "--home",
        type=Path,
        default=Path(os.environ.get("PALATE_HOME", ".palate")),
        help="where runs and the database are kept",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _demo(commands.add_parser("demo", help="watch an agent learn a simulated person's taste, in minutes"))
    _chat(commands.add_parser("chat", help="let the agent learn your taste"))
    _run(commands.add_parser("run", help="run a config without a person"))
    _train(commands.add_parser("train", help="train an adapter from a YAML file; run it again and it goes on"))
    _gate(commands.add_parser("gate", help="judge an adapter: painting with it and without it, and a verdict by rule"))
    add_adapter_commands(commands.add_parser("adapter", help="look at LoRA files, take in other people's, merge them"))
    add_bench_command(commands.add_parser("bench", help="compare strategies over simulated raters or real people"))
    add_profile_commands(commands.add_parser("profile", help="a taste as a file: export, import, show, diff, blend"))
    _resume(commands.add_parser("resume", help="go on with a run that was interrupted"))
    _logs(commands.add_parser("logs", help="read what was logged"))
    _replay(commands.add_parser("replay", help="read a run step by step, or make it again and compare"))
    _serve(commands.add_parser("serve", help="serve a language model with vLLM until stopped"))
    _doctor(commands.add_parser("doctor", help="check the installation, the models, the server and the database"))
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rater", type=int, help="seed of a simulated rater")
    parser.add_argument("--planner", choices=["llm", "rules"], help="who decides")
    parser.add_argument("--rounds", type=int, help="how many rounds")
    parser.add_argument("--limit-images", type=int, help="at most this many images shown")
    parser.add_argument("--seed", type=int, help="seed of the run")
    parser.add_argument(
        "--llm-url", help="an OpenAI-compatible server; its key comes from PALATE_LLM_KEY or OPENAI_API_KEY"
    )
    parser.add_argument("--llm-model", help="the model's name there, or a folder to serve")


def _demo(parser: argparse.ArgumentParser) -> None:
    _common(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("palate-demo"), help="the folder that receives a copy of all of it"
    )
    parser.set_defaults(command=run_config, config=DEMO, json=False)


def _run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file, for example configs/demo.yaml")
    parser.add_argument("--json", action="store_true", help="print one JSON object last, and nothing else on stdout")
    _common(parser)
    parser.set_defaults(command=run_config)


def _train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", metavar="KIND", help="dpo, gal, ...: the config's own kind, if it names one")
    parser.add_argument(
        "config", type=Path, metavar="CONFIG", help="a YAML file, for example configs/training/dpo.yaml"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object last, and nothing else on stdout")
    parser.add_argument("--check", action="store_true", help="only tell whether it will fit into memory")
    parser.set_defaults(command=train)


def _gate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "adapter",
        type=Path,
        metavar="ADAPTER",
        help="an adapter's folder or file, or the YAML that it was trained from",
    )
    parser.add_argument("--prompts", help="a .txt or .jsonl file, or a vocabulary's name: bauhaus, painting")
    parser.add_argument("--base-model", help="what it was trained on; one trained here knows")
    for name, what in (
        ("clip", "an open_clip folder"),
        ("pickscore", "a folder or hub id"),
        ("preference", "a learned taste, npz"),
        ("aesthetic", "a head of LAION's or SAC's, on --clip,"),
        ("hpsv2", "HPSv2's file, or its folder,"),
        ("image-reward", "ImageReward's folder"),
    ):
        parser.add_argument(f"--{name}", help=f"{what} that judges")
    parser.add_argument("--guides", nargs="+", metavar="SCORER", help="which scorers (clip_t is one) must prefer it")
    parser.add_argument("--json", action="store_true", help="print one JSON object last, and nothing else on stdout")
    parser.set_defaults(command=gate)


def _chat(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, help=f"a YAML file; without it, configs/{CHAT.name}")
    parser.add_argument(
        "--resume", metavar="RUN", help="go on with an earlier chat (`last` is the newest run), without other flags"
    )
    _common(parser)
    parser.set_defaults(command=chat)


def _resume(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="its id, or `last`")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(command=resume)


def _logs(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(required=True, metavar="list|show|query|path")
    listing = kinds.add_parser("list", help="every run")
    showing = kinds.add_parser("show", help="one run, step by step")
    showing.add_argument("run", metavar="RUN")
    showing.add_argument("--step", type=int, help="everything of one step")
    asking = kinds.add_parser("query", help="read-only SQL")
    asking.add_argument("sql", metavar="SQL")
    where = kinds.add_parser("path", help="where the database is")
    for kind, command in ((listing, logs_list), (showing, logs_show), (asking, logs_query), (where, logs_path)):
        kind.add_argument("--json", action="store_true")
        kind.set_defaults(command=command)


def _replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="its id, or `last`")
    parser.add_argument("--mode", choices=["view", "verify"], default="view")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(command=replay)


def _serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="bauhaus-lm", help="a bundled model or a folder")
    parser.add_argument("--port", type=int, default=8000)
    parser.set_defaults(command=serve)


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--llm-url", help="also ask this server")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(command=doctor)


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
    return make_config(values)


def run_config(chosen: argparse.Namespace) -> int:
    """palate demo, palate run."""
    from agent.loop.session import answered_for, new_run, open_store

    config = configured(chosen)
    if config.rater == "person":
        raise InputError(
            "This config wants a person's ratings: use `palate chat`, or give a simulated rater with --rater SEED."
        )
    with open_store(chosen.home) as store:
        run_id = new_run(config, chosen.home, store)
        with answered_for(store, run_id):
            return _carry_out(config, chosen, store, run_id)


def train(chosen: argparse.Namespace) -> int:
    """palate train."""
    from agent.cli.training import check
    from agent.cli.training import train as carry_out

    if chosen.check:
        found = check(chosen.config, chosen.home, kind=chosen.kind, quiet=chosen.json)
        if chosen.json:
            print(json.dumps(found))
        return 1 if found["fits"] is False else 0
    state = carry_out(chosen.config, chosen.home, kind=chosen.kind)
    if chosen.json:
        print(json.dumps(state))
    else:
        print(f"adapter: {state['adapter']['path']}")
        if state["gate"] is not None:
            _verdict(state["gate"], chosen.home)
    return 0


def gate(chosen: argparse.Namespace) -> int:
    """palate gate."""
    from agent.cli.gating import GIVEN
    from agent.cli.gating import gate as carry_out

    found = carry_out(chosen.adapter, chosen.home, {key: getattr(chosen, key) for key in GIVEN})
    if chosen.json:
        print(json.dumps(found))
    else:
        _verdict(found, chosen.home)
    return 0


def _verdict(found: dict[str, Any], home: Path) -> None:
    from agent.cli.gating import told

    print("\n".join(told(found, home)))


def resume(chosen: argparse.Namespace) -> int:
    """palate resume."""
    from agent.loop.session import answered_for, open_store, stored_config, unfinished

    with open_store(chosen.home) as store:
        run_id = named(store, chosen.run)
        unfinished(store, run_id)
        config = stored_config(store, run_id)
        if config.rater == "person":
            raise InputError(f"The run {run_id!r} is a chat: go on with `palate chat --resume {run_id}`.")
        with answered_for(store, run_id):
            return _carry_out(config, chosen, store, run_id)


def _carry_out(config: Config, chosen: argparse.Namespace, store: Any, run_id: str) -> int:
    from agent.loop.runner import carry_out

    with _narrator(store, run_id, quiet=chosen.json) as teller:
        found = carry_out(config, chosen.home, store, run_id, teller)
        if not chosen.json:
            _farewell(found, teller)
    if chosen.json:
        print(json.dumps(found))
    if getattr(chosen, "out", None):
        _keep_copy(store, chosen.home, run_id, chosen.out / run_id)
    return 0


def _keep_copy(store: Any, home: Path, run_id: str, folder: Path) -> None:
    """Everything of one run in one folder: report, sheets, images, adapter and the database."""
    from agent.config import run_folder

    shutil.copytree(run_folder(home, run_id), folder)
    store.copy_to(folder / "palate.sqlite")
    print(f"everything of this run: {folder}")


def _narrator(store: Any, run_id: str, *, quiet: bool) -> Any:
    from agent.report.progress import Narrator

    return Narrator(
        quiet=quiet,
        ratings=lambda: {row.image: row.value for row in store.ratings(run_id)},
        earlier=store.steps(run_id),
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


def named(store: Any, run: str) -> str:
    """A run's id; `last` is the newest. Raises InputError."""
    if run != "last":
        return str(store.run(run).id)
    runs = store.runs()
    if not runs:
        raise InputError(f"There are no runs in {str(store.path)!r} yet: start one with `palate demo`.")
    return str(runs[0].id)


def chat(chosen: argparse.Namespace) -> int:
    """palate chat."""
    from agent.chat.terminal import converse
    from agent.loop.session import new_run, open_store, stored_config, unfinished

    if chosen.resume is not None:
        _as_it_was_started(chosen)
        with open_store(chosen.home) as store:
            run_id = named(store, chosen.resume)
            unfinished(store, run_id)
            return converse(stored_config(store, run_id), chosen.home, store, run_id)
    chosen.config = chosen.config or CHAT
    config = configured(chosen)
    with open_store(chosen.home) as store:
        return converse(config, chosen.home, store, new_run(config, chosen.home, store))


def _as_it_was_started(chosen: argparse.Namespace) -> None:
    """Raises InputError naming the flags that a chat taken up again cannot heed."""
    given = [f"--{name.replace('_', '-')}" for name in OF_A_NEW_RUN if getattr(chosen, name) is not None]
    if given:
        raise InputError(
            f"{', '.join(given)} cannot be changed in a run that has begun: give --resume {chosen.resume!r} alone, "
            "or start a new chat without --resume."
        )


def logs_list(chosen: argparse.Namespace) -> int:
    """palate logs list."""
    from agent.loop.session import open_store
    from agent.report import logs

    with open_store(chosen.home) as store:
        logs.logs_list(store, as_json=chosen.json)
    return 0


def logs_show(chosen: argparse.Namespace) -> int:
    """palate logs show."""
    from agent.loop.session import open_store
    from agent.report import logs

    with open_store(chosen.home) as store:
        logs.logs_show(store, named(store, chosen.run), step=chosen.step, as_json=chosen.json)
    return 0


def logs_query(chosen: argparse.Namespace) -> int:
    """palate logs query."""
    from agent.loop.session import open_store
    from agent.report import logs

    with open_store(chosen.home) as store:
        logs.logs_query(store, chosen.sql, as_json=chosen.json)
    return 0


def logs_path(chosen: argparse.Namespace) -> int:
    """palate logs path."""
    path = str((chosen.home / "palate.sqlite").resolve())
    print(json.dumps({"path": path}) if chosen.json else path)
    return 0


def replay(chosen: argparse.Namespace) -> int:
    """palate replay."""
    from agent.loop.session import open_store

    with open_store(chosen.home) as store:
        run_id = named(store, chosen.run)
        if chosen.mode == "view":
            from agent.report.logs import replay_view

            replay_view(store, run_id, as_json=chosen.json)
            return 0
        return _verify(store, run_id, chosen)


def _verify(store: Any, run_id: str, chosen: argparse.Namespace) -> int:
    from agent.replay.verify import verify

    with _narrator(store, run_id, quiet=chosen.json) as teller:
        verdict = verify(store, chosen.home, run_id, on_step=teller.on_step)
    if chosen.json:
        print(json.dumps({"same": verdict.same, **verdict.__dict__}))
    else:
        print("\n".join([verdict.told(), *verdict.differences]))
    return 0 if verdict.same else 1


def serve(chosen: argparse.Namespace) -> int:
    """palate serve."""
    from agent.llm.brain import serve_until_stopped

    serve_until_stopped(chosen.model, chosen.port, chosen.home)
    return 0


def doctor(chosen: argparse.Namespace) -> int:
    """palate doctor."""
    from agent.cli.doctor import examine, show

    return show(examine(chosen.home, chosen.llm_url), as_json=chosen.json)


if __name__ == "__main__":
    sys.exit(main())
