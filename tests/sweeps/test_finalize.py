"""Finalizing: which trial wins, what is trained and tested, what is said beside it, and the experiment of it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
import pytest
import yaml
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial
from sklearn.metrics import balanced_accuracy_score

from ser_lightning.config.compose import compose
from ser_lightning.config.experiment import experiment_files, write_experiment
from ser_lightning.config.identity import identity
from ser_lightning.config.tree import leaves
from ser_lightning.errors import ConfigError, UserError
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.files import read_csv
from ser_lightning.runs.evaluate import evaluate
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.prepare import prepare
from ser_lightning.runs.train import train
from ser_lightning.runs.vault import looks
from ser_lightning.sweeps.final import FinalFolder
from ser_lightning.sweeps.finalize import _plan as plan_of
from ser_lightning.sweeps.finalize import finalize
from ser_lightning.sweeps.finalize_show import notes, show
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.settings import InnerFolds, StudySettings
from ser_lightning.sweeps.study import StudyFolder, open_study
from ser_lightning.sweeps.sweep_file import _absolute
from ser_lightning.sweeps.winner import check_ended, tried, winner

RATE = "training.learning_rate"
Values = Sequence[float] | None


def add(study: optuna.Study, values: Values, run: str = "", **excess: float) -> None:
    """A trial that has ended: COMPLETE where it has values, else PRUNED."""
    trial = study.ask({RATE: FloatDistribution(1e-5, 1.0)})
    for key, most in excess.items():
        trial.set_constraint(key, most)
    if run:
        trial.set_user_attr("run", run)
    study.tell(trial, values, TrialState.COMPLETE if values else TrialState.PRUNED)


def frozen_for(objectives: dict[str, Any]) -> Frozen:
    study = StudySettings("s", objectives=objectives, pruner={"name": "none"})
    return Frozen(study, {"training": {"learning_rate": 1e-3}}, {}, {RATE: {"float": [1e-5, 1.0]}}, {}, [], [])


def test_the_best_that_meets_the_constraints_wins_and_the_first_of_equals() -> None:
    cases: tuple[tuple[Literal["maximize", "minimize"], int], ...] = (("maximize", 1), ("minimize", 4))
    for direction, expected in cases:
        study = optuna.create_study(direction=direction)
        found = [(0.9, 5.0), (0.8, -1.0), (0.8, 0.0), (0.7, 0.0), (0.2, 0.0), (0.1, 1.0)]
        for value, excess in found:
            add(study, [value], parameters=excess)
        add(study, None)
        frozen = frozen_for({"validation.uar": direction})
        assert winner(study, frozen).number == expected
        assert winner(study, frozen, "3").number == 3
        with pytest.raises(UserError, match=r"exceeds the study's constraints \(parameters by 5\)"):
            winner(study, frozen, "0")
        with pytest.raises(UserError, match="PRUNED, not COMPLETE"):
            winner(study, frozen, "6")
        with pytest.raises(UserError, match="has the trials 0 to 6"):
            winner(study, frozen, "7")
        with pytest.raises(ConfigError, match="`best`, or the number of a trial"):
            winner(study, frozen, "worst")


def test_several_objectives_have_a_front_of_which_one_is_named() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    for values in ([0.9, 900.0], [0.5, 100.0], [0.5, 500.0]):  # the last is beaten by the second
        add(study, values)
    frozen = frozen_for({"validation.uar": "maximize", "parameters": "minimize"})
    with pytest.raises(ConfigError, match=r"select=0: validation.uar 0.9, parameters 900\n  select=1:") as error:
        winner(study, frozen)
    assert "select=2" not in str(error.value)
    assert winner(study, frozen, "1").number == 1


def test_configurations_are_counted_once_and_trials_without_a_run_only_as_trials() -> None:
    study = optuna.create_study()
    for run in ("/a/x", "/a/y", "/a/x", ""):
        add(study, [1.0], run)
    assert tried(study) == {"trials": 4, "begun": 3, "configurations": 2}


@pytest.fixture
def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


Made = Callable[..., StudyFolder]


@pytest.fixture
def made(tiny: list[str], stand: Path) -> Made:
    """`made(*words, **settings)`: a study of two trials, at rates 0.001 and 0.02, the second the better one."""

    def make(*words: str, **settings: Any) -> StudyFolder:
        base = [word for word in tiny if not word.startswith("split.")] if words else tiny
        config = compose([*base, "training.max_epochs=1", *words]).config
        space = {RATE: {"float": [1e-4, 1e-1]}}
        start = [{RATE: 0.001}, {RATE: 0.02}]
        study = StudySettings("s", trials=2, pruner={"name": "none"}, **settings)
        frozen = Frozen(study, _absolute(asdict(config)), {}, space, {}, start, [])
        folder = StudyFolder(stand / "studies" / "s")
        opened = open_study(folder, frozen)
        for score in (0.25, 0.75):
            trial = opened.ask()
            values = frozen.searched.suggest(trial)
            trial.set_user_attr("run", str(prepare(_first(frozen, values, trial.number)).run_path))
            opened.tell(trial, score)
        return folder

    return make


def _first(frozen: Frozen, values: dict[str, Any], number: int) -> Any:
    config = frozen.config(values, number)
    return replace(config, split=config.split | {"fold": 0}) if frozen.study.crossval else config


def runs_of(final: FinalFolder, stand: Path) -> list[RunFolder]:
    return [RunFolder(stand / "runs" / row["run"]) for row in read_csv(final.folds)]


def test_the_winner_is_trained_with_every_seed_and_tested_once(
    made: Made, stand: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made()
    frozen = Frozen.read(folder.frozen)
    other = evaluate(train(frozen.config({RATE: 0.001}, 0)))
    searched = train(frozen.config({RATE: 0.02}, 1))
    final = finalize(["s", "seeds=2"])
    runs, found = runs_of(final, stand), final.read()
    assert [run.read_config().seed for run in runs] == [1, 2], "the run of the search has seed 0"
    assert {run.read_config().training.learning_rate for run in runs} == {0.02}
    assert {run.read_config().tracking.job_type for run in runs} == {"final"}
    assert final.path.parent == folder.path / "final"
    for part in ("validation", "test"):
        uars = []
        for run in runs:
            rows = Predictions.read(run.predictions).part(part)
            uars.append(balanced_accuracy_score(rows.targets, rows.decisions))
        spread = found["figures"][part]["over_folds_and_seeds"]["uar"]
        assert spread["mean"] == pytest.approx(np.mean(uars))
        assert spread["std"] == pytest.approx(np.std(uars, ddof=1))
    assert found["searched_seed"] == searched.read_config().seed == 0
    assert (found["trial"], found["objectives"], found["values"]) == (1, {"validation.uar": 0.75}, {RATE: 0.02})
    assert found["tried"] == {"trials": 2, "begun": 2, "configurations": 2}
    assert (found["looked_before"], found["test_seen_in_search"]) == (1, 0.0)
    looked = [look.run for look in looks(stand / "runs")]
    assert sorted(looked) == sorted([other.id, *(run.id for run in runs)])
    stamps = {run.id: run.result.stat().st_mtime_ns for run in runs}
    again = finalize(["s", "seeds=2"])
    assert {run.id: run.result.stat().st_mtime_ns for run in runs_of(again, stand)} == stamps
    assert len(looks(stand / "runs")) == 3, "nothing is looked at twice"
    assert again.read() == found
    show(again)
    said = capsys.readouterr().out
    assert "2 configurations in 2 trials" in said
    assert "by 1 other configuration\n" in said
    assert "scored this one validation.uar 0.75 with seed 0, " in said
    config = compose(["experiment=s", f"corpus.root={runs[0].read_config().corpus['root']}"]).config
    assert identity(config) == identity(searched.read_config())


def test_a_study_that_is_not_through_is_refused() -> None:
    study = optuna.create_study()
    add(study, [1.0])
    check_ended(study, "s")
    study.ask()
    study.add_trial(create_trial(state=TrialState.WAITING))
    with pytest.raises(UserError, match=r"of 3 trials 1 wait and 1 run; .* early=true"):
        check_ended(study, "s")


def test_of_a_split_with_folds_only_the_one_that_was_searched_is_made_final(made: Made) -> None:
    frozen = Frozen.read(made("split=kfold", "split.k=3", "split.fold=1", "seed=4").frozen)
    chosen = plan_of(frozen.config({RATE: 0.02}, 1), frozen, 3)
    assert [(task.fold, task.seed) for task in chosen.tasks] == [(1, 5), (1, 6), (1, 7)]
    assert {task.prepared.config.split["fold"] for task in chosen.tasks} == {1}


def test_a_cross_validated_study_says_that_it_is_not_nested(made: Made) -> None:
    made("split=kfold", "split.k=3", crossval=InnerFolds())
    final = finalize(["s", "seeds=1", "jobs=2"])
    assert [row["fold"] for row in read_csv(final.folds)] == ["0", "1", "2"]
    found = final.read()
    assert found["test_seen_in_search"] == 1, "each of three folds validates once and tests once"
    assert any(note.startswith("NOT NESTED: 100%") for note in notes(found))


def test_a_changed_base_is_refused(made: Made) -> None:
    folder = made()
    frozen = Frozen.read(folder.frozen)
    frozen.base["training"]["batch_size"] = 4
    frozen.write(folder.frozen)
    with pytest.raises(UserError, match="trial 1 cannot be made again"):
        finalize(["s", "seeds=1"])


def test_of_inner_folds_only_those_that_were_searched_count_as_seen(made: Made) -> None:
    """Of three folds the first is validated by the second, and the second by the third: two thirds of all."""
    made("split=kfold", "split.k=3", crossval=InnerFolds(2))
    final = finalize(["s", "seeds=1", "jobs=2"])
    assert len(read_csv(final.folds)) == 3
    assert final.read()["test_seen_in_search"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("words", "short"),
    [
        (["experiment=emodb_fused", "model.hidden_dim=96", "features.fine.n_fft=400"], {"model", "features", "corpus"}),
        (["experiment=emodb_svm", "seed=3"], {"corpus", "seed"}),
        (["experiment=paper_fused", "corpus.classes=[anger,neutral]", "split=kfold", "split.k=7"], {"corpus", "split"}),
        (["experiment=emodb_fused", "training.learning_rate=1e-4", "split=file", "split.file=x.csv"], None),
        (["corpus=emodb", "training=augmented", "training.loss.name=focal", "training.loss.gamma=3"], {"training"}),
    ],
)
def test_an_experiment_composes_to_what_it_was_made_of(words: list[str], short: set[str] | None, stand: Path) -> None:
    config = compose([*words, "corpus.root=data"]).config
    out = Path("conf/experiment/mine.yaml")
    for _ in range(2):  # the same again is no other experiment
        write_experiment(out, experiment_files(out, config, "mine"), config)
    again = compose(["experiment=mine", "corpus.root=data"]).config
    assert identity(again) == identity(config)
    assert again.split == config.split
    if short is not None:
        values = {key.partition(".")[0] for key, _ in leaves(_load(out))} - {"defaults", "tracking"}
        assert values == short
    with pytest.raises(ConfigError, match=r"mine\.yaml exists and is something else"):
        experiment_files(out, replace(config, seed=77), "mine")


def _load(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())  # type: ignore[no-any-return]


def test_a_stream_with_another_extractor_gets_a_choice_of_its_own(stand: Path) -> None:
    plain = compose(["corpus=emodb", "corpus.root=data", "model=ds_lstm"]).config
    mfcc = compose(["corpus=emodb", "corpus.root=data"]).config.features["mfcc"]
    config = replace(plain, features=plain.features | {"fine": mfcc})
    out = Path("conf/experiment/mine.yaml")
    write_experiment(out, experiment_files(out, config, "mine"), config)
    assert Path("conf/features/mine.yaml").exists()
    assert compose(["experiment=mine", "corpus.root=data"]).config.features["fine"] == mfcc


def test_where_an_experiment_may_lie(stand: Path) -> None:
    config = compose(["experiment=emodb_fused", "corpus.root=data"]).config
    with pytest.raises(ConfigError, match=r"CONF/experiment/NAME\.yaml"):
        experiment_files(Path("best.yaml"), config, "mine")
    with pytest.raises(ConfigError, match=r"emodb_fused\.yaml exists and is something else"):
        experiment_files(Path("conf/experiment/emodb_fused.yaml"), config, "mine")


def test_words_that_finalize_does_not_know(stand: Path) -> None:
    with pytest.raises(ConfigError, match="name one study"):
        finalize([])
    with pytest.raises(ConfigError, match="unknown setting `seed`"):
        finalize(["s", "seed=3"])
    with pytest.raises(ConfigError, match="seeds=0"):
        finalize(["s", "seeds=0"])
