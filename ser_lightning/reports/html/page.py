"""From systems to HTML: what the template is given, and how numbers are written."""

from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ser_lightning import __version__
from ser_lightning.evaluation.calibration import reliability
from ser_lightning.reports.html import charts
from ser_lightning.reports.html.curves import curves
from ser_lightning.reports.html.figures import figure_rows
from ser_lightning.reports.html.folds import fold_rows
from ser_lightning.reports.html.looks import seen
from ser_lightning.reports.html.provenance import NOTHING, command, configurations, environments, manifests
from ser_lightning.reports.html.recall import class_recalls, speaker_scores
from ser_lightning.reports.html.split import splits
from ser_lightning.reports.html.study import StudyView
from ser_lightning.reports.html.subject import Subject, subjects
from ser_lightning.reports.system import System
from ser_lightning.sweeps.standing import figure


def render(systems: Sequence[System], studies: Sequence[StudyView] = ()) -> str:
    """The whole page; of the same folders always the same text."""
    found = subjects(systems)
    return environment().get_template("report.html").render(view(found), studies=studies, version=__version__)


def view(found: Sequence[Subject]) -> dict[str, Any]:
    """What the sections show, by the name the templates know it by."""
    return {
        "subjects": found,
        "figures": figure_rows(found),
        "classes": class_recalls(found),
        "speakers": speaker_scores(found),
        "curves": {one.key: curves(one.system) for one in found},
        "bins": {one.key: reliability(one.system.pooled.rows) for one in found},
        "splits": splits(found),
        "seen": seen(found),
        "configurations": configurations(found),
        "environments": environments(found),
        "manifests": manifests(found),
        "commands": {one.key: command(one.system) for one in found},
        "folds": {one.key: fold_rows(one.system) for one in found},
        "charts": charts,
    }


def environment() -> Environment:
    """Templates with everything escaped that isn't markup of the templates' own; an unknown name is an error."""
    made = Environment(
        loader=PackageLoader("ser_lightning.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"percent": percent, "minute": minute, "short": short, "figure": figure}
    return made


def percent(fraction: float | None) -> str:
    """A fraction in percent with one decimal; a dash for what there is none of."""
    return NOTHING if fraction is None else f"{100 * fraction:.1f}"


def minute(time: str) -> str:
    """An ISO 8601 time to the minute, for people."""
    return time[:16].replace("T", " ")


def short(names: Sequence[str], most: int = 12) -> str:
    """Names with spaces between; of many the first ones and how many there are."""
    return " ".join(names) if len(names) <= most else f"{' '.join(names[:most])} … ({len(names)} in all)"
