"""Runs are listed, shown and removed; one that is worked on stays."""

import os
from pathlib import Path

import pytest

from ser_lightning.cli import main
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.lock import owned
from ser_lightning.runs.manage import state


@pytest.fixture
def run(trained: RunFolder) -> RunFolder:
    return trained


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_list(run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["runs", "list", f"runs_dir={tmp_path / 'runs'}"]) == 0
    assert run.id in said(capsys)
    assert main(["runs", "list", f"runs_dir={tmp_path / 'none'}"]) == 0
    assert "no runs under" in capsys.readouterr().err
    assert main(["runs", "list", "model=fused"]) == 2


def test_states(run: RunFolder) -> None:
    assert state(run) == "finished"
    with owned(run.lock):
        assert state(run).startswith(f"working: process {os.getpid()} on ")
    run.result.unlink()
    assert state(run) == "unfinished"


def test_show(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "show", str(run.path)]) == 0
    assert "recall high" in said(capsys)
    run.result.unlink()
    assert main(["runs", "show", str(run.path)]) == 0
    assert "unfinished, 3 of at most 3 epochs" in said(capsys)


def test_remove(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    with owned(run.lock):
        assert main(["runs", "remove", str(run.path)]) == 1
    assert run.finished
    assert main(["runs", "remove", str(run.path)]) == 0
    assert not run.path.exists()
    assert {path.name for path in run.path.parent.iterdir()} == {".attempts"}
    assert main(["runs", "remove", run.id, f"runs_dir={run.path.parent}"]) == 1
