"""Search spaces: what each form draws, when it is set, what it becomes in the configuration, and each mistake."""

from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FixedTrial

from ser_lightning.errors import ConfigError
from ser_lightning.sweeps.corners import corners
from ser_lightning.sweeps.space import Space

FINE = {"extractor": "log_mel", "n_fft": 512, "hop": 256, "n_mels": 40, "normalise": "global"}
BASE: dict[str, Any] = {
    "features": {"fine": FINE, "coarse": FINE | {"n_fft": 1024}},
    "model": {"name": "fused", "hidden_dim": 64, "weight": 0.5, "channels": [16, 16]},
    "training": {"learning_rate": 0.001, "optimizer": "adam", "loss": {"name": "focal", "gamma": 2.0}},
}
CHOICES = {
    "model": {
        "ds_lstm": {"name": "ds_lstm", "hidden_dim": 48, "channels": [8, 8]},
        "fused": {"name": "fused", "hidden_dim": 64, "weight": 0.5, "channels": [16, 16]},
    }
}
SMALL, LARGE = {"n_fft": 512, "hop": 256}, {"n_fft": 800, "hop": 200}


def space(**written: Any) -> Space:
    """Keys with `__` for `.`; the group `model` has choices only where it is searched."""
    keys = {key.replace("__", "."): value for key, value in written.items()}
    return Space(keys, BASE, CHOICES if "model" in keys else {})


def drawn(found: Space, count: int = 60) -> list[tuple[optuna.trial.Trial, dict[str, Any]]]:
    """Trials of a study that draws at random."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    trials = [study.ask() for _ in range(count)]
    return [(trial, found.suggest(trial)) for trial in trials]


def test_ranges_are_optunas_distributions_and_stay_within_their_ends() -> None:
    found = space(
        model__hidden_dim={"int": [32, 128], "step": 32},
        model__weight={"float": [0.0, 0.5], "step": 0.1},
        training__learning_rate={"float": [3e-4, 3e-3], "log": True},
    )
    trials = drawn(found)
    assert trials[0][0].distributions == {
        "model.hidden_dim": IntDistribution(32, 128, step=32),
        "model.weight": FloatDistribution(0.0, 0.5, step=0.1),
        "training.learning_rate": FloatDistribution(3e-4, 3e-3, log=True),
    }
    values = [one for _, one in trials]
    assert {v["model.hidden_dim"] for v in values} == {32, 64, 96, 128}
    assert {v["model.weight"] for v in values} == {0.0, 0.1, 0.2, 0.3, 0.4, 0.5}  # 0.3, not 0.30000000000000004
    rates = [v["training.learning_rate"] for v in values]
    assert min(rates) >= 3e-4 and max(rates) <= 3e-3
    # half of a logarithmic draw lies below the geometric mean of its ends, 9.5e-4; of a linear one a quarter
    assert 20 <= sum(rate < (3e-4 * 3e-3) ** 0.5 for rate in rates) <= 40


def test_objects_and_lists_are_stored_as_text_and_merged_over_the_base() -> None:
    found = space(features__fine=[SMALL, LARGE], model__channels=[[16, 16], [32, 16]])
    trial, _ = drawn(found, 1)[0]
    assert trial.distributions["features.fine"] == CategoricalDistribution(["n_fft 512, hop 256", "n_fft 800, hop 200"])
    stored = {"features.fine": "n_fft 800, hop 200", "model.channels": "[32, 16]"}
    values = found.suggest(FixedTrial(stored))
    assert values == {"features.fine": LARGE, "model.channels": [32, 16]} == found.values(stored)
    tree = found.apply(values)
    assert tree["features"]["fine"] == FINE | LARGE
    assert tree["model"] == BASE["model"] | {"channels": [32, 16]}
    assert BASE["features"]["fine"] == FINE, "the base is not changed"
    values["model.channels"].append(1)
    assert found.values(stored)["model.channels"] == [32, 16], "a trial cannot change the space"


def test_a_mapping_that_selects_another_component_replaces_the_base_s() -> None:
    found = space(training__loss=[{"name": "cross_entropy"}, {"name": "focal", "gamma": 1.0}])
    assert found.apply({"training.loss": {"name": "cross_entropy"}})["training"]["loss"] == {"name": "cross_entropy"}
    found = space(features__fine=[{"extractor": "mfcc"}])
    assert found.apply({"features.fine": {"extractor": "mfcc"}})["features"]["fine"] == {"extractor": "mfcc"}


def test_a_group_s_choice_brings_its_section_under_single_keys_whatever_their_order() -> None:
    found = space(model__hidden_dim={"int": [8, 16]}, model=["ds_lstm", "fused"])
    tree = found.apply({"model.hidden_dim": 9, "model": "ds_lstm"})
    assert tree["model"] == {"name": "ds_lstm", "hidden_dim": 9, "channels": [8, 8]}


def test_conditional_parameters_are_set_only_where_they_hold() -> None:
    found = space(
        model__weight={"float": [0.3, 0.7], "when": {"model": "fused"}},
        training__learning_rate={"float": [0.1, 0.2], "when": {"training.optimizer": ["sgd", "adamw"]}},
        training__optimizer=["sgd", "adam", "adamw"],
        model=["ds_lstm", "fused"],
    )
    trials = drawn(found)
    assert len({(v["model"], v["training.optimizer"]) for _, v in trials}) == 6
    for trial, values in trials:
        assert ("model.weight" in values) == (values["model"] == "fused")
        assert ("training.learning_rate" in values) == (values["training.optimizer"] != "adam")
        assert trial.params.keys() == values.keys(), "Optuna knows nothing of a parameter that is not set"
        assert found.values(trial.params) == values


def test_conditions_look_into_objects_and_at_the_base() -> None:
    found = space(
        features__fine=[SMALL, LARGE],
        model__weight={"choices": [0.1], "when": {"features.fine.hop": 200, "training.optimizer": "adam"}},
    )
    assert found.suggest(FixedTrial({"features.fine": "n_fft 512, hop 256"})) == {"features.fine": SMALL}
    stored = {"features.fine": "n_fft 800, hop 200", "model.weight": 0.1}
    assert found.suggest(FixedTrial(stored)) == {"features.fine": LARGE, "model.weight": 0.1}


def test_derived_values_follow_objects_single_keys_the_base_and_each_other() -> None:
    found = space(
        features__coarse__hop={"of": "features.coarse.n_fft", "times": 0.5},
        features__coarse__n_fft={"of": "features.fine.n_fft", "times": 2},
        features__coarse__n_mels={"of": "features.fine.n_mels"},
        features__fine=[SMALL, LARGE],
    )
    for trial, values in drawn(found, 20):
        assert list(trial.params) == ["features.fine"] == found.names
        coarse = found.apply(values)["features"]["coarse"]
        window = values["features.fine"]["n_fft"]
        assert (coarse["n_fft"], coarse["hop"], coarse["n_mels"]) == (2 * window, window, 40)
        assert all(type(coarse[key]) is int for key in ("n_fft", "hop"))


def test_a_derived_value_can_be_conditional() -> None:
    found = space(
        model=["ds_lstm", "fused"],
        training__learning_rate={"of": "model.weight", "times": 0.1, "when": {"model": "fused"}},
    )
    assert found.suggest(FixedTrial({"model": "ds_lstm"})) == {"model": "ds_lstm"}
    assert found.suggest(FixedTrial({"model": "fused"}))["training.learning_rate"] == pytest.approx(0.05)


def test_starting_points_become_optuna_s_first_trials() -> None:
    found = space(features__fine=[SMALL, LARGE], model__hidden_dim={"int": [32, 128], "step": 32})
    point = {"features.fine": {"hop": 200, "n_fft": 800}, "model.hidden_dim": 96}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial(found.fixed(point))
    study.enqueue_trial(found.fixed({"model.hidden_dim": 128}))
    assert found.suggest(study.ask()) == point
    second = found.suggest(study.ask())
    assert second["model.hidden_dim"] == 128 and second["features.fine"] in (SMALL, LARGE)


def test_corners_hold_every_choice_end_and_both_sides_of_conditions() -> None:
    found = space(
        model=["ds_lstm", "fused"],
        model__weight={"float": [0.3, 0.7], "when": {"model": "fused", "model.hidden_dim": 24}},
        model__hidden_dim={"int": [16, 32], "step": 8},
        training__optimizer=["sgd", "adam", "adamw"],
    )
    seen = list(corners(found))
    for model in ("ds_lstm", "fused"):
        of_model = [one for one in seen if one["model"] == model]
        assert {one["model.hidden_dim"] for one in of_model} == {16, 24, 32}
        assert {one["training.optimizer"] for one in of_model} == {"sgd", "adam", "adamw"}
    weights = [one for one in seen if "model.weight" in one]
    assert {one["model.weight"] for one in weights} == {0.3, 0.7}
    assert {(one["model"], one["model.hidden_dim"]) for one in weights} == {("fused", 24)}


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"model__hidden_dim": 64}, "space.model.hidden_dim: 64 is no parameter; write a list"),
    ({"model__hidden_dim": []}, "choices are a list of at least one value"),
    ({"model__hidden_dim": [1, True]}, "`True` equals an earlier choice"),
    ({"model__hidden_dim": {"low": 1, "high": 2}}, "must have one of int, float, choices, of"),
    ({"model__hidden_dim": {"int": [1, 2], "float": [1, 2]}}, "must have one of"),
    ({"model__hidden_dim": {"int": [1, 8], "steps": 2}}, "`steps` does not go with `int`; did you mean `step`"),
    ({"model__hidden_dim": {"choices": [1], "log": True}}, "`log` does not go with `choices`"),
    ({"model__hidden_dim": {"int": [1, 2.5]}}, "an int range and its step are whole numbers"),
    ({"model__hidden_dim": {"int": [1, 9], "step": 0.5}}, "an int range and its step are whole numbers"),
    ({"model__hidden_dim": {"int": [8]}}, r"give the least and the greatest value: int: \[1, 9\]"),
    ({"model__hidden_dim": {"int": [9, 1]}}, "space.model.hidden_dim: .*the least value comes first"),
    (
        {"model__hidden_dim": {"int": [32, 100], "step": 32}},
        "space.model.hidden_dim: steps of 32 from 32 do not reach 100",
    ),
    ({"model__weight": {"float": [0.0, 1.0], "log": True}}, "space.model.weight: a logarithmic range .* above 0"),
    ({"model__weight": {"float": [0.1, 1.0], "log": True, "step": 0.1}}, "space.model.weight: .*step"),
    ({"model__weight": {"float": [0.1, float("inf")]}}, "give the least and the greatest value"),
    ({"model__weight": {"float": [0.1, 1.0], "log": "yes"}}, "`log` true or false"),
    ({"model__weight": {"of": 3}}, "`of` names the key"),
    ({"model__weight": {"of": "model.hidden_dim", "times": "2"}}, "`times` is '2'; give a number"),
    ({"model__weight": {"of": "model.hiden_dim"}}, "neither searched nor in the base; did you mean `model.hidden_dim`"),
    ({"model__weight": {"of": "model.channels", "times": 2}}, r"model.channels is \[16, 16\], which is no number"),
    ({"model__weight": {"choices": [1], "when": ["fused"]}}, "`when` is a mapping"),
    ({"model__weight": {"choices": [1], "when": {"model.nam": "fused"}}}, "did you mean `model.name`"),
    ({"model__weight": {"choices": [1], "when": {"model": "fused"}}}, "not searched; ask for its model.name"),
    (
        {"model": ["fused", "ds_lstm"], "model__weight": {"choices": [1], "when": {"model": "fussed"}}},
        r"space.model.weight: `when` model: fussed is not among fused \| ds_lstm",
    ),
    (
        {"model__hidden_dim": {"int": [8, 16]}, "model__weight": {"choices": [1], "when": {"model.hidden_dim": 20}}},
        "20 is not in 8 to 16",
    ),
    ({"model__weight": {"choices": [1], "when": {"model.name": "ds_lstm"}}}, "its `when` never holds"),
    (
        {"model": ["fused", "ds_lstm"], "model__hidden_dim": {"of": "model.weight", "times": 2}},
        "model.weight does not exist with model=ds_lstm; add `when`",
    ),
    (
        {"features__fine__hop": {"of": "features.coarse.hop"}, "features__coarse__hop": {"of": "features.fine.hop"}},
        r"wait for each other \(features\.\w+\.hop > features\.\w+\.hop > features\.\w+\.hop\)",
    ),
    ({"model__hidden_dim": {"of": "model.hidden_dim", "times": 2}}, "wait for each other"),
    (
        {
            "model__weight": {"choices": [1], "when": {"model.hidden_dim": 8}},
            "model__hidden_dim": {"choices": [8], "when": {"model.weight": 1}},
        },
        "wait for each other",
    ),
    (
        {"features__fine": [SMALL, LARGE], "features__fine__hop": [128]},
        "space.features.fine.hop: the choices of features.fine set it too",
    ),
]


@pytest.mark.parametrize(("written", "message"), MISTAKES)
def test_each_mistake_has_its_message(written: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        list(corners(space(**written)))


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"model.hiden_dim": 32}, "`model.hiden_dim` is not searched; did you mean `model.hidden_dim`"),
        ({"model.hidden_dim": 48}, "start: model.hidden_dim: 48 is not in 32 to 128 in steps of 32"),
        ({"model.hidden_dim": 160}, "160 is not in 32 to 128"),
        ({"model.hidden_dim": 64.0}, "64.0 is not in 32 to 128"),
        ({"model": "svm"}, r"svm is not among ds_lstm \| fused"),
        ({"features.fine": {"n_fft": 512}}, r"n_fft 512 is not among n_fft 512, hop 256 \| n_fft 800, hop 200"),
        ({"model": "ds_lstm", "model.weight": 0.5}, "model.weight is not set where model is ds_lstm; leave it out"),
        ({"features.coarse.n_fft": 1024}, "`features.coarse.n_fft` is not searched"),
    ],
)
def test_a_starting_point_outside_the_space_is_refused(point: dict[str, Any], message: str) -> None:
    found = space(
        model=["ds_lstm", "fused"],
        model__hidden_dim={"int": [32, 128], "step": 32},
        model__weight={"float": [0.3, 0.7], "when": {"model": "fused"}},
        features__fine=[SMALL, LARGE],
        features__coarse__n_fft={"of": "features.fine.n_fft", "times": 2},
    )
    with pytest.raises(ConfigError, match=message):
        found.fixed(point)
