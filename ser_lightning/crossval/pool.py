"""From finished folds to pooled test rows and figures."""

from collections.abc import Mapping, Sequence
from typing import Any

from ser_lightning.config.identity import RESULT_VERSION
from ser_lightning.crossval.folder import CrossvalFolder, Fold
from ser_lightning.crossval.plan import Plan
from ser_lightning.errors import UserError
from ser_lightning.evaluation.pictures import confusion_png
from ser_lightning.evaluation.pooled import Pooled
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.evaluation.summary import CHOSEN, LAST, ON_TEST, best_epochs, selected_by, summarise
from ser_lightning.files import write_json
from ser_lightning.processes.endings import FINISHED
from ser_lightning.runs.folder import RunFolder


class IncompleteError(UserError):
    """Some runs failed; the others are pooled in a result that says so."""


def pool(plan: Plan, folder: CrossvalFolder, folds: Sequence[Fold], runs: Mapping[str, RunFolder]) -> None:
    """Write the pooled rows of the finished folds and, last, result.json.

    Raises:
        IncompleteError: no fold is finished.
        UserError: two folds of one seed tested one utterance.
    """
    done = [(fold, runs[fold.run]) for fold in folds if fold.state == FINISHED]
    if not done:
        raise IncompleteError(f"{folder.path}: no fold has finished; see {folder.folds} and the runs' logs")
    pooled = Pooled.of((fold.fold, fold.seed, Predictions.read(run.predictions).part("test")) for fold, run in done)
    _check_once(pooled)
    learnt = [run.read_result() for _, run in done]
    figures: dict[str, Any] = {CHOSEN: summarise(pooled, learnt)}
    pooled.write(folder.predictions)
    if all(run.last_epoch.exists() for _, run in done):
        last = Pooled.of((fold.fold, fold.seed, Predictions.read(run.last_epoch)) for fold, run in done)
        last.write(folder.last_epoch)
        figures[LAST] = summarise(last, learnt, last=True)
    if all("selected_on_test" in result for result in learnt):
        figures[ON_TEST] = best_epochs([result["selected_on_test"] for result in learnt])
    labels = [*plan.labels, *_incomplete(folds)]
    title = ", ".join([f"{folder.id}: pooled test", *labels])
    confusion_png(folder.confusion, pooled.rows.scores(), pooled.rows.classes, title)
    facts = {
        "labels": labels,
        "selected_by": sorted({way for result in learnt for way in selected_by(result)}),
        "fitted_on": sorted({part for result in learnt for part in result.get("fitted_on", ["train"])}),
        "chosen_on": _chosen_on(learnt),
        "figures": figures,
    }
    write_json(folder.result, _result(plan, folder, folds) | facts)


def _chosen_on(results: Sequence[Mapping[str, Any]]) -> dict[str, int] | None:
    """By how many validation utterances epochs were chosen, at least and at most; None where no run says."""
    counts = [found["utterances"] for result in results if "utterances" in (found := result.get("checkpoint", {}))]
    return {"least": min(counts), "most": max(counts)} if counts else None


def _check_once(pooled: Pooled) -> None:
    seen = [*zip(pooled.seeds.tolist(), pooled.rows.ids, strict=True)]
    if len(set(seen)) < len(seen):
        twice = sorted({name for seed, name in seen if seen.count((seed, name)) > 1})[:5]
        raise UserError(f"two folds test the same utterances ({', '.join(twice)}): the split's folds overlap")


def _incomplete(folds: Sequence[Fold]) -> list[str]:
    missing = sum(fold.state != FINISHED for fold in folds)
    return [f"incomplete: {missing} of {len(folds)} runs are missing"] if missing else []


def _result(plan: Plan, folder: CrossvalFolder, folds: Sequence[Fold]) -> dict[str, Any]:
    missing = [{"fold": f.fold, "seed": f.seed, "reason": f.state} for f in folds if f.state != FINISHED]
    return {
        "id": folder.id,
        "kind": "crossval",
        "result_version": RESULT_VERSION,
        "complete": not missing,
        "missing": missing,
        "experiment": plan.base.config.experiment,
        "manifest": plan.base.corpus.manifest_digest,
        "classes": list(plan.base.corpus.classes),
        "folds": len({fold.fold for fold in folds}),
        "seeds": sorted({fold.seed for fold in folds}),
    }
