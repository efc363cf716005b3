"""What `ser crossval` takes beside the configuration of its runs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Nothing here changes a run's numbers but `seeds` and `selected_on_test`."""

    jobs: int | None = None
    """Runs at a time; null: one a GPU where there are GPUs, else one."""
    seeds: int = 1
    """Trainings a fold: with seeds seed, seed + 1, and so on."""
    selected_on_test: bool = False
    """Also score every epoch on the test part, for the figure as papers count that choose the epoch there."""
    only: int | None = None
    """Run this fold alone (with every seed) and pool nothing: what one task of a job array does."""
    gather: bool = False
    """Run nothing and pool what is finished: what follows the array."""
    crossval_dir: str = "crossval"
    """Folder of the cross-validations."""
