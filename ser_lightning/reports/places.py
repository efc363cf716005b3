"""Where finished things lie."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Places:
    """Folders in which a name is looked up when it is no folder itself."""

    runs_dir: str = "runs"
    """Folder of the run folders."""
    crossval_dir: str = "crossval"
    """Folder of the cross-validations."""
    fusions_dir: str = "fusions"
    """Folder of the fusions."""
