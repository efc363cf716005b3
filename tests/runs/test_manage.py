"""Runs are listed, shown and removed; one that is worked on stays."""

import os
import shutil
from pathlib import Path

import pytest

from ser_lightning.cli import main
from ser_lightning.processes.lock import owned
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.manage import state
from ser_lightning.runs.vault import looks


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


def test_a_run_that_was_moved_and_linked_is_looked_at_where_it_was_asked_for_and_removed_with_its_link(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    big = tmp_path / "big"
    big.mkdir()
    run.path.rename(big / run.id)
    run.path.symlink_to(big / run.id)
    assert main(["evaluate", run.id, f"runs_dir={run.path.parent}"]) == 0
    assert [look.run for look in looks(run.path.parent)] == [run.id]
    assert looks(big) == []
    assert main(["runs", "remove", run.id, f"runs_dir={run.path.parent}"]) == 0
    assert f"removed {run.path} and {big / run.id}, to which it was a link\n" in capsys.readouterr().err
    assert not os.path.lexists(run.path) and list(big.iterdir()) == []


def test_what_is_broken_is_listed_beside_what_is_not(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def spoilt(name: str, file: str, content: bytes | None) -> None:
        shutil.copytree(run.path, run.path.with_name(name))
        path = run.path.with_name(name) / file
        path.unlink()
        if content is not None:
            path.write_bytes(content)

    spoilt("empty", "result.json", b"")
    spoilt("half", "result.json", b'{"id": ')
    spoilt("list", "result.json", b"[]")
    spoilt("other", "result.json", b'{"validation": {}}')
    spoilt("torn", "metrics.csv", run.metrics.read_bytes() + b"7,8")
    spoilt("letters", "metrics.csv", b"epoch,step\nx,y\n")
    spoilt("bare", "config.yaml", None)
    run.path.with_name("gone").symlink_to("/nowhere/x")
    run.path.with_name("loop").symlink_to("loop")
    run.path.with_name("notes").mkdir()
    run.path.with_name("file").touch()
    capsys.readouterr()
    assert main(["runs", "list", f"runs_dir={tmp_path / 'runs'}"]) == 0
    told = capsys.readouterr()
    rows = {cells[1].strip(): cells[2].strip() for line in told.out.splitlines() if len(cells := line.split("│")) > 3}
    names = {"empty", "half", "list", "other", "torn", "letters", "bare", "gone", "loop"}
    assert rows == {run.id: "finished"} | dict.fromkeys(names, "broken")
    assert {line.partition(":")[0] for line in told.err.splitlines()} == names
    for name in sorted(names):
        assert main(["runs", "show", name, f"runs_dir={tmp_path / 'runs'}"]) in (0, 1)
        assert len(capsys.readouterr().err.splitlines()) <= 1


@pytest.mark.parametrize("kind", ["file", "dangling link", "circle"])
def test_something_else_in_the_folders_place_is_one_line(
    kind: str, tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "runs"
    if kind == "file":
        place.touch()
    else:
        place.symlink_to(tmp_path / "nowhere" if kind == "dangling link" else place)
    assert main(["train", *tiny, "training.max_epochs=1"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and f"`{place}" in said[0] and "then start the same command again" in said[0]
    assert main(["runs", "list", f"runs_dir={place}"]) == 1
    assert "is no folder of runs, but a file or a link to nothing" in capsys.readouterr().err
