"""Samplers and pruners by name: what is unknown is refused, and each trial has numbers of its own."""

from dataclasses import replace
from typing import Any

import optuna
import pytest
from optuna.pruners import MedianPruner, PatientPruner, WilcoxonPruner
from optuna.trial import Trial, TrialState, create_trial

from ser_lightning.errors import ConfigError, UserError
from ser_lightning.sweeps.samplers import PRUNERS, SAMPLERS, pruner, sampler
from ser_lightning.sweeps.settings import StudySettings

NEEDED: dict[str, dict[str, Any]] = {
    "percentile": {"percentile": 25.0},
    "threshold": {"lower": 0.1},
    "patient": {"patience": 3},
}


def settings(**given: Any) -> StudySettings:
    return replace(StudySettings("s"), **given)


def draw(made: StudySettings, numbers: list[int]) -> list[float]:
    study = optuna.create_study()
    for number in numbers:
        study.add_trial(create_trial(state=TrialState.WAITING))
        study.sampler = sampler(made, number)
        study.ask().suggest_float("x", 0, 1)
    return [trial.params["x"] for trial in study.trials]


@pytest.mark.parametrize("name", sorted(set(SAMPLERS) - {"cmaes"}))
def test_every_sampler_draws(name: str) -> None:
    study = optuna.create_study()
    for number in range(12):
        study.sampler = sampler(settings(sampler={"name": name, "seed": 0}), number)
        trial = study.ask()
        study.tell(trial, trial.suggest_int("n", 0, 3) + trial.suggest_float("x", 0, 1, step=0.5))
    assert len({tuple(trial.params.values()) for trial in study.trials}) >= 6


@pytest.mark.parametrize("name", sorted(set(SAMPLERS) - {"cmaes"}))
@pytest.mark.parametrize("objectives", [1, 2])
def test_every_sampler_goes_through_a_study_with_all_that_spaces_have(name: str, objectives: int) -> None:
    """Categories, conditions, logarithmic and whole numbers, a constraint, pruned, failed and waiting trials."""
    keys = {"validation.uar": "maximize", "parameters": "minimize"}
    given = settings(sampler={"name": name, "seed": 0}, objectives=dict(list(keys.items())[:objectives]))
    study = optuna.create_study(directions=list(given.objectives.values()))
    for _ in range(24):
        study.add_trial(create_trial(state=TrialState.WAITING))
    for number in range(24):
        study.sampler = sampler(given, number)
        trial = study.ask()
        width = trial.suggest_int("width", 8, 64, log=True)
        if trial.suggest_categorical("model", ["small", "large"]) == "large":
            width += trial.suggest_int("more", 0, 8, step=4)
        share = trial.suggest_float("share", 0, 1, step=0.25)
        trial.set_constraint("parameters", width - 60)
        if number % 8 == 6 and objectives == 1:
            trial.report(share, 0)
            study.tell(trial, state=TrialState.PRUNED)
        elif number % 8 == 7:
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, [share - width / 100, float(width)][:objectives])
    assert len(study.trials) == 24 and not any(trial.state == TrialState.RUNNING for trial in study.trials)
    assert {trial.params["model"] for trial in study.trials} == {"small", "large"}


PRUNING: dict[str, dict[str, Any]] = {
    "none": {},
    "median": {"n_startup_trials": 2},
    "percentile": {"percentile": 50.0, "n_startup_trials": 2},
    "successive_halving": {"min_resource": 1, "reduction_factor": 2},
    "hyperband": {"min_resource": 1, "max_resource": 8, "reduction_factor": 2},
    "threshold": {"lower": 0.3},
    "wilcoxon": {"p_threshold": 0.1},
    "patient": {"patience": 1, "wrapped_pruner": {"name": "median", "n_startup_trials": 2}},
}


@pytest.mark.parametrize("name", sorted(PRUNERS))
def test_every_pruner_stops_hopeless_trials_of_a_study_and_never_the_best(name: str) -> None:
    """Good trials rise from 0.5 to 0.9; bad ones fall from 0.2. Every pruner but `none` can tell them apart."""
    given = settings(pruner={"name": name} | PRUNING[name])
    study = optuna.create_study(direction="maximize", pruner=pruner(given), sampler=sampler(given), study_name="s")
    for number in range(16):
        bad = number % 4 == 3
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        for step in range(8):
            score = 0.2 - 0.01 * step if bad else 0.5 + 0.05 * step + 0.001 * number
            trial.report(score, step)
            if trial.should_prune():  # asked once a report: halving counts the rungs that it was asked at
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            study.tell(trial, score)
    pruned = [trial.number for trial in study.trials if trial.state == TrialState.PRUNED]
    assert study.best_trial.value == pytest.approx(0.864)
    assert bool([n for n in pruned if n % 4 == 3]) == (name != "none")


@pytest.mark.parametrize("name", sorted(PRUNERS))
def test_every_pruner_is_made(name: str) -> None:
    assert isinstance(pruner(settings(pruner={"name": name} | NEEDED.get(name, {}))), PRUNERS[name])


def test_a_trial_draws_the_same_whoever_asks_and_two_trials_differ() -> None:
    seeded = settings(sampler={"name": "random", "seed": 7})
    numbers = draw(seeded, list(range(6)))
    assert len(set(numbers)) == 6
    assert draw(seeded, [3]) == [numbers[3]]
    other = settings(sampler={"name": "random", "seed": 8})
    assert draw(other, [3]) != [numbers[3]]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_quasi_random_trials_are_of_one_sequence() -> None:
    made = settings(sampler={"name": "qmc", "scramble": True, "seed": 3})
    study, whole = optuna.create_study(), optuna.create_study(sampler=optuna.samplers.QMCSampler(scramble=True, seed=3))
    for number in range(9):
        study.sampler = sampler(made, number)
        for one in (study, whole):
            one.tell(one.ask({"x": optuna.distributions.FloatDistribution(0, 1)}), 0.0)
    # The first trial has no search space to take from yet, and is drawn independently.
    assert [t.params for t in study.trials][1:] == [t.params for t in whole.trials][1:]


def test_brute_force_tries_every_point_once_and_goes_on() -> None:
    study, made = optuna.create_study(), settings(sampler={"name": "brute_force", "seed": 0})
    points = []
    for number in range(8):
        study.sampler = sampler(made, number)
        trial: Trial = study.ask()
        points.append((trial.suggest_int("a", 0, 1), trial.suggest_categorical("b", ["x", "y", "z"])))
        study.tell(trial, 0.0)
    assert len(set(points[:6])) == 6


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "tpo"}, "unknown sampler `tpo`; did you mean `tpe`"),
        ({"name": "grid"}, "brute_force"),
        ({"seed": 1}, "no `name`; known: tpe"),
        ({"name": "tpe", "n_startup_trails": 3}, "no parameter `n_startup_trails`; did you mean `n_startup_trials`"),
        ({"name": "tpe", "gamma": 3}, "no parameter `gamma`"),
        ({"name": "tpe", "n_startup_trials": "four"}, "`n_startup_trials` is int, not 'four'"),
        ({"name": "tpe", "n_startup_trials": True}, "`n_startup_trials` is int, not True"),
        ({"name": "nsgaii", "population_size": 1}, "at least|greater|2"),
    ],
)
def test_a_wrong_sampler_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        sampler(settings(sampler=given))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "mediun"}, "unknown pruner `mediun`; did you mean `median`"),
        ({"name": "none", "patience": 1}, "no parameter `patience`"),
        ({"name": "percentile"}, "missing 1 required positional argument: 'percentile'"),
        ({"name": "percentile", "percentile": 200}, "between 0 and 100"),
        ({"name": "patient", "patience": 2, "wrapped_pruner": {"name": "x"}}, "unknown wrapped_pruner `x`"),
        ({"name": "patient", "patience": 2, "wrapped_pruner": "median"}, "wrapped_pruner is a mapping"),
        ({"name": "threshold"}, "[Ee]ither lower or upper"),
    ],
)
def test_a_wrong_pruner_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        pruner(settings(pruner=given))


def test_parameters_arrive() -> None:
    made = pruner(settings(pruner={"name": "median", "n_startup_trials": 1, "n_warmup_steps": 0}))
    study = optuna.create_study(pruner=made, direction="maximize")
    for values, pruned in (((0.9, 0.9), False), ((0.1, 0.1), True)):
        trial = study.ask()
        for step, value in enumerate(values):
            trial.report(value, step)
        assert trial.should_prune() == pruned
        study.tell(trial, values[-1])
    assert isinstance(made, MedianPruner)
    inner = {"name": "wilcoxon", "p_threshold": 0.2}
    patient = pruner(settings(pruner={"name": "patient", "patience": 2, "wrapped_pruner": inner}))
    assert isinstance(patient, PatientPruner)
    assert isinstance(patient._wrapped_pruner, WilcoxonPruner)


def test_cmaes_tells_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="one objective"):
        sampler(
            settings(sampler={"name": "cmaes"}, objectives={"validation.uar": "maximize", "parameters": "minimize"})
        )
    monkeypatch.setattr("ser_lightning.sweeps.samplers.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install cmaes"):
        sampler(settings(sampler={"name": "cmaes"}))
