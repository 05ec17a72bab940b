"""The ledger of a run: who judged its pictures how, where two of them disagree, and whether the guide is being deceived.

Reads the store's view `ledger` (scores and ratings of the pictures that a person was shown), takes in what the person's answers to
questions say on the scale of ratings, and adds the words of the feedback as one more judge. The judging is evaluators.ledger's; the sentences here are for people: a planner is shown none of it, because the bundled
one was taught on other texts.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.store.counts import ShownImage
from agent.store.store import Store
from prompts.errors import InputError
from prompts.vocabulary import Vocabulary, load_vocabulary
from tools.records import StepRow

if TYPE_CHECKING:  # `palate logs list` does not wait for it
    import numpy as np

    from evaluators.ledger import Alarm

GUIDE = "preference"  # the learned taste chooses what is bred, painted and trained
PERSON, FEEDBACK = "rating", "feedback"
JUDGES = (
    GUIDE,
    "pickscore",
    "clip_t",
    PERSON,
    FEEDBACK,
)  # clip_i looks at the liked pictures: it is no judge of its own


@dataclass(frozen=True)
class Ledger:
    """N pictures in the order painted: their ids, rounds (N,), and what each judge says of them, (N,) with NaN for nothing."""

    images: tuple[str, ...]
    rounds: np.ndarray
    columns: Mapping[str, np.ndarray]

    def alarm(self) -> Alarm:
        """Whether the learned taste climbs while another judge falls."""
        from evaluators.ledger import alarm

        return alarm(self.columns, self.rounds, GUIDE)


def read_ledger(store: Store, run_id: str) -> Ledger:
    """A run's ledger as it stands. Judges that said nothing are left out. Raises InputError for an unknown run."""
    import numpy as np

    store.run(run_id)
    shown = store.shown(run_id)
    place = {row.id: number for number, row in enumerate(shown)}
    columns = {name: np.full(len(shown), np.nan) for name in JUDGES}
    for image, judge, value in store.judged(run_id):
        if judge in columns and image in place:  # a picture whose row is damaged has none
            columns[judge][place[image]] = value
    for image, value in _by_person(store, run_id).items():
        if image in place:
            columns[PERSON][place[image]] = value
    for image, value in _by_feedback(store, run_id, shown).items():
        columns[FEEDBACK][place[image]] = value
    told = {name: values for name, values in columns.items() if np.isfinite(values).any()}
    return Ledger(tuple(place), np.array([row.round for row in shown], dtype=float), told)


def _by_person(store: Store, run_id: str) -> Mapping[str, float]:
    """Where the person compared pictures, what that says of each beside the ratings; the ratings alone are in the view."""
    from agent.store.trail import StoreTrail
    from tools.likings import judged

    return judged(StoreTrail(store, run_id)) if store.comparisons(run_id) else {}


def _by_feedback(store: Store, run_id: str, shown: Sequence[ShownImage]) -> dict[str, float]:
    """What the newest feedback before a picture was painted would have said of it: the sum of its words' counted effects.

    Of feedback from before only: words counted on a picture's own rating would agree with it by construction."""
    steps = store.done(run_id, "give_feedback")
    vocabulary = _vocabulary(store, run_id) if steps else None
    found = {}
    for row, step in _with_newest(shown, steps) if vocabulary else ():
        genome = vocabulary.parse(row.prompt) if vocabulary else None
        if genome is not None:
            effects = _effects(step.facts.get("evidence"))
            found[row.id] = sum(effects.get(f"{gene.replace('_', ' ')} {value}", 0.0) for gene, value in genome.items())
    return found


def _with_newest(shown: Sequence[ShownImage], steps: Sequence[StepRow]) -> Iterator[tuple[ShownImage, StepRow]]:
    """Each picture with the newest of `steps` before its own, where there is one."""
    numbers = [step.step for step in steps]
    for row in shown:
        earlier = bisect_left(numbers, row.step)
        if earlier:
            yield row, steps[earlier - 1]


def _vocabulary(store: Store, run_id: str) -> Vocabulary | None:
    """The run's words; none where their file is gone, as an old run's may be."""
    try:
        return load_vocabulary(str(store.run(run_id).config.get("vocabulary", "")))
    except InputError:
        return None


def _effects(evidence: Any) -> dict[str, float]:
    pairs = evidence if isinstance(evidence, list) else []
    return {str(pair[0]): float(pair[1]) for pair in pairs if isinstance(pair, list) and len(pair) == 2}


def alarm_of(store: Store, run_id: str) -> dict[str, Any] | None:
    """The alarm as plain JSON, to be kept with the step that learned; None where there is no cause."""
    found = read_ledger(store, run_id).alarm()
    if not found.raised or found.guide is None:
        return None
    slopes = {
        one.judge: [round(one.slope, 4), round(one.low, 4), round(one.high, 4)] for one in (found.guide, *found.falling)
    }
    return {
        "guide": found.guide.judge,
        "falling": [one.judge for one in found.falling],
        "slopes": slopes,
        "said": found.said,
    }


def ledger_facts(store: Store, run_id: str) -> dict[str, Any]:
    """The ledger in numbers, ready for JSON: pairs of judges, least agreement first, and what the rounds say."""
    from evaluators.ledger import disagreements

    ledger = read_ledger(store, run_id)
    found = ledger.alarm()
    pairs = [
        {
            "judges": [one.first, one.second], "correlation": round(one.correlation, 3), "interval": [round(one.low, 3), round(one.high, 3)],
            "n": one.n, "biggest": [{"image": ledger.images[row], "gap": round(gap, 2)} for row, gap in one.biggest],
        }
        for one in disagreements(ledger.columns)
    ]  # fmt: skip
    return {"pairs": pairs, "alarm": found.raised, "said": found.said}
