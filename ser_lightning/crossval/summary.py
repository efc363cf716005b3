"""What a person is shown of a cross-validation."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from ser_lightning.console import answer, say
from ser_lightning.crossval.folder import CrossvalFolder
from ser_lightning.evaluation.summary import CHOSEN, ON_TEST, selection

FOLDS = "over_folds_and_seeds"
NAMES = {"uar": "UAR", "wa": "WA", "macro_f1": "macro F1"}


def show(folder: CrossvalFolder) -> None:
    """Pooled figures with intervals, mean and deviation over folds and seeds, and where things lie."""
    if not folder.result.exists():  # one fold's, of which there is nothing to pool
        say(f"finished: {folder.folds}; when all folds are: the same with gather=true")
        return
    result = folder.read_result()
    labels = f" ({', '.join(result['labels'])})" if result["labels"] else ""
    size = f"{result['folds']} folds, seeds {', '.join(map(str, result['seeds']))}"
    answer(Text.assemble("\n", (result["id"], "bold"), f"{labels}: {size}"))
    answer(_table({selection(result) if name == CHOSEN else name: f for name, f in result["figures"].items()}))
    for line in notes(result):
        answer(line)
    if "validation" in result.get("fitted_on", []):
        answer("its models were also fitted on the validation part")
    for label, path in (("confusion matrix", folder.confusion), ("folds", folder.folds), ("result", folder.result)):
        answer(f"{label}: {path}")
    say(f"next: ser report {folder.id}")


def notes(result: Mapping[str, Any]) -> list[str]:
    """What the figures of a cross-validation have to be read with, a line each."""
    said = []
    if counts := result.get("chosen_on"):
        least, most = counts["least"], counts["most"]
        said.append(f"epochs were chosen on {least if least == most else f'{least} to {most}'} validation utterances")
    told = {name: found.get("notes", {}) for name, found in result["figures"].items()}
    said += [f"over folds and seeds: {one[FOLDS]}" for one in told.values() if FOLDS in one][:1]
    return said + [f"{name}: {one['epoch']}" for name, one in told.items() if "epoch" in one]


def _table(figures: Mapping[str, Any]) -> Table:
    caption = "in brackets: 95 % by resampling speakers; ± standard deviation over folds and seeds"
    table = Table("weights", "", "pooled", "over folds and seeds", caption=caption, caption_justify="left")
    for chosen, found in figures.items():
        for i, (key, name) in enumerate(NAMES.items()):
            row = _on_test(found, key) if chosen == ON_TEST else _pooled(found, key)
            if row:
                table.add_row(chosen if i == 0 else "", name, *row)
    return table


def _pooled(found: Mapping[str, Any], key: str) -> tuple[str, str]:
    low_high = found["interval"][key]
    interval = f" [{low_high[0]:.3f}, {low_high[1]:.3f}]" if low_high else ""
    return f"{found[key]:.3f}{interval}", spread(found[FOLDS][key])


def _on_test(found: Mapping[str, Any], key: str) -> tuple[str, str] | None:
    return ("", spread(found[key])) if key in found else None


def spread(found: Mapping[str, float | None]) -> str:
    """Mean ± standard deviation; the mean alone of one value."""
    deviation = found["std"]
    return f"{found['mean']:.3f}" + (f" ± {deviation:.3f}" if deviation is not None else "")
