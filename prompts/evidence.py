"""Which words of the vocabulary go with high and low ratings: the evidence of a feedback, and a plain sentence for it."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from prompts.vocabulary import Vocabulary

NOTHING = 1e-9  # rating points: what is left of equal ratings when their mean is taken away


def effects(rated: Sequence[tuple[float, str]], vocabulary: Vocabulary) -> list[tuple[str, float]]:
    """`gene_effects` with gene and value in one word group, "accent colour teal": the evidence of a feedback."""
    return [(f"{gene.replace('_', ' ')} {value}", effect) for gene, value, effect in gene_effects(rated, vocabulary)]


def gene_effects(rated: Sequence[tuple[float, str]], vocabulary: Vocabulary) -> list[tuple[str, str, float]]:
    """(gene, value, effect), strongest first: the value's mean rating less the overall mean, shrunk by its count."""
    genomes = [(score, genome) for score, prompt in rated if (genome := vocabulary.parse(prompt))]
    if not genomes:
        return []
    mean = sum(score for score, _ in genomes) / len(genomes)
    apart: dict[tuple[str, str], list[float]] = {
        (gene, v): [] for gene, values in vocabulary.genes.items() for v in values
    }
    for score, genome in genomes:  # once, however many words there are: a long run has tens of thousands of ratings
        for gene in vocabulary.genes:
            if (held := apart.get((gene, genome[gene]))) is not None:
                held.append(score - mean)
    found = [(gene, value, sum(scores) / (len(scores) + 1)) for (gene, value), scores in apart.items() if scores]
    told = [(gene, value, 0.0 if abs(effect) < NOTHING else effect) for gene, value, effect in found]
    return sorted(told, key=lambda row: -abs(row[2]))


def guesses(rated: Sequence[tuple[float, str]], vocabulary: Vocabulary) -> list[str]:
    """Two prompts that nobody may have painted yet: every gene at its best value so far, and at its second best if it helped."""
    best = sorted(gene_effects(rated, vocabulary), key=lambda row: -row[2])
    values = {gene: [(value, effect) for one, value, effect in best if one == gene] for gene in vocabulary.genes}
    if not all(values.values()):
        return []
    first = {gene: found[0][0] for gene, found in values.items()}
    second = first | {gene: found[1][0] for gene, found in values.items() if len(found) > 1 and found[1][1] > 0}
    genomes = [vocabulary.mend(genome, Random(0)) for genome in (first, second)]
    return list(dict.fromkeys(vocabulary.phrase(genome) for genome in genomes))


def sides(evidence: Sequence[tuple[str, float]]) -> tuple[list[str], list[str]]:
    """The words that raised the ratings, and those that lowered them; what did neither is on no side."""
    return [word for word, effect in evidence if effect > 0], [word for word, effect in evidence if effect < 0]


def feedback_sentence(evidence: Sequence[tuple[str, float]]) -> str:
    """The evidence in plain words: what the rule planner says, and what the small language model is taught to say."""
    liked, disliked = (" and ".join(words[:3]) for words in sides(evidence))
    if not liked and not disliked:
        return "Your ratings do not tell one word from another yet."
    if not liked or not disliked:
        return f"You like {liked}." if liked else f"You do not care for {disliked}."
    return f"You like {liked}. You do not care for {disliked}."
