"""What verbs on runs take beside a name; light, so that a misspelt key is answered at once."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Logs:
    """What `ser logs` takes beside a run."""

    runs_dir: str = "runs"
    """Folder of the run folders."""
    follow: bool = False
    """Go on showing what is said until nobody works on the run any more."""
