"""What README.md, CONTRIBUTING.md and docs/ tell a person to type, open or paste is true: each command, path, link and snippet.

Commands are read by the command line's own parser, YAML by what reads it, and Python is run as a person would paste it.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from agent.bench.cli import module_of, options_of
from agent.cli.job_file import load_job
from agent.cli.main import make_parser
from agent.config import CONFIGS, make_config, read_keys
from agent.store.home import open_store
from prompts.vocabulary import load_vocabulary
from tests.places import ROOT
from tools.actions.catalogue import TOOLS
from tools.jobs.spec import gate_of, kind_of

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SNIPPETS = ("python", "yaml")  # languages that are run or read whole
HOUSES = "agent|tools|trainers|evaluators|prompts|models|configs|tests|benchmarks|docs|requirements"
RED, BLUE = (Image.new("RGB", (64, 64), colour) for colour in ((220, 30, 30), (20, 40, 200)))


def typed(text: str) -> Iterator[str]:
    """What a page shows as typed, without comments: indented and fenced lines that are no snippet, and words in backticks."""
    prose = FENCE.sub("", text)
    fenced = [line for said, code in FENCE.findall(text) if said not in SNIPPETS for line in code.splitlines()]
    for line in (*re.findall(r"^ {4}(\S.*)$", prose, re.MULTILINE), *fenced):
        yield re.split(r" +# ", line)[0].strip()
    yield from re.findall(r"`([^`\n]+)`", prose)


def found(start: str) -> list[Any]:
    """Each different command of all pages that begins with `start`."""
    said = {word: page.name for page in PAGES for word in typed(page.read_text()) if re.match(start, word)}
    return [pytest.param(word, id=f"{page}: {word}") for word, page in said.items()]


def snippets(language: str) -> list[Any]:
    """Each fenced snippet of a language, with the page that it stands on."""
    every = [(page.name, code) for page in PAGES for said, code in FENCE.findall(page.read_text()) if said == language]
    return [pytest.param(code, id=f"{page} {number}") for number, (page, code) in enumerate(every, start=1)]


@pytest.mark.parametrize("command", found("palate "))
def test_each_command_is_understood(command: str) -> None:
    assert callable(make_parser().parse_args(shlex.split(command)[1:]).command)


@pytest.mark.parametrize("command", found("palate bench "))
def test_each_bench_has_the_settings_and_strategies_it_is_given(command: str, tmp_path: Path) -> None:
    chosen = make_parser().parse_args(shlex.split(command)[1:])
    chosen.data = tmp_path if chosen.data else None
    module = module_of(chosen.name)
    options = options_of(chosen, module)
    assert options.data or module.cells(options)


@pytest.mark.parametrize("command", found("palate logs query "))
def test_each_query_can_be_asked_of_a_record(command: str, tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        assert store.query(make_parser().parse_args(shlex.split(command)[1:]).sql) == []


@pytest.mark.parametrize("command", found(r"make \w"))
def test_each_make_target_is_in_the_makefile(command: str) -> None:
    target = command.split()[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target


@pytest.mark.parametrize("command", found(r"(\.venv/bin/)?python -m "))
def test_each_module_that_is_run_is_there_and_knows_its_flags(command: str) -> None:
    name, *words = command.partition("-m ")[2].split()
    folder = ROOT / Path(*name.split("."))
    file = folder / "__main__.py" if folder.is_dir() else folder.with_suffix(".py")
    if name.partition(".")[0] in HOUSES.split("|"):
        source = file.read_text()
        assert all(f'"{word}"' in source for word in words if word.startswith("--")), command
    else:
        assert importlib.util.find_spec(name) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_path_that_is_named_exists(page: Path) -> None:
    code = [*typed(page.read_text()), *(text for _, text in FENCE.findall(page.read_text()))]
    words = {word.strip("'\"`,;:()[]") for text in code for word in re.split(r"[\s(]+", text)}
    paths = {word for word in words if re.fullmatch(rf"({HOUSES})/[\w./*-]*", word)}
    # NAME stands for a file that somebody adds: its folder is there.
    named = {path.rpartition("/")[0] if "NAME" in path else path for path in paths}
    assert not [path for path in sorted(named) if not any(ROOT.glob(path.rstrip("/")))]


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text())):
        if link.startswith(("http:", "https:")):
            continue
        path, _, anchor = link.partition("#")
        there = page.parent / path if path else page
        assert there.is_file(), link
        headings = re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE) if anchor else []
        assert not anchor or anchor in map(slug, headings), link


def test_each_page_can_be_reached_from_the_readme() -> None:
    links = set(re.findall(r"\]\(([^)#\s]+)", (ROOT / "README.md").read_text()))
    assert {str(page.relative_to(ROOT)) for page in PAGES[1:]} <= links


def test_the_table_of_tools_names_every_tool_once() -> None:
    page = (ROOT / "docs" / "runs.md").read_text()
    assert sorted(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == sorted(TOOLS)


def test_there_are_at_most_ten_tools() -> None:
    assert len(TOOLS) <= 10


def filled(folder: Path, values: dict[str, Any]) -> None:
    """Put there what a training's snippet names: a folder of pictures, a file of pairs, a list of prompts, single pictures."""
    (folder / "prompts.txt").write_text("a circle\na square\n")
    for name in ("one.png", "two.png"):
        RED.save(folder / name)
    given = values.get("dataset")
    if isinstance(given, str) and given.endswith(".jsonl"):
        (folder / given).write_text(json.dumps({"prompt": "a circle", "win": "one.png", "lose": "two.png"}) + "\n")
    elif isinstance(given, str):
        (folder / given).mkdir()
        for name, picture in (("a.png", RED), ("b.png", BLUE), ("c.png", RED)):
            picture.save(folder / given / name)


def check_job(file: Path, values: dict[str, Any], folder: Path) -> None:
    """Read as `palate train` reads it, up to the first step: settings, pictures, and what its gate needs."""
    filled(folder, values)
    job = load_job(file, folder / "home")
    kind = kind_of(job)
    assert kind.config(**job.config)
    data, _ = kind.data(job)
    assert data or job.pool
    assert (gate_of(job) is None) == ("gate" not in values)


@pytest.mark.parametrize("snippet", snippets("yaml"))
def test_each_yaml_snippet_is_read_by_what_it_is_for(snippet: str, tmp_path: Path) -> None:
    file, values = tmp_path / "mine.yaml", yaml.safe_load(snippet)
    file.write_text(snippet)
    if "template" in values:
        assert load_vocabulary(str(file)).name == values["name"]
    elif "kind" in values:
        check_job(file, values, tmp_path)
    else:  # a part of a run's config; the models that it names may be elsewhere
        assert make_config(read_keys(CONFIGS / "demo.yaml").values | values)


@pytest.fixture(scope="module")
def clone(studio: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """A folder as the pages describe it: the bundled models, and a run with an adapter that was really trained."""
    from trainers.dreambooth import DreamBoothConfig, train
    from trainers.model.load import load

    folder = tmp_path_factory.mktemp("clone")
    (folder / "models").symlink_to(studio.parent)
    out = folder / ".palate" / "runs" / "20260101-000000-abcdef" / "adapters" / "step-24"
    config = DreamBoothConfig(steps=2, batch_size=1, learning_rate=1e-3, size=32)
    train(config, [(RED, "a red field")], base_model=load(str(studio), device="cpu"), out=out)
    return lambda: folder


@pytest.mark.parametrize("snippet", snippets("python"))
def test_each_python_snippet_runs_as_it_stands(snippet: str, clone: Callable[[], Path]) -> None:
    folder, painted = clone(), re.findall(r"\.save\(\"(.+?)\"\)", snippet)
    done = subprocess.run([sys.executable, "-c", snippet], cwd=folder, text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for name in painted:
        with Image.open(folder / name) as picture:
            assert picture.size == (64, 64)
