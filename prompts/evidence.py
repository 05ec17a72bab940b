"""Which words of the vocabulary go with high and low ratings: the evidence of a feedback, and a plain sentence for it."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from prompts.vocabulary import Vocabulary


def effects(rated: Sequence[tuple[float, str]], vocabulary: Vocabulary) -> list[tuple[str, float]]:
    """`gene_effects` with gene and value in one word group, "accent colour teal": the evidence of a feedback."""
    return [(f"{gene.replace('_', ' ')} {value}", effect) for gene, value, effect in gene_effects(rated, vocabulary)]


def gene_effects(rated: Sequence[tuple[float, str]], vocabulary: Vocabulary) -> list[tuple[str, str, float]]:
    """(gene, value, effect), strongest first: the value's mean rating less the overall mean, shrunk by its count."""
    genomes = [(score, genome) for score, prompt in rated if (genome := vocabulary.parse(prompt))]
    if not genomes:
        return []
    mean = sum(score for score, _ in genomes) / len(genomes)
    found = []
    for gene, values in vocabulary.genes.items():
        for value in values:
            scores = [score - mean for score, genome in genomes if genome[gene] == value]
            if scores:
                found.append((gene, value, sum(scores) / (len(scores) + 1)))
    return sorted(found, key=lambda row: -abs(row[2]))


def guesses(rated: Sequence[tuple[float, str]], vocabulary: Vocabulary) -> list[str]:
    """Two prompts that nobody may have painted yet: every gene at its best value so far, and at its second best if it helped."""
    ranked: dict[str, list[tuple[float, str]]] = {gene: [] for gene in vocabulary.genes}
    for gene, value, effect in gene_effects(rated, vocabulary):
        ranked[gene].append((-effect, value))
    if not all(ranked.values()):
        return []
    tops = {gene: sorted(pairs, key=lambda pair: pair[0]) for gene, pairs in ranked.items()}
    seconds = {gene: top[1] if len(top) > 1 and top[1][0] < 0 else top[0] for gene, top in tops.items()}
    firsts = {gene: top[0] for gene, top in tops.items()}
    genomes = [{gene: value for gene, (_, value) in chosen.items()} for chosen in (firsts, seconds)]
    return list(dict.fromkeys(vocabulary.phrase(vocabulary.mend(genome, Random(0))) for genome in genomes))


def feedback_sentence(evidence: Sequence[tuple[str, float]]) -> str:
    """The evidence in plain words: what the rule planner says, and what the small language model is taught to say."""
    liked = " and ".join([word for word, effect in evidence if effect > 0][:3])
    disliked = " and ".join([word for word, effect in evidence if effect <= 0][:3])
    if not liked or not disliked:
        return f"You like {liked}." if liked else f"You do not care for {disliked}."
    return f"You like {liked}. You do not care for {disliked}."
