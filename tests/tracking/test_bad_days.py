"""W&B's bad days: a training goes on in time, says it in one line, and what was logged is there in the end."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ser_lightning.cli import main
from ser_lightning.config.compose import compose
from ser_lightning.processes.scheduler import LONGEST_DELAY, array_delay
from ser_lightning.processes.stopping import StopRequest
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.train import train
from ser_lightning.tracking.opening import opened
from ser_lightning.tracking.segments import logged_metrics, segments

from .recorder import KEY, STREAM, UPLOAD, Recorder

EPOCHS = [0, 1, 2]


@pytest.fixture
def words(recorder: Recorder, tiny: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A training online, whose history is sent as it comes, and which waits three seconds for the server."""
    for name in ("WANDB_INIT_TIMEOUT", "WANDB_FINISH_TIMEOUT"):
        monkeypatch.setenv(name, "3")
    monkeypatch.setenv("WANDB__FILE_STREAM_TRANSMIT_INTERVAL", "0.2")
    return [*tiny, "tracking.mode=online", "tracking.project=p", "pictures=false"]


class Midway(StopRequest):
    """Does something once, within the second epoch."""

    def __init__(self, call: Callable[[], object]) -> None:
        super().__init__()
        self.call: Callable[[], object] | None = call

    def step_ends(self, trainer: Any) -> None:
        if trainer.current_epoch == 1 and self.call:
            self.call()
            self.call = None


def trained(words: list[str], call: Callable[[], object] = lambda: None) -> RunFolder:
    """A training that has ended; one that hangs ends with its test's time."""
    run = train(compose(words).config, Midway(call))
    assert run.finished
    return run


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("W&B:")]


def synced(run: RunFolder) -> int:
    return main(["sync", f"runs_dir={run.path.parent}"])


def whole(recorder: Recorder, ends: int = 0) -> None:
    """One run, every epoch once, and all of its files."""
    run = recorder.store.only
    for name in ("train/loss", "validation/uar"):
        assert [row["epoch"] for row in run.history if name in row] == EPOCHS
    assert (run.lost, run.exit_codes[-1]) == ([], ends)
    assert "final/validation/uar" in run.summary


@pytest.fixture
def black_hole() -> Iterator[str]:
    """It accepts a connection, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize(
    ("variable", "value", "words_said"),
    [
        ("WANDB_API_KEY", None, "no valid key; `wandb login`, or set WANDB_API_KEY; logging offline"),
        ("WANDB_API_KEY", KEY[::-1], "does not know the key; `wandb login`, or set WANDB_API_KEY; logging offline"),
        pytest.param("WANDB_API_KEY", "short", "no valid key", marks=pytest.mark.slow),
        ("WANDB_BASE_URL", "http://nowhere.invalid", "nowhere.invalid:80 does not answer"),
    ],
)
def test_what_keeps_a_run_from_the_server_costs_no_training(
    recorder: Recorder, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    variable: str, value: str | None, words_said: str,
) -> None:  # fmt: skip
    with monkeypatch.context() as bad:
        bad.delenv(variable) if value is None else bad.setenv(variable, value)
        run = trained(words)
    (line,) = said(capsys)
    assert words_said in line
    assert line.endswith("logging offline, upload later with `ser sync`")
    assert recorder.store.runs == {}
    assert {(epoch, "train/loss") for epoch in EPOCHS} < logged_metrics(run.path)
    if value == KEY[::-1]:
        assert synced(run) == 0
        whole(recorder)
        assert recorder.store.only.exit_codes == [0]  # nothing of the start that failed


def init(mode: str) -> str:
    if mode == "online":
        raise OSError("no online")
    return mode


@pytest.mark.parametrize("url", ["http://host:port", "http://.example", "http://[::1"])
def test_an_address_that_is_none_costs_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", url)
    assert opened(init, "online", tmp_path, "x-1", 0) == "offline"
    (line,) = said(capsys)
    assert line.endswith("logging offline, upload later with `ser sync`")


@pytest.mark.parametrize("failing", ["unanswered", "_catch_up", "_forget"])
def test_whatever_fails_before_a_run_is_open_costs_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], failing: str
) -> None:
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ser_lightning.tracking.opening.unanswered", lambda: "")
    monkeypatch.setattr(f"ser_lightning.tracking.opening.{failing}", fails)
    assert opened(init, "online", tmp_path, "x-1", 0) == "offline"
    (line,) = said(capsys)
    assert ("no online" if failing == "_forget" else "No space left on device") in line


def test_a_server_that_accepts_and_never_answers_costs_seconds(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], black_hole: str
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", black_hole)
    run = trained(words)
    (line,) = said(capsys)
    assert line.endswith("logging offline, upload later with `ser sync`")
    assert [segment.ended for segment in segments(run.path) if not segment.online] == [True]


@pytest.mark.parametrize("status", [403, pytest.param(500, marks=pytest.mark.slow)])
def test_a_server_that_refuses_a_run_at_its_start_costs_seconds(
    recorder: Recorder, words: list[str], capsys: pytest.CaptureFixture[str], status: int
) -> None:
    recorder.fail("UpsertBucket", status)
    run = trained(words)
    (line,) = said(capsys)
    assert "told to fail: UpsertBucket; logging offline" in line
    assert [segment.ended for segment in segments(run.path) if not segment.online] == [True]


@pytest.mark.parametrize(
    ("operation", "status", "words_said"),
    [
        (UPLOAD, 403, "lost config.yaml"),
        (STREAM, 503, "503"),
        pytest.param(STREAM, 404, "404 Not Found", marks=pytest.mark.slow),
        pytest.param(STREAM, 403, "403 Forbidden", marks=pytest.mark.slow),
        pytest.param(STREAM, None, "filestream", marks=pytest.mark.slow),
        pytest.param(UPLOAD, 500, "its server has not taken all within 23 s", marks=pytest.mark.slow),
    ],
)
def test_what_the_server_refuses_of_a_run_is_said_kept_and_uploaded_later(
    recorder: Recorder, words: list[str], capsys: pytest.CaptureFixture[str],
    operation: str, status: int | None, words_said: str,
) -> None:  # fmt: skip
    run = trained(words, lambda: recorder.fail(operation, status))
    (line,) = said(capsys)
    assert words_said in line
    assert "upload it later with `ser sync`" in line
    recorder.mend()
    assert synced(run) == 0
    whole(recorder)
    asked = len(recorder.calls)
    assert synced(run) == 0
    assert len(recorder.calls) == asked


def test_a_server_that_vanishes_costs_seconds_and_what_comes_after_goes_behind_it(
    recorder: Recorder, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained(words, recorder.vanish)
    (line,) = said(capsys)
    assert "upload it later with `ser sync`" in line
    assert len(recorder.store.only.history) < len(EPOCHS)
    recorder.appear()
    assert main(["evaluate", str(run.path)]) == 0  # online, and first of all it uploads what is missing
    assert said(capsys) == []
    whole(recorder)
    steps = [row["_step"] for row in recorder.store.only.history]
    assert steps == sorted(steps)
    assert "final/test/uar" in recorder.store.only.summary
    assert [segment.synced.exists() for segment in segments(run.path)] == [True, True]


@pytest.mark.slow
def test_errors_that_pass_and_a_good_end_are_not_worth_a_word_nor_a_second_upload(
    recorder: Recorder, words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_FINISH_TIMEOUT", "30")
    recorder.fail("UpsertBucket", 503, 1)
    run = trained(words, lambda: (recorder.fail(STREAM, 500, 1), recorder.fail(UPLOAD, 500, 1)))
    assert said(capsys) == []
    assert {500, 503} <= {call.status for call in recorder.calls}
    whole(recorder)
    asked = len(recorder.calls)
    assert synced(run) == 0
    assert len(recorder.calls) == asked


SIGNALLED = """
import os, sys, time
import ser_lightning.training.lightning_learner as learner
from ser_lightning.cli import main
from ser_lightning.training.history import History

class Signalled(History):
    def on_train_batch_end(self, trainer, *_):
        if trainer.current_epoch == 2:
            os.kill(os.getpid(), int(sys.argv[1]))
            time.sleep(0.1)

learner.History = Signalled
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_job_that_was_ended_and_started_again_is_one_run(
    recorder: Recorder, words: list[str], capsys: pytest.CaptureFixture[str], number: int, code: int
) -> None:
    command = [sys.executable, "-c", SIGNALLED, str(int(number)), "train", *words]
    assert subprocess.run(command, check=False).returncode == code
    run = trained(words)
    assert said(capsys) == []
    whole(recorder)
    assert recorder.store.only.exit_codes == ([143, 0] if code == 143 else [0])
    assert [segment.waits for segment in segments(run.path)] == [False, False]


def full_disk() -> None:
    """From now on wandb's own process can make no file larger than 1 KiB."""
    (core,) = [pid for pid in children() if b"wandb-core" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    resource.prlimit(core, resource.RLIMIT_FSIZE, (1024, 1024))


def children() -> list[int]:
    mine = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(status[1]) == os.getpid():
            mine.append(int(folder.name))
    return mine


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are Linux's")
@pytest.mark.parametrize("mode", ["offline", "online"])
def test_a_full_disk_in_the_folder_of_wandb_costs_no_training(
    recorder: Recorder, words: list[str], capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    trained([*words, f"tracking.mode={mode}"], full_disk)
    lines = said(capsys)
    if mode == "offline":
        (line,) = lines
        assert "was cut short, as by a full disk; metrics.csv and result.json have the figures" in line
    else:
        assert lines == []
        whole(recorder)


def test_a_folder_that_cannot_be_written_is_said_and_nothing_is_logged(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb

    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(wandb, "init", full)
    trained(words)
    assert said(capsys)[-1].endswith("space left on device; nothing is logged there by this process, the work goes on")


@pytest.mark.parametrize(
    ("task", "first", "step", "delay"), [("7", "0", "1", 0.7), ("12", "10", "2", 0.1), ("299", "0", "1", 29.9)]
)
def test_tasks_of_an_array_start_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, task: str, first: str, step: str, delay: float
) -> None:
    assert array_delay() == 0
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", task)
    monkeypatch.setenv("SLURM_ARRAY_TASK_MIN", first)
    monkeypatch.setenv("SLURM_ARRAY_TASK_STEP", step)
    assert array_delay() == pytest.approx(delay)
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "100000")
    assert 0 <= array_delay() < LONGEST_DELAY
    monkeypatch.setenv("SLURM_JOB_START_TIME", str(int(time.time()) - 3600))
    assert array_delay() == 0  # later ones come as they are done with others


def test_a_task_of_an_array_says_that_it_waits(
    recorder: Recorder, words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "12")
    trained(words)
    (line,) = said(capsys)
    assert "starts 1.2 s later" in line
    whole(recorder)
