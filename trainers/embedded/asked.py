"""What was asked of the bundled models, for each recipe, and how a benchmark's numbers compare with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

Values = dict[str, Any]


class Ask(NamedTuple):
    """A number that was asked for. `keys`: where in the part's JSON it may stand, the first that is there counts.

    `how` compares: "least" and "most" the measured value, "clear" the low end of its interval with `asked`.
    """

    what: str
    part: str
    keys: tuple[str, ...]
    asked: float
    unit: str = "%"
    how: str = "least"


# What is asked of the CPU recipe, and the number asked of the GPU recipe in its place.
TABLE: list[tuple[Ask, float]] = [
    (Ask("VAE reconstruction, PSNR", "studio", ("vae_psnr",), 26.0, "dB"), 32.0),
    (Ask("background colour right", "studio", ("background_right",), 0.98), 0.99),
    (Ask("all named colours present", "studio", ("colours_present",), 0.92), 0.97),
    (Ask("shape classes right", "studio", ("shapes_right",), 0.80), 0.92),
    (Ask("the judge on renderings: shape classes", "studio", ("shapes_right_in_renderings",), 0.98), 0.98),
    (Ask("number of objects right, one to three main ones", "studio", ("count_right",), 0.60), 0.85),
    (Ask("100-way retrieval of renderings", "studio", ("retrieval_100_renderings",), 0.97), 0.99),
    (Ask("100-way retrieval of generations", "studio", ("retrieval_100_generated",), 0.70), 0.88),
    (Ask("the population's held-out comparisons right", "studio", ("comparisons_right",), 0.72), 0.76),
    (Ask("8 images of 20 steps", "studio", ("seconds_for_8_images",), 3.0, "s", "most"), 10.0),
    (Ask("plans executable", "language", ("plans.executable", "plans"), 0.99), 0.995),
    (Ask("wishes in unseen wordings", "language", ("wishes.words", "wishes"), 0.90), 0.95),
    (Ask("last round, language model above random", "raters", ("last_round.llm - random",), 0.0, "SD", "clear"), 0.0),
    (Ask("unusual tastes, gain of the language model", "unusual", ("llm.gain",), 0.0, "SD", "clear"), 0.0),
    (Ask("a held-out subject found in new scenes", "subject", ("all.found",), 0.60), 0.85),
]  # fmt: skip
ASKED: dict[str, list[Ask]] = {
    "cpu": [ask for ask, _ in TABLE],
    "gpu": [
        *(ask._replace(asked=asked) for ask, asked in TABLE),
        Ask("last round, language model above the rules", "raters", ("last_round.llm - rules",), 0.0, "SD", "clear"),
    ],
}


class Measured(NamedTuple):
    """A value with its 95 % interval; the interval is None where there is none, as of seconds."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None


def read(values: Values, keys: Sequence[str]) -> Measured | None:
    """The first of `keys` ("plans.executable") that holds a number, a share or a mean; None if none does."""
    for key in keys:
        held: Any = values
        for name in key.split("."):
            held = held.get(name) if isinstance(held, dict) else None
        if (found := as_measured(held)) is not None:
            return found
    return None


def as_measured(held: Any) -> Measured | None:
    """A number, [mean, low, high], or {"share" or "mean", "low", "high", "n"} as a Measured; None of anything else."""
    if isinstance(held, int | float):
        return Measured(float(held))
    if isinstance(held, list) and len(held) == 3:
        return Measured(*held)
    value = held.get("share", held.get("mean")) if isinstance(held, dict) else None
    return None if value is None else Measured(value, held.get("low"), held.get("high"), held.get("n"))


def reached(ask: Ask, found: Measured) -> bool:
    """Whether what was measured is what was asked for."""
    if ask.how == "clear":
        return found.low is not None and found.low > ask.asked
    return found.value <= ask.asked if ask.how == "most" else found.value >= ask.asked


def verdicts(recipe: str, parts: dict[str, Values], chosen: Sequence[str]) -> list[Values]:
    """A row for everything that was asked of the chosen parts; "measured" is None where a part did not say."""
    rows = []
    for ask in ASKED[recipe]:
        if ask.part in chosen:
            found = read(parts.get(ask.part, {}).get("measured", {}), ask.keys)
            told = found._asdict() if found else {"value": None, "low": None, "high": None, "n": None}
            asked = {"part": ask.part, "asked": ask.asked, "unit": ask.unit, "how": ask.how}
            rows.append({"what": ask.what, **asked, **told, "reached": found and reached(ask, found)})
    return rows


def table(rows: Sequence[Values], title: str) -> Table:
    """The rows for a person."""
    shown = Table("", "measured [95 %]", "asked", "", title=title, title_justify="left")
    for row in rows:
        how = (
            ("not measured", "yellow")
            if row["value"] is None
            else ("reached", "green")
            if row["reached"]
            else ("short", "red")
        )
        shown.add_row(row["what"], said(row), asked_in_words(row), Text(*how))
    return shown


def said(row: Values) -> str:
    """The value and its interval: 98.5 % [95.7, 99.5]."""
    if row["value"] is None:
        return "-"
    ends = "" if row["low"] is None else f" [{number(row['low'], row['unit'])}, {number(row['high'], row['unit'])}]"
    return f"{number(row['value'], row['unit'])} {row['unit']}{ends}"


def asked_in_words(row: Values) -> str:
    """What was asked for: 98 %, at most 3 s, clearly above 0 SD."""
    words = {"least": "", "most": "at most ", "clear": "clearly above "}[row["how"]]
    return f"{words}{100 * row['asked'] if row['unit'] == '%' else row['asked']:g} {row['unit']}"


def number(value: float, unit: str) -> str:
    """Percent with one decimal, the rest with two."""
    return f"{100 * value:.1f}" if unit == "%" else f"{value:.2f}"
