"""Storages that go away and come back: a call waits, is made once, and a worker's trainings go on meanwhile."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.study import Study
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from ser_lightning.errors import StoppedError, UserError
from ser_lightning.files import read_csv
from ser_lightning.sweeps import outage, storage
from ser_lightning.sweeps.outage import OutageError, Patient, meanwhile
from ser_lightning.sweeps.storage import open_storage
from ser_lightning.sweeps.sweep import sweep

from ..waiting import until
from . import postgres as pg
from . import trials

stand = trials.stand


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "PAUSES", (0.05, 0.2))
    monkeypatch.setattr(outage, "TICK", 0.02)


class Flaky(InMemoryStorage):
    """Fails the first `before` calls of a method, then loses the answers of `after` calls that are carried out."""

    def __init__(self, method: str, before: int = 0, after: int = 0) -> None:
        super().__init__()
        self.before, self.after, self.calls = before, after, 0
        self._really = getattr(self, method)
        setattr(self, method, self._call)

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        if self.calls <= self.before:
            raise StorageInternalError("commit") from ConnectionError("away")
        found = self._really(*args, **kwargs)
        if self.calls <= self.before + self.after:
            raise ConnectionError("the answer is lost")
        return found


def study_on(flaky: Flaky) -> Study:
    patient: Any = Patient(flaky, "study.storage: the test", (ConnectionError,))
    return optuna.create_study(storage=patient)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def test_a_call_is_made_again_and_an_outage_is_told_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study, slept, between = study_on(flaky := Flaky("set_trial_user_attr", before=4)), [0.0], list[float]()
    trial = study.ask()

    def tick() -> None:
        between.append(slept[0])
        slept[0] = 0.0

    def sleep(seconds: float) -> None:
        slept[0] += seconds
        now[0] += seconds

    now = [0.0]
    monkeypatch.setattr(outage, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    with meanwhile(study, tick):
        trial.set_user_attr("key", "value")
    assert study.trials[0].user_attrs == {"key": "value"}
    assert flaky.calls == 5
    told = said(capsys)
    assert told.count("study.storage: the test does not answer") == told.count("is back after") == 1
    assert now[0] == pytest.approx(0.05 + 0.1 + 0.2 + 0.2)
    assert max(between) <= outage.TICK, "what goes on meanwhile does not wait for a pause's end"


def test_what_passes_at_once_is_not_spoken_of(capsys: pytest.CaptureFixture[str]) -> None:
    study_on(Flaky("set_trial_user_attr", before=1)).ask().set_user_attr("key", "value")
    assert "answer" not in said(capsys)


def test_a_trial_whose_end_was_told_but_not_confirmed_is_told_once() -> None:
    for state, values in [(TrialState.COMPLETE, [0.5]), (TrialState.PRUNED, None), (TrialState.FAIL, None)]:
        study = study_on(flaky := Flaky("set_trial_state_values", after=1))
        study.tell(study.ask(), values, state)
        assert (flaky.calls, study.trials[0].state, study.trials[0].values) == (1, state, values)


def test_a_trial_that_somebody_else_ended_is_not_taken_for_one_s_own() -> None:
    study = study_on(flaky := Flaky("set_trial_state_values", before=1))
    trial = study.ask()

    def meddle() -> None:
        if not flaky.get_trial(trial._trial_id).state.is_finished():
            flaky._really(trial._trial_id, TrialState.FAIL)

    with meanwhile(study, meddle), pytest.raises(UpdateFinishedTrialError):
        study.tell(trial, 0.5)


def test_a_value_that_was_drawn_but_not_confirmed_is_drawn_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: Any = open_storage(f"sqlite:///{tmp_path}/study.db", tmp_path)
    study, backend, calls = optuna.create_study(storage=opened), opened.inner._backend, list[object]()
    really = backend._set_trial_param

    def lose(*args: Any) -> None:
        really(*args)
        calls.append(args)
        raise StorageInternalError("commit") from OperationalError("INSERT", {}, Exception("server closed"))

    monkeypatch.setattr(backend, "_set_trial_param", lose)
    drawn = study.ask().suggest_float("x", 0, 1)
    assert (study.trials[0].params, len(calls)) == ({"x": drawn}, 1)


def test_what_is_no_outage_is_not_waited_for() -> None:
    study = study_on(Flaky("set_trial_user_attr"))
    with pytest.raises(KeyError):
        study._storage.get_trial(7)
    broken: Any = Patient(Flaky("set_trial_user_attr", before=1), "a test", (TimeoutError,))
    trial = optuna.create_study(storage=broken).ask()
    with pytest.raises(StorageInternalError):
        trial.set_user_attr("key", "value")


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[str]:
    """A server that these tests may stop."""
    if reason := pg.missing():
        pytest.skip(reason)
    with pg.server() as url:
        yield url


def test_a_storage_that_stays_away_is_named_without_its_password(
    own_postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = optuna.create_study(storage=open_storage(own_postgres.replace("ser@", "ser:secret@"), tmp_path))
    monkeypatch.setattr(outage, "LONGEST", 0.5)
    pg.stop(own_postgres)
    try:
        with pytest.raises(UserError, match=r"postgresql database `postgres` has not answered.*start the same") as told:
            study.get_trials()
    finally:
        pg.start(own_postgres)
    assert "secret" not in str(told.value)
    assert study.get_trials() == []


SERVE = "import optuna.storages as s, sys; s.run_grpc_proxy_server(s.RDBStorage(sys.argv[1]), port=int(sys.argv[2]))"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[tuple[str, Callable[[], "subprocess.Popen[bytes]"]]]:
    """The URL of a gRPC proxy, and what starts it, once and again."""
    pytest.importorskip("grpc")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    servers: list[subprocess.Popen[bytes]] = []

    def start() -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", SERVE, f"sqlite:///{tmp_path}/study.db", port]
        servers.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        return servers[-1]

    yield f"grpc://127.0.0.1:{port}", start
    for server in servers:
        server.kill()
        server.wait()


def test_a_proxy_that_is_started_again_is_found_again(
    serve: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, start = serve
    server = start()
    study = optuna.create_study(storage=open_storage(url, tmp_path))
    trial = study.ask()
    server.kill()
    server.wait()
    later = threading.Timer(1.0, start)
    later.start()
    trial.suggest_float("x", 0, 1)
    study.tell(trial, 0.5)
    later.join()
    assert study.trials[0].values == [0.5]
    assert f"the gRPC proxy at {url[len('grpc://') :]} does not answer (UNAVAILABLE" in said(capsys)


def test_a_proxy_that_hangs_is_not_waited_for_without_end(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, start = serve
    server = start()
    study = optuna.create_study(storage=open_storage(url, tmp_path))
    monkeypatch.setattr(storage, "ANSWER", 0.3)
    monkeypatch.setattr(outage, "LONGEST", 0.5)
    server.send_signal(signal.SIGSTOP)
    with pytest.raises(UserError, match=r"has not answered .* DEADLINE_EXCEEDED"):
        study.get_trials()


NO_PRUNER = {"name": "none"}


def test_a_worker_outlives_its_database(stand: Any, own_postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server vanishes while a trial trains: the training gets on, its heartbeat goes on, and nothing is lost."""
    told = StringIO()
    monkeypatch.setattr(outage, "say", lambda text, **_: told.write(text))

    def vanish() -> None:
        metrics = until(lambda: list(stand.folder.glob("runs/*/metrics.csv")), "an epoch")[0]
        pg.stop(own_postgres)
        epochs, beats = len(read_csv(metrics)), set[float]()

        def beaten() -> bool:
            beats.add((metrics.parent / "heartbeat").stat().st_mtime)
            return len(beats) > 3

        until(beaten, "heartbeats without a database")
        until(lambda: len(read_csv(metrics)) > epochs, "epochs without a database")
        until(lambda: "does not answer" in told.getvalue(), "a word of it")
        pg.start(own_postgres)

    own = ["training.max_epochs=60", "training.patience=null"]
    stand.write(
        {trials.RATE: trials.RATES}, *own, study={"trials": 2, "pruner": NO_PRUNER, "name": "outlive", "stale": 3.0}
    )
    thread = threading.Thread(target=vanish)
    thread.start()
    sweep(["s.yaml", f"study.storage={own_postgres}"])
    thread.join()
    assert told.getvalue().count("does not answer") == told.getvalue().count("is back after") == 1
    study = optuna.load_study(study_name="outlive", storage=open_storage(own_postgres, stand.folder))
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2
    for trial in study.trials:
        assert trial.user_attrs["adoptions"] == 0
        assert sorted(trial.intermediate_values) == list(range(60))
        assert [int(row["epoch"]) for row in read_csv(trials.run_of(trial).metrics)] == list(range(60))


def test_an_outage_where_a_trial_begins_is_no_failure_of_it(stand: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    stand.write({trials.RATE: trials.RATES}, study={"trials": 1, "pruner": NO_PRUNER})
    with monkeypatch.context() as bad:
        bad.setattr(outage, "LONGEST", 0.3)
        bad.setattr(JournalStorage, "set_trial_param", away)
        with pytest.raises(OutageError, match=r"the journal .* has not answered .*Input/output error"):
            sweep(["s.yaml"])
    assert [trial.state for trial in stand.study().trials] == [TrialState.RUNNING]
    sweep(["s.yaml"])
    (trial,) = stand.study().trials
    assert (trial.state, trial.user_attrs["adoptions"]) == (TrialState.COMPLETE, 0)


def during_an_outage(stand: Any, url: str, name: str, act: Callable[[], None]) -> None:
    """Sweep over one long trial; its database vanishes after the first epoch, then `act` is called."""

    def vanish() -> None:
        until(lambda: list(stand.folder.glob("runs/*/metrics.csv")), "an epoch")
        pg.stop(url)
        act()

    own = ["training.max_epochs=100000", "training.patience=null"]
    stand.write({trials.RATE: [0.01]}, *own, study={"trials": 1, "pruner": NO_PRUNER, "name": name})
    thread = threading.Thread(target=vanish)
    thread.start()
    try:
        sweep(["s.yaml", f"study.storage={url}"])
    finally:
        thread.join()
        pg.start(url)


def was_let_go(stand: Any, name: str) -> bool:
    told = json.loads((stand.folder / "studies" / name / "owners" / "0.0").read_text(encoding="utf-8"))
    return bool(told["left"]) and len(list(stand.folder.glob("runs/*/checkpoints/last.ckpt"))) == 1


def test_a_worker_whose_database_stays_away_lets_its_trials_go(
    stand: Any, own_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage, "LONGEST", 1.0)
    with pytest.raises(OutageError, match="`postgres` has not answered"):
        during_an_outage(stand, own_postgres, "away", lambda: None)
    assert was_let_go(stand, "away")


def test_a_worker_can_be_stopped_while_its_database_is_away(stand: Any, own_postgres: str) -> None:
    def ask() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StoppedError) as told:
        during_an_outage(stand, own_postgres, "stopped", ask)
    assert told.value.exit_code == 128 + signal.SIGTERM
    assert was_let_go(stand, "stopped")
