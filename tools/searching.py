"""What a run's config says about its search: the strategy by name, and the few numbers that it may be given.

Knows no strategy's code: `tools.search` has them. OPRO's settings ("Large Language Models as Optimizers", section 5.1) are a preset:
8 candidates a step, the 20 best kept, whole scores from 0 to 100, 3 exemplars, the best last.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Name = Literal["screened", "genetic", "belief", "llm", "genetic_llm", "random", "rules"]
Part = Literal["scores", "prompts", "feedback", "images"]


class SearchSpec(BaseModel):
    """A strategy and its settings; those of other strategies are not read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    strategy: Name = Field("screened", description="how the next round's prompts are found")
    mutation: float | None = Field(None, ge=0, le=1, description="chance that a gene is redrawn; none: the planner's")
    elites: int | None = Field(None, ge=0, le=4, description="the best that return unchanged; none: the planner's")
    context: tuple[Part, ...] = Field(
        ("scores", "prompts", "feedback"), description="what the language model is shown of the history; [] is nothing"
    )
    preset: Literal["paper", "opro"] = Field("paper", description="how the history is shown")
    history_tokens: int = Field(
        900,
        ge=50,
        le=100_000,
        description="tokens of history, at most; fewer where the local server's context is small",
    )
    whole_rounds: bool = Field(True, description="a round is all the strategy's; false: half the planner's own prompts")
    retries: int = Field(1, ge=0, le=4, description="times the language model is asked again for what is new")
    dialect: Literal["auto", "plain", "native"] = Field(
        "auto", description="native: the message that bauhaus-lm was taught; auto: native for it, plain for others"
    )
    # Picture to text and text to text are two scales of CLIP. With bauhaus-clip and four briefs, random prompts' pictures have a median
    # cosine of -0.15 to 0.05 with the brief, and those of prompts that say its words 0.04 to 0.64; the prompts themselves -0.19 to 0.07
    # and 0.04 to 0.47: the longer the brief, the higher. Another CLIP has other scales: look at a few of its cosines first.
    minimum_alignment: float | None = Field(
        None,
        ge=-1,
        le=1,
        description="cosine of a picture with the brief below which it is not bred from; none: not asked",
    )
    minimum_prompt_alignment: float | None = Field(
        None, ge=-1, le=1, description="cosine of a prompt with the brief below which it is replaced; none: not asked"
    )

    @field_validator("context")
    @classmethod
    def _told(cls, context: tuple[Part, ...]) -> tuple[Part, ...]:
        if len(set(context)) < len(context):
            raise ValueError(f"{list(context)!r} names a part twice: leave one out")
        if "scores" in context and "prompts" not in context:
            raise ValueError(f"{list(context)!r} has scores without the prompts they belong to: add prompts")
        return context

    @property
    def asks_llm(self) -> bool:
        """Whether there has to be a language model."""
        return self.strategy in ("llm", "genetic_llm")

    @property
    def keeps(self) -> int | None:
        """How many of the history are shown at most; None: as many as there are tokens for."""
        return 20 if self.preset == "opro" else None

    @property
    def exemplars(self) -> int:
        """How many of the best a model that sees is shown, and the bundled one is told the commonest tags of; any line has its tags."""
        return 3 if self.preset == "opro" else 8

    @property
    def best_last(self) -> bool:
        """Whether the history rises: what stands nearest to the question is read best."""
        return self.preset == "opro"
