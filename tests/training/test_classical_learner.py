"""The classical learner: who is seen by which fit, C by inner folds, stopping, resuming, and what it refuses."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from ser_lightning.config.compose import compose
from ser_lightning.config.schema import Config, Training
from ser_lightning.config.tree import leaves
from ser_lightning.crossval.plan import plan
from ser_lightning.crossval.settings import Settings
from ser_lightning.data.batching import Utterances
from ser_lightning.data.datamodule import PartRows, SERData
from ser_lightning.data.ragged import Ragged, Resident
from ser_lightning.data.splits import Part
from ser_lightning.errors import StoppedError, UserError
from ser_lightning.models.stream import StreamShape
from ser_lightning.processes.stopping import StopRequest
from ser_lightning.runs.evaluate import evaluate
from ser_lightning.runs.prepare import prepare
from ser_lightning.runs.train import train
from ser_lightning.sweeps.measure import measures
from ser_lightning.training.classical_learner import ClassicalLearner

DIM, CLASSES = 5, ["a", "b", "c"]
SHAPES = {"functionals": StreamShape(DIM, float("inf"), None)}
CENTRES = np.random.default_rng(1).normal(0, 1, (3, DIM))
SPEAKERS: dict[Part, list[str]] = {"train": list("pqrstuv"), "validation": ["w", "x"], "test": ["y"]}


def config(words: Sequence[str] = ()) -> Config:
    return compose(["corpus=demo", "features=egemaps", "model=linear_svm", "training=classical", *words]).config


def part(speakers: Sequence[str], seed: int) -> tuple[Any, PartRows]:
    """Vectors (12 a speaker, DIM), each class four times, shifted by a mean of the speaker's own; and their rows."""
    rng = np.random.default_rng(seed)
    labels = [k for _ in speakers for k in (0, 1, 2) * 4]
    names = [name for name in speakers for _ in range(12)]
    own = np.repeat(rng.normal(0, 1, (len(speakers), DIM)), 12, axis=0)
    vectors = CENTRES[labels] + own + rng.normal(0, 0.7, (len(labels), DIM))
    ids = [f"{name}{i}" for i, name in enumerate(names)]
    return torch.from_numpy(vectors).float(), PartRows(ids, ids, labels, names, [0] * len(ids))


def data_of(parts: dict[Part, tuple[Any, PartRows]]) -> SERData:
    data = SERData({name: rows for name, (_, rows) in parts.items()}, {}, Training(), 0, torch.device("cpu"))
    for name, (vectors, rows) in parts.items():
        source = Resident(Ragged.of(list(vectors[:, None])), None)
        data._loaded[name] = Utterances({"functionals": source}, torch.tensor(rows.labels))
    return data


@pytest.fixture(scope="module")
def parts() -> dict[Part, tuple[Any, PartRows]]:
    return {name: part(who, seed) for seed, (name, who) in enumerate(SPEAKERS.items())}


def fitted(parts: dict[Part, tuple[Any, PartRows]], folder: Path) -> tuple[ClassicalLearner, dict[str, Any]]:
    learner = ClassicalLearner(config(), SHAPES, CLASSES)
    return learner, dict(learner.fit(data_of(parts), folder, None, StopRequest()).facts)


def searched(parts: dict[Part, tuple[Any, PartRows]], names: Sequence[Part]) -> GridSearchCV:
    """The same choice by scikit-learn's own search."""
    x = np.concatenate([parts[name][0].double().numpy() for name in names])
    y = np.concatenate([parts[name][1].labels for name in names])
    groups = np.concatenate([parts[name][1].speakers for name in names])
    svm = make_pipeline(StandardScaler(), SVC(kernel="linear", class_weight="balanced", break_ties=True))
    grid = {"svc__C": [10.0**e for e in range(-5, 2)]}
    return GridSearchCV(svm, grid, scoring="balanced_accuracy", cv=StratifiedGroupKFold(5)).fit(x, y, groups=groups)


def test_equals_scikit_learns_grid_search(parts: dict[Part, tuple[Any, PartRows]], tmp_path: Path) -> None:
    learner, facts = fitted(parts, tmp_path)
    seen: tuple[tuple[str, Part, list[Part]], ...] = (
        ("train", "validation", ["train"]),
        ("train_validation", "test", ["train", "validation"]),
    )
    for name, predicted, fitted_on in seen:
        reference = searched(parts, fitted_on)
        assert facts["cost"][name] == pytest.approx(reference.best_params_["svc__C"])
        assert list(facts["inner_uar"][name].values()) == pytest.approx(reference.cv_results_["mean_test_score"])
        expected = reference.decision_function(parts[predicted][0].double().numpy())
        np.testing.assert_allclose(learner.predict(data_of(parts), predicted), expected, rtol=0, atol=1e-9)
    assert facts["parameters"] == 3 * (DIM + 1)
    assert learner.parameters == 18
    json.dumps(facts, allow_nan=False)


def test_what_predicts_validation_has_not_seen_it(parts: dict[Part, tuple[Any, PartRows]], tmp_path: Path) -> None:
    other: dict[Part, tuple[Any, PartRows]] = parts | {"validation": part(["w", "x"], seed=99)}
    predicted: list[dict[Part, Any]] = []
    for number, made_of in enumerate((parts, other)):
        learner, _ = fitted(made_of, tmp_path / str(number))
        predicted.append({name: learner.predict(data_of(parts), name) for name in ("validation", "test")})
    np.testing.assert_array_equal(predicted[0]["validation"], predicted[1]["validation"])
    assert np.abs(predicted[0]["test"] - predicted[1]["test"]).max() > 0.01


def test_test_speakers_change_nothing(parts: dict[Part, tuple[Any, PartRows]], tmp_path: Path) -> None:
    without: dict[Part, tuple[Any, PartRows]] = {name: parts[name] for name in ("train", "validation")}
    one, _ = fitted(parts, tmp_path / "with")
    two, _ = fitted(without, tmp_path / "without")
    for name in ("validation", "test"):
        np.testing.assert_array_equal(one.predict(data_of(parts), name), two.predict(data_of(parts), name))


def test_inner_folds_share_no_speaker(
    parts: dict[Part, tuple[Any, PartRows]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Variants stand under a speaker's name of their own; a fold must keep them with their recording's speaker.
    vectors, rows = parts["train"]
    doubled = PartRows(
        [*rows.ids, *(f"{name} (variant 1)" for name in rows.ids)],
        [*rows.digests] * 2,
        [*rows.labels] * 2,
        [*rows.speakers, *(f"{name} (variant 1)" for name in rows.speakers)],
        [0] * len(rows.ids) + [1] * len(rows.ids),
    )
    seen: list[tuple[set[str], set[str]]] = []
    scored = ClassicalLearner.__module__.replace("classical_learner", "inner_folds") + "._uar"

    def watch(estimator: Any, examples: Any, fold: Any) -> float:
        seen.append(tuple({examples.speakers[row] for row in side} for side in fold))  # type: ignore[arg-type]
        return 0.5

    monkeypatch.setattr(scored, watch)
    _, facts = fitted(parts | {"train": (torch.cat([vectors, vectors]), doubled)}, tmp_path)
    assert len(seen) == 2 * 7 * 5
    assert all(not training & held_out for training, held_out in seen)
    assert set.union(*(held_out for _, held_out in seen)) == set("pqrstuvwx")
    assert facts["cost"]["train"] == 1e-5  # the least of equals


def test_a_stop_is_honoured_between_fits_and_what_is_done_is_kept(
    parts: dict[Part, tuple[Any, PartRows]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ser_lightning.training import inner_folds

    scored, count, stop = inner_folds._uar, [0], StopRequest()

    def counting(*arguments: Any) -> float:
        count[0] += 1
        if count[0] == 40:  # the fifth of the second fit
            stop.request("SIGTERM", 143)
        return scored(*arguments)

    monkeypatch.setattr(inner_folds, "_uar", counting)
    learner = ClassicalLearner(config(), SHAPES, CLASSES)
    with pytest.raises(StoppedError) as stopped:
        learner.fit(data_of(parts), tmp_path / "stopped", None, stop)
    assert stopped.value.exit_code == 143
    assert count[0] == 40
    assert sorted(path.name for path in (tmp_path / "stopped").iterdir()) == ["train.json", "train.npz"]
    again, facts = fitted(parts, tmp_path / "stopped")
    assert count[0] == 40 + 35
    whole, expected = fitted(parts, tmp_path / "whole")
    assert facts["cost"] == expected["cost"]
    np.testing.assert_array_equal(again.predict(data_of(parts), "test"), whole.predict(data_of(parts), "test"))
    count[0] = 0
    fitted(parts, tmp_path / "whole")
    assert count[0] == 0


def test_load_needs_both_fits(parts: dict[Part, tuple[Any, PartRows]], tmp_path: Path) -> None:
    learner, _ = fitted(parts, tmp_path)
    fresh = ClassicalLearner(config(), SHAPES, CLASSES)
    fresh.load(tmp_path)
    np.testing.assert_array_equal(fresh.predict(data_of(parts), "test"), learner.predict(data_of(parts), "test"))
    (tmp_path / "train_validation.npz").unlink()
    with pytest.raises(UserError, match=r"train_validation\.npz"):
        fresh.load(tmp_path)


def test_too_few_speakers_are_refused(parts: dict[Part, tuple[Any, PartRows]], tmp_path: Path) -> None:
    few: dict[Part, tuple[Any, PartRows]] = parts | {"train": part(["p", "q", "r"], 0)}
    learner = ClassicalLearner(config(["model.inner_folds=5"]), SHAPES, CLASSES)
    with pytest.raises(UserError, match=r"model\.inner_folds=5: there are 3 speakers.*inner_folds=null, or 3 or less"):
        learner.fit(data_of(few), tmp_path, None, StopRequest())


def test_a_number_of_inner_folds_that_nobody_asks_for_is_five_or_what_there_is(
    parts: dict[Part, tuple[Any, PartRows]], tmp_path: Path
) -> None:
    _, facts = fitted(parts, tmp_path / "enough")
    assert facts["inner_folds"] == {"train": 5, "train_validation": 5}
    assert facts["selected_by"] == "mean UAR of 5 inner folds over speakers"
    few: dict[Part, tuple[Any, PartRows]] = parts | {"train": part(["p", "q"], 0)}
    _, facts = fitted(few, tmp_path / "few")
    assert facts["inner_folds"] == {"train": 2, "train_validation": 4}
    assert facts["selected_by"] == "mean UAR of 2 and 4 inner folds over speakers"
    alone: dict[Part, tuple[Any, PartRows]] = parts | {"train": part(["p"], 0)}
    with pytest.raises(UserError, match=r"model\.inner_folds=null: there is 1 speaker to choose C on.*so give"):
        fitted(alone, tmp_path / "alone")


def test_inner_folds_that_cannot_be_had_are_refused_before_features_are_computed(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("opensmile")
    monkeypatch.setattr("ser_lightning.features.streams.fill", lambda *_, **__: pytest.fail("computes features"))
    words = [*of_tiny(tiny), "features=egemaps", "model=linear_svm", "training=classical", "model.inner_folds=5"]
    with pytest.raises(UserError, match=r"^model\.inner_folds=5: there are 4 speakers"):
        train(compose(words).config)
    folds = [*(word for word in words if not word.startswith("split.")), "split=kfold", "split.k=6"]
    prepared = prepare(compose(folds).config)
    with pytest.raises(UserError, match=r"^fold 0: model\.inner_folds=5: there are 4 speakers"):
        plan(prepared, Settings())
    assert len(plan(prepare(compose([*folds, "model.inner_folds=null"]).config), Settings()).tasks) == 6


def test_a_speaker_or_a_fold_may_lack_a_rare_class(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    vectors, rows = part(SPEAKERS["train"], 0)
    # Class c is left with two speakers, for five folds.
    kept = [i for i, (k, who) in enumerate(zip(rows.labels, rows.speakers, strict=True)) if k < 2 or who in "pq"]
    ids, labels, names = ([of[i] for i in kept] for of in (rows.ids, rows.labels, rows.speakers))
    few = PartRows(ids, ids, labels, names, [0] * len(kept))
    made: dict[Part, tuple[Any, PartRows]] = {"train": (vectors[kept], few), "validation": part(["w"], 1)}
    learner, _ = fitted(made, tmp_path)
    assert learner.predict(data_of(made), "validation").shape == (12, 3)
    assert list(recwarn) == []


def test_folds_need_two_classes_and_a_class_that_reaches_them_all(tmp_path: Path) -> None:
    vectors, _ = part(["p", "q", "r", "s", "t"], 0)
    names = ["p"] * 5 + ["q", "r", "s", "t"]
    labels = [0] * 5 + [1, 1, 1, 1]
    apart = PartRows(names, [str(i) for i in range(9)], labels, names, [0] * 9)
    learner = ClassicalLearner(config(), SHAPES, ["a", "b"])
    with pytest.raises(UserError, match="leaves a single class"):
        learner.fit(data_of({"train": (vectors[:9], apart)}), tmp_path, None, StopRequest())
    learner = ClassicalLearner(config(["model.inner_folds=5"]), SHAPES, ["a", "b"])
    small = PartRows(names[4:], [str(i) for i in range(5)], labels[4:], names[4:], [0] * 5)
    with pytest.raises(UserError, match="no class has as many"):
        learner.fit(data_of({"train": (vectors[:5], small)}), tmp_path, None, StopRequest())


def test_a_class_without_utterances_is_refused(parts: dict[Part, tuple[Any, PartRows]], tmp_path: Path) -> None:
    learner = ClassicalLearner(config(), SHAPES, [*CLASSES, "d"])
    with pytest.raises(UserError, match=r"class `d` has no utterance in train"):
        learner.fit(data_of(parts), tmp_path, None, StopRequest())


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["training.mixup=0.2"], r"training\.mixup=0\.2.*training\.mixup=0\.0"),
        (["training.patience=3"], r"training\.patience=3.*training\.patience=null"),
        (["training.devices=2"], r"training\.devices=2"),
        (["tracking.also=[csv]"], r"tracking\.also=\[csv\].*no epochs.*tracking\.also=\[\]"),
        (["features.functionals.normalise=global"], r"features\.functionals\.normalise=none"),
        (["features.functionals.normalise=utterance"], r"features\.functionals\.normalise=none"),
    ],
)
def test_settings_it_has_no_use_for_are_refused(words: list[str], text: str) -> None:
    with pytest.raises(UserError, match=text):
        ClassicalLearner(config(words), SHAPES, CLASSES)


def test_all_of_them_are_named_at_once_with_what_to_write() -> None:
    words = ["training.mixup=0.2", "training.keep_epochs=true"]
    with pytest.raises(UserError) as refused:
        ClassicalLearner(config(words), SHAPES, CLASSES)
    said = str(refused.value)
    assert "training.mixup=0.2" in said and "training.keep_epochs=true" in said
    remedy = said.partition("; ")[2].removeprefix("set ").split(" ")
    assert set(remedy) == {"training.mixup=0.0", "training.keep_epochs=false"}
    ClassicalLearner(config([*words, *remedy]), SHAPES, CLASSES)


def test_a_network_is_refused() -> None:
    streams = {"mfcc": StreamShape(39, 0.01, None)}
    with pytest.raises(UserError, match=r"fits model=linear_svm, not `mfcc_lstm`"):
        ClassicalLearner(compose(["corpus=demo", "model=mfcc_lstm", "training=classical"]).config, streams, CLASSES)


CLASSICAL = ["features=egemaps", "model=linear_svm", "training=classical", "model.inner_folds=3"]


def of_tiny(tiny: list[str]) -> list[str]:
    """The tiny corpus and its folders, without what they say of model and training."""
    return [word for word in tiny if not word.startswith(("model", "training"))]


def test_a_run_from_audio_to_test_scores(tiny: list[str]) -> None:
    pytest.importorskip("opensmile")
    config = compose([*of_tiny(tiny), *CLASSICAL]).config
    run = evaluate(train(config))
    result = run.read_result()
    # Two tones apart by more than an octave.
    assert result["validation"]["uar"] == result["test"]["uar"] == 1.0
    assert result["parameters"] == 88 + 1
    assert result["cost"].keys() == {"train", "train_validation"}
    assert result["labels"] == []
    assert result["fitted_on"] == ["train", "validation"]
    assert (result["inner_folds"], result["outputs"]) == ({"train": 3, "train_validation": 3}, "decision values")
    assert set(measures(config)) <= {key for key, found in leaves(result) if type(found) in (int, float)}


def test_normalised_by_speaker_it_is_labelled(tiny: list[str]) -> None:
    pytest.importorskip("opensmile")
    words = [*of_tiny(tiny), *CLASSICAL, "features.functionals.normalise=speaker"]
    assert train(compose(words).config).read_result()["labels"] == ["transductive"]


def test_the_networks_learner_refuses_it(tiny: list[str]) -> None:
    pytest.importorskip("opensmile")
    words = [*of_tiny(tiny), "features=egemaps", "model=linear_svm"]
    with pytest.raises(UserError, match=r"`linear_svm` is no network; choose training=classical"):
        train(compose(words).config)
