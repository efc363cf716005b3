"""One log a run: in order of time, ranks named, the reason of the end last."""

import os
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ser_lightning.config.compose import compose
from ser_lightning.errors import ConfigError, StoppedError
from ser_lightning.files import write_json
from ser_lightning.processes.lock import owned
from ser_lightning.processes.stopping import StopRequest
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.read_log import lines, logs
from ser_lightning.runs.settings import Logs
from ser_lightning.runs.train import train

from ..waiting import until

BASE = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def at(seconds: float) -> str:
    """A time as run.log has it: the machine's own."""
    return (BASE + timedelta(seconds=seconds)).astimezone().strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]


def begun(name: str, seconds: float) -> str:
    """A line as the launcher writes it: in UTC."""
    return f"--- begun: {name}, {(BASE + timedelta(seconds=seconds)).isoformat(timespec='seconds')}"


def write(path: Path, *text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in text), encoding="utf-8")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Two ranks, the second lost in the first attempt, both stopped in the second."""
    found = RunFolder(tmp_path / "r")
    write(
        found.log,
        f"{at(0)} INFO started",
        f"{at(9.5)} ERROR ended: UserError: rank 1: killed",
        "  its last words",
        f"{at(20)} INFO started",
        f"{at(30)} ERROR ended: StoppedError: stopped by SIGUSR1",
    )
    write(found.path / "logs/rank0.log", begun("rank 0", 1), "epoch 0", "", begun("rank 0", 21), "epoch 1")
    write(found.path / "logs/rank1.log", begun("rank 1", 3), "cold", begun("rank 1", 22))
    return found


def test_logs_are_merged_in_time_with_ranks_named_and_the_reason_last(run: RunFolder) -> None:
    assert list(lines(run)) == [
        f"{at(0)} INFO started",
        f"[rank 0] {begun('rank 0', 1)}",
        "[rank 0] epoch 0",
        f"[rank 1] {begun('rank 1', 3)}",
        "[rank 1] cold",
        f"{at(9.5)} ERROR ended: UserError: rank 1: killed",
        "  its last words",
        f"{at(20)} INFO started",
        f"[rank 0] {begun('rank 0', 21)}",
        "[rank 0] epoch 1",
        f"[rank 1] {begun('rank 1', 22)}",
        f"{at(30)} ERROR ended: StoppedError: stopped by SIGUSR1",
        "--- ended: StoppedError: stopped by SIGUSR1",
    ]


def test_times_of_several_zones_are_compared_as_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(time.tzset)
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    run = RunFolder(tmp_path / "r")
    write(run.log, "2024-05-01 17:45:01,000 INFO started")  # 12:00:01 in UTC
    write(run.process_log, begun("child", 0))
    assert [line[:10] for line in lines(run)][:2] == ["--- begun:", "2024-05-01"]
    monkeypatch.undo()


def last(run: RunFolder) -> str:
    return list(lines(run))[-1]


def test_how_a_run_stands(run: RunFolder) -> None:
    with owned(run.lock):
        assert last(run) == f"--- working: process {os.getpid()} on {socket.gethostname()}"
    write(run.log, f"{at(0)} ERROR ended: UserError: two\nlines", f"{at(1)} INFO started")
    assert last(run).startswith("--- ended without a word: killed, or its node was lost")
    write(run.log, f"{at(0)} ERROR ended: UserError: two\nlines")
    assert last(run) == "--- ended: UserError: two\nlines"
    write(run.log, f"{at(0)} INFO started", f"{at(1)} INFO finished")
    write_json(run.result, {"validation": {"uar": 0.75}, "test": {"uar": 0.5}})
    assert last(run) == "--- finished: validation UAR 0.750, test UAR 0.500"
    assert last(RunFolder(run.path / "other")) == "--- nothing was logged yet"


def test_following_shows_what_comes_until_nobody_works_on_it(run: RunFolder) -> None:
    seen: list[str] = []
    free, going = threading.Event(), threading.Event()

    def work() -> None:
        with owned(run.lock):
            going.set()
            free.wait()

    worker = threading.Thread(target=work)
    worker.start()
    going.wait()
    reader = threading.Thread(target=lambda: seen.extend(lines(run, follow=True)))
    reader.start()
    until(lambda: len(seen) == 12, "what was there")
    with run.log.open("a", encoding="utf-8") as file:
        file.write(f"{at(40)} INFO started\nhalf ")
        file.flush()
        until(lambda: len(seen) == 13, "a whole line")
        file.write("a line\n")
    write(run.path / "logs/rank2.log", begun("rank 2", 41))
    free.set()
    reader.join()
    worker.join()
    assert seen[12] == f"{at(40)} INFO started"
    assert sorted(seen[13:-1]) == [f"[rank 2] {begun('rank 2', 41)}", "half a line"]
    assert seen[-1].startswith("--- ended without a word")


def test_a_stopped_training_says_so_last(tiny: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    stop = StopRequest()
    stop.request("SIGUSR1", 138)
    with pytest.raises(StoppedError):
        train(compose(tiny).config, stop)
    runs_dir = next(word for word in tiny if word.startswith("runs_dir="))
    name = next(Path(runs_dir.partition("=")[2]).glob("table-*")).name
    capsys.readouterr()
    logs([name, runs_dir])
    out = capsys.readouterr().out.splitlines()
    assert out[0].endswith("INFO started")
    assert out[-1].startswith("--- ended: StoppedError: stopped by SIGUSR1")


def test_one_run_is_named(tiny: list[str]) -> None:
    for words in ([], ["a", "b"], ["follow=true"]):
        with pytest.raises(ConfigError, match="name one run"):
            logs(words)
    with pytest.raises(ConfigError, match="unknown setting `folow`; did you mean `follow`"):
        logs(["a", "folow=true"])
    assert not Logs().follow


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    config = tmp_path / "r" / "config.yaml"
    config.parent.mkdir()
    config.touch()
    code = (
        "import sys; from pathlib import Path\n"
        "from ser_lightning.runs import read_log; from ser_lightning.runs.folder import RunFolder\n"
        "read_log.open_run = lambda name, words: (RunFolder(Path(name)), None)\n"
        "read_log.lines = lambda run, follow: (f'line {i}' for i in range(100_000))\n"
        "read_log.logs([sys.argv[1]])\n"
    )
    reader = subprocess.Popen(
        [sys.executable, "-c", code, str(config.parent)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert reader.stdout
    assert reader.stderr
    assert reader.stdout.readline() == "line 0\n"
    reader.stdout.close()
    assert reader.wait(60) == 0
    assert reader.stderr.read() == ""
    reader.stderr.close()
