"""Epochs that W&B has lost are logged again when the training goes on, and only those."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest

from ser_lightning.config.compose import compose
from ser_lightning.config.schema import Tracking
from ser_lightning.files import read_csv, write_csv
from ser_lightning.runs.train import train
from ser_lightning.tracking.segments import logged_metrics, records, segments
from ser_lightning.tracking.wandb import RunIdentity, tracked
from ser_lightning.training.checkpoints import WholeFileIO
from ser_lightning.training.history import read_history
from ser_lightning.training.making_up import MakingUp

WRITER = """
import sys, wandb
run = wandb.init(dir=sys.argv[1], mode="offline", project="p", id="r-1", resume="allow")
run.log({"epoch": 0, "validation/uar": 0.5, "trainer/global_step": 3})
run.log({"epoch": 0, "train/loss": 1.0, "trainer/global_step": 3})
run.log({"epoch": 1, "validation/uar": 0.6, "trainer/global_step": 7})
run.finish()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a run with four epochs in metrics.csv, of which W&B has one and a half."""
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    subprocess.run([sys.executable, "-c", WRITER, str(tmp_path)], check=True)
    columns = ("epoch", "step", "learning_rate", "seconds", "train/loss", "validation/uar")
    rows = [(0, 4, 0.1, 1, 1.0, 0.5), (1, 8, 0.1, 1, 0.9, 0.6), (2, 12, 0.1, 1, 0.8, ""), (3, 16, 0.1, 1, 0.7, 0.8)]
    write_csv(tmp_path / "metrics.csv", columns, rows)
    return tmp_path


def goes_on(folder: Path, epoch: int) -> list[dict[str, Any]]:
    """Rows that are logged when the training of `folder` goes on with `epoch`."""
    before = {one.path for one in segments(folder)}
    with tracked(Tracking(), RunIdentity("r-1", "x", "g", "train", ()), {}, folder) as logger:
        trainer: Any = SimpleNamespace(current_epoch=epoch, loggers=[logger])
        MakingUp(folder, read_history(folder / "metrics.csv")).on_train_start(trainer, L.LightningModule())
    (new,) = [one for one in segments(folder) if one.path not in before]
    found = [record.history.item for record in records(new.log) if record.HasField("history")]
    rows = [{item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in row} for row in found]
    return [{name: value for name, value in row.items() if not name.startswith("_")} for row in rows]


def test_what_was_lost_is_logged_and_what_will_be_trained_again_is_not(folder: Path) -> None:
    measured = {"learning_rate": 0.1, "seconds": 1}
    first = {"epoch": 1, "train/loss": 0.9, "trainer/global_step": 7} | measured
    second = {"epoch": 2, "train/loss": 0.8, "trainer/global_step": 11} | measured
    assert goes_on(folder, 3)[-2:] == [first, second]


def test_a_spoilt_log_costs_what_it_held_and_no_training(folder: Path) -> None:
    (segment,) = segments(folder)
    whole = segment.log.read_bytes()
    middle = len(whole) // 2
    segment.log.write_bytes(whole[:middle] + b"\xff" * (len(whole) - middle))
    assert [row["epoch"] for row in goes_on(folder, 3)][-2:] == [1, 2]


def test_a_training_that_begins_has_nothing_to_make_up(folder: Path) -> None:
    assert goes_on(folder, 0) == []


def test_without_wandb_it_does_nothing(folder: Path) -> None:
    trainer: Any = SimpleNamespace(current_epoch=3, loggers=[])
    MakingUp(folder, read_history(folder / "metrics.csv")).on_train_start(trainer, L.LightningModule())


class KilledError(Exception):
    pass


@pytest.mark.parametrize(
    "where", ["ser_lightning.training.lightning_learner.keep_last_weights", "ser_lightning.runs.train.predict"]
)
def test_a_training_that_was_killed_after_its_last_epoch_loses_none(
    tiny: list[str], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    words = [*tiny, "pictures=false", "tracking.also=[csv]"]

    def killed(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as bad:
        bad.setattr(where, killed)
        with pytest.raises(KilledError):
            train(compose(words).config)
    run = train(compose([*words, "tracking.mode=offline"]).config)
    rows = read_history(run.metrics)
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert {(epoch, "train/loss") for epoch in (0, 1, 2)} < logged_metrics(run.path)
    table = read_csv(run.path / "csv" / "metrics.csv")
    assert [float(row["train/loss"]) for row in table] == [row["train/loss"] for row in rows]


def test_an_epoch_whose_checkpoint_was_not_written_is_logged_once(
    tiny: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = compose([*tiny, "pictures=false", "tracking.mode=offline"]).config
    plain, written = WholeFileIO.save_checkpoint, list[str]()

    def full(io: WholeFileIO, checkpoint: dict[str, Any], path: Path, **_: object) -> None:
        written.append(Path(path).name)
        if written.count("last.ckpt") == 2:
            raise OSError(28, "No space left on device")
        plain(io, checkpoint, path)

    with monkeypatch.context() as bad:
        bad.setattr(WholeFileIO, "save_checkpoint", full)
        with pytest.raises(OSError, match="No space"):
            train(config)
    run = train(config)
    found = [record.history.item for one in segments(run.path) for record in records(one.log)]
    keys = [{item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in row} for row in found]
    assert [row["epoch"] for row in keys if "train/loss" in row] == [0, 1, 2]


def test_what_cannot_be_read_costs_no_training(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("ser_lightning.training.making_up.logged_metrics", fails)
    assert goes_on(folder, 3) == []
    assert "Input/output error" in capsys.readouterr().err
