"""What a person is shown of a finalized study: figures, and what they have to be read with."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from ser_lightning.console import answer
from ser_lightning.crossval.summary import NAMES, spread
from ser_lightning.sweeps.final import FinalFolder
from ser_lightning.sweeps.space import said
from ser_lightning.sweeps.standing import figure


def show(final: FinalFolder) -> None:
    """Validation and test figures over seeds, how many configurations were tried, and where things lie."""
    found, result = final.read(), final.read_result()
    labels = f" ({', '.join(result['labels'])})" if result["labels"] else ""
    seeds = f"seed{'s' * (len(result['seeds']) > 1)} {', '.join(map(str, result['seeds']))}"
    answer(Text.assemble("\n", (found["study"], "bold"), f", trial {found['trial']}{labels}: {seeds}"))
    answer(said(found["values"]))
    answer(_table(found["figures"]))
    for line in notes(found):
        answer(line)
    for name, path in (("experiment", found["experiment"]), ("result", final.result), ("facts", final.final)):
        answer(f"{name}: {path}")
    answer(f"next: ser report {final.path}")


def notes(found: Mapping[str, Any]) -> list[str]:
    """Sentences that belong beside the figures of final.json."""
    tried, before, seen = found["tried"], found["looked_before"], found["test_seen_in_search"]
    scores = ", ".join(f"{key} {figure(value)}" for key, value in found["objectives"].items())
    said = [
        f"tried: {tried['configurations']} configurations in {tried['trials']} trials; the search scored this one "
        f"{scores} with seed {found['searched_seed']}, which flatters what was chosen for it; its run "
        "is not counted here",
        f"looks at these test recordings before: by {before} other configuration{'s' * (before != 1)}",
    ]
    told = {part: scores.get("notes", {}) for part, scores in found["figures"].items()}
    said += [f"{part}, {one['over_folds_and_seeds']}" for part, one in told.items() if "over_folds_and_seeds" in one]
    if seen:
        said.append(
            f"NOT NESTED: {seen:.0%} of the tested recordings validated in other folds, where the search saw them: "
            "the test figures flatter"
        )
    return said


def _table(figures: Mapping[str, Any]) -> Table:
    brackets = any(ends for scores in figures.values() for ends in scores["interval"].values())
    caption = "in brackets: 95 % by resampling speakers; " * brackets + "± standard deviation over folds and seeds"
    table = Table("part", "", "pooled", "over folds and seeds", caption=caption, caption_justify="left")
    for part, scores in figures.items():
        for i, (key, name) in enumerate(NAMES.items()):
            ends = scores["interval"][key]
            interval = f" [{ends[0]:.3f}, {ends[1]:.3f}]" if ends else ""
            table.add_row(
                part if i == 0 else "",
                name,
                f"{scores[key]:.3f}{interval}",
                spread(scores["over_folds_and_seeds"][key]),
            )
    return table
