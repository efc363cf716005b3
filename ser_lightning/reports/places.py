"""Where finished things lie."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Places:
    """Folders in which a name is looked up when it is no folder itself."""

    runs_dir: str | None = None
    """Folder of the run folders; null: runs/, and for a cross-validation the one that its configuration names."""
    crossval_dir: str = "crossval"
    """Folder of the cross-validations."""
    fusions_dir: str = "fusions"
    """Folder of the fusions."""
