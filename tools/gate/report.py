"""What a person looks at after a gate: gate.html, whole in itself, and gate.png, every pair side by side.

Draws from the facts of gate.json and the pictures beside it. Measures nothing and decides nothing.
"""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from prompts.ground.atomic import write_atomically
from prompts.ground.clean import legible
from tools.files import opened, save_png

Facts = Mapping[str, Any]
WON, LOST, INK, FAINT = "#127a3a", "#b3261e", "#1b1b1b", "#6b6b6b"
TILE, WORDS, LINE, HEAD = 192, 240, 232, 84  # pixels of the sheet: a picture, the words beside, a row, the title
BLOCK = WORDS + 2 * (TILE + 12)
LARGEST = 320  # pixels of a picture inside the page; the file beside it has them all
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1b1b1b;background:#fafafa;margin:2.5rem auto;max-width:1080px;padding:0 1.5rem}
h1{font-size:1.5rem;margin:0 0 .2rem}h2{font-size:1.05rem;margin:2.2rem 0 .6rem}.faint{color:#6b6b6b}
.stamp{display:inline-block;padding:.1rem .7rem;border-radius:1rem;color:#fff;font-weight:600}
ul{list-style:none;padding:0}li{padding:.25rem 0 .25rem 1.6rem;position:relative}
li::before{position:absolute;left:0;font-weight:700;content:"\\2713";color:#127a3a}li.broken::before{content:"\\2717";color:#b3261e}
li.broken{font-weight:600}table{border-collapse:collapse}td{padding:.25rem 1rem .25rem 0;white-space:nowrap}
.bar{position:relative;width:320px;height:14px;background:#ececec;border-radius:7px}.bar i{position:absolute;top:4px;height:6px;border-radius:3px}
.bar b{position:absolute;top:0;width:4px;height:14px;border-radius:2px}.bar u{position:absolute;left:50%;top:-3px;height:20px;border-left:1px dashed #6b6b6b}
.pairs{display:grid;grid-template-columns:repeat(auto-fill,minmax(330px,1fr));gap:18px}
.pair{background:#fff;border:1px solid #e3e3e3;border-radius:8px;padding:12px}.pair p{margin:0 0 8px;min-height:3em}
.two{display:grid;grid-template-columns:1fr 1fr;gap:10px}.two img{width:100%;display:block;border-radius:4px;image-rendering:pixelated}
.two span{font-size:.8rem;color:#6b6b6b}.chip{display:inline-block;font-size:.78rem;border-radius:1rem;padding:0 .55rem;margin:8px 4px 0 0;background:#eee;color:#6b6b6b}
.chip.won{background:#e3f2e8;color:#127a3a}.chip.lost{background:#fbe9e7;color:#b3261e}
"""


def write_report(told: Facts, folder: Path) -> None:
    """Write `folder`/gate.html and gate.png from what gate.json says. Raises PalateError when they cannot be written."""
    shown = _harmless(told)
    save_png(folder / "gate.png", draw_pairs(shown, folder))
    write_atomically(folder / "gate.html", page(shown, folder))


def _harmless(told: Any) -> Any:
    """The same facts, with nothing in their words and names that would steer what shows them."""
    if isinstance(told, Mapping):
        return {_harmless(key): _harmless(value) for key, value in told.items()}
    if isinstance(told, list | tuple):
        return [_harmless(one) for one in told]
    return legible(told) if isinstance(told, str) else told


def preferred(pair: Facts) -> dict[str, int]:
    """Scorer to 1 (it prefers the picture with the adapter), -1 (without), 0 (neither)."""
    return {name: (after > before) - (after < before) for name, (before, after) in pair["scores"].items()}


def page(told: Facts, folder: Path) -> str:
    """The report as one HTML page with its pictures inside."""
    word, colour = ("promoted", WON) if told["promoted"] else ("rejected", LOST)
    acting = f", with {_names(told['adapters'])} acting on both sides" if told["adapters"] else ""
    about = f"{_names([told['adapter']])} on {escape(told['base_model'])}{acting}: {len(told['pairs'])} held-out prompts, the same seeds without and with it."
    reasons = "".join(
        f'<li class="{"broken" if number < told["broken"] else "kept"}">{escape(said)}</li>'
        for number, said in enumerate(told["reasons"])
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Gate: {word}</title><style>{STYLE}</style>'
        f'<h1>The gate <span class="stamp" style="background:{colour}">{word}</span></h1><p class="faint">{about}</p>'
        f"<h2>Why</h2><ul>{reasons}</ul><h2>Who prefers the adapter</h2><table>{''.join(map(_bar, told['evidence']['wins'].items()))}</table>"
        f'<h2>Every pair</h2><div class="pairs">{"".join(_card(pair, folder) for pair in told["pairs"])}</div>'
        f'<p class="faint">{escape(_made_with(told))}</p></html>\n'
    )


def _names(adapters: Sequence[Facts]) -> str:
    return ", ".join(f"{escape(one['name'])} ({one['sha256'][:12]}, weight {one['weight']:g})" for one in adapters)


def _bar(item: tuple[str, Facts]) -> str:
    """A scorer's win rate with its interval on a line from 0 to 1, one half marked."""
    name, found = item
    role = "guided the training" if found["guided"] else "did not guide it"
    colour = WON if found["low"] > 0.5 else LOST if found["high"] < 0.5 else FAINT
    left, width, at = (100 * value for value in (found["low"], found["high"] - found["low"], found["rate"]))
    return (
        f'<tr><td><b>{escape(name)}</b><br><span class="faint">{role}</span></td><td><div class="bar"><u></u>'
        f'<i style="left:{left:.1f}%;width:{width:.1f}%;background:{colour}55"></i>'
        f'<b style="left:calc({at:.1f}% - 2px);background:{colour}"></b></div></td><td>{at:.0f} % of {found["n"]} '
        f'<span class="faint">({left:.0f} % to {left + width:.0f} %)</span></td></tr>'
    )


def _card(pair: Facts, folder: Path) -> str:
    sides = "".join(
        f'<a href="{pair[side]}"><img alt="{side}" src="{_inside(folder / pair[side])}"></a>'
        for side in ("without", "with")
    )
    words = {1: ("won", "with"), -1: ("lost", "without"), 0: ("", "neither")}
    chips = "".join(
        f'<span class="chip {words[who][0]}">{escape(name)}: {words[who][1]}</span>'
        for name, who in preferred(pair).items()
    )
    return (
        f'<div class="pair"><p>{escape(pair["prompt"])} <span class="faint">seed {pair["seed"]}</span></p><div class="two">'
        f"{sides}<span>without</span><span>with</span></div>{chips}</div>"
    )


def _inside(path: Path) -> str:
    """The picture as a data address, no larger than a page needs."""
    image = opened(path)
    small = max(image.size) <= LARGEST // 2
    image.thumbnail((LARGEST, LARGEST))
    buffer = io.BytesIO()
    image.save(buffer, "PNG" if small else "JPEG", **({} if small else {"quality": 90}))
    return f"data:image/{'png' if small else 'jpeg'};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _made_with(told: Facts) -> str:
    spec = told["spec"]
    how = f"{spec['steps']} sampling steps, guidance {spec['guidance_scale']:g}, seeds from {spec['seed']}"
    return f"{how}; " + ", ".join(f"{name} {version}" for name, version in told["versions"].items())


def draw_pairs(told: Facts, folder: Path) -> Image.Image:
    """Every pair on one sheet, two pairs a row: the prompt and who prefers which, the picture without, the picture with."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    pairs, word, colour = told["pairs"], *(("promoted", WON) if told["promoted"] else ("rejected", LOST))
    size = (2 * BLOCK + 36, HEAD + LINE * -(-len(pairs) // 2))
    corners = [(18 + (number % 2) * BLOCK, HEAD + LINE * (number // 2)) for number in range(len(pairs))]
    figure = Figure(figsize=(size[0] / 100, size[1] / 100), dpi=100, facecolor="white")
    _write(figure, 18, 32, f"{told['adapter']['name']}: {word}", 13, colour, bold=True)
    rates = ", ".join(f"{name} {100 * one['rate']:.0f} %" for name, one in told["evidence"]["wins"].items())
    _write(figure, 18, 56, f"of {len(pairs)} pairs preferred with the adapter: {rates}", 9, FAINT)
    for pair, corner in zip(pairs, corners, strict=True):
        _words(figure, pair, *corner)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    sheet = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")  # type: ignore[no-untyped-call]
    for pair, (left, top) in zip(pairs, corners, strict=True):
        for place, side in enumerate(("without", "with")):
            sheet.paste(_tile(folder / pair[side]), (left + WORDS + place * (TILE + 8), top))
    return sheet


def _words(figure: Any, pair: Facts, left: int, top: int) -> None:
    lines = textwrap.wrap(" ".join(pair["prompt"].split()), 34, max_lines=5, placeholder=" …")
    for number, line in enumerate(lines):
        _write(figure, left, top + 14 + 15 * number, line.replace("$", r"\$"), 9, INK)
    marks = {1: ("with", WON), -1: ("without", LOST), 0: ("neither", FAINT)}
    for number, (name, who) in enumerate(preferred(pair).items()):
        word, colour = marks[who]
        _write(figure, left, top + TILE - 15 * (len(pair["scores"]) - 1 - number), f"{name}: {word}", 9, colour)
    for place, side in enumerate(("without", "with")):
        _write(figure, left + WORDS + place * (TILE + 8), top + TILE + 16, side, 8, FAINT)


def _write(figure: Any, x: float, y: float, text: str, size: int, colour: str, *, bold: bool = False) -> None:
    """Text whose base line is y pixels below the top."""
    wide, high = figure.get_size_inches() * figure.dpi
    figure.text(x / wide, 1 - y / high, text, fontsize=size, color=colour, weight="bold" if bold else "normal")


def _tile(path: Path) -> Image.Image:
    """Small pictures are enlarged by a whole factor, pixel by pixel."""
    image = opened(path)
    longest = max(image.size)
    if longest <= TILE:
        factor = TILE // longest
        return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    image.thumbnail((TILE, TILE))
    return image
