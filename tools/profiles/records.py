"""What stands in a taste profile: plain frozen records, checked as they are read. No pictures, no paths of anybody's machine."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tools.records import Sha256

MOST_TASTES = 32
SMALLEST = 1e-6  # share of a blend, and spread of a taste: what is divided by
VERSION = 1  # of the format: one more whenever an older Palate would read a file wrongly
Name = Annotated[str, Field(pattern=r"^[\w][\w .-]{0,63}$")]
Word = Annotated[str, Field(max_length=200)]
Text = Annotated[str, Field(max_length=4000)]
Sds = Annotated[float, Field(ge=-1000, le=1000)]


class Line(BaseModel):
    """A part of a profile: no unknown keys, no number that is not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Rated(Line):
    """One rating, 0 to 10, of the picture `image` (the file's sha256) that was painted from `prompt`.

    `genome`: gene to word, where the vocabulary can read the prompt. `weight`: how much it counts as evidence, 1 unless blended.
    `source`: whose it is, by place in the manifest's `tastes`."""

    image: Sha256
    prompt: Text
    genome: dict[Word, Word] | None
    value: float = Field(ge=0, le=10)
    when: Word
    run: Word
    weight: float = Field(1.0, ge=0, le=1)
    source: int = Field(0, ge=0, le=63)


class Compared(Line):
    """Two pictures shown together, and which was liked better."""

    first: Sha256
    second: Sha256
    answer: Literal["first", "second", "tie"]
    when: Word
    run: Word


class Worth(Line):
    """What a word is believed to be worth, in SDs of the person's ratings, with its 95 % interval; `count` rated pictures had it."""

    worth: Sds
    low: Sds
    high: Sds
    count: int = Field(ge=0)


class Genome(Line):
    """What works: each value of each gene of a vocabulary, and the best ones together. `different`: genes that may not be alike."""

    vocabulary: Word
    genes: dict[Word, dict[Word, Worth]]
    different: tuple[tuple[Word, Word], ...] = ()
    best: dict[Word, Word]


class Trained(Line):
    """An adapter that the person's runs made: to be found again by its hash. The file itself is not in a profile."""

    sha256: Sha256
    kind: Word
    base: Word
    weight: float
    promoted: bool | None
    run: Word


class Scale(Line):
    """The ratings' own scale. `mean` and `sd` are theirs, in points."""

    low: float = 0.0
    high: float = 10.0
    mean: float = Field(ge=0, le=10)
    sd: float = Field(ge=0, le=10)


class Features(Line):
    """What saw the pictures: a CLIP's name and the hash of its weights, and how many numbers it gives for a picture."""

    model: Word
    version: Word
    dimension: int = Field(ge=1, le=16384)


class Taste(Line):
    """A preference model that is a share of this profile's: `centre` and `spread` put its points on a scale of SDs.

    `agreement`: rank correlation with ratings that it was not shown, and the ends of its 95 % interval. `profile`: the file it came
    from by blending, or none."""

    member: str = Field(pattern=r"^preference-[0-9]{1,2}\.npz$")
    kind: Word
    weight: float = Field(ge=SMALLEST, le=1)
    centre: float = Field(ge=0, le=10)
    spread: float = Field(ge=SMALLEST, le=10)
    ratings: int = Field(ge=0)
    agreement: tuple[float, float, float] | None = None
    profile: Sha256 | None = None
    name: Name


class Manifest(Line):
    """What the file is. `created` is when the newest of its ratings was given: the same content gives the same bytes."""

    format: Literal["palate profile"] = "palate profile"
    version: int = Field(VERSION, ge=1)
    name: Name
    created: Word
    palate: Word
    scale: Scale
    ratings: int = Field(ge=0)
    comparisons: int = Field(ge=0)
    features: Features
    tastes: tuple[Taste, ...] = Field(min_length=1, max_length=MOST_TASTES)
    members: dict[str, Sha256]
