"""What a person is shown of a finished run."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from ser_lightning.console import answer, say
from ser_lightning.errors import UserError
from ser_lightning.files import MEND
from ser_lightning.runs.folder import RunFolder


def show(run: RunFolder) -> None:
    """Scores by part, and where things lie."""
    result = run.read_result()
    if absent := {"id", "labels", "classes"} - result.keys():
        raise UserError(f"{run.result} is broken (it lacks {', '.join(sorted(absent))}): {MEND}")
    parts = [part for part in ("validation", "test") if part in result]
    labels = f" ({', '.join(result['labels'])})" if result["labels"] else ""
    answer(Text.assemble("\n", (result["id"], "bold"), f"{labels}: {_chosen(result)}"))
    answer(_table(result, parts))
    places = (
        ("confusion matrix", run.confusion(parts[-1])),
        ("learning curves", run.curves),
        ("predictions", run.predictions),
        ("result", run.result),
    )
    for label, path in places:
        if path.exists():
            answer(f"{label}: {path}")
    if "test" not in result:
        say(f"next: ser evaluate {run.id}   scores the test part, once")


def _chosen(result: dict[str, Any]) -> str:
    if "checkpoint" in result:
        return f"epoch {result['checkpoint']['epoch']} kept of {result['epochs']}{_chosen_on(result['checkpoint'])}"
    return f"chosen by {result['selected_by']}"


def _chosen_on(checkpoint: dict[str, Any]) -> str:
    """Nothing for a result that doesn't say, as a plug-in's learner may not."""
    return f", chosen on {checkpoint['utterances']} validation utterances" if "utterances" in checkpoint else ""


def _table(result: dict[str, Any], parts: Sequence[str]) -> Table:
    table = Table()
    table.add_column("")
    for part in parts:
        table.add_column(part, justify="right")
    table.add_row("utterances", *(str(result[part]["n"]) for part in parts))
    for name, key in (("UAR", "uar"), ("WA", "wa"), ("macro F1", "macro_f1")):
        table.add_row(name, *(f"{result[part][key]:.3f}" for part in parts))
    for name in result["classes"]:
        recalls = (result[part]["recall"][name] for part in parts)
        table.add_row(Text(f"recall {name}"), *("-" if value is None else f"{value:.3f}" for value in recalls))
    return table
