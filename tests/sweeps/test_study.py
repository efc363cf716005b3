"""Studies: made once, found again with their storage, and never mixed up with others."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import optuna
import pytest
import yaml
from optuna.trial import TrialState

from ser_lightning.errors import ConfigError, UserError
from ser_lightning.sweeps.finalize import finalize
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.settings import InnerFolds
from ser_lightning.sweeps.study import StudyFolder, open_study
from ser_lightning.sweeps.sweep import worker

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
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 9


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


def test_a_study_of_another_result_version_is_shown_but_not_continued(folder: StudyFolder, small: Small) -> None:
    open_study(folder, small(3))
    tree = yaml.safe_load(folder.frozen.read_text())
    del tree["version"]  # as the first version wrote it
    folder.frozen.write_text(yaml.safe_dump(tree))
    words = [str(folder.path)]
    for goes_on in (
        lambda: open_study(folder, small(4)),
        lambda: open_study(folder, small(4), changed=True),
        lambda: worker(words),
        lambda: finalize(words),
    ):
        with pytest.raises(ConfigError, match=r"begun under result version 1, .*choose another study\.name") as caught:
            goes_on()
        assert "\n" not in str(caught.value)
    assert len(open_study(folder).trials) == 3
    assert "version" not in yaml.safe_load(folder.frozen.read_text())


def test_a_changed_space_is_refused_unless_told(folder: StudyFolder, small: Small) -> None:
    open_study(folder, small(3))
    wider = small(3, space={RATE: {"float": [1e-5, 1e-2], "log": True}})
    with pytest.raises(ConfigError, match=rf"space\.{RATE} .*choose another study\.name"):
        open_study(folder, wider)
    assert Frozen.read(folder.frozen) == small(3)
    open_study(folder, wider, changed=True)
    assert Frozen.read(folder.frozen) == wider


def searched(small: Small, written: object) -> Frozen:
    return small(3, space={RATE: written})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([0.001, 0.002], [0.001, 0.002, 0.003]),
        ([0.001, 0.002], [0.002, 0.001]),
        ([0.001, 0.002], {"float": [0.001, 0.002]}),
        ({"float": [0.001, 0.002]}, {"float": [0.001, 0.002], "log": True}),
        ({"float": [1, 2]}, {"int": [1, 2]}),
    ],
)
def test_what_optuna_would_refuse_in_the_middle_is_refused_before(
    folder: StudyFolder, small: Small, before: object, after: object
) -> None:
    study = open_study(folder, searched(small, before))
    searched(small, before).searched.suggest(study.ask())
    with pytest.raises(ValueError, match=r"[Cc]annot set different|does not support dynamic value space"):
        searched(small, after).searched.suggest(study.ask())
    with pytest.raises(
        ConfigError, match=rf"cannot go on with another space\.{RATE} \(Optuna keeps .*another study.name"
    ):
        open_study(folder, searched(small, after), changed=True)
    assert Frozen.read(folder.frozen) == searched(small, before)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"objectives": {"validation.uar": "minimize"}}, r"study\.objectives\.validation\.uar \(.* scored by others"),
        ({"objectives": {"validation.wa": "maximize"}}, r"study\.objectives\.validation\.wa"),
        ({"crossval": InnerFolds(3)}, r"study\.crossval\.folds .*on other folds"),
        ({"storage": "postgresql://ann:secret@host/db"}, r"study\.storage \(its trials are not there"),
    ],
)
def test_trials_that_could_not_be_compared_are_refused_always(
    folder: StudyFolder, small: Small, given: dict[str, object], words: str
) -> None:
    open_study(folder, small(3))
    for changed in (False, True):
        with pytest.raises(ConfigError, match=words) as caught:
            open_study(folder, small(3, **given), changed)
        assert "secret" not in str(caught.value)
    assert Frozen.read(folder.frozen) == small(3)


def test_other_data_and_constraints_are_refused_but_not_another_place_or_training(
    folder: StudyFolder, small: Small
) -> None:
    base = {"training": {"learning_rate": 1e-3}, "corpus": {"root": "a", "classes": ["x"]}, "split": {"seed": 1}}
    known = replace(small(3), base=base)
    open_study(folder, known)
    for key, section in (("corpus.classes", {"root": "a", "classes": ["y"]}), ("split.seed", {"seed": 2})):
        other = replace(known, base=base | {key.partition(".")[0]: section})
        with pytest.raises(
            ConfigError, match=rf"another base\.{key} \(its trials were scored on other validation parts"
        ):
            open_study(folder, other, changed=True)
    with pytest.raises(ConfigError, match=r"another constraints\.parameters"):
        open_study(folder, replace(known, constraints={"parameters": 9.0}), changed=True)
    moved = base | {"corpus": {"root": "b", "classes": ["x"]}, "training": {"learning_rate": 1e-2}}
    study = replace(known.study, sampler={"name": "random"}, failures=9)
    with pytest.raises(ConfigError, match=r"began with something else: .*base\.corpus\.root \(a / b\).*changed=true"):
        open_study(folder, replace(known, base=moved))
    open_study(folder, replace(known, base=moved, study=study), changed=True)
    assert Frozen.read(folder.frozen).base == moved


def test_a_new_password_is_no_other_storage_and_is_shown_nowhere(
    folder: StudyFolder,
    small: Small,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/study.db")
    monkeypatch.setattr("ser_lightning.sweeps.study.open_storage", lambda url, folder: place)
    for secret in ("hush/7", "other@9"):
        open_study(folder, small(3, storage=f"postgresql://ann:{quote(secret, safe='/')}@host/db"))
        said = " ".join(capsys.readouterr().err.split())
        assert "closed to other users now; ~/.pgpass or PGPASSWORD" in said and secret not in said
        assert (folder.path.stat().st_mode & 0o777) == 0o700
    assert "other%409" in folder.frozen.read_text(), "workers need it"


def test_a_start_added_where_no_trial_is_left_is_told(folder: StudyFolder, small: Small) -> None:
    open_study(folder, small(2))
    with pytest.raises(ConfigError, match=r"1 starting points to try, and study\.trials=2 leaves room for 0"):
        open_study(folder, small(2, start=[{RATE: 0.002}]), changed=True)
    assert Frozen.read(folder.frozen) == small(2)
    study = open_study(folder, small(3, start=[{RATE: 0.002}]), changed=True)
    assert [trial.number for trial in study.trials if "start" in trial.user_attrs] == [2]


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
