"""One person's runs made into a taste profile, and profiles made into a blend.

Knows the store and where a run's pictures are; looks at them with the runs' own CLIP. Does not write the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.config import Config, bundled, run_folder
from agent.loop.profiles import checked_name
from agent.store.wholeness import check_read
from prompts.errors import InputError

if TYPE_CHECKING:  # numpy and the models only when a profile is made
    import numpy as np

    from agent.store.store import Store
    from tools.profiles.profile import Profile
    from tools.profiles.records import Compared, Genome, Rated, Scale, Taste, Trained


def export(store: Store, home: Path, run_ids: Sequence[str], name: str, rater: str | None = None) -> Profile:
    """One person's runs as a profile. Looks at every rated and compared picture with the runs' own CLIP.

    Raises InputError for runs of several people, CLIPs or vocabularies, pictures that are gone, or fewer than two clicks."""
    import numpy as np

    from evaluators.numbers.comparisons import MIDDLE, POINTS
    from tools.profiles.profile import Profile
    from tools.profiles.records import Features, Manifest, Scale
    from tools.profiles.summary import summarised

    runs, name = list(dict.fromkeys(run_ids)), checked_name(name)
    config = _common(store, runs)
    for run in runs:
        check_read(store, run)
    who = _rater(store, runs, rater)
    ratings, compared = _rated(store, runs, who, config), _compared(store, runs, who)
    _check_enough(store, runs, who, len(ratings))
    images, features, version = _seen(store, home, runs, ratings, compared, config)
    values = np.array([one.value for one in ratings])
    genome = _worths(ratings, config)
    scale = Scale(mean=float(values.mean()), sd=float(values.std())) if ratings else Scale(mean=MIDDLE, sd=POINTS)
    fitted, taste = _learned(ratings, compared, images, features, name, scale)
    seen = Features(model=config.clip.rstrip("/").rsplit("/", 1)[-1], version=version, dimension=features.shape[1])
    manifest = Manifest(
        name=name, created=max([one.when for one in ratings] + [one.when for one in compared]), palate=_palate(), scale=scale, ratings=len(ratings),
        comparisons=len(compared), features=seen, tastes=(taste,), members={},
    )  # fmt: skip
    profile = Profile(manifest, ratings, compared, images, features, (fitted,), genome, _trained(store, runs), "")
    return replace(profile, summary=summarised(profile, _wishes(store, runs)))


def blended(profiles: Sequence[Profile], weights: Sequence[float], name: str) -> Profile:
    """A mixture, with its summary. Raises InputError."""
    from tools.profiles.mix import blend
    from tools.profiles.summary import summarised

    profile = blend(profiles, weights, checked_name(name))
    return replace(profile, summary=summarised(profile))


def _common(store: Store, runs: Sequence[str]) -> Config:
    """The config of the first run. Raises InputError where another saw with another CLIP, or spoke in other words."""
    from agent.loop.session import stored_config

    configs = {run: stored_config(store, run) for run in runs}
    first = configs[runs[0]]
    for run, config in configs.items():
        for key in ("clip", "vocabulary"):
            if getattr(config, key) != getattr(first, key):
                raise InputError(
                    f"{key}: the run {run!r} has {getattr(config, key)!r} and {runs[0]!r} has {getattr(first, key)!r}: export them apart."
                )
    return first


def _rater(store: Store, runs: Sequence[str], asked: str | None) -> str:
    """Whose ratings and comparisons these are. Raises InputError where several people gave some, or nobody."""
    raters = {row.rater for run in runs for row in store.ratings(run)}
    found = sorted(raters | {row.rater for run in runs for row in store.comparisons(run)})
    if asked is not None and asked not in found:
        raise InputError(f"rater {asked!r} rated nothing in these runs: there are {', '.join(map(repr, found)) or 'none'}.")  # fmt: skip
    if asked is None and len(found) > 1:
        raise InputError(f"These runs have ratings by {', '.join(map(repr, found))}, and a profile is one person's: say whose with --rater.")  # fmt: skip
    if not found:
        raise InputError(
            f"The run {', '.join(map(repr, runs))} has no ratings yet, and no answers to questions: rate some pictures, then export."
        )
    return asked or found[0]


def _rated(store: Store, runs: Sequence[str], rater: str, config: Config) -> tuple[Rated, ...]:
    from prompts.vocabulary import load_vocabulary
    from tools.profiles.records import Rated

    vocabulary, found = load_vocabulary(config.vocabulary), []
    for run in runs:
        images = {row.id: row for row in store.images(run)}
        for row in store.ratings(run):
            if row.rater == rater:
                image = images[row.image]
                read = vocabulary.parse(image.prompt)
                genome = None if read is None else {gene: read[gene] for gene in vocabulary.genes}
                found.append(Rated(image=image.sha256, prompt=image.prompt, genome=genome, value=row.value, when=row.created, run=run))  # fmt: skip
    return tuple(found)


def _check_enough(store: Store, runs: Sequence[str], rater: str, ratings: int) -> None:
    """Raises InputError below two clicks: a rating is one, and so is an answer, however many pairs it compares."""
    rows = [(run, row) for run in runs for row in store.comparisons(run) if row.rater == rater]
    clicks = ratings + len({(run, row.click) for run, row in rows})
    if clicks < 2:
        raise InputError(f"{clicks} ratings and answers are too few for a profile: rate at least 2 pictures, or answer 2 questions.")  # fmt: skip


def _compared(store: Store, runs: Sequence[str], rater: str) -> tuple[Compared, ...]:
    from tools.profiles.records import Compared

    found = []
    for run in runs:
        hashes = {row.id: row.sha256 for row in store.images(run)}
        rows = [row for row in store.comparisons(run) if row.rater == rater and hashes[row.win] != hashes[row.lose]]
        found += [
            Compared(
                first=hashes[row.win],
                second=hashes[row.lose],
                answer="tie" if row.tie else "first",
                when=row.created,
                run=run,
            )
            for row in rows
        ]
    return tuple(found)


def _seen(
    store: Store, home: Path, runs: Sequence[str], ratings: Sequence[Rated], compared: Sequence[Compared], config: Config
) -> tuple[tuple[str, ...], np.ndarray, str]:  # fmt: skip
    """The pictures by hash, their CLIP features (N, D), and the CLIP's version."""
    from evaluators.scorers.clip import Clip
    from tools.files import opened

    wanted = dict.fromkeys([one.image for one in ratings] + [image for one in compared for image in (one.first, one.second)])  # fmt: skip
    files = {row.sha256: run_folder(home, run) / row.path for run in runs for row in store.images(run)}
    gone = [str(files[image]) for image in wanted if not files[image].is_file()]
    if gone:
        raise InputError(f"Pictures that were rated are gone ({len(gone)}), for example {gone[0]!r}: put them back, or export other runs.")  # fmt: skip
    clip = Clip(bundled(config.clip))
    return tuple(wanted), clip.image_features([opened(files[image]) for image in wanted]), clip.version


def _worths(ratings: Sequence[Rated], config: Config) -> Genome:
    from prompts.vocabulary import load_vocabulary
    from tools.profiles.taste import worths

    return worths([(one.value, one.genome) for one in ratings if one.genome is not None], load_vocabulary(config.vocabulary))  # fmt: skip


def _learned(
    ratings: Sequence[Rated], compared: Sequence[Compared], images: Sequence[str], features: np.ndarray, name: str, scale: Scale
) -> tuple[Any, Taste]:  # fmt: skip
    """The preference model, and what is known of it. A picture that was rated twice is one, held out or not."""
    import numpy as np

    from evaluators.preference import model as preference
    from evaluators.preference.held_out import held_out_agreement
    from tools.profiles.records import SMALLEST, Taste
    from tools.profiles.taste import evidence
    from tools.taste import ENOUGH

    values, comparisons = evidence(ratings, compared, images)
    fitted = preference.fit(features, values, comparisons=comparisons)
    agreement = None
    if np.isfinite(values).sum() >= ENOUGH:
        held = held_out_agreement(features, values, comparisons=comparisons)
        agreement = (round(held.srocc, 3), round(held.low, 3), round(held.high, 3))
    taste = Taste(
        member="preference-0.npz", kind=fitted.kind, weight=1.0, centre=scale.mean,
        spread=scale.sd if scale.sd >= SMALLEST else 1.0, ratings=len(ratings),
        agreement=agreement, name=name,
    )  # fmt: skip
    return fitted, taste


def _trained(store: Store, runs: Sequence[str]) -> tuple[Trained, ...]:
    from tools.profiles.records import Trained

    return tuple(
        Trained(sha256=row.sha256, kind=row.kind, base=_bare(row.base), weight=1.0, promoted=row.promoted, run=run)
        for run in runs
        for row in store.adapters(run)
    )


def _bare(model: str) -> str:
    """A model's name without the folders of this machine; a hub id as it is."""
    return Path(model).name if Path(model).is_absolute() else model


def _wishes(store: Store, runs: Sequence[str]) -> list[str]:
    """The newest run's, in words of its vocabulary."""
    from agent.loop.recall import read_facts
    from agent.loop.session import stored_config
    from agent.store.trail import StoreTrail

    last = max(runs)  # ids sort by time
    return list(read_facts(StoreTrail(store, last), stored_config(store, last)).wishes)


def _palate() -> str:
    try:
        return metadata.version("palate")
    except metadata.PackageNotFoundError:
        return "not installed"
