"""summary.md: a taste in plain words. Every sentence is counted from the profile itself; no language model has a say in it."""

from __future__ import annotations

from collections.abc import Sequence

from tools.profiles.profile import Profile
from tools.profiles.records import Taste, Worth
from tools.taste import ENOUGH

Told = tuple[str, str, Worth]  # gene, word, what it is worth


def summarised(profile: Profile, wishes: Sequence[str] = ()) -> str:
    """Markdown. `wishes`: vocabulary words that were asked for, with + (wanted) or - (unwanted) in front."""
    told, found = profile.manifest, words(profile)
    liked, disliked = [one for one in found if one[2].low > 0], [one for one in found if one[2].high < 0]
    lines = [f"# {told.name}", _source(profile)]
    lines += _listed("Liked", liked) + _listed("Not liked", disliked)
    if not liked and not disliked:
        lines.append("No word is surely liked or disliked yet: each interval holds 0. More ratings would tell.")
    if found:  # of words that nobody rated none is the best
        lines.append("The best of each together: " + ", ".join(f"{gene.replace('_', ' ')} {word}" for gene, word in profile.genome.best.items()) + ".")  # fmt: skip
    lines += [_trust(one) for one in told.tastes]
    if wishes:
        lines.append("Asked for in words: " + ", ".join(_wish(wish) for wish in wishes) + ".")
    lines += [_adapters(profile)] if profile.adapters else []
    return "\n\n".join(lines) + "\n"


def words(profile: Profile) -> list[Told]:
    """Every word that was rated, most liked first."""
    genes = profile.genome.genes
    found = [(gene, word, worth) for gene, values in genes.items() for word, worth in values.items() if worth.count]
    return sorted(found, key=lambda one: -one[2].worth)


def counted(profile: Profile) -> str:
    """How much a profile was told: "16 ratings and 5 comparisons"."""
    told = profile.manifest
    both = [_amount(told.ratings, "rating")] * bool(told.ratings) + [_amount(told.comparisons, "comparison")] * bool(
        told.comparisons
    )
    return " and ".join(both)


def _source(profile: Profile) -> str:
    told = profile.manifest
    runs = _amount(len({one.run for one in profile.ratings} | {one.run for one in profile.comparisons}), "run")
    compared = _amount(told.comparisons, "comparison")
    said = f"{_amount(told.ratings, 'rating')} from {runs}, {told.scale.mean:.1f} of {told.scale.high:g} in the middle, give or take {told.scale.sd:.1f}"  # fmt: skip
    said = f"{said}; {compared}" if told.ratings and told.comparisons else said if told.ratings else f"{compared} from {runs}"  # fmt: skip
    if len(told.tastes) == 1:
        return f"{said}."
    parts = " and ".join(f"{100 * one.weight:.0f} % {one.name}" for one in told.tastes)
    return f"A blend: {parts}. {said}."


def _listed(title: str, found: Sequence[Told]) -> list[str]:
    """The words whose whole 95 % interval lies on one side, strongest first."""
    strongest = sorted(found, key=lambda one: -abs(one[2].worth))
    lines = [f"- {gene.replace('_', ' ')} {word}: {worth.worth:+.2f} SD ({worth.low:+.2f} to {worth.high:+.2f}), {_amount(worth.count, 'picture')}" for gene, word, worth in strongest]  # fmt: skip
    return [f"{title}:", "\n".join(lines)] if lines else []


def _trust(taste: Taste) -> str:
    if taste.agreement is None:
        why = f"{_amount(taste.ratings, 'rating')} of {taste.name}'s, and at least {ENOUGH} are needed to hold some out"
        return f"How far to trust the model of {taste.name}'s taste cannot be said: {why}."
    srocc, low, high = taste.agreement
    return (
        f"The model of {taste.name}'s taste orders pictures it was not shown with a rank correlation of {srocc:.2f} ({low:.2f} to "
        f"{high:.2f}): 1 is the same order, 0 is chance."
    )


def _wish(wish: str) -> str:
    return wish[1:] if wish[0] == "+" else f"no {wish[1:]}"


def _adapters(profile: Profile) -> str:
    parts = [f"{one.kind} {one.sha256[:12]} ({'promoted' if one.promoted else 'not promoted'})" for one in profile.adapters]  # fmt: skip
    return f"Adapters trained: {', '.join(parts)}."


def _amount(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
