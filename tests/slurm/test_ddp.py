"""A training whose ranks srun starts on two nodes: one model, and a warning of the time limit that it survives."""

import random
import re
import time
from pathlib import Path

import pytest
import torch

from ser_lightning.config.compose import compose
from ser_lightning.runs.train import train
from ser_lightning.training.history import read_history

from ..sweeps.trials import PLUGIN
from ..waiting import until
from .cluster import Cluster
from .jobs import resting, ser

pytestmark = pytest.mark.xdist_group("second cluster")
EPOCHS = 30
"""Of each warning; an epoch takes a quarter of a second."""


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / "last_epoch.ckpt", weights_only=True)["state_dict"]  # type: ignore[no-any-return]


def digests(run: Path) -> list[str]:
    """What every rank said last of its weights."""
    return [re.findall(r"ends with weights (\w{16})", log.read_text())[-1] for log in run.glob("logs/rank*.log")]


def only_run(folder: Path) -> Path:
    (run,) = (path.parent for path in folder.glob("runs/*/config.yaml"))
    return run


def epochs(folder: Path) -> int:
    return sum(len(read_history(path)) for path in folder.glob("runs/*/metrics.csv"))


def warned(cluster: Cluster, job: str, folder: Path, restarts: int, wait: float) -> None:
    """Send the warning of the time limit some seconds after the next epoch has ended; the job is then started again."""
    before = epochs(folder)
    until(lambda: epochs(folder) > before, "an epoch")
    time.sleep(wait)
    cluster.signal(job, "USR1")
    cluster.wait_restarted(job, restarts)


def uninterrupted(folder: Path, given: list[str]) -> dict[str, torch.Tensor]:
    """Final weights of a training with the same ranks in one launcher, which nothing interrupted and no rest slowed."""
    shared = [*given, "model.mood=0.0", "training.num_nodes=1", "training.devices=2", f"runs_dir={folder}/whole/runs"]
    return weights(train(compose(shared).config).path)


def outlives(cluster: Cluster, folder: Path, tiny: list[str], times: int) -> None:
    """A training of `EPOCHS` epochs of steps without a pause, warned `times` times, ends as if it never had been."""
    given = resting(tiny, EPOCHS * times)
    job = ser(cluster, folder, "-N2", "--ntasks-per-node=1", verb="train", words=[*given, "training.num_nodes=2"])
    moments = random.Random(0)
    for restarts in range(1, times + 1):
        warned(cluster, job, folder, restarts, moments.uniform(0, 0.3))
    (record,) = cluster.wait(job, timeout=1200)
    said = (folder / "out").read_text()
    assert (record["JobState"], record["Restarts"]) == ("COMPLETED", str(times)), said
    assert said.count(f"job {job} is requeued") == times
    assert "cannot be requeued" not in said  # as a second rank that asks would be told
    run = only_run(folder)
    assert len(digests(run)) == 2
    assert len(set(digests(run))) == 1
    expected = uninterrupted(folder, given)
    for name, tensor in weights(run).items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-6)
    assert [row["epoch"] for row in read_history(run / "metrics.csv")] == list(range(EPOCHS * times))


def test_a_warning_between_steps_changes_nothing(
    cluster: Cluster, tmp_path: Path, tiny: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(PLUGIN)
    outlives(cluster, tmp_path, tiny, 1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_warnings_between_steps_change_nothing(
    cluster: Cluster, tmp_path: Path, tiny: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(PLUGIN)
    outlives(cluster, tmp_path, tiny, 20)
