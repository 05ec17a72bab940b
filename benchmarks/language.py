"""What the bundled language model can do by itself, without the grammar that vLLM holds it to, on lessons that it never saw.

    python -m benchmarks.language          (about two minutes on 2 cores)

Prints one JSON object: shares of plans, feedback and wishes that equal the teacher's, with Wilson 95 % intervals, and the hidden
utility of the prompts it proposes after 1 and 3 rounds, above random prompts and in units of their standard deviation (mean, 95 %).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, Qwen3ForCausalLM

from benchmarks.studio import share
from evaluators.win_rate import mean_interval
from prompts.facts import Facts
from prompts.messages import Message, plan_messages
from trainers.embedded.sessions import (
    VOCABULARY,
    Example,
    Taste,
    feedback_lesson,
    invent_history,
    invent_taste,
    plan_lesson,
    wish_lesson,
)

MODEL = Path(__file__).parents[1] / "models" / "bauhaus-lm"
LESSONS = {"plans": plan_lesson, "feedback": feedback_lesson, "wishes": wish_lesson}
DONE = ("score_images", "ask_person", "give_feedback", "learn_taste", "evolve_prompts")
BATCH = 32


class Writer:
    """The model and its tokenizer, answering conversations in batches."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self.model = Qwen3ForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def answers(self, conversations: Sequence[list[Message]], temperature: float = 0.0) -> list[str]:
        """The text after each conversation; sampled if `temperature` is above 0."""
        texts: list[str] = []
        for start in range(0, len(conversations), BATCH):
            texts += self._batch(conversations[start : start + BATCH], temperature)
        return texts

    @torch.no_grad()
    def _batch(self, conversations: Sequence[list[Message]], temperature: float) -> list[str]:
        shown = [
            self.tokenizer.apply_chat_template(c, add_generation_prompt=True, tokenize=False) for c in conversations
        ]
        ids = self.tokenizer(shown, return_tensors="pt", padding=True, return_token_type_ids=False)
        how = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
        written = self.model.generate(**ids, max_new_tokens=256, pad_token_id=self.tokenizer.pad_token_id, **how)
        ends = self.tokenizer.batch_decode(written[:, ids.input_ids.shape[1] :])
        return [text.split("<|im_end|>")[0].strip() for text in ends]


def same(answer: str, lesson: Example) -> bool:
    """Whether it says what the teacher says; of a painting, whether it paints at all: prompts are free."""
    painting = '"name": "generate_images"'
    return answer == lesson.answer or (painting in answer and painting in lesson.answer)


def lessons_right(writer: Writer, kind: str, count: int) -> dict[str, float]:
    """Share of answers that equal the teacher's."""
    lessons = [LESSONS[kind](random.Random(f"held out {kind} {number}")) for number in range(count)]
    answers = writer.answers([lesson.messages for lesson in lessons])
    return share([same(answer, lesson) for answer, lesson in zip(answers, lessons, strict=True)])


def moment(number: int, rounds: int) -> tuple[Taste, list[Message], float]:
    """A hidden taste, the conversation after `rounds` rounds, and the mean utility of random prompts."""
    rng = random.Random(f"held out taste {number}")
    taste = invent_taste(rng)
    rated = invent_history(taste, rng, rounds, 8)
    facts = Facts(round=rounds, rated=rated, done=DONE, images_left=8 * (4 - rounds))
    chance = float(np.mean([taste.utility(VOCABULARY.random(rng)) for _ in range(400)]))
    return taste, plan_messages(facts, VOCABULARY), chance


def proposals(writer: Writer, rounds: int, count: int, temperature: float) -> dict[str, float]:
    """Mean hidden utility of proposed prompts above random ones, over `count` tastes."""
    moments = [moment(number, rounds) for number in range(count)]
    answers = writer.answers([messages for _, messages, _ in moments], temperature)
    gains = []
    for (taste, _, chance), answer in zip(moments, answers, strict=True):
        genomes = [VOCABULARY.parse(text) for text in re.findall(r'"([^"]+)"', answer)]
        known = [taste.utility(genome) for genome in genomes if genome]
        gains += [float(np.mean(known)) - chance] if known else []
    mean, low, high, n = astuple(mean_interval(gains))
    return {"mean": round(mean, 3), "low": round(low, 3), "high": round(high, 3), "n": n}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--temperature", type=float, default=0.6)
    chosen = parser.parse_args()
    torch.manual_seed(0)
    writer = Writer(chosen.model)
    found: dict[str, Any] = {kind: lessons_right(writer, kind, chosen.count) for kind in LESSONS}
    for rounds in (1, 3):
        found[f"proposals_after_{rounds}"] = proposals(writer, rounds, chosen.count, chosen.temperature)
    print(json.dumps(found | {"machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"}))


if __name__ == "__main__":
    main()
