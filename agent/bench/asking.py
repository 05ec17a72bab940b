"""`palate bench asking`: how many clicks it takes to learn a taste, by how the questions are chosen: at random, or those that teach the most.

A strategy is a kind of question and a way of choosing, "worst:active". A simulated rater answers questions about `shown` pictures of
random prompts; after each click, what was learned orders `held` others, which nobody asked about, and its accuracy is the share of
their pairs in the order of the rater's noise-free liking. Both ways have the same learner: a Gaussian belief over CLIP features
(evaluators/asking/belief.py), told one answer at a time, that begins with what other people like (the model's population.npz, of raters that no
bench meets), or with looks alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.bench.tables import Report, Row, Table, groups
from agent.config import MODELS
from evaluators.asking.belief import SHOWN, Belief, Question, after, learned, unlearned
from evaluators.asking.questions import at_random, choose
from evaluators.looks.raters import Rater, company_noise, load_reference
from evaluators.numbers.agreement import pairwise_accuracy
from evaluators.numbers.search_metrics import count_to
from evaluators.numbers.win_rate import mean_interval
from evaluators.scorers.weights import version_of_file
from prompts.errors import InputError
from tools.taste import POPULATION_FILE

if TYPE_CHECKING:
    from agent.bench.cli import Options
    from agent.bench.pool import Pool
    from agent.bench.tables import Curves

WAYS = ("random", "active")
NOISE = 0.4  # as tools/questions.py: of one look, in SDs of liking
# `pool` pictures, of which `held` are judged and `shown` may be asked about; `prior`: people or looks; `by`: as questions.choose has it.
GIVEN: dict[str, Any] = {
    "pool": 480,
    "held": 160,
    "shown": 48,
    "clicks": 60,
    "prior": "people",
    "by": None,
    "at_once": 1,
}
SMALL = {"pool": 48, "held": 20, "shown": 20, "clicks": 8}
LEVELS = (10, 20, 40, 60, 80, 100)


def cells(options: Options) -> list[dict[str, Any]]:
    """Every kind and way with every rater and seed. Raises InputError for another strategy, or a pool that is too small."""
    chosen = list(dict.fromkeys(options.strategies or [f"{kind}:{way}" for kind in SHOWN for way in WAYS]))
    for name in chosen:
        kind, _, way = name.partition(":")
        if kind not in SHOWN or way not in WAYS:
            raise InputError(
                f"unknown strategy {name!r}: give a kind of {', '.join(SHOWN)} and a way, as in 'worst:active'"
            )
    given = setting(options)
    if given["held"] + given["shown"] > given["pool"] or given["prior"] not in ("people", "looks"):
        raise InputError(f"{given!r}: held and shown must fit into the pool, and prior be people or looks")
    return options.grid(chosen)


def setting(options: Options) -> dict[str, Any]:
    """What was set; where nothing was, what is small (--quick)."""
    return options.fitted(GIVEN, SMALL if options.quick else {})


def settings(options: Options) -> dict[str, Any]:
    """What the results depend on beside the cells."""
    return {**setting(options), "people": version_of_file(MODELS / "bauhaus" / POPULATION_FILE)}


def prepare(options: Options) -> Any:
    """Paints the pool on first use; the work with it."""
    from agent.bench.pool import pool_file

    given = setting(options)
    return partial(work, pool=str(pool_file(options.out, given["pool"])), given=given)


def work(cell: Row, *, pool: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """One rater's clicks: {"accuracy": after each}. Which pictures are held is the same for all ways."""
    from agent.bench.pool import read_pool

    pictures = read_pool(Path(pool))
    kind, _, way = cell["strategy"].partition(":")
    person, noise = Panel(cell["rater"], cell["seed"], pictures), np.random.default_rng([cell["seed"], 0x5717])
    order = noise.permutation(len(pictures.features))
    held, shown, rest = np.split(order, [given["held"], given["held"] + given["shown"]])
    belief, asked, accuracy = before(pictures, given["prior"]), list[Question](), list[float]()
    drawn = at_random(kind, given["clicks"], shown.tolist(), seed=cell["seed"] * 1000 + cell["rater"])
    while len(asked) < given["clicks"]:
        questions = drawn[len(asked) :][: given["at_once"]]
        if way == "active":
            how = {"candidates": shown, "targets": rest if len(rest) else shown, "asked": asked, "by": given["by"]}
            questions = choose(belief, kind, given["at_once"], seed=cell["seed"], **how)
        if not questions:  # of ratings there are no more than pictures
            break
        for question in questions[: given["clicks"] - len(asked)]:
            belief = after(belief, question, person.answer(question))
            asked.append(question)
            accuracy.append(round(pairwise_accuracy(belief.mean[held], person.liking[held]), 4))
    return {"accuracy": accuracy}


def before(pictures: Pool, prior: str) -> Belief:
    """What is believed of the pool before the first click."""
    if prior == "looks":
        return unlearned(pictures.features, NOISE)
    people = _people().prior
    return learned(people.mean(pictures.features), people.covariance(pictures.features, pictures.features), NOISE)


@lru_cache(maxsize=1)
def _people() -> Any:
    from evaluators.preference.population import Population

    return Population.load(MODELS / "bauhaus" / POPULATION_FILE)


class Panel:
    """A rater before the pool: answers as `Rater` does from the pictures, whose pixels were measured once."""

    def __init__(self, rater: int, seed: int, pictures: Pool) -> None:
        self.rater, self.seed, self.pictures = (
            Rater(rater, reference=load_reference(MODELS / "bauhaus")),
            seed,
            pictures,
        )
        self.liking = self.rater.utility_of(pictures.measured)

    def answer(self, question: Question) -> float | int:
        """A rating in SDs of liking, in steps of half a point of this rater's scale; or the place of what they picked."""
        images = list(question.images)
        names = [sha256(self.pictures.pixels[i].tobytes()).hexdigest() for i in images]
        seen = self.liking[images] + self.rater.noise * company_noise(self.rater.seed, self.seed, names)
        if question.kind == "rate":
            points = self.rater.points(seen[0])
            return float((points - self.rater.offset) / self.rater.scale)
        return int(seen.argmin() if question.kind == "worst" else seen.argmax())


def report(rows: Sequence[Row]) -> Report:
    """What half of the clicks come to when they are chosen, and the curves."""
    lines = [line for kind in SHOWN for line in compared(rows, kind)]
    columns = ("kind", "random clicks", "accuracy", "active clicks for it", "active at half of them", "less random")
    about = Table("Pairs in the right order, of pictures that nobody asked about", columns, tuple(lines))
    note = f"{len(groups(rows, 'rater'))} simulated raters; seeds are averaged first; in [ ] the 95 % interval over raters."
    return Report("Asking: clicks at random and chosen", (about,), {"asking": [_curves(rows)]}, (note,))


def compared(rows: Sequence[Row], kind: str, levels: Sequence[int] = LEVELS) -> list[tuple[Any, ...]]:
    """For each number of random clicks of a kind: the accuracy they reach, how many active clicks reach it in the mean curve (with the
    interval of a bootstrap over raters), what active ones reach with half as many, and its difference, paired by rater."""
    random, active = (curves(rows, f"{kind}:{way}") for way in WAYS)
    raters = [rater for rater in random if rater in active]
    if not raters:
        return []
    shortest = min(len(one[rater]) for one in (random, active) for rater in raters)
    first, second = (np.stack([one[rater][:shortest] for rater in raters]) for one in (random, active))
    return [_level(kind, first, second, level) for level in levels if level <= shortest]


def curves(rows: Sequence[Row], strategy: str) -> dict[Any, np.ndarray]:
    """Rater to accuracy by click, the mean over seeds."""
    some = [row for row in rows if row["strategy"] == strategy]
    return {
        rater: np.mean([row["accuracy"] for row in theirs], axis=0) for rater, theirs in groups(some, "rater").items()
    }


def _level(kind: str, first: np.ndarray, second: np.ndarray, level: int) -> tuple[Any, ...]:
    goal, half = first[:, level - 1], second[:, level // 2 - 1]
    rng = np.random.default_rng([level, 0xB007])
    picks = rng.integers(0, len(first), (1000, len(first)))
    needed = [_reached(second[pick], goal[pick]) for pick in picks]
    most, (low, high) = second.shape[1], np.quantile(needed, [0.025, 0.975])
    middle = _reached(second, goal)
    clicks = " ".join([_clicks(middle, most), f"[{_clicks(low, most)}, {_clicks(high, most)}]"])
    return (
        kind,
        level,
        mean_interval(goal.tolist()),
        clicks,
        mean_interval(half.tolist()),
        mean_interval((half - goal).tolist()),
    )


def _reached(active: np.ndarray, goal: np.ndarray) -> float:
    """Clicks until the mean of curves (R, clicks) is at the mean of (R,); one more than there are where it never is."""
    return count_to(active.mean(axis=0), float(goal.mean())) or active.shape[1] + 1


def _clicks(count: float, most: int) -> str:
    return f"{count:.0f}" if count <= most else f">{most}"


def _curves(rows: Sequence[Row]) -> Curves:
    from agent.bench.tables import Curves

    lines = {}
    for name in groups(rows):
        found = list(curves(rows, name).values())
        length = min(map(len, found))
        lines[name] = {float(n + 1): mean_interval([float(one[n]) for one in found]) for n in range(length)}
    return Curves("clicks", "pairs in the right order", lines)
