"""Two ranks on gloo do what one process does, stop together, and end together."""

import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ser_lightning.config.compose import compose
from ser_lightning.errors import StoppedError, UserError
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.processes.meeting import Meeting, free_port
from ser_lightning.processes.scheduler import Allocation
from ser_lightning.processes.signals import stopping
from ser_lightning.processes.stopping import StopRequest
from ser_lightning.runs.evaluate import evaluate
from ser_lightning.runs.ranks import environment, join
from ser_lightning.runs.train import train
from ser_lightning.training.history import read_history

from ..proc import alive, users, with_descendants
from ..waiting import until
from ..warm import Ser


def saved(runs: Path) -> list[Path]:
    return list(runs.glob("*/checkpoints/last.ckpt"))


EXACT = ["model.dropout=0", "training.optimizer=sgd", "training.learning_rate=0.1", "training.gradient_clip_val=null"]


@pytest.fixture
def unequal(tiny: list[str], tiny_corpus: Path, tmp_path: Path) -> list[str]:
    """`tiny` with three clips of one class to one of the other, which weigh as much."""
    head, *rows = tiny_corpus.read_text(encoding="utf-8").splitlines()
    kept = [f"{tiny_corpus.parent}/{row}" for row in rows if not row.partition(".")[0].endswith(("low_1", "low_2"))]
    (tmp_path / "unequal.csv").write_text("\n".join([head, *kept]), encoding="utf-8")
    return [*tiny, f"corpus.root={tmp_path / 'unequal.csv'}", "training.class_weights=balanced"]


def test_two_ranks_reach_the_weights_metrics_and_predictions_of_one_process(unequal: list[str]) -> None:
    words = [*unequal, *EXACT]
    one = evaluate(train(compose([*words, "training.batch_size=8"]).config))
    two = evaluate(train(compose([*words, "training.batch_size=4", "training.devices=2"]).config))
    assert one.id != two.id
    alone, together = (torch.load(run.checkpoints / "best.ckpt", weights_only=True)["state_dict"] for run in (one, two))
    for name, weight in alone.items():
        assert torch.allclose(weight, together[name], atol=1e-5), name
    for a, b in zip(read_history(one.metrics), read_history(two.metrics), strict=True):
        assert (a["epoch"], a["step"]) == (b["epoch"], b["step"])
        for name in ("train/loss", "train/uar", "validation/loss", "validation/uar", "validation/macro_f1"):
            assert a[name] == pytest.approx(b[name], abs=1e-5), name
    mine, theirs = (Predictions.read(run.predictions) for run in (one, two))
    assert mine.ids == theirs.ids
    assert len(set(theirs.ids)) == len(theirs.ids) == 8
    assert abs(mine.logits - theirs.logits).max() < 1e-4
    assert not list(two.checkpoints.glob("last.ckpt"))


def test_synchronised_batch_norms_make_two_ranks_equal_one_process(tiny: list[str], tmp_path: Path) -> None:
    words = [word for word in tiny if not word.startswith("model")]
    words += ["model=cnn_lstm", "model.hidden_dim=8", "training.max_epochs=2", *EXACT]
    one = train(compose([*words, "training.batch_size=8"]).config)
    shared = ["training.batch_size=4", "training.devices=2"]
    two = train(compose([*words, *shared, "training.sync_batchnorm=true"]).config)
    apart = train(compose([*words, *shared]).config)
    expected, same, other = (Predictions.read(run.predictions).logits for run in (one, two, apart))
    assert abs(expected - same).max() < 1e-3
    assert abs(expected - other).max() > 1e-3


def test_norms_that_cannot_be_synchronised_are_refused(tiny: list[str]) -> None:
    words = [word for word in tiny if not word.startswith("model")]
    with pytest.raises(UserError, match=r"training\.sync_batchnorm: gate_norm"):
        train(compose([*words, "features=paper", "model=paper_ds_lstm", "training.sync_batchnorm=true"]).config)


def test_a_stop_request_is_passed_on_and_the_run_resumes(tiny: list[str], tmp_path: Path) -> None:
    config = compose([*tiny, "training.devices=2", "training.max_epochs=4000", "training.patience=null"]).config
    stop = StopRequest()

    def ask() -> None:
        until(lambda: saved(Path(config.runs_dir)), "an epoch")
        stop.request("a test", 99)

    threading.Thread(target=ask, daemon=True).start()
    with pytest.raises(StoppedError, match="a test") as caught:
        train(config, stop)
    assert caught.value.exit_code == 99
    (stopped,) = Path(config.runs_dir).glob("table-*")
    assert len(read_history(stopped / "metrics.csv")) >= 1
    assert not (stopped / "result.json").exists()


def test_a_rank_that_dies_ends_the_others_and_is_named(tiny: list[str]) -> None:
    config = compose([*tiny, "training.devices=2", "training.max_epochs=4000", "training.patience=null"]).config
    runs = Path(config.runs_dir)

    def kill() -> None:
        until(lambda: saved(runs), "an epoch")
        (pid,) = users(*runs.glob("*/logs/rank1.log"))
        os.kill(pid, signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    with pytest.raises(UserError, match=r"rank 1: killed by SIGKILL"):
        train(config)
    assert not users(*runs.glob("*/logs"))


def test_a_killed_parent_takes_its_ranks_along(tiny: list[str], tmp_path: Path) -> None:
    words = [*tiny, "training.devices=2", "training.max_epochs=4000", "training.patience=null"]
    parent = Ser(["train", *words], tmp_path / "said")
    until(lambda: saved(tmp_path / "runs"), "an epoch")
    family = with_descendants({parent.pid}) - {parent.pid}
    assert len(family) >= 3, "a server and two ranks"
    parent.kill()
    parent.wait()
    until(lambda: not family & alive().keys(), "an end of the ranks")


def test_two_trainings_of_a_host_get_two_ports() -> None:
    assert len({free_port() for _ in range(5)}) > 1


def test_a_schedulers_ranks_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_PROCID", "3")
    monkeypatch.setenv("SLURM_TMPDIR", "/local/7")
    told = environment(rank=3, local=1, node=1, ranks=4, here=2, port=1234, address="n1")
    assert told["SLURM_TMPDIR"] == "/local/7"  # which scratch_dir may name
    assert "SLURM_PROCID" not in told
    assert (told["RANK"], told["LOCAL_RANK"], told["GROUP_RANK"], told["WORLD_SIZE"]) == ("3", "1", "1", "4")
    assert (told["LOCAL_WORLD_SIZE"], told["MASTER_ADDR"], told["MASTER_PORT"]) == ("2", "n1", "1234")


def test_devices_that_are_not_there_are_an_error(tiny: list[str]) -> None:
    config = compose([*tiny, "training.devices=2"]).config
    with pytest.raises(UserError, match=r"cuda: not available|GPUs here"):
        train(replace(config, training=replace(config.training, accelerator="cuda", devices=99)))


@pytest.mark.parametrize("begun", [False, True])
def test_of_a_steps_ranks_only_the_first_asks_for_the_job_to_be_requeued(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    """A second rank is stopped while it waits for the first, or in the training."""

    def fit(*_: object) -> None:
        raise StoppedError("SIGUSR1", 138)

    monkeypatch.setattr("ser_lightning.runs.ranks._fit", fit)
    monkeypatch.setattr("ser_lightning.processes.meeting.time.sleep", lambda _: os.kill(os.getpid(), signal.SIGUSR1))
    first, second = (Allocation("7", "7", 0, "0", 2, 2, rank, 0, rank, "127.0.0.1") for rank in (0, 1))
    if begun:
        Meeting(str(tmp_path), first).call(tmp_path / "run")
    config = compose([*tiny, "training.num_nodes=2"]).config
    with pytest.raises(StoppedError, match="SIGUSR1") as caught, stopping():
        join(config, Meeting(str(tmp_path), second), StopRequest())
    assert (caught.value.exit_code, caught.value.requeues) == (138, False)
