"""A profile, and the difference of two, in lines for people and as JSON. Whatever a stranger wrote is shown without terminal codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.report.telling import short
from prompts.ground.clean import clean

if TYPE_CHECKING:
    from pathlib import Path

    from tools.profiles.mix import Difference, Word
    from tools.profiles.profile import Profile

STRONGEST = 12  # words that `show --json` names


def kept(profile: Profile, path: Path) -> list[str]:
    """What `import` says."""
    from tools.profiles.summary import counted

    name = clean(path.stem)
    return [
        f"{name}: {counted(profile)}, sha256 {profile.sha256[:12]}, kept at {path}",
        f"A run starts from it with `profile: {{name: {name}, strength: 0.5}}` in its config.",
    ]


def shown(profile: Profile) -> list[str]:
    """What `show` says."""
    seen = profile.manifest.features
    by = f"pictures seen by {clean(seen.model)} ({seen.dimension} numbers each)"
    return [*(clean(line) for line in profile.summary.splitlines()), "", f"sha256 {profile.sha256}; {by}"]


def about(profile: Profile) -> dict[str, Any]:
    """A profile as JSON: its manifest, its strongest words, its summary."""
    from tools.profiles.summary import words

    ordered = sorted(words(profile), key=lambda one: -abs(one[2].worth))[:STRONGEST]
    strongest = [{"gene": gene, "word": word, **worth.model_dump()} for gene, word, worth in ordered]
    told = profile.manifest.model_dump(mode="json") | {"sha256": profile.sha256, "words": strongest}
    return told | {"adapters": [one.model_dump(mode="json") for one in profile.adapters], "summary": profile.summary}


def as_json(found: Difference) -> dict[str, Any]:
    """A difference as plain JSON."""
    liking = None if found.liking is None else {"correlation": found.liking.srocc, "low": found.liking.low, "high": found.liking.high}  # fmt: skip
    words = {"apart": found.apart(), "together": found.together()}
    return {"pictures": found.pictures, "liking": liking, "why": found.why, "worths": found.correlation} | {
        name: [vars(word) | {"difference": word.difference, "sure": word.sure} for word in some] for name, some in words.items()
    }  # fmt: skip


def told(found: Difference, a: str, b: str) -> list[str]:
    """What `diff` says. `a` and `b` are the profiles' names."""
    a, b = clean(a), clean(b)
    if found.liking is None:
        lines = [f"Their liking of pictures cannot be compared: {found.why}."]
    else:
        one = found.liking
        lines = [
            f"On {found.pictures} pictures of both, {a} and {b} like alike at a rank correlation of {one.srocc:.2f} ({one.low:.2f} to "
            f"{one.high:.2f}): 1 is the same order, 0 has nothing in common, -1 is the opposite."
        ]
    lines += [] if found.correlation is None else [f"Their {len(found.words)} words' worths correlate at {short(found.correlation)}."]  # fmt: skip
    lines += ["", f"{'they differ most in':32}{a[:12]:>12}{b[:12]:>12}{'apart':>8}"]
    lines += [f"{_line(word)}{word.difference:+8.2f}{' *' if word.sure else ''}" for word in found.apart()]
    lines += ["", f"{'they agree most in':32}{a[:12]:>12}{b[:12]:>12}", *map(_line, found.together())]
    return [*lines, "", "Worths are in SDs of each one's ratings; * where 95 % sure that they differ."]


def _line(word: Word) -> str:
    name = clean(f"{word.gene.replace('_', ' ')} {word.value}", 31)
    return f"{name:32}{word.a:+12.2f}{word.b:+12.2f}"
