"""What `ser doctor` examines, and what it finds."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ser_lightning.config.compose import bind, compose
from ser_lightning.config.schema import Config
from ser_lightning.config.settings import taken
from ser_lightning.crossval.settings import Settings
from ser_lightning.errors import ConfigError
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.sweep_file import read_sweep
from ser_lightning.sweeps.verbs import Begin

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """A row: what was looked at, how it is, what was found, and what to do."""

    what: str
    level: Level
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Work:
    """What is to be queued: one run, the runs of a cross-validation, or those of a study's trials."""

    config: Config
    """Of a run; of a study its base."""
    jobs: int = 1
    """Runs at a time of one process."""
    crossval: Settings | None = None
    sweep: Frozen | None = None
    studies: Path = Path("studies")
    """Where the study's folder is."""

    @property
    def processes(self) -> int:
        """Runs, and ranks of theirs, that train at a time on one node."""
        return self.jobs * self.config.training.devices

    @property
    def children(self) -> bool:
        """Whether trainings are processes of their own, beside the one that starts them."""
        return self.crossval is not None or self.sweep is not None or self.processes > 1


def read_work(kind: str, words: Sequence[str], conf: str | None) -> Work:
    """The words of `ser train`, `ser crossval` or `ser sweep`, checked as the verb itself does.

    Raises:
        ConfigError: the configuration, the sweep file, its space, or a word is wrong.
    """
    if kind == "crossval":
        crossval, rest = taken(Settings, words)
        return Work(compose(rest, conf).config, crossval.jobs or 1, crossval)
    if kind == "sweep":
        begin, rest = taken(Begin, words)
        if not rest or "=" in rest[0]:
            raise ConfigError("name a sweep file, such as sweeps/quick.yaml, before the overrides")
        frozen = read_sweep(rest[0], rest[1:], conf)
        base = bind(frozen.base, "the study's base")
        return Work(base, begin.jobs or 1, sweep=frozen, studies=Path(begin.studies_dir))
    return Work(compose(words, conf).config)


def nearest(path: str | Path) -> Path:
    """The folder that is to be made, or the nearest one above it that is there."""
    here = Path(os.path.abspath(path))  # noqa: PTH100  links stay: they may lead to another disk
    return next(folder for folder in (here, *here.parents) if folder.is_dir())


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
