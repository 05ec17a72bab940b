"""`palate bench search`: how good the pictures become that each search strategy finds for a person, with the same number of pictures.

Every strategy paints `rounds` times `per_round` pictures with the bundled painter; a simulated rater scores them, with noise. What is
compared is that rater's hidden liking of the last round, in SDs over random prompts; and what LLM prompt optimisation for PIAA, section
4.2, measures: max, max - init, K*, max sim, score of the most similar. "tpe" and "gp" are Optuna's samplers on the same words. A language
model's context is ablated with "llm:none", "llm:s+p", "llm:s+p+f" and "llm:s+p+f+I", as there in Tables 1 and 2.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.config import MODELS
from evaluators.numbers.search_metrics import count_to, regret, search_numbers
from prompts.errors import InputError
from tools.jobs.spec import checked
from tools.search.history import History, score_of
from tools.search.run import Seen, search
from tools.searching import SearchSpec

if TYPE_CHECKING:
    from PIL import Image

    from agent.bench.cli import Options
    from agent.bench.tables import Report
    from tools.context import Studio
    from tools.search.space import Space
    from tools.search.strategy import Means, Proposal, Strategy

Row = dict[str, Any]
NATIVE = "bauhaus-lm"  # is asked in the words that it was taught
GENERIC = "belief:generic"  # as belief, with nothing learned of other people's tastes
CHOSEN = ("belief", GENERIC, "screened", "genetic", "random", "tpe", "gp")
PARTS: dict[str, tuple[str, ...]] = {
    "none": (), "s+p": ("scores", "prompts"), "s+p+f": ("scores", "prompts", "feedback"),
    "s+p+f+I": ("scores", "prompts", "feedback", "images"),
}  # fmt: skip
# Tables 1 and 2 of LLM prompt optimisation for PIAA: max, max - init, K*, max sim, score of the most similar.
PUBLISHED = (
    ("Table 1, personal: s+p", 6.78, 0.88, 5.83, 0.67, 5.50), ("s+p+f", 7.20, 1.19, 4.33, 0.76, 5.00),
    ("s+p+f+I", 6.88, 1.37, 5.66, 0.78, 7.17), ("Table 2, general: none", 6.50, 1.78, 5.33, None, None),
    ("s+p", 5.93, 1.21, 5.62, None, None), ("s+p+f", 5.88, 1.16, 5.51, None, None), ("s+p+f+I", 5.92, 1.20, 5.66, None, None),
)  # fmt: skip
GIVEN: dict[str, Any] = {"rounds": 5, "per_round": 8, "brief": "", "url": "", "model": NATIVE, "preset": "paper"}
SMALL = {"rounds": 3, "per_round": 4}
# What a row holds, and its heading.
LIKED = {
    "hidden_last": "liking of the last round, SD", "hidden_best": "best liking, SD", "regret": "regret, SD",
    "kept": "own proposals after the first round",
}  # fmt: skip
PAPER = {
    "max": "max", "gain": "max - init", "k": "K*", "max_sim": "max sim", "score_of_most_sim": "score of the most sim",
}  # fmt: skip


def cells(options: Options) -> list[Row]:
    """Every strategy with every rater and seed. Raises InputError for a strategy that there is none of."""
    chosen = list(dict.fromkeys(options.strategies or CHOSEN))
    for name in chosen:
        _checked(name)
    return options.grid(chosen)


def setting(options: Options) -> dict[str, Any]:
    """What was set, or where --quick was and nothing else was set, a small version."""
    return options.fitted(GIVEN, SMALL if options.quick else {})


def prepare(options: Options) -> Any:
    """Starts the language model where a strategy asks one and no server was named; it ends with this process."""
    given = setting(options)
    if given["url"]:
        from agent.llm.keys import settle

        settle(given["url"], named=True)  # typed by a person, with --set
    if any(_asks(name) for name in options.strategies) and not given["url"]:
        from agent.config import bundled
        from agent.llm.brain import server_device
        from agent.llm.vllm_server import VllmServer

        server = VllmServer(bundled(given["model"]), folder=options.out / "vllm", device=server_device("auto"))
        server.start()  # it stops itself when this process ends
        given = {**given, "url": server.base_url, "model": server.model}
    return partial(work, given=given)


def work(cell: Row, *, given: Mapping[str, Any] = GIVEN) -> dict[str, Any]:
    """One search: a strategy, a rater and a seed."""
    from evaluators.looks.raters import Rater, load_reference

    reference = load_reference(_studio().settings.model)
    rater = Rater(cell["rater"], reference=reference)
    hidden: list[np.ndarray] = []
    space = _space()

    def rate(pictures: Sequence[Image.Image]) -> list[float]:
        hidden.append(rater.utility(pictures))
        return rater.rate(pictures, seed=cell["seed"])

    history = search(
        _strategy(cell["strategy"], space, given),
        paint=_painter(cell), rate=rate, look=_look, rounds=given["rounds"], per_round=given["per_round"],
        rng=random.Random(f"search {cell['strategy']} {cell['rater']} {cell['seed']}"),
        say=_said(cell["strategy"], space, given),
    )  # fmt: skip
    return outcome(history, np.array(hidden), rater.utility_of(reference))


def outcome(history: History, hidden: np.ndarray, at_random: np.ndarray) -> dict[str, Any]:
    """What a search came to. hidden (rounds, per round): noise-free liking; at_random (M,): that of random prompts' pictures."""
    level, rounds = float(np.quantile(at_random, 0.95)), hidden.mean(axis=1)
    later = [one for one in history.tried if one.round > 1]  # a first round has nothing to be chosen by
    drawn = [one for one in later if one.reason.startswith("drawn at random")]
    return {
        "hidden_last": float(rounds[-1]),
        "hidden_best": float(hidden.max()),
        "hidden_by_round": [round(float(one), 4) for one in rounds],
        "regret": float(regret(rounds, float(at_random.max()))[-1]),
        "p95": level,
        "rounds_to_p95": count_to(rounds, level),
        "kept": 1.0 - len(drawn) / max(len(later), 1),
        **paper_metrics(history),
    }


def paper_metrics(history: History) -> dict[str, Any]:
    """Of the scores that were given: the paper's five (evaluators.numbers.search_metrics)."""
    scored = history.scored
    features = [np.zeros(1) if one.features is None else one.features for one in scored]
    found = search_numbers(
        np.array([score_of(one) for one in scored]), np.array([one.round for one in scored]), np.array(features)
    )
    told = {"max": found.best, "gain": found.gain, "k": found.rounds_to_best}
    if any(one.features is None for one in scored):
        return told
    return told | {"max_sim": found.similarity, "score_of_most_sim": found.score_of_similar}


def _checked(name: str) -> tuple[str, tuple[str, ...]]:
    """A strategy's name and its context. Raises InputError."""
    from tools.search.strategies import STRATEGIES

    base, _, parts = name.partition(":")
    if base not in (*STRATEGIES, "tpe", "gp"):
        raise InputError(f"unknown strategy {name!r}: use one of {', '.join([*STRATEGIES, 'tpe', 'gp'])}")
    if parts and not (parts in PARTS and _asks(base)) and name != GENERIC:
        raise InputError(f"unknown context {parts!r} of {name!r}: use {GENERIC}, or an llm's {', '.join(PARTS)}")
    return base, PARTS.get(parts, PARTS["s+p+f"])


def _asks(name: str) -> bool:
    return name.partition(":")[0] in ("llm", "genetic_llm")


def _strategy(name: str, space: Space, given: Mapping[str, Any]) -> Strategy:
    from tools.search.strategies import make_strategy

    base, _ = _checked(name)
    if base in ("tpe", "gp"):
        from agent.bench.samplers import Sampler

        return Sampler(space, "tpe" if base == "tpe" else "gp")
    return make_strategy(_means(name, space, given))


def _means(name: str, space: Space, given: Mapping[str, Any]) -> Means:
    from tools.search.brief import read_brief
    from tools.search.strategy import Means

    base, parts = _checked(name)
    native = given["model"] == NATIVE
    values = {"strategy": base, "context": parts, "preset": given["preset"], "dialect": "native" if native else "plain"}
    write = _writer(given["url"], given["model"], native) if _asks(name) else None
    brief = read_brief(given["brief"], (), space)
    prior = "" if name == GENERIC else _studio().settings.model
    return Means(space, checked(SearchSpec, values, "--set"), brief, write=write, prior_folder=prior)


def _said(name: str, space: Space, given: Mapping[str, Any]) -> Callable[[History], str] | None:
    """How a round is put into words: by the language model; the bundled one is told the evidence, as give_feedback tells it."""
    if not _asks(name) or "feedback" not in _checked(name)[1]:
        return None
    if given["model"] != NATIVE:
        from tools.search.llm import feedback_on

        means = _means(name, space, given)
        return lambda history: feedback_on(history, means)

    from prompts.evidence import effects, feedback_sentence

    def sentence(history: History) -> str:
        rated = [(score_of(one), one.prompt) for one in history.scored]
        return feedback_sentence(effects(rated, space.vocabulary)[:6])

    return sentence


@lru_cache(maxsize=4)
def _writer(url: str, model: str, native: bool) -> Callable[..., Any]:
    from agent.llm.client import Llm
    from agent.loop.planners import native_writer

    llm = Llm(url, model, temperature=0.6, timeout=120.0, attempts=4, tight=native)
    return native_writer(llm) if native else llm.write


@lru_cache(maxsize=1)
def _studio() -> Studio:
    """The bundled models, on one thread: a grid has a process a core."""
    import torch

    from tools.context import Settings, Studio

    torch.set_num_threads(1)
    model, clip, pickscore = (str(MODELS / name) for name in ("bauhaus", "bauhaus-clip", "bauhaus-pickscore"))
    return Studio(Settings(model=model, clip=clip, pickscore=pickscore, seed=0, device="cpu"))


@lru_cache(maxsize=1)
def _space() -> Space:
    from prompts.vocabulary import load_vocabulary
    from tools.search.space import Space

    return Space(load_vocabulary("bauhaus"))


def _painter(cell: Row) -> Callable[[Sequence[Proposal]], list[Image.Image]]:
    """Paints a round; the seeds of round n are the same for every strategy."""
    from trainers.model.paint import paint

    studio, first = _studio(), (cell["seed"] + 1) * 10_000_019 + cell["rater"] * 1_009
    settings = studio.settings
    painted = 0

    def round_of(proposals: Sequence[Proposal]) -> list[Image.Image]:
        nonlocal painted
        found = paint(
            [one.prompt for one in proposals], model=studio.painter, seed=first + painted,
            steps=settings.steps, guidance_scale=settings.guidance_scale,
        )  # fmt: skip
        painted += len(found)
        return [one.image for one in found]

    return round_of


def _look(pictures: Sequence[Image.Image]) -> list[Seen]:
    clip, words = _studio().clip, _space().vocabulary.words
    tags = clip.tags(pictures, words)
    rows = clip.image_features(pictures)
    return [Seen(row, tuple(tag.word for tag in some)) for row, some in zip(rows, tags, strict=True)]


def report(rows: Sequence[Row]) -> Report:
    """Tables, differences to the first strategy, and a curve of liking by round."""
    from agent.bench.plots import curves_over
    from agent.bench.tables import Curves, Report, Table, groups, mean_table, paired_table, passing_table

    first = rows[0]["strategy"]
    tables = [
        mean_table(rows, LIKED, title="Hidden liking, in SDs over random prompts"),
        mean_table(rows, PAPER, title="Scores, 0 to 10, as in LLM prompt optimisation for PIAA, Table 1"),
        passing_table(rows, "rounds_to_p95", "hidden_by_round", title="The 95th percentile of random prompts"),
    ]
    if any(_asks(str(name)) for name in groups(rows)):
        columns = ("context", *PAPER.values())
        tables.append(Table("The paper's own, of six people and another model", columns, PUBLISHED))
    if len(groups(rows)) > 1:
        tables.append(paired_table(rows, {"hidden_last": "last round"}, first, title=f"Against {first}"))
    by_round = [
        {**row, "round": number, "liking": liking}
        for row in rows
        for number, liking in enumerate(row["hidden_by_round"], 1)
    ]
    curves = [Curves("round", "hidden liking, SD", curves_over(by_round, "round", "liking"))]
    note = f"{len(groups(rows, 'rater'))} simulated raters; a rater's seeds are averaged first; in [ ] the 95 % interval over raters."
    return Report("Search: what each strategy finds with the same pictures", tuple(tables), {"search": curves}, (note,))


def settings(options: Options) -> dict[str, Any]:
    """What else the results depend on: what was learned of tastes before; not where a server happens to listen."""
    from evaluators.scorers.weights import version_of_file
    from tools.search.prior import FILE

    file = MODELS / "bauhaus" / FILE
    told = {name: value for name, value in setting(options).items() if name != "url"}
    return {**told, "prior": version_of_file(file) if file.is_file() else None}
