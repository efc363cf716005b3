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

from ..waiting import until
from .cluster import Cluster
from .jobs import ser, words

NODES, DEVICES = 2, 2
RANKS = ["training.num_nodes=2", "training.devices=2"]
SIZE = ["-N2", "--ntasks-per-node=2"]
EPOCHS = 40
"""Between two warnings at the most; an epoch takes some hundredths of a second."""


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / "last_epoch.ckpt", weights_only=True)["state_dict"]  # type: ignore[no-any-return]


def digests(run: Path) -> list[str]:
    """What every rank said last of its weights."""
    return [re.findall(r"ends with weights (\w{16})", log.read_text())[-1] for log in run.glob("logs/rank*.log")]


def only_run(folder: Path) -> Path:
    (run,) = (path.parent for path in folder.glob("runs/*/config.yaml"))
    return run


def test_ranks_on_two_nodes_end_with_one_model(cluster: Cluster, tmp_path: Path, tiny: list[str]) -> None:
    job = ser(cluster, tmp_path, *SIZE, verb="train", words=[*words(tiny), *RANKS])
    (record,) = cluster.wait(job)
    assert record["JobState"] == "COMPLETED", (tmp_path / "out").read_text()
    found = digests(only_run(tmp_path))
    assert len(found) == NODES * DEVICES
    assert len(set(found)) == 1


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
    """Final weights of a training with the same ranks in one launcher, which nothing interrupted."""
    shared = [*given, "training.num_nodes=1", "training.devices=2", f"runs_dir={folder}/whole/runs"]
    return weights(train(compose(shared).config).path)


def outlives(cluster: Cluster, folder: Path, tiny: list[str], times: int) -> None:
    """A training of `EPOCHS` epochs of steps without a pause, warned `times` times, ends as if it never had been."""
    given = [*words(tiny), f"training.max_epochs={EPOCHS * times}", "training.batch_size=2"]
    job = ser(cluster, folder, "-N2", "--ntasks-per-node=1", verb="train", words=[*given, "training.num_nodes=2"])
    expected, moments = uninterrupted(folder, given), random.Random(0)
    for restarts in range(1, times + 1):
        warned(cluster, job, folder, restarts, moments.uniform(0, 0.3))
    (record,) = cluster.wait(job)
    said = (folder / "out").read_text()
    assert (record["JobState"], record["Restarts"]) == ("COMPLETED", str(times)), said
    assert said.count(f"job {job} is requeued") == times
    assert "cannot be requeued" not in said  # as a second rank that asks would be told
    run = only_run(folder)
    assert len(digests(run)) == 2
    assert len(set(digests(run))) == 1
    for name, tensor in weights(run).items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-6)
    assert [row["epoch"] for row in read_history(run / "metrics.csv")] == list(range(EPOCHS * times))


@pytest.mark.timeout(400)
def test_three_warnings_between_steps_change_nothing(cluster: Cluster, tmp_path: Path, tiny: list[str]) -> None:
    outlives(cluster, tmp_path, tiny, 3)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_warnings_between_steps_change_nothing(cluster: Cluster, tmp_path: Path, tiny: list[str]) -> None:
    outlives(cluster, tmp_path, tiny, 20)
