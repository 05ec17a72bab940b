"""What the bundled language model can do by itself, without the grammar that vLLM holds it to, on lessons that it never saw.

    python -m benchmarks.language          (about two minutes on one core; --only wishes,written for a part)

Prints one JSON object of shares with Wilson 95 % intervals, and of means with 95 % intervals:

- plans: `executable` as they stand (one call of a tool, its arguments valid, nothing mended); `equal` to the teacher's (of a painting,
  whether it paints); finetune: `called` at the moments that want it, and called with the `method` and the `steps` that the state gives;
- feedback: sentences that are the teacher's;
- wishes, invented by the grammar that taught it (`trainers.embedded.lessons.wishes`) but in carriers and joins that were held out: `words`, both
  sides right; `reply`, right too; outside: `said` of wishes for what cannot be painted, and of the others (`wrongly`);
- written: `wishes.jsonl`, 70 wishes as people type them, written by hand before their author had read the invented ones, and never
  trained on (five of the shortest might be invented, too: "surprise me"). The author of the guards knew them. A line's words are
  right if at least one of each group in `need` is there and nothing that is neither in `need` nor in `may` ("+teal": wanted, "-red":
  unwanted; moods have large groups, as they have many right readings). `outside`: whether the reply has to say that something
  cannot be painted (null: either). Three readers: the `model` alone, the agent's `understand` (model and guards), and its
  `look_up` (no model);
- proposals: the hidden utility of proposed prompts after 1 and 3 rounds, above random prompts and in units of their standard deviation;
  `readable`: the share of them that are prompts of the vocabulary.

Long because all that is measured of one model stands in one file, a short function for each measure.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, Qwen3ForCausalLM

from agent.llm.answers import InvalidPlan, ToolCall, read_call, read_object
from agent.llm.scripted import ScriptedLlm
from agent.loop.listening import Wish, understand
from benchmarks.studio import average, machine, share
from prompts.facts import Facts
from prompts.ground.quiet import quiet
from prompts.messages import Message, plan_messages, wish_messages
from tools.actions.catalogue import TOOLS
from trainers.embedded.lessons.sessions import (
    ROUND,
    VOCABULARY,
    Example,
    Taste,
    feedback_lesson,
    invent_history,
    invent_taste,
    plan_lesson,
)
from trainers.embedded.lessons.wishes import invent_wish

MODEL = Path(__file__).parents[1] / "models" / "bauhaus-lm"
WRITTEN = Path(__file__).with_name("wishes.jsonl")
BATCH, LONGEST = 100, 400  # conversations answered at once; tokens of an answer
CALL = re.compile(r'<tool_call>\n(\{"name": .*\})\n</tool_call>', re.DOTALL)
SORRY = re.compile(r"cannot|can't|know no|not know|don't know|outside|unable", re.IGNORECASE)
Found = dict[str, Any]


class Writer:
    """The model and its tokenizer, answering conversations in batches."""

    def __init__(self, folder: Path) -> None:
        with quiet():
            self.tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
            self.model = Qwen3ForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.end = self.tokenizer.convert_tokens_to_ids("<|im_end|>")

    def answers(self, conversations: Sequence[list[Message]], temperature: float = 0.0) -> list[str]:
        """The text after each conversation; sampled if `temperature` is above 0."""
        texts: list[str] = []
        for start in range(0, len(conversations), BATCH):
            texts += self._batch(conversations[start : start + BATCH], temperature)
        return texts

    @torch.inference_mode()
    def _batch(self, conversations: Sequence[list[Message]], temperature: float) -> list[str]:
        shown = [
            self.tokenizer.apply_chat_template(c, add_generation_prompt=True, tokenize=False) for c in conversations
        ]
        ids = self.tokenizer(shown, return_tensors="pt", padding=True, return_token_type_ids=False)
        how = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
        ends = {"eos_token_id": self.end, "pad_token_id": self.tokenizer.pad_token_id}
        written = self.model.generate(**ids, max_new_tokens=LONGEST, **ends, **how)
        texts = self.tokenizer.batch_decode(written[:, ids.input_ids.shape[1] :])
        return [text.split("<|im_end|>")[0].strip() for text in texts]


def plans(writer: Writer, chosen: argparse.Namespace) -> Found:
    """Which tool comes next, at any moment of a session."""
    lessons = [plan_lesson(random.Random(f"held out plans {number}")) for number in range(chosen.count)]
    answers = writer.answers([lesson.messages for lesson in lessons])
    return {
        "executable": share([executable(answer) is not None for answer in answers]),
        "equal": share([same(answer, lesson) for answer, lesson in zip(answers, lessons, strict=True)]),
    }


def executable(answer: str) -> ToolCall | None:
    """The call that an answer is, if it needs no mending. The server's Hermes parser hands the agent name and arguments."""
    match = CALL.fullmatch(answer)
    try:
        called = json.loads(match[1]) if match else {}
        function = {"name": called.get("name"), "arguments": json.dumps(called.get("arguments"))}
        call = read_call({"choices": [{"message": {"tool_calls": [{"function": function}]}}]}, list(TOOLS.values()))
    except (ValueError, InvalidPlan):
        return None
    return None if call.repaired else call


def same(answer: str, lesson: Example) -> bool:
    """Whether it says what the teacher says; of a painting, whether it paints at all: prompts are free."""
    painting = '"name": "generate_images"'
    return answer == lesson.answer or (painting in answer and painting in lesson.answer)


def finetune(writer: Writer, chosen: argparse.Namespace) -> Found:
    """The moments at which a session trains: once, so it is easily unlearned."""
    made = (plan_lesson(random.Random(f"held out finetune {number}")) for number in itertools.count())
    lessons = list(itertools.islice((one for one in made if '"name": "finetune"' in one.answer), chosen.count))
    calls = [executable(answer) for answer in writer.answers([lesson.messages for lesson in lessons])]
    pairs = [(training(call), training(executable(lesson.answer))) for call, lesson in zip(calls, lessons, strict=True)]
    wanted = {name: share([got.get(name) == right[name] for got, right in pairs]) for name in ("method", "steps")}
    return {"called": share([bool(got) for got, _ in pairs]), **wanted}


def training(call: ToolCall | None) -> dict[str, Any]:
    """The arguments of a call of finetune; none of another call."""
    return call.args if call and call.name == "finetune" else {}


def feedback(writer: Writer, chosen: argparse.Namespace) -> Found:
    """Evidence into words."""
    lessons = [feedback_lesson(random.Random(f"held out feedback {number}")) for number in range(chosen.count)]
    answers = writer.answers([lesson.messages for lesson in lessons])
    return {"equal": share([answer == lesson.answer for answer, lesson in zip(answers, lessons, strict=True)])}


def wishes(writer: Writer, chosen: argparse.Namespace) -> Found:
    """Invented wishes in wordings that were never taught."""
    pairs = list(itertools.islice(held_out_wishes("wish"), chosen.count))
    heard = read_wishes(writer, [wish for wish, _ in pairs])
    right = [understood(one, answer) for one, (_, answer) in zip(heard, pairs, strict=True)]
    replies = [one.reply == answer["reply"] for one, (_, answer) in zip(heard, pairs, strict=True)]
    return {"words": share(right), "reply": share(replies)}


def understood(heard: Wish, answer: dict[str, Any]) -> bool:
    """Whether a reading has exactly the teacher's words on either side; their order means nothing."""
    return (set(heard.like), set(heard.avoid)) == (set(answer["like"]), set(answer["avoid"]))


def outside(writer: Writer, chosen: argparse.Namespace) -> Found:
    """Wishes for what cannot be painted, and others, worded as never taught."""
    found: Found = {}
    for name, beyond in (("said", True), ("wrongly", False)):
        asked = (wish for wish, answer in held_out_wishes("outside") if says_outside(answer["reply"]) == beyond)
        heard = read_wishes(writer, list(itertools.islice(asked, chosen.count)))
        found[name] = share([says_outside(one.reply) for one in heard])
    return found


def held_out_wishes(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for number in itertools.count():
        yield invent_wish(random.Random(f"held out {name} {number}"), held_out=True)


def says_outside(reply: str) -> bool:
    """Whether a reply says that something is not to be had here."""
    return SORRY.search(reply) is not None


def read_wishes(writer: Writer, asked: Sequence[str]) -> list[Wish]:
    """The model's own readings of wishes."""
    return [heard_in(text) for text in wish_answers(writer, asked)]


def wish_answers(writer: Writer, asked: Sequence[str]) -> list[str]:
    return writer.answers([wish_messages(wish, VOCABULARY) for wish in asked])


def read_wish(text: str) -> Wish | None:
    try:
        return read_object({"choices": [{"message": {"content": text}}]}, Wish)
    except InvalidPlan:
        return None


def heard_in(text: str) -> Wish:
    """The reading that an answer is; of one that has not the right shape, nothing."""
    return read_wish(text) or Wish.model_construct(like=[], avoid=[], reply="")


def written(writer: Writer, chosen: argparse.Namespace) -> Found:
    """The wishes written by hand, by three readers."""
    lines = [json.loads(line) for line in WRITTEN.read_text().splitlines()]
    asked = [line["wish"] for line in lines]
    texts = wish_answers(writer, asked)
    readings = {
        "model": [heard_in(text) for text in texts],
        "agent": [through_the_agent(wish, text) for wish, text in zip(asked, texts, strict=True)],
        "look_up": [understand(None, wish, VOCABULARY) for wish in asked],
    }
    if chosen.show:
        show(lines, readings["model"], readings["agent"])
    return {name: judged(heard, lines) for name, heard in readings.items()}


def through_the_agent(wish: str, text: str) -> Wish:
    """What the agent makes of a wish when its language model answers `text`."""
    unreadable = InvalidPlan("prose", text[:80])
    return understand(ScriptedLlm([read_wish(text) or unreadable]), wish, VOCABULARY)


def judged(heard: Sequence[Wish], lines: Sequence[dict[str, Any]]) -> Found:
    pairs = list(zip(heard, lines, strict=True))
    return {
        "words": share([words_right(one, line) for one, line in pairs]),
        "outside_said": share([says_outside(one.reply) for one, line in pairs if line["outside"] is True]),
        "outside_wrongly": share([says_outside(one.reply) for one, line in pairs if line["outside"] is False]),
    }


def words_right(heard: Wish, line: dict[str, Any]) -> bool:
    """Of each group that is needed at least one, and nothing that is neither needed nor allowed."""
    said = signed(heard)
    groups = [[group] if isinstance(group, str) else group for group in line["need"]]
    return said <= {*itertools.chain(*groups), *line["may"]} and all(said & set(group) for group in groups)


def signed(heard: Wish) -> set[str]:
    return {f"+{word}" for word in heard.like} | {f"-{word}" for word in heard.avoid}


def show(lines: Sequence[dict[str, Any]], model: Sequence[Wish], agent: Sequence[Wish]) -> None:
    """Each written wish with both readings, a cross before what is wrong, on standard error."""
    for line, one, other in zip(lines, model, agent, strict=True):
        print(line["wish"], file=sys.stderr)
        for name, heard in (("model", one), ("agent", other)):
            mark = " " if words_right(heard, line) else "x"
            print(f"  {mark} {name}: {' '.join(sorted(signed(heard)))} | {heard.reply}", file=sys.stderr)


def proposals(writer: Writer, chosen: argparse.Namespace) -> Found:
    """Prompts for invented tastes."""
    return {f"after_{rounds}": proposed(writer, rounds, chosen.count, chosen.temperature) for rounds in (1, 3)}


def proposed(writer: Writer, rounds: int, count: int, temperature: float) -> Found:
    """Mean hidden utility of proposed prompts above random ones, over `count` tastes."""
    moments = [moment(number, rounds) for number in range(count)]
    answers = writer.answers([messages for _, messages, _ in moments], temperature)
    gains, readable = list[float](), list[bool]()
    for (taste, _, chance), answer in zip(moments, answers, strict=True):
        call = executable(answer)
        genomes = [VOCABULARY.parse(prompt) for prompt in (call.args.get("prompts", []) if call else [])]
        readable += [genome is not None for genome in genomes] or [False]
        known = [taste.utility(genome) for genome in genomes if genome]
        gains += [float(np.mean(known)) - chance] if known else []
    gained = average(gains) if gains else {"mean": None, "low": None, "high": None, "n": 0}
    return {**gained, "readable": share(readable)}


def moment(number: int, rounds: int) -> tuple[Taste, list[Message], float]:
    """A hidden taste, the conversation after `rounds` rounds, and the mean utility of random prompts."""
    rng = random.Random(f"held out taste {number}")
    taste = invent_taste(rng)
    rated = invent_history(taste, rng, rounds, 8)
    facts = Facts(round=rounds, rated=rated, done=ROUND, images_left=8 * (4 - rounds))
    chance = float(np.mean([taste.utility(VOCABULARY.random(rng)) for _ in range(400)]))
    return taste, plan_messages(facts, VOCABULARY), chance


MEASURES: dict[str, Callable[[Writer, argparse.Namespace], Found]] = {
    "plans": plans, "finetune": finetune, "feedback": feedback, "wishes": wishes, "outside": outside, "written": written,
    "proposals": proposals,
}  # fmt: skip


def names(text: str) -> list[str]:
    """`plans,wishes` as a list of measures."""
    found = text.split(",")
    if strange := set(found) - set(MEASURES):
        raise argparse.ArgumentTypeError(f"{sorted(strange)} are none of {', '.join(MEASURES)}")
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL, metavar="FOLDER")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--temperature", type=float, default=0.6, help="of proposals; everything else is greedy")
    parser.add_argument("--only", type=names, default=list(MEASURES), help=f"some of {','.join(MEASURES)}")
    parser.add_argument("--show", action="store_true", help="print every written wish and its readings, too")
    chosen = parser.parse_args()
    torch.manual_seed(0)
    writer = Writer(chosen.model)
    found = {name: MEASURES[name](writer, chosen) for name in chosen.only}
    print(json.dumps(found | {"machine": machine()}))


if __name__ == "__main__":
    main()
