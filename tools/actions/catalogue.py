"""The ten tools an agent may call: name, arguments, function. What is not here cannot be done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tools.anchors import SelectAnchors, select_anchors
from tools.ask import AskPerson, ask_person
from tools.context import Arguments, Context, Outcome
from tools.evaluate import EvaluateAdapter, evaluate_adapter
from tools.evolve import EvolvePrompts, evolve_prompts
from tools.feedback import GiveFeedback, give_feedback
from tools.finetune import Finetune, finetune
from tools.finish import Finish, finish
from tools.generate import GenerateImages, generate_images
from tools.learn import LearnTaste, learn_taste
from tools.score import ScoreImages, score_images


@dataclass(frozen=True)
class Tool:
    """One action: what the planner is told, what it may say, what then runs."""

    name: str
    arguments: type[Arguments]
    run: Callable[[Any, Context], Outcome]

    @property
    def description(self) -> str:
        """The arguments' docstring: the one place where a tool is described."""
        return " ".join((self.arguments.__doc__ or "").split())


TOOLS: dict[str, Tool] = {
    function.__name__: Tool(function.__name__, arguments, function)
    for arguments, function in (
        (GenerateImages, generate_images),
        (ScoreImages, score_images),
        (AskPerson, ask_person),
        (GiveFeedback, give_feedback),
        (LearnTaste, learn_taste),
        (EvolvePrompts, evolve_prompts),
        (SelectAnchors, select_anchors),
        (Finetune, finetune),
        (EvaluateAdapter, evaluate_adapter),
        (Finish, finish),
    )
}
