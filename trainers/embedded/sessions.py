"""Invented sessions that teach the small language model: a hidden taste, a history of rated prompts, and what to say next.

The teacher knows the hidden taste; the model sees only the history, so what it learns is to infer taste in context (algorithm
distillation, Laskin et al. 2022). Messages come from `prompts.messages` and calls from `prompts.routine`: the agent's own.
"""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass, replace
from typing import Any

from prompts.evidence import effects, feedback_sentence, guesses
from prompts.facts import Facts
from prompts.messages import Message, feedback_messages, plan_messages, wish_messages
from prompts.routine import next_call, shared_out
from prompts.vocabulary import Genome, load_vocabulary
from trainers.embedded.wishes import invent_wish

VOCABULARY = load_vocabulary("bauhaus")
BRIEFS = [
    "",
    "surprise me",
    "something for my wall",
    "a picture that I would love",
    "find my taste",
    "paint what I like",
]
STRENGTH = {
    "background": 1.0, "colour": 0.7, "accent_colour": 0.35, "shape": 0.5, "accent_shape": 0.25,
    "count": 0.5, "size": 0.6, "layout": 0.35, "texture": 0.45,
}  # fmt: skip


@dataclass(frozen=True)
class Example:
    """One lesson: the messages the model receives and the exact text it should answer."""

    messages: list[Message]
    answer: str


@dataclass(frozen=True)
class Taste:
    """A hidden linear taste over genes; `weights[gene][value]`, in units in which a random genome's utility has SD 1."""

    weights: dict[str, dict[str, float]]

    def utility(self, genome: Genome) -> float:
        """The noise-free utility of a genome."""
        return sum(self.weights[gene][value] for gene, value in genome.items())


def invent_taste(rng: random.Random) -> Taste:
    """A taste in which a colour is liked or not wherever it appears, more so in large areas, and some genes do not matter."""
    shared = {word: rng.gauss(0, 1) for word in VOCABULARY.words}
    weights: dict[str, dict[str, float]] = {}
    for gene, values in VOCABULARY.genes.items():
        strength = STRENGTH[gene] * rng.choice([0.1, 0.7, 1.0, 1.6])
        weights[gene] = {value: strength * (0.7 * shared[value] + 0.7 * rng.gauss(0, 1)) for value in values}
    spread = math.sqrt(sum(_variance(list(row.values())) for row in weights.values())) or 1.0
    return Taste({gene: {value: weight / spread for value, weight in row.items()} for gene, row in weights.items()})


def _variance(values: list[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / len(values)


def liked_genome(taste: Taste, rng: random.Random, heat: float) -> Genome:
    """A genome drawn gene by gene in proportion to exp(weight / heat): the lower the heat, the better liked."""
    genome = {}
    for gene, row in taste.weights.items():
        genome[gene] = rng.choices(list(row), [math.exp(min(60.0, weight / heat)) for weight in row.values()])[0]
    return VOCABULARY.mend(genome, rng)


def invent_history(taste: Taste, rng: random.Random, rounds: int, per_round: int) -> tuple[tuple[float, str], ...]:
    """Rated prompts of `rounds` rounds: random at first, then better, as a real session's; ratings 0-10 in half points."""
    noise, scale, offset = rng.choice([0.2, 0.35, 0.5, 0.8]), rng.uniform(1.0, 2.5), rng.uniform(3.5, 6.5)
    rated = []
    for number in range(rounds):
        heat = math.inf if number == 0 else rng.choice([0.3, 0.5, 1.0, 2.0])
        for _ in range(per_round):
            genome = VOCABULARY.random(rng) if math.isinf(heat) else liked_genome(taste, rng, heat)
            value = offset + scale * (taste.utility(genome) + rng.gauss(0, noise))
            rated.append((min(10.0, max(0.0, round(value * 2) / 2)), VOCABULARY.phrase(genome)))
    return tuple(rated)


def invent_facts(taste: Taste, rng: random.Random) -> Facts:
    """A moment between two paintings of a session that follows the routine."""
    rounds, per_round = rng.choice([2, 3, 4, 4, 4, 5, 6]), rng.choice([4, 6, 8, 8, 8])
    start = Facts(
        brief=rng.choice(BRIEFS), wishes=_wishes(taste, rng), rounds=rounds, images_per_round=per_round, images_left=per_round * rounds,
        trainings_left=rng.choice([0, 1, 1, 1]), method=rng.choice(["dpo", "dpo", "dreambooth"]), train_steps=rng.choice([20, 40, 60, 80, 100, 200]),
    )  # fmt: skip
    number = rng.randint(1, rounds)
    done: tuple[str, ...] = ("score_images", "ask_person", "give_feedback", "learn_taste", "evolve_prompts")[
        : rng.randint(0, 5)
    ]
    if number == rounds:
        done = done[:4]
    rated = invent_history(taste, rng, number if "ask_person" in done else number - 1, per_round)
    facts = replace(start, round=number, done=done, rated=rated, images_left=per_round * (rounds - number))
    facts = replace(facts, feedback=_feedback(rated, rng), evolved=per_round if "evolve_prompts" in done else 0)
    if number == rounds and "learn_taste" in done and rng.random() < 0.7:
        return replace(facts, adapter=rng.choice(["trained", "promoted", "rejected", "failed"]), trainings_left=0)
    return facts


def _wishes(taste: Taste, rng: random.Random) -> tuple[str, ...]:
    """Sometimes the person said a few words of their taste aloud."""
    if rng.random() < 0.6:
        return ()
    scored = sorted(VOCABULARY.words, key=lambda word: sum(row.get(word, 0.0) for row in taste.weights.values()))
    loved = [f"+{word}" for word in rng.sample(scored[-5:], rng.randint(1, 2))]
    return tuple(loved + [f"-{word}" for word in rng.sample(scored[:5], rng.randint(0, 1))])


def _feedback(rated: tuple[tuple[float, str], ...], rng: random.Random) -> str:
    evidence = effects(rated, VOCABULARY)[: rng.randint(4, 6)]
    return feedback_sentence(evidence) if evidence and rng.random() < 0.8 else ""


def hermes(tool: str, args: dict[str, Any]) -> str:
    """A tool call as the model must write it."""
    return f'<tool_call>\n{{"name": "{tool}", "arguments": {json.dumps(args, ensure_ascii=False)}}}\n</tool_call>'


def plan_lesson(rng: random.Random) -> Example:
    """Which tool comes next, at any moment of a session."""
    taste = invent_taste(rng)
    facts = invent_facts(taste, rng)
    tool, args = next_call(facts)
    if tool == "generate_images":
        args = proposal(taste, facts, rng)
    return Example(plan_messages(facts, VOCABULARY), hermes(tool, args))


def proposal_lesson(rng: random.Random) -> Example:
    """What to paint next, from a history."""
    taste = invent_taste(rng)
    facts = invent_facts(taste, rng)
    number = rng.randint(0, facts.rounds - 1)
    rated = invent_history(taste, rng, number, facts.images_per_round)
    done = ("score_images", "ask_person", "give_feedback", "learn_taste", "evolve_prompts") if number else ()
    evolved = facts.images_per_round if number else 0
    left = facts.images_per_round * (facts.rounds - number)
    facts = replace(
        facts,
        round=number,
        rated=rated,
        done=done,
        feedback=_feedback(rated, rng),
        evolved=evolved,
        adapter="",
        images_left=left,
    )
    return Example(plan_messages(facts, VOCABULARY), hermes("generate_images", proposal(taste, facts, rng)))


def proposal(taste: Taste, facts: Facts, rng: random.Random) -> dict[str, Any]:
    """The teacher's arguments for `generate_images`: the guesses, each with a few genes put right, as only it can know."""
    own, evolved = shared_out(facts)
    bases = [VOCABULARY.parse(guess) for guess in guesses(facts.rated, VOCABULARY)]
    prompts = [VOCABULARY.phrase(_put_right(rng.choice(bases) if bases else None, taste, rng)) for _ in range(own)]
    return {"prompts": prompts, "evolved": evolved}


def _put_right(base: Genome | None, taste: Taste, rng: random.Random) -> Genome:
    if base is None:
        return liked_genome(taste, rng, 0.6)
    better = liked_genome(taste, rng, 0.12)
    return VOCABULARY.mend(base | {gene: better[gene] for gene in rng.sample(sorted(base), rng.randint(1, 3))}, rng)


def feedback_lesson(rng: random.Random) -> Example:
    """Evidence into words."""
    rated = invent_history(invent_taste(rng), rng, rng.randint(1, 3), 8)
    evidence = [(word, round(effect, 1)) for word, effect in effects(rated, VOCABULARY)[: rng.randint(3, 6)]]
    return Example(feedback_messages(evidence), json.dumps({"feedback": feedback_sentence(evidence)}))


def wish_lesson(rng: random.Random) -> Example:
    """A person's wish into words of the vocabulary."""
    wish, answer = invent_wish(rng)
    return Example(wish_messages(wish, VOCABULARY), json.dumps(answer, ensure_ascii=False))


KINDS = (proposal_lesson, plan_lesson, proposal_lesson, wish_lesson, proposal_lesson, plan_lesson, feedback_lesson)


def lesson(number: int) -> Example:
    """Lesson `number`; its kind follows from the number, so that a batch can hold one kind."""
    return KINDS[number % len(KINDS)](random.Random(f"lesson {number}"))
