"""What a planner knows when it chooses the next tool: plain values, read from the trajectory, nothing else.

The agent fills them in from its store, the language model's training fills them in from invented sessions; both then go
through `prompts.messages`, so that what the model is taught and what it meets cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """One moment of a run.

    `done` holds the tools that ran since the last painting; `rated` (rating, prompt) of every rated image, in order;
    `wishes` are vocabulary words with + (loved) or - (unwanted) in front; `adapter` is one of "", "trained", "promoted",
    "rejected", "failed".
    """

    brief: str = ""
    wishes: tuple[str, ...] = ()
    round: int = 0
    rounds: int = 4
    images_per_round: int = 8
    images_left: int = 10_000
    trainings_left: int = 1
    method: str = "dpo"
    train_steps: int = 60
    rated: tuple[tuple[float, str], ...] = ()
    done: tuple[str, ...] = ()
    evolved: int = 0
    feedback: str = ""
    adapter: str = ""
    error: str = ""

    @property
    def another_round(self) -> bool:
        """Whether there is a round left to paint, and images to paint it with."""
        return self.round < self.rounds and self.images_left > 0
