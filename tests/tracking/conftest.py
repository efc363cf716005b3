"""W&B for tests: a recording server, and nothing of the user's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb

from .recorder import Recorder


@pytest.fixture(autouse=True)
def own_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """wandb's settings, caches and keys of whoever runs the tests are neither read nor changed, nor another test's."""
    # Not WANDB_DATA_DIR itself, which a run would take for the user's choice.
    for name in ("WANDB_CACHE_DIR", "XDG_DATA_HOME", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "wandb_own"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    wandb.teardown()  # it reads the environment once a process, and keeps a service that children would share
    yield
    wandb.teardown()


@pytest.fixture
def recorder(own_wandb: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """A W&B server, to which the environment points; an operation that it does not know fails the test."""
    with Recorder() as recorder:
        for name, value in recorder.variables.items():
            monkeypatch.setenv(name, value)
        yield recorder
    assert recorder.unknown == []
    assert recorder.errors == []
