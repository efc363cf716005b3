"""What `ser reproduce` takes beside the overrides of its trainings."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Where the runs and files go, and how many at a time."""

    jobs: int | None = None
    """Runs at a time; null: one a GPU where there are GPUs, else one."""
    seeds: int = 1
    """Trainings a fold."""
    crossval_dir: str = "crossval"
    """Folder of the cross-validations."""
    fusions_dir: str = "fusions"
    """Folder of the fusions."""
    markdown: str | None = None
    """File for the tables as Markdown."""
    json: str | None = None
    """File for all figures as JSON: fractions, published ones in percent."""
