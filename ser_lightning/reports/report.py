"""`ser report`: one HTML file about runs, cross-validations and fusions, side by side, and about studies."""

from collections.abc import Sequence
from pathlib import Path

from ser_lightning.config.settings import names_and
from ser_lightning.console import answer
from ser_lightning.errors import ConfigError, UserError
from ser_lightning.files import write_text
from ser_lightning.reports.html.page import render
from ser_lightning.reports.html.study import open_view
from ser_lightning.reports.settings import Report
from ser_lightning.reports.system import open_system
from ser_lightning.sweeps.study import StudyFolder


def report(words: Sequence[str]) -> Path:
    """Write the report on the named systems and studies; `words` are their names or folders, then settings.

    A name is first looked up among the studies.

    The file needs nothing beside it: it opens from disk, without a network, with or without JavaScript.

    Raises:
        ConfigError: no name, one named twice, an unknown setting, or nothing of that name.
        UserError: a system is not finished, or a run's test part was not scored.
    """
    names, settings = names_and(Report, words)
    out = Path(settings.out)
    if not names:
        raise ConfigError(
            "ser report: name runs, cross-validations or fusions, or studies, by folder or by id, before settings"
        )
    if out.is_dir():
        raise ConfigError(f"out={out}: is a folder; name a file, such as out={out / 'report.html'}")
    studies = {name: folder for name in names if (folder := _study(name, settings))}
    systems = [open_system(name, settings) for name in names if name not in studies]
    _check_once([*(system.path for system in systems), *(studies[name].path for name in names if name in studies)])
    views = [open_view(folder, f"study-{i}") for i, folder in enumerate(studies.values(), 1)]
    write_text(out, render(systems, views))
    answer(f"report: {out}")
    return out


def _study(name: str, settings: Report) -> StudyFolder | None:
    try:
        return StudyFolder.find(name, Path(settings.studies_dir))
    except UserError:
        return None


def _check_once(paths: Sequence[Path]) -> None:
    if twice := sorted({path.name for path in paths if paths.count(path) > 1}):
        raise ConfigError(f"ser report: {', '.join(twice)} is named twice; name each system once")
