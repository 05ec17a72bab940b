"""The messages a language model receives, built from plain values. Static text first and byte-stable, for the prefix cache.

Scores are shown as whole numbers 0-9, best first: small models read buckets better than decimals (OPRO does the same).
"""

from __future__ import annotations

from collections.abc import Sequence

from prompts.evidence import guesses, sides
from prompts.facts import Facts
from prompts.vocabulary import Vocabulary

Message = dict[str, str]
BEST, WORST = 3, 2  # how many rated prompts are shown from either end

SYSTEM = """You are Palate. You personalise a text-to-image model to one person's taste by calling tools, one at a time.
A round is: generate_images, score_images, ask_person, give_feedback, learn_taste, and evolve_prompts if another round follows.
Rated prompts are listed with scores from 9 (loved) to 0 (disliked); after them, two guesses, put together from what went with
high ratings, the better one last. Propose prompts that this person would love: near the guesses, keeping what the high scores
share and dropping what the low scores share, with some variety, and in the form of the examples.
After the last round call finetune once, then evaluate_adapter, then finish. If a call failed, read the error and mend it."""


def plan_messages(facts: Facts, vocabulary: Vocabulary, known: Sequence[str] | None = None) -> list[Message]:
    """What `plan` sends: the standing instructions and the vocabulary, then the state of the run. `known`: its `rated_lines`, where
    somebody has them already."""
    lines = [state_text(facts), *(rated_lines(facts.rated, vocabulary) if known is None else known)]
    return [
        {"role": "system", "content": f"{SYSTEM}\n{describe(vocabulary)}"},
        {"role": "user", "content": "\n".join(lines)},
    ]


def rated_lines(rated: Sequence[tuple[float, str]], vocabulary: Vocabulary) -> list[str]:
    """What the ratings say: the best and the worst, and two guesses."""
    return [*history_lines(rated), *guess_lines(rated, vocabulary)]


def describe(vocabulary: Vocabulary) -> str:
    """The vocabulary for a model that has not met it: the form of a prompt and the words of each gene."""
    genes = "\n".join(f"{gene}: {', '.join(values)}" for gene, values in vocabulary.genes.items())
    return f"Form of a prompt: {vocabulary.template}\n{genes}"


def state_text(facts: Facts) -> str:
    """The changing part: one short line a fact, absent facts left out."""
    lines = [
        f"round {facts.round} of {facts.rounds}",
        f"images {facts.images_per_round}, left {facts.images_left}, trainings {facts.trainings_left}, method {facts.method} {facts.train_steps}",
        f"done: {' '.join(facts.done) or 'nothing'}",
    ]
    optional = {
        "brief": facts.brief, "wishes": " ".join(facts.wishes), "evolved": str(facts.evolved or ""), "adapter": facts.adapter,
        "feedback": facts.feedback, "error": facts.error,
    }  # fmt: skip
    lines += [f"{name}: {text}" for name, text in optional.items() if text]
    return "\n".join(lines)


def guess_lines(rated: Sequence[tuple[float, str]], vocabulary: Vocabulary) -> list[str]:
    """Two prompts put together from what went with high ratings, the better one last: the place where a small model looks."""
    found = guesses(rated, vocabulary)
    return ["guesses:", *reversed(found)] if found else []


def history_lines(rated: Sequence[tuple[float, str]]) -> list[str]:
    """The best and the worst rated prompts as `score prompt`, best first; ties keep their order."""
    if not rated:
        return []
    low, high = min(score for score, _ in rated), max(score for score, _ in rated)
    ranked = sorted(rated, key=lambda pair: -pair[0])
    shown = ranked if len(ranked) <= BEST + WORST else ranked[:BEST] + ranked[-WORST:]
    return ["rated:"] + [f"{_bucket(score, low, high)} {prompt}" for score, prompt in shown]


def _bucket(score: float, low: float, high: float) -> int:
    return 5 if high == low else round(9 * (score - low) / (high - low))


FEEDBACK_SYSTEM = "Say in one or two sentences why this person rated the images as they did. Use the evidence: what raised and what lowered the ratings, strongest first."


def feedback_messages(evidence: Sequence[tuple[str, float]]) -> list[Message]:
    """What `give_feedback` sends: the words that raised and lowered the ratings, strongest first."""
    raised, lowered = sides(evidence)
    lines = f"raised: {', '.join(raised) or 'nothing'}\nlowered: {', '.join(lowered) or 'nothing'}"
    return [{"role": "system", "content": FEEDBACK_SYSTEM}, {"role": "user", "content": f"evidence:\n{lines}"}]


WISH_SYSTEM = (
    "Turn the person's wish into words of the vocabulary: `like` for what they want, `avoid` for what they do not. "
    "Reply in one plain sentence; say so when a wish is outside the vocabulary."
)


def wish_messages(wish: str, vocabulary: Vocabulary) -> list[Message]:
    """What the chat sends when a person says in words what they want."""
    return [
        {"role": "system", "content": f"{WISH_SYSTEM}\n{describe(vocabulary)}"},
        {"role": "user", "content": f"wish: {wish}"},
    ]
