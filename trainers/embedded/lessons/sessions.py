"""Invented sessions that teach the small language model: a hidden taste, a history of rated prompts, and what to say next.

The teacher knows the hidden taste; the model sees only the history, so what it learns is to infer taste in context (algorithm
distillation, Laskin et al. 2022). Messages come from `prompts.messages` and calls from `prompts.routine`: the agent's own.
"""

from __future__ import annotations

import itertools
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
from trainers.embedded.lessons.wishes import invent_wish

VOCABULARY = load_vocabulary("bauhaus")
ROUND = ("score_images", "ask_person", "give_feedback", "learn_taste", "evolve_prompts")
ENDINGS = 0.1  # share of moments after the last round; they have lessons of their own, too
ERRORS = ["the training process ended early", "no rated image fits", "steps: Input should be less than or equal to 2000", "ask_person was answered by nobody",
          "there is no learned taste yet: call learn_taste first", "the language model did not answer in time"]  # fmt: skip
SAID_ALOUD = 0.6  # what a wish adds to a word's weight, in SD of utility
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
    "count": 0.5, "size": 0.6, "layout": 0.4, "overlap": 0.35, "lines": 0.4, "texture": 0.45,
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


def invent_session(rng: random.Random) -> tuple[Taste, Facts]:
    """A person, and a session that is about to start; what the person said aloud counts more than it did."""
    taste, rounds, per_round = (
        invent_taste(rng),
        rng.choice([1, 2, 3, 4, 4, 4, 5, 6, 8]),
        rng.choice([1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8]),
    )
    wishes = _wishes(taste, rng)
    start = Facts(
        brief=rng.choice(BRIEFS), wishes=wishes, rounds=rounds, images_per_round=per_round, images_left=_budget(rounds * per_round, rng),
        trainings_left=rng.choice([0, 1, 1, 1, 1, 2]), method=rng.choice(["dpo", "dpo", "dreambooth"]), train_steps=_train_steps(rng),
    )  # fmt: skip
    return _said_aloud(taste, wishes), start


def _budget(planned: int, rng: random.Random) -> int:
    """Images in all: as many as are planned, far more, or somewhat fewer."""
    return rng.choice(
        [
            planned,
            planned,
            planned,
            max(planned, 200),
            planned + rng.randint(1, 300),
            max(1, planned - rng.randint(1, 6)),
        ]
    )


def _train_steps(rng: random.Random) -> int:
    return rng.choices([10 * rng.randint(1, 40), rng.randint(10, 400), rng.randint(1, 2000)], [5, 4, 1])[0]


def invent_facts(taste: Taste, start: Facts, rng: random.Random, ending: bool) -> Facts:
    """A moment after the first painting of a session that follows the routine: after the last round if `ending`."""
    number = start.rounds if ending else rng.randint(1, start.rounds)
    facts = replace(start, round=number, images_left=max(0, start.images_left - number * start.images_per_round))
    done = ROUND[:4] if ending else ROUND[: rng.randint(0, 5 if facts.another_round else 4)]
    rated = invent_history(taste, rng, number if "ask_person" in done else number - 1, start.images_per_round)
    evolved = start.images_per_round if "evolve_prompts" in done else 0
    facts = replace(facts, done=done, rated=rated, feedback=_feedback(rated, rng), evolved=evolved)
    facts = _after_training(facts, rng) if ending and facts.trainings_left and rng.random() < 0.5 else facts
    return replace(facts, error=rng.choice(ERRORS)) if rng.random() < 0.04 else facts


def _after_training(facts: Facts, rng: random.Random) -> Facts:
    """The moment once the training has run, or has failed."""
    adapter = rng.choice(["trained", "trained", "promoted", "rejected", "failed"])
    ran = {"failed": (), "trained": ("finetune",)}.get(adapter, ("finetune", "evaluate_adapter"))
    return replace(facts, adapter=adapter, trainings_left=facts.trainings_left - 1, done=(*facts.done, *ran))


def _wishes(taste: Taste, rng: random.Random) -> tuple[str, ...]:
    """Sometimes the person said a few words aloud, often words of their taste."""
    if rng.random() < 0.6:
        return ()
    ranked = sorted(VOCABULARY.words, key=lambda word: -sum(row.get(word, 0.0) for row in taste.weights.values()))
    words = ranked if rng.random() < 0.6 else rng.sample(ranked, len(ranked))
    loved = [f"+{word}" for word in rng.sample(words[:8], rng.choice([1, 1, 2, 3, 5]))]
    return tuple(loved + [f"-{word}" for word in rng.sample(words[-8:], rng.choice([0, 0, 1, 2, 4]))])


def _said_aloud(taste: Taste, wishes: tuple[str, ...]) -> Taste:
    said = {wish[1:]: SAID_ALOUD if wish[0] == "+" else -SAID_ALOUD for wish in wishes}
    return Taste(
        {
            gene: {word: weight + said.get(word, 0.0) for word, weight in row.items()}
            for gene, row in taste.weights.items()
        }
    )


def _feedback(rated: tuple[tuple[float, str], ...], rng: random.Random) -> str:
    evidence = effects(rated, VOCABULARY)[: rng.randint(4, 6)]
    return feedback_sentence(evidence) if evidence and rng.random() < 0.8 else ""


def hermes(tool: str, args: dict[str, Any]) -> str:
    """A tool call as the model must write it."""
    return f'<tool_call>\n{{"name": "{tool}", "arguments": {json.dumps(args, ensure_ascii=False)}}}\n</tool_call>'


def plan_lesson(rng: random.Random) -> Example:
    """Which tool comes next, at any moment of a session."""
    taste, start = invent_session(rng)
    facts = invent_facts(taste, start, rng, rng.random() < ENDINGS)
    tool, args = next_call(facts)
    if tool == "generate_images":
        args = proposal(taste, facts, rng)
    return Example(plan_messages(facts, VOCABULARY), hermes(tool, args))


def ending_lesson(rng: random.Random) -> Example:
    """A moment after the last round: what is called once a session, with settings that are written in its state alone."""
    facts = invent_facts(*invent_session(rng), rng, ending=True)
    return Example(plan_messages(facts, VOCABULARY), hermes(*next_call(facts)))


def proposal_lesson(rng: random.Random) -> Example:
    """What to paint next, from a history."""
    taste, start = invent_session(rng)
    facts = before_painting(taste, start, rng.randint(0, start.rounds - 1), rng)
    return Example(plan_messages(facts, VOCABULARY), hermes("generate_images", proposal(taste, facts, rng)))


def before_painting(taste: Taste, start: Facts, number: int, rng: random.Random) -> Facts:
    """The moment after `number` whole rounds."""
    rated = invent_history(taste, rng, number, start.images_per_round)
    left = max(1, start.images_left - number * start.images_per_round)
    facts = replace(start, round=number, rated=rated, images_left=left, feedback=_feedback(rated, rng))
    return replace(facts, done=ROUND, evolved=start.images_per_round) if number else facts


def proposal(taste: Taste, facts: Facts, rng: random.Random) -> dict[str, Any]:
    """The teacher's arguments for `generate_images`: the guesses in turn, each with a few genes put right, as only it can know.

    No prompt comes twice, nor one that was rated.
    """
    own, evolved = shared_out(facts)
    bases: list[Genome | None] = [VOCABULARY.parse(guess) for guess in guesses(facts.rated, VOCABULARY)] or [None]
    known, prompts = {prompt for _, prompt in facts.rated}, list[str]()
    for attempt in itertools.count():
        if len(prompts) == own:
            return {"prompts": prompts, "evolved": evolved}
        prompt = VOCABULARY.phrase(_put_right(bases[len(prompts) % len(bases)], taste, rng, 3 + attempt // 8))
        prompts += [prompt] if prompt not in known else []
        known.add(prompt)
    raise AssertionError


def _put_right(base: Genome | None, taste: Taste, rng: random.Random, most: int) -> Genome:
    """The base with one to `most` genes as the taste would have them."""
    if base is None:
        return liked_genome(taste, rng, 0.6)
    better = liked_genome(taste, rng, 0.12)
    changed = rng.sample(sorted(base), min(len(base), rng.randint(1, most)))
    return VOCABULARY.mend(base | {gene: better[gene] for gene in changed}, rng)


def feedback_lesson(rng: random.Random) -> Example:
    """Evidence into words."""
    rated = invent_history(invent_taste(rng), rng, rng.randint(1, 3), 8)
    evidence = [(word, round(effect, 1)) for word, effect in effects(rated, VOCABULARY)[: rng.randint(3, 6)]]
    return Example(feedback_messages(evidence), json.dumps({"feedback": feedback_sentence(evidence)}))


def wish_lesson(rng: random.Random) -> Example:
    """A person's wish into words of the vocabulary."""
    wish, answer = invent_wish(rng)
    return Example(wish_messages(wish, VOCABULARY), json.dumps(answer, ensure_ascii=False))


# Wishes are short, and there are many ways to say them: they come often.
KINDS = (
    proposal_lesson, wish_lesson, wish_lesson, plan_lesson, wish_lesson, wish_lesson, ending_lesson, wish_lesson, wish_lesson, feedback_lesson,
)  # fmt: skip
TIMES = {wish_lesson: 4, feedback_lesson: 2}  # a quarter as long as the others: so many times as many make a batch


def lesson(number: int) -> Example:
    """Lesson `number`; its kind follows from the number, so that a batch can hold one kind."""
    return KINDS[number % len(KINDS)](random.Random(f"lesson {number}"))
