"""Who chooses the next tool: the language model, or the rules that it has to beat. Both read the same facts."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError

from agent.llm.answers import InvalidPlan, ToolCall
from prompts.facts import Facts
from prompts.messages import Message
from prompts.routine import closing, next_call, shared_out
from prompts.vocabulary import Vocabulary
from tools.actions.catalogue import TOOLS

if TYPE_CHECKING:
    from tools.profiles.taste import Start

CHOICE = 100  # prompts drawn for each that a profile chooses
PROPOSE = "propose"  # the purpose of a call that asks for prompts alone


class Chooser(Protocol):
    """The part of a language model client that planning needs."""

    def choose_tool(self, messages: Sequence[Message], tools: Sequence[Any], **sampling: Any) -> ToolCall: ...


@dataclass(frozen=True)
class Plan:
    """One decision. `problem` says why the language model's answer was of no use; then there is no tool."""

    planner: str
    tool: str | None = None
    args: dict[str, Any] = field(default_factory=dict)
    repaired: bool = False
    problem: str | None = None


def plan_by_llm(llm: Chooser, messages: Sequence[Message], *, seed: int, facts: Facts) -> Plan:
    """Ask for exactly one call of a tool that is of use now. Raises LlmError when the server does not answer."""
    try:
        call = llm.choose_tool(messages, list(TOOLS.values()), max_tokens=700, seed=seed, only=useful_tools(facts))
    except InvalidPlan as error:
        return Plan("llm", problem=str(error))
    return Plan("llm", call.name, call.args, call.repaired)


def native_writer(llm: Chooser) -> Callable[..., Any]:
    """The language model asked for prompts by the call it plans with, `generate_images`: what the bundled one was taught.

    The function takes what `Llm.write` takes; its schema has `prompts`. Raises InvalidPlan, LlmError."""

    def write(messages: Sequence[Message], schema: type[Any], **sampling: Any) -> Any:
        asked = sampling | {"purpose": PROPOSE, "only": frozenset({"generate_images"})}
        call = llm.choose_tool(messages, list(TOOLS.values()), **asked)
        if not call.args["prompts"]:
            raise InvalidPlan("empty", "generate_images without a prompt of its own")
        try:
            return schema(prompts=call.args["prompts"])
        except ValidationError as error:  # a call may hold what a proposal may not, a prompt of blanks say
            raise InvalidPlan("wrong_types", f"prompts: {error.errors()[0]['msg']}") from error

    return write


def useful_tools(facts: Facts) -> frozenset[str]:
    """The tools that can get a run any further now: what the language model may choose from. Never empty."""
    rated, learned = "ask_person" in facts.done, "learn_taste" in facts.done
    trains = learned and not facts.another_round and facts.trainings_left > 0 and not facts.adapter
    open_now = {
        "generate_images": facts.another_round and (facts.round == 0 or rated),
        "score_images": facts.round > 0,
        "ask_person": facts.round > 0,
        "give_feedback": rated,
        "learn_taste": rated,
        "evolve_prompts": rated and facts.another_round,
        "finetune": trains,
        "evaluate_adapter": facts.adapter == "trained",
        "select_anchors": facts.adapter in ("trained", "promoted", "rejected"),
        "finish": learned and not facts.another_round and not trains and facts.adapter != "trained",
    }
    useful = frozenset(tool for tool, is_open in open_now.items() if is_open and tool not in facts.done)
    return useful or frozenset({"finish"})


def plan_by_rules(
    facts: Facts, vocabulary: Vocabulary, *, seed: int, failed: frozenset[str] = frozenset(), start: Start | None = None
) -> Plan:
    """The routine; where prompts are wanted, as many evolved ones as there are, the rest at random within the wishes.

    What `failed` since the last painting is not tried again; when nothing else is left, the run is finished. With a profile to
    `start` from, half of the first round are prompts that it promises most of.
    """
    tool, args = next_call(replace(facts, done=(*facts.done, *failed)))
    if tool in failed:
        return Plan("rules", "finish", {"summary": closing(facts)})
    if tool == "generate_images":
        wanted = sum(shared_out(facts))
        evolved = min(facts.evolved, wanted)
        rng = random.Random(seed)
        first = _opening(facts, vocabulary, wanted // 2, rng, start) if start and not facts.round else []
        drawn = [vocabulary.phrase(wished_genome(facts, vocabulary, rng)) for _ in range(wanted - evolved - len(first))]
        args = {"prompts": [*first, *drawn], "evolved": evolved}
    return Plan("rules", tool, args)


def _opening(facts: Facts, vocabulary: Vocabulary, count: int, rng: random.Random, start: Start) -> list[str]:
    """`count` prompts within the wishes that the profile promises most of."""
    known = [wished_genome(facts, vocabulary, rng) for _ in range(CHOICE * count)]
    return [vocabulary.phrase(genome) for genome in start.chosen(known, count, vocabulary, rng)]


def wished_genome(facts: Facts, vocabulary: Vocabulary, rng: random.Random) -> dict[str, str]:
    """A random genome without unwanted words, and with each loved word half of the time."""
    unwanted = {wish[1:] for wish in facts.wishes if wish[0] == "-"}
    loved = {wish[1:] for wish in facts.wishes if wish[0] == "+"}
    genome = vocabulary.random(rng)
    for gene, values in vocabulary.genes.items():
        allowed = [value for value in values if value not in unwanted] or values
        favoured = [value for value in allowed if value in loved]
        if favoured and rng.random() < 0.5:
            genome[gene] = rng.choice(favoured)
        elif genome[gene] not in allowed:
            genome[gene] = rng.choice(allowed)
    return _mended(genome, unwanted, vocabulary, rng)


def _mended(genome: dict[str, str], unwanted: set[str], vocabulary: Vocabulary, rng: random.Random) -> dict[str, str]:
    """`Vocabulary.mend` draws from every word: draw again while it is an unwanted one that was not there before."""
    for _ in range(20):
        mended = vocabulary.mend(genome, rng)
        if not unwanted & (set(mended.values()) - set(genome.values())):
            break
    return mended
