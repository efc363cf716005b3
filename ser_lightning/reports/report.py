"""`ser report`: one HTML file about runs, cross-validations and fusions, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ser_lightning.config.settings import names_and
from ser_lightning.console import console
from ser_lightning.errors import ConfigError
from ser_lightning.files import write_text
from ser_lightning.reports.html.page import render
from ser_lightning.reports.places import Places
from ser_lightning.reports.system import open_system


@dataclass(frozen=True)
class Report(Places):
    """Settings of `ser report`."""

    out: str = "report.html"
    """HTML file to write; one that is there is replaced whole."""


def report(words: Sequence[str]) -> Path:
    """Write the report on the named systems; `words` are their names or folders, then settings.

    The file needs nothing beside it: it opens from disk, without a network, with or without JavaScript.

    Raises:
        ConfigError: no name, one named twice, an unknown setting, or nothing of that name.
        UserError: a system is not finished, or a run's test part was not scored.
    """
    names, settings = names_and(Report, words)
    out = Path(settings.out)
    if not names:
        raise ConfigError("ser report: name runs, cross-validations or fusions, by folder or by id, before settings")
    if out.is_dir():
        raise ConfigError(f"out={out}: is a folder; name a file, such as out={out / 'report.html'}")
    systems = [open_system(name, settings) for name in names]
    paths = [system.path for system in systems]
    if twice := sorted({path.name for path in paths if paths.count(path) > 1}):
        raise ConfigError(f"ser report: {', '.join(twice)} is named twice; name each system once")
    write_text(out, render(systems))
    console.print(f"report: {out}", soft_wrap=True, highlight=False)
    return out
