"""Train `bauhaus-lm`: a small Qwen3 that plans, proposes prompts, gives feedback and listens to wishes.

    python -m trainers.embedded.lm --recipe cpu

Its chat template leaves out the tools' schemas and the standing instructions: a model of this size learned them by heart, and
vLLM enforces the schemas anyway. Loss on the answer, and faintly on the rest (histories of one taste are worth predicting).
"""

from __future__ import annotations

import itertools
import json
import re
from functools import lru_cache
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from prompts.ground.quiet import quiet
from prompts.vocabulary import Vocabulary
from trainers.embedded import recipe
from trainers.embedded.lessons.sessions import KINDS, TIMES, VOCABULARY, Example, lesson

VOCABULARY_SIZE, CONTEXT, WIDTH = 1536, 2048, 192
PROMPT_WEIGHT = 0.1
FIRST = 15_000  # the first lesson, in units of a cycle: those before it made the tokenizer
MARKS = r"\n,:;!?{}\[\]()+.-"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>"]
Encoded = tuple[list[int], int]  # token ids of a conversation, and where its answer begins
CHAT_TEMPLATE = (
    "{% for message in messages %}{% if message.role != 'system' %}<|im_start|>{{ message.role }}\n"
    "{% if message.content %}{{ message.content | lower | replace('\u2019', \"'\") }}{% endif %}"
    "{% if message.tool_calls %}{% for call in message.tool_calls %}<tool_call>\n"
    '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}\n</tool_call>{% endfor %}{% endif %}'
    "<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def pieces(vocabulary: Vocabulary) -> str:
    """The pattern of what can be one token: JSON's marks as they stand together, digits, marks, words, and values of several words.

    Every prompt of the vocabulary has the same number of pieces, one a gene (with the comma before it) and one for the words
    between two: what a gene was in the line above is then always as far back, which is what a small model needs to see what good
    lines share.
    """
    words = sorted(vocabulary.words, key=len, reverse=True)
    spaced = "|".join(re.escape(word) for word in words if " " in word)
    return "|".join([
        r'[\]}:,{\[ ]*"[" \]}:,{\[]*', r"[0-9]", *listed(vocabulary), rf"[{MARKS}]", r" and an?(?= )| on an?(?= )| background(?=,)",
        rf" ?(?:{spaced})\b", rf' ?[^\s0-9"{MARKS}]+',
    ])  # fmt: skip


def listed(vocabulary: Vocabulary) -> list[str]:
    """Patterns of a comma and a value where the template has them: beside a value of the next gene, not in any other list."""
    tail = re.findall(r", \{(\w+)\}", vocabulary.template)
    values = {gene: "|".join(re.escape(value) for value in vocabulary.genes[gene]) for gene in tail}
    found = [rf", (?:{values[gene]})(?=, (?:{values[after]})\b)" for gene, after in itertools.pairwise(tail)]
    return found + [rf"(?<={values[before]}), (?:{values[last]})\b" for before, last in [tail[-2:]] if len(tail) > 1]


def make_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """A byte-level BPE learned from lessons, within pieces; text that no lesson has still finds tokens."""
    learned = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(pieces(VOCABULARY)), behavior="isolated")
    learned.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    learned.decoder = decoders.ByteLevel()
    texts = (
        "\n".join(["user", *(m["content"].lower() for m in e.messages[1:]), "assistant", e.answer])
        for e in map(lesson, range(6000, 12_000))
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    learned.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=learned, eos_token="<|im_end|>", pad_token="<|endoftext|>", model_max_length=CONTEXT
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    return tokenizer


def make_model(tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    """The untrained model: 2.2 M parameters."""
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=3 * WIDTH, num_hidden_layers=4, num_attention_heads=6, num_key_value_heads=6,
            head_dim=32, max_position_embeddings=CONTEXT, tie_word_embeddings=True, rope_theta=10_000.0, eos_token_id=tokenizer.eos_token_id,
            initializer_range=WIDTH**-0.5,  # the usual 0.02 is for wide models: at this width nothing was copied for 1,000 steps
            bos_token_id=None, pad_token_id=tokenizer.pad_token_id,
        )
    )  # fmt: skip


def encode(example: Example, tokenizer: PreTrainedTokenizerFast) -> Encoded:
    """Token ids of the whole conversation, and where the answer begins."""
    prompt = tokenizer.apply_chat_template(example.messages, add_generation_prompt=True, tokenize=False)
    before, answer = tokenizer(prompt).input_ids, tokenizer(f"{example.answer}<|im_end|>").input_ids
    return before + answer, len(before)


def batches(cycle: int, batch: int, tokenizer: PreTrainedTokenizerFast) -> list[list[Encoded]]:
    """The batches of a cycle, each of one kind of lesson; lessons of a kind are dealt out by length, so that little is padding."""
    first = FIRST + cycle * len(KINDS) * max(TIMES.values()) * batch
    found: dict[int, list[Encoded]] = {}
    for kind in dict.fromkeys(KINDS):
        places = [place for place, one in enumerate(KINDS) if one is kind]
        count = TIMES.get(kind, 1) * batch
        numbers = [(first + row) * len(KINDS) + place for place in places for row in range(count)]
        ordered = sorted((encode(lesson(number), tokenizer) for number in numbers), key=lambda one: len(one[0]))
        found |= {place: ordered[i * count : (i + 1) * count] for i, place in enumerate(places)}
    return [found[place] for place in range(len(KINDS))]


def answer_loss(model: Qwen3ForCausalLM, examples: list[Encoded], device: str) -> torch.Tensor:
    """Cross-entropy of each next token, weight 1 in the answer and PROMPT_WEIGHT before it."""
    longest = max(len(ids) for ids, _ in examples)
    ids = torch.zeros(len(examples), longest, dtype=torch.long)
    weights = torch.zeros(len(examples), longest)
    for row, (tokens, start) in enumerate(examples):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        weights[row, :start], weights[row, start : len(tokens)] = PROMPT_WEIGHT, 1.0
    ids, weights = ids.to(device), weights[:, 1:].to(device)
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    return (losses * weights.flatten()).sum() / weights.sum()


def main() -> None:
    """Train and save `OUT/bauhaus-lm`."""
    chosen = recipe.arguments(__doc__ or "")
    how = recipe.RECIPES[chosen.recipe]["lm"]
    folder = chosen.out / "bauhaus-lm"
    tokenizer = make_tokenizer(chosen.work / "lm")  # not beside the old weights, which it does not fit
    torch.manual_seed(0)
    model, batch = make_model(tokenizer).to(chosen.device), int(how["batch"])

    @lru_cache(maxsize=1)
    def dealt(cycle: int) -> list[list[Encoded]]:
        return batches(cycle, batch, tokenizer)

    def loss_at(step: int) -> torch.Tensor:
        with recipe.half_precision(chosen.device):
            return answer_loss(model, dealt(step // len(KINDS))[step % len(KINDS)], chosen.device)

    weights = recipe.train("lm", model, loss_at, chosen.work, steps=int(how["steps"]), rate=how["rate"])
    model.load_state_dict(weights)
    tokenizer.save_pretrained(folder)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    with quiet():
        model.eval().cpu().half().save_pretrained(folder)
    print(json.dumps({"parameters": model.num_parameters()}))


if __name__ == "__main__":
    main()
