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
