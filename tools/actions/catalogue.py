"""The ten tools an agent may call: name, arguments, function. What is not here cannot be done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tools.actions.anchors import SelectAnchors, select_anchors
from tools.actions.ask import AskPerson, ask_person
from tools.actions.evaluate import EvaluateAdapter, evaluate_adapter
from tools.actions.evolve import EvolvePrompts, evolve_prompts
from tools.actions.feedback import GiveFeedback, give_feedback
from tools.actions.finetune import Finetune, finetune
from tools.actions.finish import Finish, finish
from tools.actions.generate import GenerateImages, generate_images
from tools.actions.learn import LearnTaste, learn_taste
from tools.actions.score import ScoreImages, score_images
from tools.context import Arguments, Context, Outcome


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
