"""One round, one direction:  recall -> plan -> act -> record -> (ask | recall | END).

recall  reads the facts from the store; plan chooses one tool; act runs it; record writes the step with all that came of it;
ask     is LangGraph's interrupt: chat and simulated raters answer it alike, and ratings are stored as they are given.

What must not wait for its step is written beside `record`: ratings, a person's words (agent.chat.terminal), a training's progress.

State holds ids, numbers and short texts, never pixels. LangGraph's checkpoints resume execution; the trajectory is the record.
Every node may run twice after a crash, and none may count twice: tools are seeded by step, and `add_step` keeps the first.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from pydantic import ValidationError

from agent.config import run_folder
from agent.llm.answers import InvalidPlan
from agent.llm.completion import kept, tokens
from agent.loop.crew import Crew
from agent.loop.listening import unwanted
from agent.loop.people import keep
from agent.loop.planners import Plan, native_writer, plan_by_llm, plan_by_rules
from agent.loop.profiles import start_of
from agent.loop.recall import Recall
from agent.store.ledger import alarm_of
from agent.store.trail import StoreTrail
from prompts.errors import ToolError
from prompts.facts import Facts
from prompts.messages import Message
from tools.actions.catalogue import TOOLS, Tool
from tools.context import Context, Outcome
from tools.records import LlmCall, StepRecord, StepRow, now

PATIENCE = 3  # misses in a row before the rules take over for a round
AGAIN = frozenset({"generate_images", "select_anchors"})  # may be called more than once between two paintings


class State(TypedDict, total=False):
    """What a checkpoint holds."""

    run_id: str
    step: int
    round: int
    messages: list[Message]
    plan: dict[str, Any]
    calls: list[dict[str, Any]]
    record: dict[str, Any]
    misses: int  # invalid, failing or repeated plans in a row
    rules_until: int  # the rule planner decides up to and including this round
    asked: dict[str, Any]
    over: bool


class Loop:
    """The graph's nodes for one run. What they need comes in as `crew`."""

    def __init__(self, crew: Crew, run_id: str) -> None:
        self.crew, self.run_id = crew, run_id
        self.trail = StoreTrail(crew.store, run_id)
        self.known = Recall(self.trail)
        self.folder = run_folder(crew.home, run_id)
        self.start = start_of(crew.profiles or crew.home, crew.config, crew.store.run(run_id).versions)
        self.told_to_stop: list[str] = []  # names of signals that came

    def facts(self) -> Facts:
        """What is known now."""
        return self.known.facts(self.crew.config)

    def recall(self, state: State) -> State:
        """Build the planner's view. The step's number is fixed here: it is one more than the store's last."""
        if self.told_to_stop:
            raise KeyboardInterrupt(self.told_to_stop[0])
        facts = self.facts()
        return {
            "step": self.crew.store.last_step(self.run_id) + 1,
            "round": facts.round,
            "messages": self.known.messages(facts, self.crew.vocabulary) if self.crew.llm is not None else [],
            "calls": [],
        }

    def plan(self, state: State) -> State:
        """Choose one tool call: the language model, or the rules when they were chosen or have to help out."""
        config, seed = self.crew.config, self.crew.config.seed * 100_003 + state["step"]
        by_rules = self.crew.llm is None or state["round"] <= state.get("rules_until", -1)
        if by_rules:
            plan = plan_by_rules(
                self.facts(), self.crew.vocabulary, seed=seed, failed=self._failed_by_rules(), start=self.start
            )
            return {"plan": asdict(plan), "calls": []}
        assert self.crew.llm is not None and config.planner == "llm"
        self.crew.calls.clear()
        plan = plan_by_llm(self.crew.llm, state["messages"], seed=seed, facts=self.facts())
        return {"plan": asdict(plan), "calls": list(self.crew.calls)}

    def act(self, state: State) -> State:
        """Validate the arguments and run the tool. An error that the planner can mend becomes the step's error."""
        plan, started, began = Plan(**state["plan"]), now(), time.perf_counter()
        facts, rated = self.facts(), self.trail.clicks()
        context = self._context(state, facts, rated)
        self.crew.calls.clear()
        outcome, error = self._attempt(plan, context, facts, rated)
        calls = [*state["calls"], *self.crew.calls]
        record = StepRecord(
            run_id=self.run_id, step=state["step"], round=state["round"] + (plan.tool == "generate_images" and error is None),
            node="act", tool=plan.tool, args=plan.args, result=outcome.result, error=error, planner=plan.planner, started=started,
            seconds=time.perf_counter() - began + sum(call["seconds"] for call in state["calls"]),
            seconds_by_part=context.seconds | {"llm": sum(call["seconds"] for call in calls)} if calls else context.seconds,
            images=outcome.images, scores=outcome.scores, pairs=outcome.pairs, preferences=outcome.preferences, adapters=outcome.adapters,
            llm_calls=tuple(_call(call, number, plan) for number, call in enumerate(calls)),
        )  # fmt: skip
        return {"record": record.model_dump(mode="json"), "calls": []}

    def record(self, state: State) -> State:
        """Write the step and all that came with it, in one transaction; then decide who plans next and what follows."""
        record = self._warned(StepRecord.model_validate(state["record"]))
        repeats = self._repeats(record)
        began = time.perf_counter()
        fresh = self.crew.store.add_step(self.run_id, record)
        self.crew.store_seconds += time.perf_counter() - began
        if fresh:
            self.crew.spend(record.llm_calls)
            self.crew.on_step(record)
        else:
            repeats = False  # written before a crash: it only seems to repeat itself
        missed = record.error is not None or repeats
        misses = state.get("misses", 0) + 1 if missed else 0
        change: State = {"misses": misses, "record": {}, "over": self._over(record), **_asks(record)}
        if misses >= PATIENCE:
            change |= {"misses": 0, "rules_until": max(1, record.round)}
        return change

    def after_last(self) -> State:
        """What `record` left when it wrote the run's last step, as far as the record tells; nothing where it has none."""
        done = [step for step in self.trail.steps() if step.node == "act"]
        if not done:
            return {}
        over = self._over(done[-1])
        return {"run_id": self.run_id, "step": done[-1].step, "round": done[-1].round, "over": over, **_asks(done[-1])}

    def _warned(self, record: StepRecord) -> StepRecord:
        """A taste that was learned is kept with the alarm that the rounds give cause for. Planners read results, and not this."""
        found = alarm_of(self.crew.store, self.run_id) if record.preferences else None
        if found is None:
            return record
        *others, last = record.preferences
        kept = last.model_copy(update={"metrics": {**last.metrics, "alarm": found}})
        return record.model_copy(update={"preferences": (*others, kept)})

    def ask(self, state: State) -> State:
        """Wait for the person. Whoever answers has stored the answer already; storing it again changes nothing."""
        answer = interrupt(state["asked"])
        keep(self.crew.store, self.run_id, state["asked"], answer)
        return {"asked": {}}

    def follows(self, state: State) -> str:
        """ask after a question, END when the run is over, recall otherwise."""
        return "ask" if state.get("asked") else (END if state.get("over") else "recall")

    def _failed_by_rules(self) -> frozenset[str]:
        """What the rules have tried since the last painting without success: they would only try it the same way again."""
        return frozenset(self.crew.store.tools_failed(self.run_id, "rules", self.trail.painted_at()))

    def _attempt(self, plan: Plan, context: Context, facts: Facts, rated: int) -> tuple[Outcome, str | None]:
        if plan.problem is not None or plan.tool is None:
            return Outcome({}), plan.problem or "no tool was chosen"
        try:
            tool = _tool(plan.tool)
            self._check_budget(plan.tool, facts, rated)
            return tool.run(tool.arguments.model_validate(plan.args), context), None
        except ValidationError as error:
            return Outcome({}), f"{plan.tool}: " + "; ".join(
                f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3]
            )
        except ToolError as error:  # a final one is kept as such: the budget of trainings counts it
            return Outcome({} if error.retryable else {"final": True}), str(error)
        except InvalidPlan as error:  # what the language model wrote for a tool is of no use
            return Outcome({}), str(error)

    def _check_budget(self, tool: str, facts: Facts, rated: int) -> None:
        """Budgets hold whatever the planner thinks. Raises ToolError naming the one that is used up."""
        limits = self.crew.config.limits
        if tool == "generate_images" and facts.round >= facts.rounds:
            raise ToolError(f"All {facts.rounds} rounds are painted: call finetune, evaluate_adapter or finish.")
        if tool == "finetune" and facts.trainings_left < 1:
            raise ToolError(f"The budget of {limits.trainings} trainings is used up: call finish.")
        if tool == "ask_person" and rated >= limits.ratings:
            raise ToolError(f"The budget of {limits.ratings} ratings is used up: call finish.")

    def _over(self, record: StepRow) -> bool:
        """finish, or a budget that ends the run."""
        limits = self.crew.config.limits
        return (
            (record.tool == "finish" and record.error is None)
            or record.step >= limits.steps
            or self.crew.tokens > limits.llm_tokens
        )

    def _repeats(self, record: StepRecord) -> bool:
        last = self.crew.store.newest_step(self.run_id)
        if last is not None and (last.tool, last.args) == (record.tool, record.args):
            return True
        return record.tool not in AGAIN and record.tool in self.facts().done

    def _context(self, state: State, facts: Facts, rated: int) -> Context:
        crew = self.crew
        return Context(
            settings=crew.settings, studio=crew.studio, vocabulary=crew.vocabulary, trail=self.trail, folder=self.folder,
            step=state["step"], round=state["round"], images_left=facts.images_left,
            ratings_left=max(0, crew.config.limits.ratings - rated), start=self.start,
            brief=facts.brief, avoided=unwanted(facts.brief, crew.vocabulary), wishes=facts.wishes, rounds_left=max(0, facts.rounds - facts.round),
            write=crew.llm.write if crew.llm is not None else None,
            write_native=native_writer(crew.llm) if crew.llm is not None else None, recorded_job=lambda: crew.recorded_job(state["step"]),
            on_progress=crew.on_progress, on_job=crew.store.save_job, save=crew.save,
        )  # fmt: skip


def _asks(record: StepRow) -> State:
    """The question that a step leaves open."""
    if record.tool == "ask_person" and record.error is None and isinstance(record.result, dict):
        return {"asked": dict(record.result) | {"step": record.step, "round": record.round}}
    return {}


def _tool(name: str) -> Tool:
    if name not in TOOLS:
        raise ToolError(f"There is no tool {name!r}: use one of {', '.join(TOOLS)}.")
    return TOOLS[name]


def _call(call: dict[str, Any], number: int, plan: Plan) -> LlmCall:
    repaired = "repaired" if plan.repaired and call["purpose"] == "plan" and call["problem"] is None else None
    # Counted again, for a checkpoint of an older version may hold what a server said: a run must not be unresumable by that.
    counts = {name: tokens(call.get(name)) for name in ("prompt_tokens", "completion_tokens")}
    told = {"attempt": number, "problem": call["problem"] or repaired, "response": kept(call["response"])}
    return LlmCall.model_validate({**call, **counts, **told})


def build_graph(loop: Loop, checkpointer: Any) -> Any:
    """The compiled graph of one run. Node names are the methods' names."""
    graph: Any = StateGraph(State)
    for node in (loop.recall, loop.plan, loop.act, loop.record, loop.ask):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "recall")
    for before, after in (("recall", "plan"), ("plan", "act"), ("act", "record")):
        graph.add_edge(before, after)
    graph.add_conditional_edges("record", loop.follows, ["ask", "recall", END])
    graph.add_conditional_edges("ask", loop.follows, ["recall", END])
    return graph.compile(checkpointer=checkpointer)
