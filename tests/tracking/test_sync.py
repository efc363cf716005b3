"""`ser sync` into a recording server: order, once, and what is said when something does not arrive."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ser_lightning.cli import main
from ser_lightning.config.compose import compose
from ser_lightning.errors import StoppedError, UserError
from ser_lightning.processes.lock import owned
from ser_lightning.runs.evaluate import evaluate
from ser_lightning.runs.train import train
from ser_lightning.tracking.segments import Segment, records, segments
from ser_lightning.tracking.sync import Uploads, sync
from ser_lightning.training.history import read_history

from ..waiting import until
from .recorder import KEY, STREAM, UPLOAD, Recorder
from .test_recording import StopInTheSecondEpoch

WRITER = """
import json, sys, time, wandb
from pathlib import Path
for folder, identity, group, job_type, first, last, code in json.loads(sys.argv[1]):
    Path(folder).mkdir(parents=True, exist_ok=True)
    begun = int(time.time())
    run = wandb.init(dir=folder, mode="offline", project="p", id=identity, group=group, job_type=job_type,
                     config={"dim": 8}, resume="allow")
    run.define_metric("epoch")
    run.define_metric("*", step_metric="epoch")
    for epoch in range(first, last):
        run.log({"epoch": epoch, "loss": 1 / (epoch + 1)})
    run.log({"table": wandb.Table(columns=["a"], data=[[first]])})
    run.finish(exit_code=code)
    while int(time.time()) == begun and sys.argv[1].count(f'"{identity}"') > 1:  # its folders are named by the second
        time.sleep(0.01)
"""
TURNS = [(0, 2, 138), (2, 4, 1), (4, 6, 0)]
"""First and last epoch and exit code of three segments of a run that was requeued twice."""


def written(*segments: tuple[object, ...]) -> None:
    """Log segments: folder, id, group, job type, first epoch, the one after the last, exit code."""
    shown = [[str(one[0]), *one[1:]] for one in segments]
    own = str(Path(shown[0][0]).absolute().parent / "wandb_own")
    environment = os.environ | {"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true", "XDG_DATA_HOME": own}
    command = [sys.executable, "-c", WRITER, json.dumps(shown)]
    subprocess.run(command, env=environment, check=True)


@pytest.fixture(scope="module")
def _requeued(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("requeued")
    written(*[(home / "runs" / "r", "r-1", "g", "train", *turn) for turn in TURNS])
    return home


@pytest.fixture
def run(_requeued: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`runs/r` where we stand, with three segments of one run."""
    shutil.copytree(_requeued, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Path("runs/r")


def whole(recorder: Recorder) -> None:
    """All of the three segments is there, once and in its order."""
    run = recorder.store.only
    losses = [(row["epoch"], row["loss"]) for row in run.history if "loss" in row]
    assert losses == [(epoch, 1 / (epoch + 1)) for epoch in range(6)]
    steps = [row["_step"] for row in run.history]
    assert steps == sorted(steps)
    assert [code for code, _ in zip(reversed(run.exit_codes), TURNS, strict=False)] == [0, 1, 138]
    assert (run.summary["epoch"], run.config, run.lost) == (5, {"dim": 8}, [])
    assert sum(name.startswith("media/table/") for name in run.files) == 3


def only(outcomes: list[Uploads]) -> tuple[int, int, int, int]:
    (one,) = outcomes
    return one.segments, one.uploaded, one.skipped, one.failed


def test_segments_arrive_in_order_of_time_into_one_run_and_once(recorder: Recorder, run: Path) -> None:
    first = segments(run)[0]
    # A node whose clock shows another time zone: the name says later, the log does not.
    first.path.rename(first.path.with_name(f"offline-run-29991231_000000-{first.id}"))
    assert only(sync([])) == (3, 3, 0, 0)
    whole(recorder)
    assert [row["_step"] for row in recorder.store.only.history] == list(range(9))
    asked = len(recorder.calls)
    assert only(sync([])) == (3, 0, 3, 0)
    assert len(recorder.calls) == asked


def test_an_interrupted_upload_goes_on_without_gaps_or_doubles(recorder: Recorder, run: Path) -> None:
    command = [sys.executable, "-m", "ser_lightning", "sync"]
    recorder.fail("CommitArtifact", None)  # after the first rows have arrived
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    until(lambda: any(call.operation == STREAM for call in recorder.calls), "a first row")
    process.send_signal(signal.SIGINT)
    told = process.communicate()[1]
    assert process.returncode == 130, told
    assert "not finished" in told
    assert not any(one.synced.exists() for one in segments(run))
    assert _processes_that_name(run.absolute()) == []
    recorder.mend()
    assert only(sync([])) == (3, 3, 0, 0)
    whole(recorder)


def _processes_that_name(path: Path) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().decode().replace("\0", " ")
        except OSError:
            continue
        if str(path) in line:
            found.append(line)
    return found


@pytest.mark.parametrize(
    ("operation", "status", "words"),
    [(UPLOAD, 403, "lost config.yaml"), (STREAM, 404, "404 Not Found"), ("UpsertBucket", 403, "told to fail")],
)
def test_what_the_server_refused_is_said_and_sent_again(
    operation: str, status: int, words: str, recorder: Recorder, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for later in segments(run)[1:]:
        shutil.rmtree(later.path)
    recorder.fail(operation, status)
    assert main(["sync"]) == 1
    told = capsys.readouterr().err
    assert words in told
    assert "1 segments are not, or not wholly, in W&B" in told
    recorder.mend()
    assert main(["sync"]) == 0
    arrived = recorder.store.only
    assert [row["epoch"] for row in arrived.history if "loss" in row] == [0, 1]
    assert (arrived.lost, arrived.exit_codes[-1], "config.yaml" in arrived.files) == ([], 138, True)


def test_no_key_and_a_wrong_key_are_said(
    recorder: Recorder, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY[::-1])
    assert main(["sync"]) == 1
    assert f"{recorder.url} does not know the key; `wandb login`" in capsys.readouterr().err
    monkeypatch.delenv("WANDB_API_KEY")
    assert main(["sync"]) == 1
    assert "no valid key; `wandb login`" in capsys.readouterr().err
    assert recorder.store.runs == {}


def test_a_server_that_is_gone_or_hangs_costs_seconds(
    recorder: Recorder, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder.fail("UpsertBucket", None)
    assert main(["sync", "seconds=3"]) == 1
    assert "not done after 3 s" in capsys.readouterr().err
    recorder.vanish()
    assert main(["sync"]) == 1
    assert "does not answer" in capsys.readouterr().err
    recorder.mend()
    recorder.appear()
    assert main(["sync"]) == 0
    whole(recorder)


def test_a_run_that_is_being_written_is_left_and_said(
    recorder: Recorder, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with owned(run / ".lock"):
        (outcome,) = sync([])
    assert (outcome.skipped, recorder.calls) == (3, [])
    assert f"r-1: being written by process {os.getpid()}" in capsys.readouterr().err
    with owned(run / "wandb" / ".sync.lock"):
        (outcome,) = sync([])
    assert (outcome.skipped, recorder.calls) == (3, [])
    assert only(sync([str(run)])) == (3, 3, 0, 0)


def cut(segment: Segment, size: int) -> None:
    with segment.log.open("r+b") as file:
        file.truncate(size)


def test_a_segment_of_a_killed_process_holds_nothing_up(recorder: Recorder, run: Path) -> None:
    one, two, _ = segments(run)
    cut(one, 7)  # as after kill -9 within wandb's first seconds
    cut(two, two.log.stat().st_size - 10)  # as on a full disk
    (outcome,) = sync([])
    assert (outcome.uploaded, outcome.skipped, outcome.failed) == (2, 1, 0)
    assert "is empty: killed before" in outcome.reasons[0]
    assert "was cut short; what there is of it was uploaded" in outcome.reasons[1]
    assert only(sync([])) == (3, 0, 3, 0)
    assert [row["epoch"] for row in recorder.store.only.history if "loss" in row] == [2, 3, 4, 5]
    assert recorder.store.only.exit_codes == [1, 0]


def test_what_was_moved_away_from_its_tables_is_said(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    written(("runs/a", "a-1", "g", "train", 0, 1, 0))
    Path("runs/wandb_own").rename("elsewhere")
    assert main(["sync"]) == 1
    assert "no such file or directory; if the run was moved since, upload it where it was" in capsys.readouterr().err
    Path("elsewhere").rename("runs/wandb_own")
    assert main(["sync"]) == 0
    (table,) = [one for one in recorder.store.artifacts.values() if one.state == "COMMITTED"]
    assert (table.type, list(table.files)) == ("run_table", ["table.table.json"])


def test_a_study_comes_with_its_runs_and_a_folder_with_what_is_below_it(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(
        ("runs/a", "a-1", "s", "trial", 0, 1, 0),
        ("runs/b", "b-1", "other", "train", 0, 1, 0),
        ("studies/s", "s-0", "s", "summary", 0, 1, 0),
        ("crossval/c", "c-0", "mine", "summary", 0, 1, 0),
        ("runs/d", "d-1", "mine", "fold", 0, 1, 0),
    )
    assert sorted(one.id for one in sync(["s"])) == ["a-1", "s-0"]
    assert sorted(one.id for one in sync(["crossval/c"])) == ["c-0", "d-1"]
    assert [one.id for one in sync(["runs/a"])] == ["a-1"]
    assert sorted(one.id for one in sync([])) == ["a-1", "b-1", "c-0", "d-1", "s-0"]
    assert sorted(run.id for run in recorder.store.runs.values()) == ["a-1", "b-1", "c-0", "d-1", "s-0"]
    assert all(run.exit_codes == [0] for run in recorder.store.runs.values())
    with pytest.raises(UserError, match="nowhere: no such folder"):
        sync(["nowhere"])


def test_the_log_is_read_as_wandb_reads_it(run: Path) -> None:
    segment = segments(run)[0]
    command = [sys.executable, "-m", "wandb", "leet", "inspect", str(segment.path), "--json"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    theirs = [json.loads(line)["type"] for line in shown.splitlines()]
    assert [record.WhichOneof("record_type") for record in records(segment.log)] == theirs


@pytest.mark.slow
def test_a_training_logged_offline_over_a_stop_becomes_one_run_without_gaps(
    recorder: Recorder, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = compose([*tiny, "tracking.mode=offline", "tracking.project=p"]).config
    with pytest.raises(StoppedError):
        train(config, StopInTheSecondEpoch())
    folder = evaluate(train(config))
    assert recorder.calls == []
    assert only(sync([])) == (3, 3, 0, 0)
    run = recorder.store.only
    expected = {int(row["epoch"] or 0): row for row in read_history(folder.metrics)}
    for name in ("train/loss", "validation/uar"):
        rows = [(row["epoch"], row[name]) for row in run.history if name in row]
        assert [epoch for epoch, _ in rows] == [0, 1, 2]
        assert [value for _, value in rows] == pytest.approx([expected[e][name] for e in (0, 1, 2)], abs=1e-6)
    assert [row["_step"] for row in run.history] == list(range(len(run.history)))
    assert (run.id, run.exit_codes, run.lost) == (folder.attempt_id, [99, 0, 0], [])
    assert run.summary["final/test/uar"] == folder.read_result()["test"]["uar"]


KILLED = """
import os, sys
import ser_lightning.training.lightning_learner as learner
from ser_lightning.cli import main
from ser_lightning.training.history import History

class Killed(History):
    def on_train_batch_end(self, trainer, *_):
        if trainer.current_epoch == 3:
            os.kill(os.getpid(), 9)

learner.History = Killed
main(sys.argv[1:])
"""


def test_a_training_that_was_killed_and_resumed_becomes_one_run_without_gaps(
    recorder: Recorder, tiny: list[str], tmp_path: Path
) -> None:
    words = [*(word for word in tiny if word != "tracking.mode=off"), "training.max_epochs=5"]
    done = subprocess.run([sys.executable, "-c", KILLED, "train", *words], check=False)
    assert done.returncode == -signal.SIGKILL
    assert main(["train", *words]) == 0
    assert main(["sync", f"runs_dir={tmp_path}/runs"]) == 0
    for name in ("train/loss", "validation/uar"):
        assert [row["epoch"] for row in recorder.store.only.history if name in row] == [0, 1, 2, 3, 4]
