"""Studies: made once, found again with their storage, and never mixed up with others."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from ser_lightning.errors import ConfigError, UserError
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.study import StudyFolder, open_study

RATE = "training.learning_rate"
Small = Callable[..., Frozen]


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return StudyFolder(tmp_path / "studies" / "small")


def begin(path: Path) -> None:
    """Open the study that is described in `path`, in a process of its own, and die at the third trial that waits."""
    code = (
        "import os, sys; from pathlib import Path; import optuna; from ser_lightning.sweeps.frozen import Frozen\n"
        "from ser_lightning.sweeps.study import StudyFolder, open_study\n"
        "add, seen = optuna.Study.add_trial, []\n"
        "def dying(study, trial):\n"
        "    seen.append(trial)\n"
        "    os._exit(9) if len(seen) == 3 else add(study, trial)\n"
        "optuna.Study.add_trial = dying\n"
        "open_study(StudyFolder(Path(sys.argv[1]).parent / 'studies' / 'small'), Frozen.read(Path(sys.argv[1])))\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=60).returncode == 9


def test_a_study_is_made_with_all_its_trials_and_found_again(folder: StudyFolder, small: Small) -> None:
    study = open_study(folder, small(5, start=[{RATE: 0.002}, {RATE: 0.003}]))
    assert [trial.state for trial in study.trials] == [TrialState.WAITING] * 5
    assert [study.ask().suggest_float(RATE, 1e-4, 1e-2, log=True) for _ in range(2)] == [0.002, 0.003]
    again = open_study(folder)
    assert len(again.trials) == 5
    assert again.direction.name == "MAXIMIZE"
    assert isinstance(again.pruner, optuna.pruners.MedianPruner)
    assert Frozen.read(folder.frozen) == small(5, start=[{RATE: 0.002}, {RATE: 0.003}])


def test_the_same_again_changes_nothing_and_more_trials_are_added(folder: StudyFolder, small: Small) -> None:
    for total in (4, 4, 7):
        study = open_study(folder, small(total, start=[{RATE: 0.002}]))
        assert len(study.trials) == total
    assert [trial.number for trial in study.trials if "start" in trial.user_attrs] == [0]
    with pytest.raises(ConfigError, match=r"study\.trials=5: .* has 7 trials already; their number can only grow"):
        open_study(folder, small(5, start=[{RATE: 0.002}]))


def test_making_that_was_interrupted_is_completed(folder: StudyFolder, small: Small, tmp_path: Path) -> None:
    frozen = small(6, start=[{RATE: 0.002}])
    frozen.write(tmp_path / "frozen.yaml")
    begin(tmp_path / "frozen.yaml")
    study = open_study(folder)  # a worker that joins
    assert len(study.trials) == 6
    assert [trial.number for trial in study.trials if "start" in trial.user_attrs] == [0]


def test_a_changed_space_is_refused_unless_told(folder: StudyFolder, small: Small) -> None:
    open_study(folder, small(3))
    wider = small(3, space={RATE: {"float": [1e-5, 1e-2], "log": True}})
    with pytest.raises(ConfigError, match=rf"space\.{RATE} .*choose another study\.name"):
        open_study(folder, wider)
    assert Frozen.read(folder.frozen) == small(3)
    open_study(folder, wider, changed=True)
    assert Frozen.read(folder.frozen) == wider
    others = small(3, objectives={"validation.uar": "minimize"})
    with pytest.raises(ConfigError, match=r"scored to maximize; .*another study\.name"):
        open_study(folder, others, changed=True)


def test_a_changed_storage_is_told_without_its_password(folder: StudyFolder, small: Small) -> None:
    open_study(folder, small(3))
    with pytest.raises(ConfigError, match=r"study\.storage") as caught:
        open_study(folder, small(3, storage="postgresql://ann:secret@host/db"))
    assert "ann" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_starting_points_need_room(folder: StudyFolder, small: Small) -> None:
    with pytest.raises(ConfigError, match=r"3 starting points to try, and study\.trials=2 leaves room for 2"):
        open_study(folder, small(2, start=[{RATE: 0.001}, {RATE: 0.002}, {RATE: 0.003}]))


def test_a_name_taken_by_another_folder_is_told(tmp_path: Path, small: Small) -> None:
    frozen = small(2, storage=f"sqlite:///{tmp_path}/shared.db")
    open_study(StudyFolder(tmp_path / "a" / "small"), frozen)
    with pytest.raises(ConfigError, match=rf"study\.name=small: .* of {tmp_path}/a/small; choose another"):
        open_study(StudyFolder(tmp_path / "b" / "small"), frozen)
    optuna.create_study(storage=frozen.study.storage, study_name="foreign").ask()
    foreign = replace(frozen, study=replace(frozen.study, name="foreign"))
    with pytest.raises(ConfigError, match="of another program"):
        open_study(StudyFolder(tmp_path / "foreign"), foreign)


def test_a_storage_that_lost_the_study_is_told(folder: StudyFolder, small: Small) -> None:
    open_study(folder, small(2))
    folder.journal.unlink()
    for frozen in (None, small(2)):
        with pytest.raises(UserError, match="knows no study `small`"):
            open_study(folder, frozen)


def test_a_study_is_found_by_its_name_or_folder(tmp_path: Path, small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_study(StudyFolder(Path("studies/small")), small(2))
    (tmp_path / "link").symlink_to("studies/small")
    for name in ("small", "studies/small", str(tmp_path / "link")):
        found = StudyFolder.find(name)
        assert found.path == tmp_path / "studies" / "small"
        assert len(open_study(found).trials) == 2
    with pytest.raises(UserError, match="no study `smal` under studies/; did you mean `small`"):
        StudyFolder.find("smal")
    with pytest.raises(UserError, match="no study; `ser sweep` makes one"):
        open_study(StudyFolder(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_several_objectives_have_their_directions(folder: StudyFolder, small: Small) -> None:
    objectives = {"validation.uar": "maximize", "parameters": "minimize"}
    study = open_study(folder, small(2, objectives=objectives, pruner={"name": "none"}))
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
