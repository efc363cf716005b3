"""The report's table of test scores with intervals, worked out here: W&B has no bootstrap over speakers."""

from collections.abc import Sequence
from pathlib import Path

from ser_lightning.errors import UserError
from ser_lightning.reports.html.subject import Subject, subjects
from ser_lightning.reports.settings import Places
from ser_lightning.reports.system import System, open_system

HEAD = ("model", "UAR [95 %]", "WA [95 %]", "corpus and protocol", "what", "folder", "read with")
NOTE = "In brackets: 95 % intervals by resampling speakers; none with fewer than three. Pooled over folds and seeds."
NOTHING = "Nothing is finished and tested yet in the folders from which this was made."


def figures(paths: Sequence[Path], places: Places) -> str:
    """A Markdown table of the systems at `paths`, best UAR first; what is not tested yet is named below it."""
    systems: list[System] = []
    missing: list[str] = []
    for path in paths:
        try:
            systems.append(open_system(str(path), places))
        except UserError:
            missing.append(path.name)
    found = sorted(subjects(systems), key=lambda one: -one.chosen["uar"])
    table = [_row(HEAD), _row(["---"] * len(HEAD)), *(_row(_cells(one)) for one in found)]
    said = ["\n".join(table), NOTE] if found else [NOTHING]
    partial = [system.name for system in systems if not system.result.get("complete", True)]
    notes = {"Incomplete, pooled over what there is": partial, "Not tested yet": missing}
    return "\n\n".join([*said, *(f"{note}: {', '.join(names)}." for note, names in notes.items() if names)])


def _cells(one: Subject) -> list[str]:
    models = " + ".join(sorted({str(config["model"]["name"]) for config in one.trained}))
    protocols = ", ".join(sorted({f"{c['corpus']['name']}, {c['split']['name']}" for c in one.trained}))
    badges = ", ".join(badge.text for badge in one.badges)
    return [models, _score(one, "uar"), _score(one, "wa"), protocols, one.facts, one.name, badges]


def _score(one: Subject, name: str) -> str:
    interval = one.chosen["interval"][name]
    ends = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
    return f"{one.chosen[name]:.3f}{ends}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
