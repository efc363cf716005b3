"""What a worker takes on the command line."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Join:
    """Nothing that could change a trial."""

    jobs: int | None = None
    """Trials at a time; null: one a GPU where there are GPUs, else one."""
    studies_dir: str = "studies"
    """Folder of the studies."""
