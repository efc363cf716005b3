"""A run of before, from Python."""

from pathlib import Path

from ser_lightning.runs.folder import RunFolder, open_run


def load_run(run: str | Path) -> RunFolder:
    """A run by its folder, or by its id under `runs/`.

    Raises:
        UserError: there is no such run.
    """
    return open_run(str(run))[0]
