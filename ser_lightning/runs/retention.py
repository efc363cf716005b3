"""What a trial that ended early leaves on the disk."""

from collections.abc import Sequence
from contextlib import suppress

from ser_lightning.processes.lock import TakenError, forget, owned
from ser_lightning.runs.folder import RunFolder


def forget_state(run: RunFolder, dead: Sequence[str] = ()) -> None:
    """Remove the optimiser's state, which only a training that goes on needs, as a finished run does; weights stay.

    So does what the lock says of a process that was killed: a trial with the same values on another host would wait
    for it for ever. Nothing where somebody is at work on the run: another trial with the same values.

    Args:
        dead: hosts whose processes are known to have left the run.
    """
    for host in dead:
        forget(run.lock, host)
    if run.path.exists():
        with suppress(TakenError), owned(run.lock):
            (run.checkpoints / "last.ckpt").unlink(missing_ok=True)
