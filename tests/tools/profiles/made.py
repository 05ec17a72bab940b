"""Profiles of people who never were: their likings follow the words, their pictures' features too. No model is needed."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from evaluators.preference import model as preference
from prompts.vocabulary import Genome, load_vocabulary
from tools.profiles.archive import pack, unpack
from tools.profiles.profile import Profile
from tools.profiles.records import Compared, Features, Manifest, Rated, Scale, Taste, Trained
from tools.profiles.summary import summarised
from tools.profiles.taste import worths

VOCABULARY = load_vocabulary("bauhaus")
COLUMNS = [(gene, value) for gene, values in VOCABULARY.genes.items() for value in values]
WIDTH = 24
SEEING = np.random.default_rng(7).normal(size=(len(COLUMNS), WIDTH))  # how words look, in features


def features_of(genomes: list[Genome], seed: int = 0) -> np.ndarray:
    """(N, 24) unit rows: what the words look like, and a little of the picture's own."""
    rows = np.array([[float(genome[gene] == value) for gene, value in COLUMNS] for genome in genomes]) @ SEEING
    rows += 0.3 * np.random.default_rng([seed, 1]).normal(size=rows.shape)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def liked(genome: Genome, taste: dict[str, float]) -> float:
    """The hidden liking, in points about 5; `taste`: "gene value" to points."""
    return 5.0 + sum(points for words, points in taste.items() if genome[words.split()[0]] == words.split(" ", 1)[1])


ANN = {"background teal": 2.5, "shape ring": 1.5, "texture hatched": -2.0}
BOB = {"background teal": -2.5, "shape ring": 1.5, "layout tiled": 2.0}


def person(
    name: str, taste: dict[str, float], *, seed: int = 0, count: int = 80, clip: str = "c1" * 6, width: int = WIDTH
) -> Profile:
    """A profile of `count` ratings, before it is a file."""
    rng = random.Random(seed)
    genomes = [VOCABULARY.random(rng) for _ in range(count)]
    values = [round(min(10.0, max(0.0, liked(genome, taste) + rng.gauss(0, 0.5))), 1) for genome in genomes]
    images = tuple(hashlib.sha256(f"{name} {seed} {number}".encode()).hexdigest() for number in range(count))
    features = features_of(genomes, seed)[:, :width]
    ratings = tuple(
        Rated(image=image, prompt=VOCABULARY.phrase(genome), genome=genome, value=value, when=f"2026-11-21T10:{number % 60:02}:00.000+00:00", run="run-1")
        for number, (image, genome, value) in enumerate(zip(images, genomes, values, strict=True))
    )  # fmt: skip
    compared = (Compared(first=images[0], second=images[1], answer="tie", when="2026-11-21T11:00:00.000+00:00", run="run-1"),)  # fmt: skip
    fitted = preference.fit(features, np.array(values))
    scale = Scale(mean=float(np.mean(values)), sd=float(np.std(values)))
    about = Taste(member="preference-0.npz", kind=fitted.kind, weight=1.0, centre=scale.mean, spread=scale.sd or 1.0, ratings=count, name=name)  # fmt: skip
    seen = Features(model="bauhaus-clip", version=clip, dimension=width)
    manifest = Manifest(
        name=name, created=max(one.when for one in ratings), palate="0.1.0", scale=scale, ratings=count, comparisons=1, features=seen, tastes=(about,), members={},
    )  # fmt: skip
    adapters = (Trained(sha256="ad" * 32, kind="dpo", base="bauhaus", weight=1.0, promoted=True, run="run-1"),)
    genome = worths([(one.value, one.genome) for one in ratings if one.genome], VOCABULARY)
    profile = Profile(manifest, ratings, compared, images, features, (fitted,), genome, adapters, "")
    return Profile(**{**vars(profile), "summary": summarised(profile, ["+teal", "-hatched"])})


def with_member(data: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """The file with one member changed and the manifest put right: what a careful forger would make."""
    parts = unpack(data, "it")
    parts[name] = change(parts[name])
    manifest = json.loads(parts["manifest.json"])
    manifest["members"][name] = hashlib.sha256(parts[name]).hexdigest()
    return pack(parts | {"manifest.json": (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()})


def with_manifest(data: bytes, **changes: Any) -> bytes:
    """The file with other words in its manifest."""
    parts = unpack(data, "it")
    manifest = json.loads(parts["manifest.json"]) | changes
    return pack(parts | {"manifest.json": (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()})
