"""How a run asks its person: as which kind of question, about which pictures, how often. The config's section `asking`.

`ask_person` goes by it. What the planner sees of that tool stays the same: it says how many pictures, and the run how they are asked.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Asking(BaseModel):
    """How to ask. As it is, the newest pictures are rated, as many as the planner says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["rate", "ab", "best", "worst", "auto"] = Field(
        "rate", description="rate from 0 to 10, choose of two, pick the best or the worst of four, or what teaches the most a click"
    )  # fmt: skip
    choose: Literal["newest", "active"] = Field(
        "newest", description="about the newest round at random, or about the pictures that teach the most"
    )
    clicks: int | None = Field(None, ge=1, le=64, description="answers asked for at a time; none: as the planner says")
    exploit: float = Field(0.0, ge=0, le=1, description="from asking what teaches (0) to showing what is liked (1)")

    @property
    def plain(self) -> bool:
        """Whether it is ratings of the newest pictures."""
        return self.kind == "rate" and self.choose == "newest"
