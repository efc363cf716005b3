"""What a trial that ended early leaves on the disk."""

from contextlib import suppress

from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.lock import TakenError, owned


def forget_state(run: RunFolder) -> None:
    """Remove the optimiser's state, which only a training that goes on needs, as a finished run does; weights stay.

    Nothing where somebody is at work on the run: another trial with the same values.
    """
    last = run.checkpoints / "last.ckpt"
    if last.exists():
        with suppress(TakenError), owned(run.lock):
            last.unlink(missing_ok=True)
