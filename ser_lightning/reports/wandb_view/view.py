"""`ser wandb view`: a saved workspace and a report in W&B, of what the folders here say of studies and groups."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ser_lightning.config.schema import Tracking
from ser_lightning.config.settings import names_and
from ser_lightning.console import answer
from ser_lightning.errors import ConfigError, UserError
from ser_lightning.reports.settings import View as Settings
from ser_lightning.reports.wandb_view.sources import here, named
from ser_lightning.reports.wandb_view.table import figures
from ser_lightning.tracking.view.contents import View

if TYPE_CHECKING:
    from ser_lightning.tracking.view.save import Saved


def view(words: Sequence[str]) -> "Saved":
    """Save a workspace and a report; `words` are studies, cross-validations or groups of runs, then settings.

    Without names they show the whole project. Those that are there under the same title are replaced.

    Raises:
        ConfigError: nothing of a name, names of several projects, a title that W&B does not take, an unknown setting.
        UserError: wandb-workspaces is not installed, or the server cannot be talked to.
    """
    names, settings = names_and(Settings, words)
    if find_spec("wandb_workspaces") is None:
        raise UserError("ser wandb view needs wandb-workspaces: pip install 'ser-lightning[views]'")
    wanted = contents(names, settings)
    from ser_lightning.tracking.view.save import save

    saved = save(wanted)
    for what, url in (("workspace", saved.workspace), ("report", saved.report)):
        answer(f"{what}: {url}")
    return saved


def contents(names: Sequence[str], settings: Settings) -> View:
    """What the view of these names shows; of no names, of the whole project."""
    chosen = [source for name in names for source in named(name, settings)]
    project = _one("project", [source.project for source in chosen], settings.project) or Tracking.project
    sources = chosen or [source for source in here(settings) if source.project == project]
    groups = list(dict.fromkeys(source.group for source in chosen))
    paths = list(dict.fromkeys(path for source in sources for path in source.systems))
    return View(
        settings.title or f"SER {', '.join(groups) or project}",
        project,
        _one("entity", [source.entity for source in sources], settings.entity),
        groups,
        list({source.group: source.sweep for source in sources if source.sweep}.values()),  # a study named twice: once
        figures(paths, settings),
    )


def _one(key: str, found: Sequence[str | None], given: str | None) -> str | None:
    """What was given, or else what all agree on; None where there is nothing."""
    several = sorted({one for one in found if one is not None})
    if given is None and len(several) > 1:
        raise ConfigError(f"ser wandb view: {key}s {' and '.join(several)}: choose one with {key}=...")
    return given or next(iter(several), None)
