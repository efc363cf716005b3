"""Too little shared memory is told as such, whatever torch and Lightning make of it; other errors stay as they are."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from ser_lightning.errors import UserError
from ser_lightning.training.memory import shared_memory


def masked() -> None:
    """As Lightning ends where a loader's semaphores cannot be made."""
    try:
        raise OSError(errno.ENOSPC, "No space left on device")
    finally:
        raise RuntimeError("Please call `iter(combined_loader)` first.")


def killed() -> None:
    raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's "
                       "workers are out of shared memory.")  # fmt: skip


@pytest.mark.parametrize("fails", [masked, killed])
def test_it_is_named_with_its_remedy(fails: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ser_lightning.training.memory.SHARED", "/nowhere")
    said = r"training\.num_workers=2: /nowhere has 0 MiB free, .* set training\.num_workers=0"
    with pytest.raises(UserError, match=said), shared_memory(2):
        fails()
    with pytest.raises(RuntimeError), shared_memory(0):
        fails()


def test_another_full_disk_stays_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ser_lightning.training.memory.SHARED", str(tmp_path))
    with pytest.raises(OSError, match="No space"), shared_memory(2):
        raise OSError(errno.ENOSPC, "No space left on device", "metrics.csv")
