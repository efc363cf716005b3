"""What is known, on this machine, of the groups of W&B: whose they are, and which folders have their test rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ser_lightning.config.sources import read
from ser_lightning.errors import ConfigError, UserError
from ser_lightning.reports.settings import Folders
from ser_lightning.reports.wandb_view.axes import sweep_of
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.study import StudyFolder
from ser_lightning.tracking.view.contents import Sweep


@dataclass(frozen=True)
class ViewSource:
    """A group of W&B, as the folders here know it."""

    group: str
    project: str
    entity: str | None
    systems: Sequence[Path] = ()
    """Folders of what was tested: cross-validations, finalized winners, runs."""
    sweep: Sweep | None = None


def named(name: str, folders: Folders) -> list[ViewSource]:
    """A study or a cross-validation by its name or its folder, or the runs of a group.

    Raises:
        ConfigError: there is nothing of that name.
    """
    try:
        return [_study(StudyFolder.find(name, Path(folders.studies_dir)))]
    except UserError:
        pass
    for path in (Path(folders.crossval_dir) / name, Path(name)):
        if (path / "folds.csv").is_file():
            return [_crossval(path)]
    everything = list(here(folders))
    run = next((source for source in everything if any(path.name == Path(name).name for path in source.systems)), None)
    wanted = run.group if run else name
    if found := [source for source in everything if source.group == wanted]:
        return found
    known = ", ".join(sorted({source.group for source in everything})) or "none"
    raise ConfigError(f"ser wandb view: no study, cross-validation or group of runs `{name}` here; known: {known}")


def here(folders: Folders) -> Iterator[ViewSource]:
    """All that is found under `folders`; of runs those that belong to no study and no cross-validation."""
    for file in sorted(Path(folders.studies_dir).glob("*/study.yaml")):
        yield _study(StudyFolder(file.parent))
    for file in sorted(Path(folders.crossval_dir).glob("*/folds.csv")):
        yield _crossval(file.parent)
    for file in sorted(Path(folders.runs_dir or "runs").glob("*/config.yaml")):
        config = read(file)
        if config["tracking"]["job_type"] == "train":
            yield _run(file.parent, config)


def _study(folder: StudyFolder) -> ViewSource:
    frozen = Frozen.read(folder.frozen)
    finals = sorted(file.parent for file in folder.path.glob("final/*/folds.csv"))
    return _source(frozen.study.name, frozen.base, finals, sweep_of(frozen))


def _crossval(path: Path) -> ViewSource:
    config = read(path / "config.yaml")
    return _source(config["tracking"]["group"] or path.resolve().name, config, [path.resolve()])


def _run(path: Path, config: Mapping[str, Any]) -> ViewSource:
    # As the run names its group itself: ser_lightning.tracking.wandb.Identity.of.
    return _source(config["tracking"]["group"] or config["experiment"] or "default", config, [path.resolve()])


def _source(group: str, config: Mapping[str, Any], systems: Sequence[Path], sweep: Sweep | None = None) -> ViewSource:
    return ViewSource(group, config["tracking"]["project"], config["tracking"]["entity"], systems, sweep)
