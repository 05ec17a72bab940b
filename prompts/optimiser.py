"""What a language model is told when it is the optimiser of prompts: the task, the history, and what is wanted.

After "Personalized Preference Optimization for Text-to-Image Generation using Large Language Models", section 3.2 (several prompts
at once; scores, prompts, feedback and pictures as parts that can be left out), and for crossover and mutation in words after
EvoPrompt (Guo et al. 2024, section 3.1). The bundled language model is asked in its own words instead (prompts.messages).
Plain values in, messages out; knows no search.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, NamedTuple

from prompts.messages import describe
from prompts.vocabulary import Vocabulary

Message = dict[str, Any]

TASK = """You write prompts for a text-to-image model, and one person scores each picture from 0 (disliked) to 100 (loved).
Find prompts whose pictures this person loves. Only their scores count, not what most people like."""
COMBINE = """You breed prompts for a text-to-image model. For each pair of parents write one child: take what seems to have pleased
from either parent, change one thing that may please more, and keep it one prompt."""
CRITIC = """You read how one person scored pictures, from 0 (disliked) to 100 (loved). Say in at most two sentences what the high scores
share and the low scores lack, and what to change in the next prompts."""


class Line(NamedTuple):
    """One picture of the history as it is told: any part may be missing. `picture` is a PNG's bytes, `tags` stand in for it."""

    prompt: str = ""
    score: int | None = None
    tags: tuple[str, ...] = ()
    picture: bytes | None = None


def told(line: Line) -> str:
    """A line of the history: "83: a red ring on a black ground; in the picture: ring, red"."""
    score = "" if line.score is None else f"{line.score}: "
    tags = f"; in the picture: {', '.join(line.tags)}" if line.tags and line.picture is None else ""
    return f"{score}{line.prompt}{tags}"


def proposal_messages(
    lines: Sequence[Line], feedback: Sequence[str], count: int, *, brief: str, asked: str, vocabulary: Vocabulary | None,
    best_last: bool = False, without: Sequence[str] = (),
) -> list[Message]:  # fmt: skip
    """The question for `count` new prompts. `lines` come best first; `without` are prompts that it gave and that are not new."""
    order = "worst first" if best_last else "best first"
    shown = list(reversed(lines)) if best_last else list(lines)
    said = [*_brief(brief, asked), *([f"Tried so far, {order}:"] if shown else [])]
    end = [*(f"What was said of the pictures: {one}" for one in feedback)]
    end += [f"Not again: {prompt}" for prompt in without]
    number = "1 new prompt" if count == 1 else f"{count} new prompts, each different from the others"
    end.append(f"Write {number}, and from all that was tried.")
    return [{"role": "system", "content": _system(TASK, vocabulary)}, _user(said, shown, end)]


def child_messages(
    pairs: Sequence[tuple[Line, Line]],
    *,
    brief: str,
    asked: str,
    vocabulary: Vocabulary | None,
    without: Sequence[str] = (),
) -> list[Message]:
    """The question for one child of each pair of parents."""
    said = _brief(brief, asked)
    for number, (first, second) in enumerate(pairs, 1):
        said += [f"Pair {number}", told(first), told(second)]
    said += [f"Not again: {prompt}" for prompt in without]
    said.append(f"Write {len(pairs)} prompts, the child of each pair in this order.")
    return [{"role": "system", "content": _system(COMBINE, vocabulary)}, _user(said, [], [])]


def critic_messages(lines: Sequence[Line]) -> list[Message]:
    """The question for feedback on a round: pictures (or what CLIP finds in them) with their scores."""
    return [{"role": "system", "content": CRITIC}, _user(["Scored pictures:"], lines, [])]


def _system(task: str, vocabulary: Vocabulary | None) -> str:
    if vocabulary is None:
        return task
    return f"{task}\nKeep to this form, and to these words.\n{describe(vocabulary)}"


def _brief(brief: str, asked: str) -> list[str]:
    lines = [f"The person asked for: {brief}"] if brief else []
    return lines + ([f"Every prompt must say: {asked}"] if asked else [])


def _user(before: Sequence[str], lines: Sequence[Line], after: Sequence[str]) -> Message:
    """One message: plain text, or parts where pictures are shown."""
    if not any(line.picture for line in lines):
        return {"role": "user", "content": "\n".join([*before, *map(told, lines), *after])}
    parts: list[dict[str, Any]] = [_text("\n".join(before))] if before else []
    for line in lines:
        parts.append(_text(told(line)))
        parts += [_image(line.picture)] if line.picture else []
    return {"role": "user", "content": parts + ([_text("\n".join(after))] if after else [])}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _image(picture: bytes) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(picture).decode()}}
