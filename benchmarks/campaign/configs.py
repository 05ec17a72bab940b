"""Hard YAML against run configs, training configs and vocabularies: refused in one sentence or read as it stands, quickly, in little memory.

Three kinds of attempts: files that no loader should take (bombs, depth, dates, tags, encodings, pipes), a wrong value in every field of
every record that a person fills, and mutants of the files that are there. A process of their own reads them (`worker`), whose memory and
time are bounded: what dies or hangs there is a failure with its text.

    python -m benchmarks.campaign --only configs --quick

Long because its list of hard texts is the point, and stands together.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import resource
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

from benchmarks.campaign.part import Part

ROOT = Path(__file__).parents[2]
SECONDS, HANGS, MEMORY = (
    3.0,
    90.0,
    400 * 2**20,
)  # of the processor for a file, until it is given up, more than at the start
LONGEST = 3000  # characters of a refusal
Path_ = tuple[Any, ...]


class Case(NamedTuple):
    """`must`: refused, read (any value), faithful (refused, or `value` stands unchanged at `at`), or any (no crash)."""

    what: str
    kind: str  # run, training, vocabulary
    file: str
    must: str
    at: Path_ = ()
    value: Any = None


def run(seed: int, quick: bool) -> Part:
    """All of it, or a tenth."""
    part = Part(
        "configs", notes="hard YAML as run configs, training configs and vocabularies; wrong values in every field"
    )
    with tempfile.TemporaryDirectory() as folder:
        cases = list(_cases(Path(folder), random.Random(seed)))
        always = [case for case in cases if case.must in ("refused", "read")]
        others = [case for case in cases if case.must not in ("refused", "read")]
        chosen = always + (random.Random(seed).sample(others, len(others) // 10) if quick else others)
        with _Worker(Path(folder)) as worker:
            for case in chosen:
                part.attempt(f"{case.kind}, {case.what}", lambda case=case: worker.judge(case))
        for what, words, file in _commands(Path(folder))[: 3 if quick else None]:
            part.attempt(what, lambda words=words, file=file: _commanded(words, file))
    return part


# What no loader should take. {} is where a value may stand in a file that is right otherwise.

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
PAIRS = ", ".join(["*bN"] * 9)
REFUSED: dict[str, str | bytes] = {
    "alias bomb": BOMB,
    "alias bomb in flow": "{a: &a [x], b: &b [" + "*a," * 500 + "], c: &c [" + "*b," * 500 + "], d: [" + "*c," * 9 + "]}",
    "alias bomb of mappings": BOMB.replace("[", "[{k: v},"),
    "alias bomb of merges": "a: &a {k: v}\n" + "".join(f"b{i}: &b{i} {{<<: [{PAIRS}], z{i}: [{PAIRS}]}}\n".replace("N", str(i - 1)) for i in range(1, 20)).replace("*b0", "*a"),
    "alias bomb of text": f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 900)}]",
    "1001 aliases": f"a: &a 1\nb: [{', '.join(['*a'] * 1001)}]",
    "aliases nested by names": "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 900)),
    "recursive list": "a: &a [*a]", "recursive mapping": "a: &a {b: *a}", "recursive around a corner": "a: &a {b: &b [*a]}",
    "recursive document": "&a\nname: *a", "unknown alias": "name: *nobody", "alias as a key": "a: &a name\n*a : x",
    "deep flow lists": "name: " + "[" * 50_000, "closed deep lists": "name: " + "[" * 5_000 + "]" * 5_000,
    "deep flow mappings": "{a: " * 5_000, "deep block lists": "- " * 5_000 + "x", "deep keys": "".join(f"{' ' * i}a:\n" for i in range(900)),
    "33 levels": "name: " + "[" * 33 + "]" * 33, "deep questions": "? " * 3_000,
    "many values": "name: [" + "1," * 300_000 + "]", "many keys": "".join(f"k{i}: 1\n" for i in range(150_000)), "too large": "name: " + "x" * 5_000_000,
    "many anchors": "name: [" + ",".join(f"&a{i} 1" for i in range(250_000)) + "]",
    "integer of 5000 digits": "seed: " + "9" * 5_000, "negative integer of 5000 digits": "seed: -" + "9" * 5_000,
    "hexadecimal of 5000 digits": "seed: 0x" + "f" * 5_000, "octal of 5000 digits": "seed: 0o" + "7" * 5_000,
    "float of 5000 digits": "guidance_scale: 1." + "3" * 5_000, "exponent of 5000 digits": "guidance_scale: 1e" + "9" * 5_000, "integer of 65 digits": "seed: " + "1" * 65,
    "python object": "name: !!python/object/apply:os.getcwd []", "python name": "name: !!python/name:os.system", "python module": "name: !!python/module:os",
    "own tag": "name: !mine x", "tag of another house": "name: !<tag:example.org,2000:x> y", "timestamp tag": "name: !!timestamp 2026-13-45", "binary tag": "name: !!binary aGVsbG8=",
    "set": "name: !!set {a, b}", "ordered map": "name: !!omap [a: 1]", "pairs": "name: !!pairs [a: 1]", "int tag on a word": "seed: !!int fast", "float tag on a word": "seed: !!float fast",
    "bool tag on yes": "name: !!bool yes", "null tag on a word": "name: !!null x", "map tag on a list": "name: !!map [a]", "str tag on a list": "name: !!str [a]",
    "tag directive": "%TAG ! tag:x,2000:\n---\nname: !foo x", "YAML 1.1": "%YAML 1.1\n---\nseed: 010", "YAML 9.9": "%YAML 9.9\n---\nseed: 1", "unknown handle": "name: !e!foo x",
    "key twice": "name: a\nname: b", "key twice far apart": "name: a\n" + "# \n" * 500 + "name: b", "key twice in flow": "{name: a, name: b}", "key twice deep": "llm: {model: a, model: b}",
    "key twice, once quoted": "name: a\n'name': b", "key twice by escapes": "name: a\n\"n\\u0061me\": b", "empty key twice": "? \n: 1\n? \n: 2", "list as a key": "? [a]\n: b", "mapping as a key": "? {a: b}\n: c",
    "merge of a word": "<<: x", "merge of a list of words": "<<: [x, y]", "merge twice": "a: &a {k: v}\n<<: *a\n<<: *a",
    "two documents": "name: a\n---\nname: b", "ten documents": "---\nname: a\n" * 10, "tab": "\tname: x", "open quote": "name: 'x", "open bracket": "name: [", "open brace": "{name: x", "bad indent": "name: x\n  seed: 1\n seed: 2",
    "colon in a value": "name: a: b", "percent": "%", "at": "name: @x", "backtick": "name: `x`", "star alone": "name: *", "ampersand alone": "name: &", "bad escape": 'name: "\\q"', "lone surrogate": 'name: "\\ud800"',
    "beyond Unicode": 'name: "\\U00110000"', "NUL escaped": 'name: "a\\0b"', "escape code escaped": 'name: "\\e[31m"', "C1 escaped": 'name: "\\x9b31m"', "NUL": b"name: a\0b", "escape code": b"name: \x1b[31m", "delete": b"name: \x7f",
    "UTF-16 with mark": "name: x".encode("utf-16"), "UTF-16 without": "name: x".encode("utf-16-le"), "UTF-16 big": "name: x".encode("utf-16-be"), "UTF-32": "name: x".encode("utf-32"), "Latin-1": "name: caf\xe9".encode("latin-1"),
    "half a character": b"name: \xe2\x82", "overlong": b"name: \xc0\xaf", "surrogate in bytes": b"name: \xed\xa0\x80", "noncharacter": "name: \ufffe".encode(), "gzip": b"\x1f\x8b\x08\x00\x00", "PNG": b"\x89PNG\r\n\x1a\n", "ELF": b"\x7fELF\x02\x01",
    "a word": "text", "a number": "3", "a list": "- a\n- b", "a date": "2026-01-01", "NaN": ".nan", "quoted": "'name: x'", "block text": "|\n name: x", "key of 1 MB": "x" * 1_000_000 + ": 1", "key of a thousand words": "? " + "word " * 1000 + "\n: 1",
    "key with controls": '"a\\nb\\u2028c": 1', "unknown key": "raunds: 1", "100 unknown keys": "".join(f"k{i}: 1\n" for i in range(100)), "null key": "null: 1", "true key": "true: 1", "number key": "1: 1", "date key": "2026-01-01: 1", "empty key": "'': 1",
}  # fmt: skip
# Words that YAML 1.1 takes for something else, and what they are; for a text field and for a number field of a run config.
WORDS = {"yes": "yes", "no": "no", "on": "on", "off": "off", "y": "y", "2026-01-01": "2026-01-01", "2026-13-45": "2026-13-45", "2026-01-01T10:00:00Z": "2026-01-01T10:00:00Z", "1:30": "1:30", "190:20:30": "190:20:30",
         "1_000": "1_000", "0b11": "0b11", "=": "=", "1e": "1e", "0x": "0x", "1.2.3": "1.2.3", "!!str 12": "12", "'12'": "12", "! 12": "12", "0o8": "0o8", "-.nan": "-.nan", "Yes": "Yes", "<<x": "<<x"}  # fmt: skip
NUMBERS = {"010": 10, "0010": 10, "+7": 7, "0x10": 16, "0o17": 15, "08": 8, "1e-4": 1e-4, "1e1": 10.0, "1.e1": 10.0, ".5": 0.5, "+.5e1": 5.0, "5.": 5.0, "-0": 0, "1E1": 10.0, "!!float 3": 3.0, "0": 0, "00": 0}  # fmt: skip
VALUES: tuple[Any, ...] = (
    True, False, None, 0, 1, 3, -5, 2.5, 1e-4, 1e300, 10**60, math.nan, math.inf, "", "3", "yes", "true", "1e-4", "fast", ".nan", "x" * 5_000, "/dev/zero", "../..", "PIPE", "SOCKET",
    [], [3], [True], ["a"], [[1]], [None], {}, {"a": 1}, {"prompt": 3}, [{"prompt": True}],
)  # fmt: skip


def _cases(folder: Path, rng: random.Random) -> Iterator[Case]:
    """Every attempt, its file written."""
    _picture(folder / "a.png"), _picture(folder / "b.png")
    (folder / "adapter.safetensors").write_bytes(b"")
    (folder / "a.txt").write_text("a dog\na cat\n")
    os.mkfifo(folder / "PIPE")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "SOCKET"))
    written = iter(range(10**9))

    def file(content: str | bytes) -> str:
        path = folder / f"{next(written)}.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    for kind in ("run", "training", "vocabulary"):
        for what, content in REFUSED.items():
            yield Case(what, kind, file(content), "refused")
        for path in ("/dev/zero", "/dev/null", "/dev/random", str(folder), str(folder / "PIPE"), str(folder / "SOCKET"), "x" * 5_000, "no/where.yaml", "/proc/self/mem", f"{folder}/{'y' * 300}.yaml"):  # fmt: skip
            yield Case(f"the path {path[-40:]}", kind, path, "refused")
    yield from _right(file, _samples(folder))
    for kind, base, path in _fields(folder):
        for value in VALUES:
            said = str(folder / value) if value in ("PIPE", "SOCKET") else value
            yield Case(
                f"{'.'.join(map(str, path))} = {value!r:.40}",
                kind,
                file(_yaml(_laid(base, path, said))),
                "faithful",
                path,
                _plain(said),
            )
    for kind, original in _originals():
        for number in range(40):
            yield Case(f"mutant {number} of {original.name}", kind, file(_mutant(original.read_bytes(), rng)), "any")


def _right(file: Any, samples: dict[str, Any]) -> Iterator[Case]:
    """What must be read, and as what."""
    for text, word in WORDS.items():
        yield Case(f"name: {text}", "run", file(f"name: {text}\n"), "read", ("name",), word)
    for text, number in NUMBERS.items():
        yield Case(
            f"guidance_scale: {text}", "run", file(f"guidance_scale: {text}\n"), "read", ("guidance_scale",), number
        )
    marked = {"mark": b"\xef\xbb\xbfname: x", "CRLF": b"name: x\r\nseed: 0\r\n", "YAML 1.2": b"%YAML 1.2\n---\nname: x\n...\n", "merge": b"<<: {name: x}\nseed: 0"}  # fmt: skip
    for what, content in marked.items():
        yield Case(what, "run", file(content), "read", ("name",), "x")
    yield Case(
        "aliases as people use them",
        "run",
        file("name: &n x\nbrief: *n\nllm: {model: *n}\n"),
        "read",
        ("llm", "model"),
        "x",
    )
    for kind, original in _originals():
        yield Case(f"as it is, {original.name}", kind, file(_with_data(kind, original, samples)), "read")


def _with_data(kind: str, original: Path, samples: dict[str, Any]) -> bytes:
    """A config of ours as it is; a training's with pictures that are there."""
    if kind != "training":
        return original.read_bytes()
    from prompts.ground.yaml_files import read_yaml

    values = read_yaml(original, "config").values
    return _yaml(
        values | {"dataset": samples["job"][values["kind"]]["dataset"]} | ({"prior": []} if "prior" in values else {})
    )


def _originals() -> list[tuple[str, Path]]:
    found = [("run", path) for path in sorted((ROOT / "configs").glob("*.yaml"))]
    found += [("training", path) for path in sorted((ROOT / "configs" / "training").glob("*.yaml"))]
    return found + [("vocabulary", path) for path in sorted((ROOT / "prompts" / "vocabularies").glob("*.yaml"))]


def _mutant(data: bytes, rng: random.Random) -> bytes:
    """Some bytes or lines changed, or a hard text put somewhere."""
    lines = data.split(b"\n")
    for _ in range(rng.randint(1, 4)):
        at, way = rng.randrange(len(lines)), rng.randrange(6)
        if way == 0:
            lines.insert(at, lines[rng.randrange(len(lines))])
        elif way == 1:
            lines[at] = lines[at][: rng.randrange(len(lines[at]) + 1)]
        elif way == 2:
            lines[at] = bytes(byte ^ (1 << rng.randrange(8)) if rng.random() < 0.05 else byte for byte in lines[at])
        elif way == 3:
            lines[at] = lines[at].partition(b":")[0] + b": " + str(rng.choice(VALUES)).encode()[:99]
        elif way == 4:
            lines[at] = b" " * rng.randrange(5) + lines[at].lstrip()
        else:
            lines[at] += rng.choice(
                [
                    b": x",
                    b" &a",
                    b" *a",
                    b" !!int",
                    b" [",
                    b"}",
                    b'"',
                    b"\t",
                    b" - x",
                    b"{a: b}",
                    b"\xff",
                    b" |",
                    b" >-",
                ]
            )
    return b"\n".join(lines)


# Every field of every record that a person fills.


def _fields(folder: Path) -> Iterator[tuple[str, dict[str, Any], Path_]]:
    """(kind of file, a file that is right, the path of a field)."""
    from agent.config import Config
    from tools.gal.spec import GalSpec
    from tools.jobs.spec import Job, kinds

    samples = _samples(folder)
    run = {"planner": "rules", "rater": 0}
    for path in _paths(Config, samples):
        yield "run", run, path
    for path in _paths(GalSpec, samples):
        yield "run", run, ("finetune", "active_learning", *path)
    for method in ("dpo", "dreambooth"):
        for path in _paths(kinds()[method].config, samples):
            yield "run", run | {"finetune": {"method": method}}, ("finetune", "settings", *path)
    for path in _paths(Job, samples):
        kind = {"gal": "gal", "prior": "dreambooth"}.get(str(path[0]), "dpo")
        yield "training", samples["job"][kind] | {"clip": "bauhaus-clip", "pickscore": "bauhaus-pickscore"}, path
    for kind, trainer in kinds().items():
        for path in _paths(trainer.config, samples):
            yield "training", samples["job"][kind], ("config", *path)
        for key in (*samples["job"][kind]["dataset"][0], "weight"):
            yield "training", samples["job"][kind], ("dataset", 0, key)
    for path in (("name",), ("template",), ("genes",), ("more",), ("agree",), ("plurals",), ("different",), ("genes", "mood"), ("genes", "mood", 0), ("genes", "how"), ("genes", "how", "several"),
                 ("genes", "how", "draw"), ("genes", "far"), ("genes", "far", "from"), ("genes", "far", "to"), ("genes", "luck"), ("genes", "luck", "seeds"), ("genes", "guidance_scale"), ("agree", "mood"), ("different", 0)):  # fmt: skip
        yield "vocabulary", samples["vocabulary"], path


def _samples(folder: Path) -> dict[str, Any]:
    """What is right, by record; its files lie in `folder`."""
    a, b, adapter = (str(folder / name) for name in ("a.png", "b.png", "adapter.safetensors"))
    one = {"image": a, "prompt": "a dog"}
    job = {"base_model": "bauhaus", "out": str(folder / "out")}
    data: dict[str, dict[str, Any]] = {
        "dpo": {"prompt": "x", "win": a, "lose": b}, "sft": one, "kto": one | {"liked": True}, "reward": {"prompt": "x"}, "dreambooth": one,
        "textual_inversion": one, "custom_diffusion": one, "slider": {"prompt": "x", "low": a, "high": b}, "gal": one,
    }  # fmt: skip
    more: dict[str, Any] = {
        "textual_inversion": {"config": {"word": "<q>", "initial": "dog"}}, "reward": {"pickscore": "bauhaus-pickscore"},
        "gal": {"gal": {"non_subject": "x", "anchors": "bauhaus"}, "clip": "bauhaus-clip"},
    }  # fmt: skip
    return {
        "Slider": {"name": "light", "adapter": adapter}, "ShownPicture": {"image": a, "adapter": adapter}, "ProfileSection": {"name": "ann"}, "AdapterSpec": {"path": adapter},
        "Example": one, "PoolSpec": {"prompts": str(folder / "a.txt")}, "GalSpec": {"non_subject": "x"}, "GateSpec": {"prompts": "bauhaus", "guides": ["pickscore"]},
        "job": {kind: {**job, "kind": kind, "dataset": [item], **more.get(kind, {})} for kind, item in data.items()},
        "vocabulary": {
            "name": "mine", "template": "a {mood} {thing}, {how}, {far}", "agree": {"thing": "mood"}, "plurals": {"owl": "owls"}, "different": [["mood", "thing"]],
            "genes": {"mood": ["calm", "wild"], "thing": ["sea", "owl"], "how": {"several": ["red", "blue", "grey"], "draw": 2}, "far": {"from": 0.5, "to": 2.0}, "luck": {"seeds": 9}, "guidance_scale": {"from": 1.0, "to": 5.0}},
        },
    }  # fmt: skip


def _paths(record: Any, samples: dict[str, Any], above: Path_ = ()) -> Iterator[Path_]:
    """Every field's path; inside of a list, its first."""
    for name, field in record.model_fields.items():
        path = (*above, field.alias or name)
        yield path
        inner, listed = _record_in(field.annotation)
        if inner is not None:
            place = (*path, 0) if listed else path
            yield from _paths(inner, samples, (*place, _Sample(samples.get(inner.__name__, {}))))


class _Sample(dict[str, Any]):
    """On a path: what else stands in the record that follows."""


def _record_in(kind: Any, listed: bool = False) -> tuple[Any, bool]:
    if hasattr(kind, "model_fields"):
        return kind, listed
    for one in get_args(kind):
        found = _record_in(one, listed or getattr(kind, "__origin__", None) in (list, tuple))
        if found[0] is not None:
            return found
    return None, listed


def _laid(base: Any, path: Path_, value: Any) -> Any:
    """`base` with `value` at `path`, what is missing on the way made."""
    if not path:
        return value
    part, rest = path[0], path[1:]
    if isinstance(part, _Sample):
        return _laid({**part, **(base if isinstance(base, dict) else {})}, rest, value)
    if isinstance(part, int):
        return [_laid(base[0] if isinstance(base, list) and base else {}, rest, value)]
    inside = base if isinstance(base, dict) else {}
    return {**inside, part: _laid(inside.get(part), rest, value)}


def _yaml(values: Any) -> bytes:
    from prompts.ground.yaml_files import write_yaml

    return write_yaml(values)


def _plain(value: Any) -> Any:
    """As JSON that a worker reads."""
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def _picture(path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (32, 32), (len(path.name), 90, ord(path.name[0]))).save(path)


# The process that reads, and what is expected of it.


class _Worker:
    """`python -m benchmarks.campaign.configs FOLDER`, started again when it ended."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.process, self.tail = folder, None, b""

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process:
            self.process.kill()
            self.process.communicate()

    def judge(self, case: Case) -> str:
        """What was wrong; "" where nothing was."""
        told = self._told(case)
        if told is None:
            self.__exit__()
            self.process = None
            return f"{_shown(case.file)} hung or killed its reader (more than {HANGS:g} s or {MEMORY // 2**20} MiB)"
        wrong = _wrong(case, told)
        return f"{wrong}; {_shown(case.file)}" if wrong else ""

    def _told(self, case: Case) -> dict[str, Any] | None:
        if self.process is None:
            words = [sys.executable, "-m", "benchmarks.campaign.configs", str(self.folder)]
            self.process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
            self._line(10 * HANGS)
        asked = {**case._asdict(), "at": [part for part in case.at if not isinstance(part, dict)]}
        try:
            self.process.stdin.write(json.dumps(asked).encode() + b"\n")
        except BrokenPipeError:
            return None
        line = self._line(HANGS)
        return json.loads(line) if line else None

    def _line(self, seconds: float) -> bytes:
        until, found = time.monotonic() + seconds, b""
        while not found.endswith(b"\n"):
            if not select.select([self.process.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
                return b""
            more = os.read(self.process.stdout.fileno(), 65_536)
            if not more:
                return b""
            found += more
        return found


def _shown(file: str) -> str:
    """The file's beginning, to see it again."""
    with contextlib.suppress(OSError):
        if os.path.isfile(file):
            with open(file, "rb") as stream:
                return repr(stream.read(160))
    return repr(file[-80:])


def _wrong(case: Case, told: dict[str, Any]) -> str:
    said = told["said"]
    if told["crashed"]:
        return f"{told['crashed']}: {said[:300]}"
    if told["seconds"] > SECONDS or told["grown"] > MEMORY:
        return f"took {told['seconds']:.1f} s and {told['grown'] / 2**20:.0f} MiB"
    if not told["read"] and (len(said) > LONGEST or "\n" in said or not said.isprintable()):
        return f"a refusal that is no sentence: {said[:200]!r} ({len(said)} characters)"
    if case.must == "refused" and told["read"]:
        return f"was taken as {said[:200]}"
    if case.must == "read" and not told["read"]:
        return f"was refused: {said[:300]}"
    if told["read"] and told["changed"]:
        return f"was taken as {told['changed'][:200]}"
    last = str(next((part for part in reversed(case.at) if isinstance(part, str)), ""))
    if (
        case.must == "faithful"
        and not told["read"]
        and case.kind != "vocabulary"
        and not any(word in said for word in (last, repr(case.value)[:50], "../..", "'a'", "prompt = None", "anchors"))
    ):
        return f"the refusal does not name {last!r}: {said[:300]}"
    return ""


def worker(folder: Path) -> None:
    """Read one case a line, as JSON, and tell what came of it."""
    sys.path.insert(0, str(ROOT))
    import trainers.dpo  # noqa: F401 - so that no case pays for it

    os.chdir(folder)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY + 2**28, -1))
    print("{}", flush=True)
    for line in sys.stdin:
        case = json.loads(line)
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        told = _taken(case, folder)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        print(json.dumps({**told, "seconds": time.process_time() - began, "grown": grown}), flush=True)


def _taken(case: dict[str, Any], folder: Path) -> dict[str, Any]:
    from prompts.errors import PalateError

    found: dict[str, Any] = {"read": False, "crashed": "", "changed": "", "said": ""}
    try:
        made, parts = READERS[case["kind"]](Path(case["file"]), folder)
        found |= {"read": True, "said": repr(made)[:500]}
        if case["must"] in ("faithful", "read") and case["at"] and case["kind"] != "vocabulary":
            found["changed"] = _changed(case["value"], made, parts, case["at"])
    except PalateError as error:
        found["said"] = str(error)
    except BaseException as error:  # whatever it is, it is what we look for
        found |= {"crashed": type(error).__name__, "said": str(error)}
    return found


def _as_run(file: Path, folder: Path) -> tuple[Any, dict[Path_, Any]]:
    from agent.config import load_config, make_config
    from agent.loop.crew import make_settings
    from prompts.ground.yaml_files import read_yaml, write_yaml
    from prompts.vocabulary import load_vocabulary
    from tools.gal.spec import GalSpec
    from tools.jobs.spec import kinds

    config = load_config(file)
    make_settings(config)
    load_vocabulary(config.vocabulary)
    if config.shown:
        config.shown.opened()
    again = folder / "again.yaml"
    again.write_bytes(write_yaml(config.model_dump(mode="json")))
    assert make_config(read_yaml(again, "config").values) == config, "a dump came back otherwise"
    tune = config.finetune
    trainer = kinds()[tune.method].config.model_validate(tune.settings)
    learning = GalSpec(**{"non_subject": "x", **tune.active_learning}) if tune.active_learning is not None else None
    return config, {("finetune", "settings"): trainer, ("finetune", "active_learning"): learning}


def _as_training(file: Path, folder: Path) -> tuple[Any, dict[Path_, Any]]:
    from agent.cli.job_file import whole_job
    from prompts.ground.yaml_files import OF_OURS, read_yaml, write_yaml
    from prompts.lists import prompts_in
    from tools.jobs.spec import Job, gate_of, kind_of

    job = whole_job(file, folder / "home")
    if job.kind not in ("reward", "gal") and file.parent == folder:  # these open models, and examples have no pictures
        kind_of(job).data(job)
    gate_of(job)
    if job.pool:
        next(prompts_in(job.pool.prompts), None)
    if job.gal:
        job.gal.resolved()
    resolved = json.loads(job.model_dump_json(exclude_defaults=True))
    again = folder / "again.yaml"
    again.write_bytes(write_yaml(resolved))
    assert read_yaml(again, "job", OF_OURS).values == resolved, "a kept job came back otherwise"
    assert Job.model_validate(resolved) == job, "a kept job came back otherwise"
    return job, {("config",): kind_of(job).config.model_validate(job.config)}


def _as_vocabulary(file: Path, folder: Path) -> tuple[Any, dict[Path_, Any]]:
    from prompts.vocabulary import load_vocabulary

    found, rng = load_vocabulary(str(file)), random.Random(0)
    for _ in range(20):
        found.parse(found.phrase(found.random(rng)))
    return found, {}


READERS = {"run": _as_run, "training": _as_training, "vocabulary": _as_vocabulary}


def _changed(given: Any, made: Any, parts: dict[Path_, Any], at: list[Any]) -> str:
    """What stands there instead; "" where it is what was given."""
    for above, inner in parts.items():
        if tuple(at[: len(above)]) == above and len(at) > len(above):
            made, at = inner, at[len(above) :]
    for part in at:
        names = {field.alias or name: name for name, field in getattr(type(made), "model_fields", {}).items()}
        made = getattr(made, names[part]) if part in names else made[part]
    return "" if _same(given, made) else f"{made!r:.200} of {given!r:.80}"


def _same(given: Any, made: Any) -> bool:
    if isinstance(given, str):
        several = made if isinstance(made, tuple | list) else [made]
        return given == "../.." or any(str(one).endswith(given) for one in several if isinstance(one, str | Path))
    if isinstance(given, list):
        return not given or (
            isinstance(made, tuple | list) and all(_same(one, other) for one, other in zip(given, made, strict=False))
        )
    if isinstance(given, dict) or (given is None and made in ([], ())):
        return True
    if isinstance(given, int) and not isinstance(given, bool):
        return type(made) in (int, float) and (made == given or made == float(given))
    return type(made) is type(given) and made == given


# As a person meets it.


def _commands(folder: Path) -> list[tuple[str, list[str], str]]:
    def file(name: str, content: str) -> str:
        (folder / name).write_text(content)
        return str(folder / name)

    dpo = _samples(folder)["job"]["dpo"]
    return [
        ("palate run with learning_rate: fast", ["run"], file("r1.yaml", "rater: 0\nfinetune: {settings: {learning_rate: fast}}")),
        ("palate train with batch_size: -5", ["train"], file("t1.yaml", _yaml(dpo | {"config": {"batch_size": -5}}).decode())),
        ("palate run of a bomb", ["run"], file("r2.yaml", BOMB)),
        ("palate run of /dev/zero", ["run"], "/dev/zero"), ("palate run of a pipe", ["run"], str(folder / "PIPE")),
        ("palate train of a pipe", ["train"], str(folder / "PIPE")), ("palate chat of a bomb", ["chat", "--config"], file("c1.yaml", BOMB)),
        ("palate run with rounds: true", ["run"], file("r3.yaml", "rater: 0\nrounds: true")),
        ("palate run with a vocabulary of Latin-1", ["run"], file("r4.yaml", f"rater: 0\nplanner: rules\nvocabulary: {file('v.yaml', 'name: x')}")),
        ("palate train with dataset /dev/zero", ["train"], file("t2.yaml", _yaml(dpo | {"dataset": "/dev/zero"}).decode())),
        ("palate train with a dataset in a pipe", ["train"], file("t3.yaml", _yaml(dpo | {"dataset": str(folder / "PIPE")}).decode())),
    ]  # fmt: skip


def _commanded(words: list[str], file: str) -> str:
    """Refused in one line, with status 1, before anything is made."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "agent.cli.main", "--home", home, *words, file]
        try:
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=2 * HANGS, check=False)
        except subprocess.TimeoutExpired:
            return "hung"
        made = sorted(path.name for path in Path(home).rglob("*") if path.suffix == ".png")
    if done.returncode != 1 or done.stderr.count("\n") != 1 or made:
        return f"status {done.returncode}, pictures {made[:3]}, {done.stderr[-300:]!r}"
    return ""


if __name__ == "__main__":
    worker(Path(sys.argv[1]))
