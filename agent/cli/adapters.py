"""`palate adapter show|import|merge`: look at LoRA files, take in other people's, make one of several.

Knows what a person types and reads. Does not know file layouts; heavy imports wait until a command runs.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prompts.errors import InputError
from prompts.ground.clean import harmless
from prompts.ground.console import say

if TYPE_CHECKING:
    from trainers.files.adapter_file import Adapter, AdapterRef

DEFAULT = "bauhaus"  # the base model, where neither a flag nor an adapter's card names one


def add_commands(parser: argparse.ArgumentParser) -> None:
    """The three commands and their flags."""
    kinds = parser.add_subparsers(required=True, metavar="show|import|merge")
    showing = kinds.add_parser("show", help="kind, base, rank, layers, norm, sha256 and parents of an adapter")
    showing.add_argument("path", type=Path, metavar="PATH", help="a .safetensors file, or the folder it lies in")
    taking = kinds.add_parser("import", help="convert any LoRA file that can be read to a folder of ours")
    taking.add_argument(
        "path",
        type=Path,
        metavar="PATH",
        help="of diffusers, PEFT, kohya, A1111, LoCon, OneTrainer, SimpleTuner, ComfyUI, XLabs, cloneofsimo",
    )
    merging = kinds.add_parser("merge", help="make one adapter of several: exact, or reduced to a rank")
    merging.add_argument("adapters", nargs="+", metavar="PATH[:WEIGHT]", help="for example mine:0.8 style:1.0")
    merging.add_argument("--rank", type=int, help="reduce to this rank; what is lost is told")
    for kind, command in ((showing, show), (taking, take_in), (merging, merge)):
        kind.add_argument("--json", action="store_true", help="print one JSON object, and nothing else on stdout")
        kind.set_defaults(command=command)
    for kind in (taking, merging):
        kind.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder that receives it")
        kind.set_defaults(shared=True)
        kind.add_argument("--base", help=f"the base model; without it, the adapter's own, or {DEFAULT}")


def show(chosen: argparse.Namespace) -> int:
    """palate adapter show."""
    from trainers.files.adapter_about import about

    found = about(chosen.path)
    say(json.dumps(found) if chosen.json else "\n".join(told(found)))
    return 0


def told(found: dict[str, Any]) -> list[str]:
    """What `show` says, a line a fact."""
    if found["layout"] == "word":
        vectors = ", ".join(f"{rows} of {width} in {key}" for key, (rows, width) in found["vectors"].items())
        facts = {"file": found["file"], "kind": f"{found['kind']}, the learned word {found['word']}", "base": found["base_model"] or "not said", "vectors": vectors}  # fmt: skip
        return [f"{name:8}{harmless(value)}" for name, value in (facts | {"sha256": found["sha256"]}).items()]
    parts = ", ".join(f"{count} in {part}" for part, count in found["layers"].items())
    parents = ", ".join(f"{one['name']} ({one['weight']:g})" for one in found["parents"])
    facts = {
        "file": found["file"], "kind": f"{found['kind']}, in the layout of {found['layout']}", "base": found["base_model"] or "not said",
        "rank": _listed(found["rank"]), "alpha": _listed(found["alpha"]), "layers": parts, "norm": f"{found['norm']:.4g}",
        "parents": parents or "none", "sha256": found["sha256"],
    }  # fmt: skip
    return [f"{name:8}{harmless(value)}" for name, value in facts.items()]


def _listed(values: Sequence[float]) -> str:
    return f"{values[0]:g}" if len(values) == 1 else f"{values[0]:g} to {values[-1]:g}"


def take_in(chosen: argparse.Namespace) -> int:
    """palate adapter import."""
    from trainers.files.adapter_file import AdapterRef

    return _made([AdapterRef(chosen.path)], chosen, about={"kind": "import"}, rank=None)


def merge(chosen: argparse.Namespace) -> int:
    """palate adapter merge."""
    return _made([weighted(text) for text in chosen.adapters], chosen, about={}, rank=chosen.rank)


def weighted(text: str) -> AdapterRef:
    """`PATH` or `PATH:WEIGHT`. Raises InputError for a weight that is no number."""
    from trainers.files.adapter_file import AdapterRef

    path, colon, weight = text.rpartition(":")
    if not colon or os.path.exists(text):  # of a name too long, pathlib makes an error
        return AdapterRef(Path(text))
    try:
        value = float(weight)
    except ValueError as error:
        raise InputError(f"{text!r} is neither a path nor PATH:WEIGHT: give for example {path}:0.8") from error
    if not -10 <= value <= 10:  # no number is not within, either
        raise InputError(f"weight {weight!r} of {path!r} is not a number from -10 to 10")
    return AdapterRef(Path(path), value)


def _made(refs: Sequence[AdapterRef], chosen: argparse.Namespace, *, about: dict[str, Any], rank: int | None) -> int:
    from trainers.files.adapter_file import find
    from trainers.merge import merge as merged
    from trainers.model.load import load

    for ref in refs:
        find(ref.path)  # before a model is loaded for minutes
    model = load(base_of(refs, chosen.base))
    adapter = merged(refs, model=model, out=chosen.out, rank=rank, name=chosen.out.resolve().name, about=about)
    _tell(adapter, model.name, as_json=chosen.json)
    return 0


def base_of(refs: Sequence[AdapterRef], asked: str | None) -> str:
    """The base model's folder or hub id: what was asked for, what the first adapter that says so was made for, or the bundled one."""
    from agent.config import bundled
    from trainers.files.adapter_about import about

    cards = (
        about(ref.path) for ref in refs
    )  # other programs name a checkpoint's file there: no model that we could load
    ours = (card["base_model"] for card in cards if card["kind"] != "foreign" and card["base_model"])
    return bundled(asked or next(ours, DEFAULT))


def _tell(adapter: Adapter, base: str, *, as_json: bool) -> None:
    lost = adapter.metrics["lost_share"]
    found = {"path": str(adapter.path), "sha256": adapter.sha256, "kind": adapter.kind, "rank": adapter.config["rank"], "base_model": base, "lost_share": lost}  # fmt: skip
    if as_json:
        say(json.dumps(found))
        return
    say(f"adapter: {adapter.path} (rank {found['rank']}, for {base})")
    if lost > 1e-9:
        say(f"{100 * lost:.2g} % of the change's energy did not fit into rank {found['rank']}")
