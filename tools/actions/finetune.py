"""finetune: train an adapter for this person, in a process of its own.

`dpo`: paint a pool of images for each of several loose prompts, let the learned taste score them, and train Diffusion-DPO on
the best and worst of each pool (HG-DPO, section 3.1, Eq. 4-6). `dreambooth`: train on the images the person liked; by Generative
Active Learning (GAL, Algorithm 1) when the run's settings say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from prompts.errors import PalateError, ToolError
from prompts.lists import load_list
from tools.context import Arguments, Context, Outcome
from tools.jobs.watch import run_job
from tools.likings import likings
from tools.painting import paint_rows, promoted
from tools.records import AdapterRow, ImageRow, JobRow, PairRow, now

LIKED = 8  # images a DreamBooth adapter is trained on
REFERENCES = 4  # of these, the best, whose prompts are the non-subject semantics of GAL's Eq. 8


class Finetune(Arguments):
    """Train a LoRA adapter for this person: dpo from best and worst pairs, or dreambooth from liked images. Do this once, after the last round."""

    method: Literal["dpo", "dreambooth"]
    steps: Annotated[int, Field(ge=1, le=2000, description="training steps")]
    rank: Annotated[int, Field(ge=1, le=64, description="rank of the LoRA")]


def finetune(args: Finetune, context: Context) -> Outcome:
    """Build the data set, train, and return the adapter. Raises ToolError without ratings, or when the training fails; PalateError,
    which ends the run for now, when it failed for what may pass by itself (a full disk, no memory)."""
    if args.method == "dpo":
        rows, pairs = _pool_pairs(context)
        by_id = {row.id: context.folder / row.path for row in rows}
        dataset = [{"prompt": p.prompt, "win": str(by_id[p.win]), "lose": str(by_id[p.lose])} for p in pairs]
    else:
        rows, pairs = [], []
        dataset = [{"prompt": row.prompt, "image": str(context.folder / row.path)} for row in _liked(context)]
    adapter, result = _train(args, dataset, context)
    told = {
        "adapter": adapter.sha256,
        "method": args.method,
        "pairs" if pairs else "images": len(dataset),
        "steps": adapter.config.get("steps"),
        **result,
    }
    return Outcome(told, images=tuple(rows), pairs=tuple(pairs), adapters=(adapter,))


def _pool_pairs(context: Context) -> tuple[list[ImageRow], list[PairRow]]:
    """HG-DPO Eq. 4-6: a pool for each prompt, scored by the learned taste; its best and worst are a pair."""
    from evaluators.preference import model as preference

    fitted = context.trail.preference()
    if fitted is None:
        raise ToolError("There is no learned taste to choose pairs with: call learn_taste first.")
    settings = context.settings
    prompts = load_list(context.vocabulary, "pool")[: settings.pool_prompts]
    said = [prompt for prompt in prompts for _ in range(settings.pool_size)]
    rows, _ = paint_rows(said, context.seed, context, adapters=promoted(context), purpose="pool")
    scores, _ = preference.load(context.folder / fitted.path).predict(context.features(rows))
    pools = [range(i, i + settings.pool_size) for i in range(0, len(rows), settings.pool_size)]
    pairs = [_pair(rows, [float(s) for s in scores], pool) for pool in pools]
    telling = [pair for pair in pairs if pair.margin > 0]
    if not telling:
        raise ToolError("The learned taste likes every image of the pools alike: gather ratings that differ first.")
    return rows, telling


def _pair(rows: Sequence[ImageRow], scores: Sequence[float], pool: range) -> PairRow:
    win, lose = max(pool, key=lambda i: scores[i]), min(pool, key=lambda i: scores[i])
    return PairRow(prompt=rows[win].prompt, win=rows[win].id, lose=rows[lose].id, margin=scores[win] - scores[lose])


def _liked(context: Context) -> list[ImageRow]:
    ratings = likings(context.trail)
    liked = sorted((row for row in context.trail.images() if row.id in ratings), key=lambda row: -ratings[row.id])[
        :LIKED
    ]
    if not liked:
        raise ToolError("There are no liked images to learn from: call ask_person first.")
    return liked


def _train(args: Finetune, dataset: list[dict[str, str]], context: Context) -> tuple[AdapterRow, dict[str, Any]]:
    recorded = context.recorded_job()
    if recorded is not None:
        return recorded, {"loss": recorded.metrics.get("loss")}
    folder = context.folder / "jobs" / f"step-{context.step}"
    job = _job(args, dataset, context)
    with context.timed("train"):
        state = run_job(job, folder, on_state=_watcher(args.method, context), timeout=context.settings.job_timeout)
    if state["state"] != "done":
        told = f"The training failed: {state['error']} Its log is {str(folder / 'job.log')!r}."
        if state.get("passing"):  # no step is recorded, so nothing is used up
            raise PalateError(
                f"{told} It was tried twice, and the run {context.folder.name!r} has no adapter yet: resume it when what was in the way is gone."
            )
        raise ToolError(told, retryable=False)
    row = _row(state, job, context)
    return row, {"loss": row.metrics.get("loss")}


def _job(args: Finetune, dataset: list[dict[str, str]], context: Context) -> dict[str, Any]:
    chosen = context.settings.finetune if args.method == context.settings.method else {}  # the other takes other keys
    config = {"steps": min(args.steps, context.settings.train_steps), "rank": args.rank, "seed": context.seed, **chosen}
    learning = _active_learning(args, dataset, context)
    used = [{"path": str(context.folder / adapter.path)} for adapter in promoted(context)]
    return {
        "kind": args.method, "config": config, "base_model": context.settings.model, "adapters": used, "dataset": dataset,
        "out": str(context.folder / "adapters" / f"step-{context.step}"), "device": context.settings.device,
        "name": f"palate-{args.method}", **learning,
    }  # fmt: skip


def _active_learning(args: Finetune, dataset: list[dict[str, str]], context: Context) -> dict[str, Any]:
    """What makes a dreambooth job one of GAL: a taste needs no word, its anchors are the vocabulary's, and what the liked images show
    besides it is what their prompts say."""
    wanted = context.settings.active_learning
    if wanted is None or args.method != "dreambooth":
        return {}
    settings, anchors = context.settings, load_list(context.vocabulary, "anchors")
    spec = {
        "anchors": [{"prompt": anchor, "concept": anchor} for anchor in anchors], "steps": settings.steps,
        "non_subject": list(dict.fromkeys(item["prompt"] for item in dataset[:REFERENCES])),
        "guidance_scale": settings.guidance_scale, "seed": context.seed, **wanted,
    }  # fmt: skip
    return {"kind": "gal", "gal": spec, "clip": settings.clip}


def _watcher(kind: str, context: Context) -> Any:
    job_id = f"{context.folder.name}-{context.step}"

    def watch(state: dict[str, Any]) -> None:
        context.on_progress("train", state["step"], state["total"])
        context.on_job(
            JobRow(
                id=job_id,
                run_id=context.folder.name,
                step=context.step,
                kind=kind,
                state=state["state"],
                pid=state["pid"],
                heartbeat=now(),
                at_step=state["step"],
                total=state["total"],
                error=state["error"] or state.get("retried"),
            )
        )

    return watch


def _row(state: dict[str, Any], job: dict[str, Any], context: Context) -> AdapterRow:
    made = state["adapter"]
    metrics = {name: value for name, value in (state.get("losses") or {}).items() if value is not None}
    parents = promoted(context)
    return AdapterRow(
        sha256=made["sha256"], kind=job["kind"], base=context.model_name, path=str(Path(made["path"]).resolve().relative_to(context.folder.resolve())),
        config=job["config"], parent=parents[-1].sha256 if parents else None, metrics=metrics,
    )  # fmt: skip
