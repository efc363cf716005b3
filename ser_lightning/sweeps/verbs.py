"""What the verbs on studies take on the command line; light, so that a misspelt key is answered at once."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Join:
    """Nothing that could change a trial."""

    jobs: int | None = None
    """Trials at a time; null: one a GPU where there are GPUs, else one."""
    studies_dir: str = "studies"
    """Folder of the studies."""


@dataclass(frozen=True)
class Begin(Join):
    """What a sweep takes beside `study.trials`, `study.name`, `study.storage` and overrides of its base."""

    changed: bool = False
    """Go on with a study although its base, ranges, sampler or pruner are not what it began with."""


@dataclass(frozen=True)
class Show:
    """Settings of `ser study`."""

    studies_dir: str = "studies"
    """Folder of the studies."""


@dataclass(frozen=True)
class Finalize:
    """What `ser finalize` takes beside the study."""

    seeds: int = 5
    """Trainings of the winner (a fold), each with a seed of its own: those that follow the study's."""
    jobs: int | None = None
    """Runs at a time; null: one a GPU where there are GPUs, else one."""
    select: str = "best"
    """best, or the number of a trial, which a study of several objectives needs."""
    early: bool = False
    """Finalize a study whose trials have not all ended."""
    out: str | None = None
    """File of the experiment; null: conf/experiment/STUDY.yaml."""
    studies_dir: str = "studies"
    """Folder of the studies."""
