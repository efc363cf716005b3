"""A cross-validation: what it pools, what it does not redo, and what it says of folds that failed."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from ser_lightning.cli import main
from ser_lightning.config.compose import compose
from ser_lightning.crossval.crossval import IncompleteError, crossval
from ser_lightning.crossval.folder import CrossvalFolder
from ser_lightning.crossval.settings import Settings
from ser_lightning.data.proof import LeakError
from ser_lightning.errors import UserError
from ser_lightning.evaluation.pooled import Pooled
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.files import read_csv
from ser_lightning.runs.folder import RunFolder

from ..conftest import copied, words_of
from ..proc import alive, with_descendants
from ..waiting import until
from ..warm import Ser


def three_folds(tiny: list[str]) -> list[str]:
    """Over the tiny corpus's six speakers."""
    kept = [word for word in tiny if not word.startswith("split.")]
    return [*kept, "split=kfold", "split.k=3", "training.max_epochs=2"]


def settings_in(folder: Path) -> Settings:
    return Settings(jobs=2, crossval_dir=str(folder / "crossval"))


@pytest.fixture
def words(tiny: list[str]) -> list[str]:
    return three_folds(tiny)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture(scope="module")
def _whole(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the finished cross-validation of `words`, and its runs."""
    home = tmp_path_factory.mktemp("whole")
    crossval(compose(three_folds(words_of(tiny_corpus, home))).config, settings_in(home))
    return home


@pytest.fixture
def whole(_whole: Path, tmp_path: Path) -> CrossvalFolder:
    """The finished cross-validation of `words`: run once, and copied to where `words` and `settings` would have it."""
    copied(_whole, tmp_path)
    (folder,) = (tmp_path / "crossval").iterdir()
    return CrossvalFolder(folder)


def run_folders(folder: CrossvalFolder, words: list[str]) -> list[RunFolder]:
    runs = Path(next(word for word in words if word.startswith("runs_dir=")).partition("=")[2])
    return [RunFolder(runs / row["run"]) for row in read_csv(folder.folds)]


def test_every_utterance_is_tested_once_and_the_figures_are_those_of_the_pooled_rows(
    words: list[str], whole: CrossvalFolder
) -> None:
    folder = whole
    result, pooled = folder.read_result(), Pooled.read(folder.predictions)
    assert (result["complete"], result["missing"], result["folds"], result["seeds"]) == (True, [], 3, [0])
    assert len(set(pooled.rows.ids)) == len(pooled.rows.ids) == 36
    assert set(pooled.rows.parts) == {"test"}
    chosen = result["figures"]["chosen on validation"]
    assert chosen["uar"] == pytest.approx(balanced_accuracy_score(pooled.rows.targets, pooled.rows.decisions))
    uars = []
    for row, run in zip(read_csv(folder.folds), run_folders(folder, words), strict=True):
        test = Predictions.read(run.predictions).part("test")
        assert set(test.speakers) == set(row["test_speakers"].split(" "))
        np.testing.assert_array_equal(pooled.at(int(row["fold"]), 0).logits, test.logits)
        uars.append(balanced_accuracy_score(test.targets, test.decisions))
    assert chosen["over_folds_and_seeds"]["uar"]["mean"] == pytest.approx(np.mean(uars))
    assert chosen["over_folds_and_seeds"]["uar"]["std"] == pytest.approx(np.std(uars, ddof=1))
    assert "last epoch" in result["figures"]
    assert "selected on test" not in result["figures"]


def test_seeds_and_folds_are_kept_apart_and_selection_on_test_is_labelled(words: list[str], settings: Settings) -> None:
    asked = Settings(jobs=2, seeds=2, selected_on_test=True, crossval_dir=settings.crossval_dir)
    folder = crossval(compose([*words, "seed=5"]).config, asked)
    pooled, result = Pooled.read(folder.predictions), folder.read_result()
    assert pooled.places == [(fold, seed) for fold in range(3) for seed in (5, 6)]
    assert result["seeds"] == [5, 6]
    best = []
    for run in run_folders(folder, words):
        test = Predictions.read(run.predictions).part("test")
        with np.load(run.test_epochs) as kept:
            best.append(max(np.mean(z.argmax(1) == test.targets) for z in kept["logits"]))
    assert result["figures"]["selected on test"]["wa"]["mean"] == pytest.approx(np.mean(best))
    assert "not a fair figure" in result["figures"]["selected on test"]["note"]


def test_a_second_start_does_nothing_and_other_settings_are_another(
    words: list[str], settings: Settings, whole: CrossvalFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    first = whole
    made = [path for path in first.path.iterdir() if path not in (first.log, first.lock)]
    stamps = [path.stat().st_mtime_ns for path in made]
    assert crossval(compose(words).config, settings).path == first.path
    assert [path.stat().st_mtime_ns for path in made] == stamps
    assert "finished already" in capsys.readouterr().err
    other = crossval(compose([*words, "training.max_epochs=1"]).config, settings)
    assert other.id != first.id


def test_a_removed_result_is_pooled_again_without_training(
    words: list[str], settings: Settings, whole: CrossvalFolder
) -> None:
    first = whole
    before, runs = first.read_result(), run_folders(first, words)
    stamps = [run.metrics.stat().st_mtime_ns for run in runs]
    shutil.rmtree(first.path)
    again = crossval(compose(words).config, settings)
    assert again.read_result() == before
    assert [run.metrics.stat().st_mtime_ns for run in runs] == stamps


def test_kill_9_then_all_is_as_without(words: list[str], settings: Settings, tmp_path: Path) -> None:
    """Killed while folds run: started again, what had finished is not redone and the figures are the same."""
    long = [*words, "training.max_epochs=12", f"runs_dir={tmp_path / 'killed'}"]
    command = ["crossval", *long, "jobs=2", f"crossval_dir={tmp_path / 'kcv'}"]
    process = Ser(command, tmp_path / "said")
    until(lambda: list((tmp_path / "killed").glob("*/result.json")), "a finished fold")
    family = with_descendants({process.pid})
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    until(lambda: not family & alive().keys(), "an end of the folds that ran")
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "killed").glob("*/metrics.csv")}
    finished_runs = {path.parent for path in (tmp_path / "killed").glob("*/result.json")}
    assert Ser(command, tmp_path / "said").wait() == 0
    for path, stamp in done.items():
        if path.parent in finished_runs:
            assert path.stat().st_mtime_ns == stamp
    (killed,) = (tmp_path / "kcv").iterdir()
    whole = crossval(compose([*words, "training.max_epochs=12"]).config, settings)
    assert CrossvalFolder(killed).read_result() == whole.read_result()
    assert CrossvalFolder(killed).predictions.read_bytes() == whole.predictions.read_bytes()


def test_a_fold_that_dies_is_reported_and_leaves_the_others(
    words: list[str], settings: Settings, whole: CrossvalFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    """One fold's run folder is locked away: its child fails; mended, the same command trains only that one."""
    broken = run_folders(whole, words)[1]
    before = whole.read_result()
    shutil.rmtree(broken.path)
    broken.path.write_text("a file where the folder should be")
    shutil.rmtree(whole.path)
    # The log cannot be written there either, so that the parent itself would fail: a folder whose lock is a folder.
    broken.path.unlink()
    (broken.path / ".lock").mkdir(parents=True)
    with pytest.raises(IncompleteError, match="1 of 3 runs failed"):
        crossval(compose(words).config, settings)
    result = whole.read_result()
    assert not result["complete"]
    assert [(row["fold"], row["seed"]) for row in result["missing"]] == [(1, 0)]
    assert "incomplete: 1 of 3 runs are missing" in result["labels"]
    row = read_csv(whole.folds)[1]
    assert row["state"] == "failed (exit code 1)"
    assert "IsADirectoryError" in row["reason"]
    assert "IsADirectoryError" in capsys.readouterr().err
    assert len(Pooled.read(whole.predictions).rows.ids) == 24
    (broken.path / ".lock").rmdir()
    assert crossval(compose(words).config, settings).read_result()["figures"] == before["figures"]


def test_a_loss_that_is_not_finite_is_the_reason(words: list[str], settings: Settings, tmp_path: Path) -> None:
    bad = [
        *words,
        "training.weight_decay=1e30",
        "training.optimizer=sgd",
        "training.gradient_clip_val=null",
        "model.dropout=0",
    ]
    with pytest.raises(UserError, match="no fold has finished"):
        crossval(compose(bad).config, settings)
    (folder,) = map(CrossvalFolder, Path(settings.crossval_dir).iterdir())
    assert {row["state"] for row in read_csv(folder.folds)} == {"loss is not finite"}
    assert all("loss is nan in epoch" in row["reason"] for row in read_csv(folder.folds))


def test_ctrl_c_stops_the_folds_and_the_same_command_goes_on(words: list[str], tmp_path: Path) -> None:
    long = [*words, "training.max_epochs=400", "training.patience=null", f"crossval_dir={tmp_path / 'cv'}", "jobs=2"]
    process = Ser(["crossval", *long], tmp_path / "said")
    until(lambda: len(list((tmp_path / "runs").glob("*/metrics.csv"))) == 2, "two folds")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to parent and children alike
    assert process.wait() == 130, process.said
    assert "stopped by SIGINT" in process.said
    assert not list((tmp_path / "runs").glob("*/result.json"))
    assert list((tmp_path / "runs").glob("*/checkpoints/last.ckpt"))


def test_one_fold_is_refused(words: list[str], settings: Settings) -> None:
    with pytest.raises(UserError, match=r"split.fold=1: a cross-validation runs every fold"):
        crossval(compose([*words, "split.fold=1"]).config, settings)


def test_a_leak_in_any_fold_ends_it_before_the_first_run(
    words: list[str], settings: Settings, tiny_corpus: Path, tmp_path: Path
) -> None:
    """One recording under two speakers' names, whom the lists put into different folds."""
    copied = tmp_path / "copied"
    shutil.copytree(tiny_corpus.parent, copied, ignore=shutil.ignore_patterns("cache"))
    shutil.copy(copied / "s4_high_0.wav", copied / "s5_high_0.wav")
    lists = ["split=lists", "split.groups=[[s0,s1],[s2,s3],[s4],[s5]]", f"corpus.root={copied / 'corpus.csv'}"]
    kept = [word for word in words if not word.startswith(("split", "corpus.root"))]
    with pytest.raises(LeakError, match=r"fold 1: .*recordings stand in two parts"):
        crossval(compose([*kept, *lists]).config, settings)
    assert not list(tmp_path.glob("runs/*"))


def test_folds_of_the_random_split_mark_the_result(words: list[str], settings: Settings) -> None:
    kept = [word for word in words if not word.startswith("split")]
    random = [*kept, "split=random_kfold", "split.k=3", "training.max_epochs=1"]
    assert crossval(compose(random).config, settings).read_result()["labels"] == ["speaker_dependent"]


@pytest.mark.slow  # in every run online: tests/tracking/test_proof.py
def test_folds_and_summary_are_one_group_in_wandb(words: list[str], settings: Settings) -> None:
    """Offline files: the children's runs have job type fold, the parent's is the summary."""
    folder = crossval(compose([*words, "tracking.mode=offline"]).config, settings)
    found = [_wandb_run(path) for path in [folder.path, *(run.path for run in run_folders(folder, words))]]
    assert all(folder.id in one for one in found)
    assert "summary" in found[0]
    assert all('"fold"' in one for one in found[1:])
    _check_summary(folder)


def _check_summary(folder: CrossvalFolder) -> None:
    """A chart finds the ends of the intervals on their own; the table has the folds as folds.csv has them."""
    segment = next(folder.path.glob("wandb/offline-run-*"))
    command = [sys.executable, "-m", "wandb", "leet", "inspect", str(segment), "--summary", "--json"]
    shown = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["summary"]
    chosen = folder.read_result()["figures"]["chosen on validation"]
    for name in ("uar", "wa"):
        ends = [shown[f"final/test/{name}_{end}"] for end in ("low", "high")]
        assert ends == chosen["interval"][name]
        assert ends[0] <= shown[f"final/test/{name}"] == chosen[name] <= ends[1]
    (path,) = segment.glob("files/media/table/folds*.json")
    table, pooled = json.loads(path.read_text(encoding="utf-8")), Pooled.read(folder.predictions)
    assert table["columns"] == [*read_csv(folder.folds)[0], "utterances", "uar", "wa"]
    assert [row[:6] for row in table["data"]] == [list(row.values()) for row in read_csv(folder.folds)]
    for fold, row in enumerate(table["data"]):
        rows = pooled.at(fold, 0)
        uar = balanced_accuracy_score(rows.targets, rows.decisions)
        assert row[6:] == [12, pytest.approx(uar), pytest.approx(np.mean(rows.targets == rows.decisions))]


def _wandb_run(path: Path) -> str:
    """What W&B's own reader says of a folder's first offline segment."""
    segment = min(path.glob("wandb/offline-run-*"))
    command = [sys.executable, "-m", "wandb", "leet", "inspect", str(segment), "--json"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return next(line for line in shown.splitlines() if "job_type" in line or "jobType" in line)


def test_what_a_kill_kept_from_the_dashboard_is_made_up_for(
    words: list[str], settings: Settings, whole: CrossvalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after result.json, before the summary run was logged."""
    shutil.rmtree(whole.path)  # its runs are there
    logged = [*words, "tracking.mode=offline"]
    with monkeypatch.context() as broken:
        broken.setattr("ser_lightning.crossval.track.tracked", _die)
        with pytest.raises(KeyboardInterrupt):
            crossval(compose(logged).config, settings)
    (folder,) = map(CrossvalFolder, Path(settings.crossval_dir).iterdir())
    assert folder.complete and folder.confusion.exists()
    assert not list(folder.path.glob("wandb/offline-run-*"))
    for _ in range(2):
        crossval(compose(logged).config, settings)
        assert len(list(folder.path.glob("wandb/offline-run-*"))) == 1


def test_what_wandb_lost_is_told_by_the_next_start_and_fails_nothing(
    words: list[str], settings: Settings, whole: CrossvalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(whole.path)  # its runs are there
    config = compose([*words, "tracking.mode=offline"]).config
    with monkeypatch.context() as broken:
        broken.setattr("ser_lightning.crossval.track._log_folds", _broken_pipe)
        folder = crossval(config, settings)
    assert folder.complete and not folder.tracked.exists()
    crossval(config, settings)
    assert folder.tracked.exists()


def _broken_pipe(*_: object) -> None:
    raise BrokenPipeError("wandb's process is gone")


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_the_verb_prints_the_figures(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crossval", *words, f"crossval_dir={tmp_path / 'cv'}", "jobs=2"]) == 0
    shown = capsys.readouterr().out
    assert "chosen on validation" in shown
    assert "over folds" in shown
    assert main(["crossval", *words, "jobs=many"]) == 2
    assert main(["crossval", *words, "job=2"]) == 2


def test_folds_run_apart_are_gathered_to_what_one_process_gets(
    words: list[str], whole: CrossvalFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apart = [word for word in words if not word.startswith("runs_dir=")] + [f"runs_dir={tmp_path}/apart"]
    into = f"crossval_dir={tmp_path}/gathered"
    for fold in (2, 0):
        assert main(["crossval", *apart, into, f"only={fold}"]) == 0
        assert "gather=true" in capsys.readouterr().err
    assert main(["crossval", *apart, into, "gather=true"]) == 1
    (partly,) = (tmp_path / "gathered").iterdir()
    assert [row["fold"] for row in CrossvalFolder(partly).read_result()["missing"]] == [1]
    assert main(["crossval", *apart, into, "only=1"]) == main(["crossval", *apart, into, "gather=true"]) == 0
    gathered = CrossvalFolder(partly)
    assert gathered.predictions.read_bytes() == whole.predictions.read_bytes()
    assert gathered.read_result()["figures"] == whole.read_result()["figures"]
    assert main(["crossval", *apart, into, "only=3"]) == 2
