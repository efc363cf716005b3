"""Where the runs of a cross-validation are looked for, and which of its folds are taken."""

import shutil
from pathlib import Path

import pytest

from ser_lightning.errors import UserError
from ser_lightning.reports.settings import Compare, Places
from ser_lightning.reports.system import open_system

from .conftest import Shelf, Study


@pytest.fixture
def elsewhere(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cross-validation whose runs lie in `mine`, as its configuration says, started where there is another `runs`."""
    shelf.crossval(Study(name="cv"))
    shutil.move(shelf.root / "runs", shelf.root / "mine")
    (shelf.root / "runs" / "other").mkdir(parents=True)
    config = shelf.root / "crossval" / "cv" / "config.yaml"
    config.write_text(config.read_text().replace("runs_dir: runs\n", "runs_dir: mine\n"))
    monkeypatch.chdir(shelf.root)
    return shelf.root


def homes(name: str, places: Places) -> set[Path]:
    return {run.path.parent.resolve() for runs in open_system(name, places).runs.values() for run in runs}


def test_runs_are_taken_from_where_the_configuration_says(elsewhere: Path) -> None:
    assert homes("cv", Places()) == {elsewhere / "mine"}


def test_runs_are_found_from_another_folder(
    elsewhere: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("away"))
    assert homes(str(elsewhere / "crossval" / "cv"), Places()) == {elsewhere / "mine"}
    shutil.rmtree(elsewhere / "runs")
    shutil.move(elsewhere / "mine", elsewhere / "runs")
    assert homes(str(elsewhere / "crossval" / "cv"), Places()) == {elsewhere / "runs"}


def test_a_folder_that_is_named_wins(elsewhere: Path) -> None:
    shutil.copytree("mine", "copied")
    assert homes("cv", Places(runs_dir="copied")) == {elsewhere / "copied"}
    with pytest.raises(UserError, match=r"cv: its run cv-f0s0 is not in runs/; name the folder .* runs_dir="):
        open_system("cv", Places(runs_dir="runs"))


def test_runs_that_are_gone_are_said_with_the_places(elsewhere: Path) -> None:
    (elsewhere / "mine" / "cv-f3s0" / "result.json").unlink()
    with pytest.raises(UserError, match=r"its run cv-f3s0 is not in mine/, .*/mine/, .*/runs/"):
        open_system("cv", Places())


def test_folds_that_are_not_finished_are_left_out(shelf: Shelf) -> None:
    shelf.crossval(Study(name="cv", missing={(1, 0): "failed"}))
    system = open_system("cv", Compare(str(shelf.root / "runs"), str(shelf.root / "crossval")))
    assert sorted(system.runs) == system.pooled.places == [(0, 0), (2, 0), (3, 0), (4, 0)]
