"""What Generative Active Learning is told (GAL, Zhang et al. 2024): the subject, the anchors around it, and how to choose among them.

Knows words and numbers. Does not know models, pictures or files of a run; tools.gal.gal is the algorithm.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from prompts.errors import InputError
from prompts.lists import SLOT, Anchor, load_anchors

Strategy = Literal["random", "human", "clip", "uncertainty"]


class GalSpec(BaseModel):
    """Settings of Algorithm 1, the paper's by default. Anchors are a bundled set's name, a text file, or a list of {prompt, concept}."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subject: str = Field(
        "", max_length=200, description="how prompts name the subject, 'sks dog'; empty: a taste that needs no word"
    )
    class_noun: str = Field(
        "", max_length=200, description="what CLIP reads in the subject's place, 'dog': it cannot know the identifier"
    )
    non_subject: tuple[str, ...] = Field(
        min_length=1,
        description="what the references show besides the subject (Eq. 8); of several texts the nearest counts",
    )
    anchors: str | tuple[Anchor, ...] = Field(
        "object", description="directions to explore (Tables 5 and 6: object, style)"
    )
    samples: int = Field(10, ge=1, le=64, description="images an anchor, m")
    k: int = Field(3, ge=1, le=64, description="anchors chosen in a round, one image of each joins the references")
    rounds: int = Field(4, ge=1, le=100, description="trainings at most; the first is plain DreamBooth")
    strategy: Strategy = Field(
        "uncertainty", description="who chooses: random, human, clip (text fidelity), uncertainty"
    )
    balance: bool = Field(
        True, description="weigh synthetic images by their round's openness (Eq. 9); false: as real ones"
    )
    rate: float = Field(
        0.005, ge=0, le=1000,
        description="lambda of Eq. 9. The paper's 0.005 gives a synthetic image at most 0.35 % (0.005 ln 2) of a real one's weight",
    )  # fmt: skip
    compare: Literal["anchor", "prompt"] = Field(
        "anchor", description="Eq. 8 as written, or whole prompts as the authors' code has it"
    )
    stop_early: bool = Field(True, description="stop when fewer than k anchors are uncertain (Eq. 10)")
    test_prompts: str | tuple[Anchor, ...] = Field((), description="held out: never chosen, measured each round")
    test_samples: int = Field(2, ge=1, le=64, description="images a test prompt")
    steps: int = Field(20, ge=1, le=1000, description="sampling steps (the paper has 50)")
    guidance_scale: float = Field(3.0, ge=0, le=50, description="the paper has 7.5")
    seed: int = Field(0, ge=0, lt=2**31, description="of the images, the same in each round, and of random choice")

    @field_validator("non_subject", mode="before")
    @classmethod
    def _several(cls, given: object) -> object:
        return (given,) if isinstance(given, str) else given

    @field_validator("anchors", "test_prompts", mode="before")
    @classmethod
    def _as_anchors(cls, given: object) -> object:
        if not isinstance(given, (list, tuple)):
            return given
        return tuple(
            Anchor(**one) if isinstance(one, dict) and one.keys() == {"prompt", "concept"} else one for one in given
        )

    def resolved(self) -> GalSpec:
        """With the anchors themselves in the place of names and files. Raises InputError for those that cannot be used."""
        anchors, tests = (
            tuple(load_anchors(given)) if isinstance(given, str) else given
            for given in (self.anchors, self.test_prompts)
        )
        if not anchors:
            raise InputError(f"anchors = {self.anchors!r} hold no anchor: give a set's name, a file or a list")
        for anchor in (*anchors, *tests):
            if self.subject and SLOT not in anchor.prompt:
                raise InputError(f"anchor {anchor.prompt!r} has no place for the subject: write {SLOT} in it")
        return self.model_copy(update={"anchors": anchors, "test_prompts": tests})

    def painted(self, anchor: Anchor) -> str:
        """The anchor's prompt for the painter (Eq. 3)."""
        return said(anchor.prompt, self.subject)

    def read(self, anchor: Anchor) -> str:
        """The same prompt for CLIP."""
        return said(anchor.prompt, self.class_noun)


def said(prompt: str, word: str) -> str:
    """A prompt with `word` in its slot; an empty word leaves no comma behind."""
    text = prompt.replace(SLOT, word)
    return text if word else re.sub(r"\s*,\s*(?=,|$)|^\s*,\s*|\s+(?=\s)", "", text).strip()


def renamed(prompt: str, subject: str, word: str) -> str:
    """A reference's prompt with `word` where it names the subject. Raises InputError when it does not."""
    text, count = re.subn(rf"(?<!\w){re.escape(subject)}(?!\w)", lambda _: SLOT, prompt)
    if subject and not count:
        raise InputError(f"prompt {prompt!r} does not name the subject {subject!r}: put it in")
    return said(text, word) if subject else prompt
