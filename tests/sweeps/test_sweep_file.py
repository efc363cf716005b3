"""Sweep files: found, completed with words, checked against the schema before anything runs; the packaged ones."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from ser_lightning.config.components import build
from ser_lightning.errors import ConfigError
from ser_lightning.models.stream import StreamShape
from ser_lightning.sweeps import sweep_file
from ser_lightning.sweeps.corners import corners
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.settings import study_settings
from ser_lightning.sweeps.sweep_file import find, packaged, read_sweep

ROOT = ["corpus.root=data"]
SWEEP: dict[str, Any] = {
    "study": {"trials": 7, "pruner": {"name": "hyperband", "min_resource": 2}},
    "base": ["experiment=emodb_fused", "training.max_epochs=3"],
    "space": {"model.hidden_dim": {"int": [32, 128], "step": 32}},
}


@pytest.fixture
def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(folder: Path, **changes: Any) -> str:
    """The sweep file `mine.yaml` with changed sections."""
    (folder / "mine.yaml").write_text(yaml.safe_dump(SWEEP | changes))
    return "mine.yaml"


def read(folder: Path, *words: str, **changes: Any) -> Frozen:
    return read_sweep(written(folder, **changes), [*ROOT, *words])


def test_settings_come_from_the_file_then_three_words(stand: Path) -> None:
    study = read(stand).study
    assert (study.name, study.trials, study.storage) == ("mine", 7, None)
    assert study.pruner == {"name": "hyperband", "min_resource": 2}, "nothing left of the default pruner's parameters"
    assert study.sampler == {"name": "tpe", "seed": 0}
    assert study.objectives == {"validation.uar": "maximize"} and study.crossval is None
    study = read(stand, "study.trials=40", "study.name=007", "study.storage=grpc://host:1").study
    assert (study.name, study.trials, study.storage) == ("007", 40, "grpc://host:1")
    study = study_settings({"name": "cv", "crossval": {"folds": None}, "stale": 5, "memory": 900}, (), "here")
    assert study.crossval is not None and study.crossval.folds is None
    assert (study.stale, study.memory, study.trials) == (5.0, 900, 20)
    front = {"validation.uar": "maximize", "parameters": "minimize"}
    study = study_settings({"name": "front", "objectives": front, "pruner": {"name": "none"}}, (), "here")
    assert study.objectives == front


def test_other_words_override_the_base(stand: Path) -> None:
    frozen = read(stand, "training.max_epochs=9", "study.trials=4")
    assert frozen.base["training"]["max_epochs"] == 9
    assert frozen.words == [*SWEEP["base"], *ROOT, "training.max_epochs=9"]


def test_a_sweep_is_found_by_path_then_where_one_stands_then_packaged(stand: Path) -> None:
    assert find("sweeps/quick.yaml") == find("quick.yaml") == find("quick") == packaged()["quick"]
    (stand / "sweeps").mkdir()
    (stand / "sweeps" / "quick.yaml").write_text(yaml.safe_dump(SWEEP))
    assert find("sweeps/quick.yaml") == find("quick.yaml") == find("quick") == Path("sweeps/quick.yaml")
    assert read_sweep("quick", ROOT).study.trials == 7
    with pytest.raises(
        ConfigError,
        match=r"no sweep file elsewhere/quick\.yaml; did you mean `quick`\?; packaged: .*hidden_dims.*quick",
    ):
        find("elsewhere/quick.yaml")


def test_packaged_sweeps_are_found_beside_the_code_once_installed(stand: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (stand / "inside").mkdir()
    (stand / "inside" / "one.yaml").write_text("")
    monkeypatch.setattr(sweep_file, "PACKAGED", (stand / "inside", stand))
    (stand / "foreign.yaml").write_text("")
    assert list(packaged()) == ["one"]


def test_groups_are_resolved_with_the_base_s_words(stand: Path) -> None:
    frozen = read(stand, "model.dropout=0.4", space={"model": ["ds_lstm", "fused"]})
    assert frozen.choices["model"]["ds_lstm"]["name"] == "ds_lstm"
    assert {one["dropout"] for one in frozen.choices["model"].values()} == {0.4}
    assert "weight" not in frozen.choices["model"]["ds_lstm"] and frozen.choices["model"]["fused"]["weight"] == 0.5


SPACE_MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({}, "`space` is empty"),
    ({"model.hiden_dim": [1]}, "mine.yaml: unknown key `model.hiden_dim`.*did you mean `hidden_dim`"),
    ({"modle.hidden_dim": [1]}, "mine.yaml: unknown key `modle`"),
    ({"model.hidden_dim": [32, "large"]}, r"`model.hidden_dim`: .*large.*\(in the trial model.hidden_dim=large\)"),
    ({"model.hidden_dim": [32, 40.5]}, "`model.hidden_dim`: .*40.5"),
    ({"model.hidden_dim": {"float": [32, 64]}}, "space.model.hidden_dim: a range of float for a value of type int"),
    ({"training.optimizer": ["adam", "adamx"]}, "training.optimizer.*adamx"),
    ({"training.optimizer": {"int": [0, 1]}}, r"a range of int for a value of type adam \| adamw \| sgd"),
    ({"training.sync_batchnorm": {"int": [0, 1]}}, "a range of int for a value of type bool"),
    ({"training.learning_rate": {"float": [0.0, 0.1]}}, "training.learning_rate=0.0: must be above 0"),
    ({"training.label_smoothing": {"float": [0.0, 1.0]}}, "training.label_smoothing=1.0: must be from 0 to below 1"),
    ({"features.fine": [{"n_fft": 512}, {"nfft": 512}]}, "unknown key `features.fine.nfft`"),
    ({"features.fine": [{"n_fft": "wide"}]}, "features.fine.n_fft.*wide"),
    ({"features.fin.n_fft": [512]}, "features.fin"),
    ({"features.fine.hop": {"of": "features.fine.n_fft", "times": 0.33}}, r"features.fine.hop.*168\.96"),
    ({"model": ["ds_lstm", "fusd"]}, "space.model: model=fusd: unknown model `fusd`; did you mean `fused`"),
    ({"model": "ds_lstm"}, "space.model: a group takes a list of its choices"),
    (
        {"model": ["ds_lstm", "fused"], "model.weight": [0.4]},
        r"unknown key `model.weight`.*\(in the trial model=ds_lstm",
    ),
    ({"split.seed": [1, 2]}, "space.split.seed cannot be searched: .*different validation parts"),
    ({"corpus": ["emodb", "ravdess"]}, "space.corpus cannot be searched"),
    ({"runs_dir": ["a", "b"]}, "space.runs_dir cannot be searched: it changes no trial's score"),
    ({"tracking.name": ["a", "b"]}, "space.tracking.name cannot be searched: it changes no trial's score"),
    ({"training.num_workers": [1, 2]}, "space.training.num_workers cannot be searched: it changes no trial's score"),
    ({"seed": {"int": [0, 9]}}, "space.seed cannot be searched: the luckiest of several seeds"),
    ({"training.devices": [1, 2]}, "space.training.devices cannot be searched: a worker shares out its devices once"),
    ({"training.accelerator": ["cpu", "cuda"]}, "space.training.accelerator cannot be searched"),
    (
        {"training.waveform": [{"copies": 1}, {"copies": 1, "seed": 3}]},
        r"training.waveform.seed differs from the base's, and cannot be searched: .*\(in the trial .*seed 3\)",
    ),
    ({"features.fine.hop": {"of": "features.fine.n_fft", "times": 0.5}}, "space: nothing is drawn"),
    ({"model.dropout": {"float": [0.1, 0.3], "when": {"modle": "fused"}}}, "`modle` .*; did you mean `model`"),
    ({"model.dropout": {"float": [0.1, 0.3], "when": {"split.sed": 3}}}, "`split.sed` .*; did you mean `split.seed`"),
    ({"model.dropout": {"float": [0.0, 0.3], "log": True}}, "a logarithmic range .* above 0"),
    ({"model.hidden_dim": {"int": [8, 16], "step": 4, "log": True}}, "a logarithmic range takes no `step`"),
    ({"model.hidden_dim": {"int": [16, 8]}}, r"int is \[16, 8\]; the least value comes first"),
    ({"model.name": ["ds_lstm", "fused"]}, "space.model.name: search the group"),
    ({"model.hidden dim": [1]}, "unknown key `model.hidden dim`"),
]


@pytest.mark.parametrize(("space", "message"), SPACE_MISTAKES)
def test_a_space_outside_the_schema_is_refused(stand: Path, space: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(stand, space=space)


FILE_MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"studdy": {}}, "unknown section `studdy`; did you mean `study`"),
    ({"study": {"trails": 3}}, "mine.yaml: study.trails: unknown setting; did you mean `trials`"),
    ({"study": {"trials": "many"}}, "study.trials: .*many"),
    ({"study": {"trials": 0}}, "study.trials=0: must be at least 1"),
    ({"study": {"stale": 0}}, "study.stale=0.0: must be above 0"),
    ({"study": {"memory": 0}}, "study.memory=0: must be at least 1"),
    ({"study": {"crossval": {"folds": 1}}}, "study.crossval.folds=1: must be at least 2"),
    ({"study": {"crossval": {"fold": 3}}}, "study.crossval.fold"),
    ({"study": {"name": "a/b"}}, "study.name='a/b': names a folder"),
    ({"study": {"name": "../up"}}, "names a folder"),
    ({"study": {"objectives": {"test.uar": "maximize"}}}, "`test.uar` looks at the test part"),
    ({"study": {"objectives": {"last_epoch.test.uar": "maximize"}}}, "looks at the test part"),
    ({"study": {"objectives": {"selected_on_test.uar": "maximize"}}}, "looks at the test part"),
    (
        {"study": {"objectives": {"validation.ur": "maximize"}}},
        "`validation.ur` is no number .*; did you mean `valid.*uar`",
    ),
    (
        {"study": {"objectives": {"validation.recall": "maximize"}}},
        "objectives: `validation.recall` is no number in the",
    ),
    ({"study": {"objectives": {"validation.recall.joy": "maximize"}}}, "`validation.recall.joy` is no number"),
    ({"study": {"objectives": {"extracted.fine": "minimize"}}}, "`extracted.fine` is no number"),
    ({"constraints": {"paramters": 9}}, "mine.yaml: constraints: `paramters` is no number.*did you mean `parameters`"),
    ({"constraints": {"model.hidden_dim": 9}}, "`model.hidden_dim` is no number.*known: parameters, seconds"),
    (
        {"study": {"objectives": {"latency": "minimize"}, "pruner": {"name": "median"}}},
        "`latency` is not followed from epoch to epoch.*validation.uar, validation.wa",
    ),
    ({"study": {"sampler": {"name": "tpo"}}}, "mine.yaml: study.sampler: unknown sampler `tpo`; did you mean `tpe`"),
    ({"study": {"pruner": {"name": "percentile"}}}, "mine.yaml: study.pruner: percentile: .*'percentile'"),
    ({"study": {"pruner": {"name": "wilcoxon"}}}, "wilcoxon compares the folds of .*or score trials by study.crossval"),
    (
        {"study": {"pruner": {"name": "patient", "patience": 2, "wrapped_pruner": {"name": "wilcoxon"}}}},
        "wilcoxon compares the folds",
    ),
    (
        {
            "study": {
                "crossval": {"folds": None},
                "pruner": {"name": "patient", "patience": 2, "wrapped_pruner": {"name": "wilcoxon"}},
            }
        },
        "wilcoxon compares the folds .* with wilcoxon as it is",
    ),
    (
        {"study": {"sampler": {"name": "brute_force"}}, "space": {"model.dropout": {"float": [0.1, 0.3]}}},
        "space.model.dropout: brute_force tries every value, and 0.1 to 0.3 has endlessly many; give a `step`",
    ),
    (
        {"study": {"trials": 1}, "start": [{"model.hidden_dim": 32}, {"model.hidden_dim": 64}]},
        "start: 2 starting points, and study.trials=1; raise it",
    ),
    ({"study": {"objectives": {"validation.uar": "up"}}}, "study.objectives.*up"),
    ({"study": {"objectives": {}}}, "study.objectives: give at least one"),
    ({"study": {"objectives": {"validation.uar": "maximize", "parameters": "minimize"}}}, "pruner: {name: none}"),
    ({"study": {"sampler": {"seed": 1}}}, "study.sampler: give its `name`"),
    ({"study": [1]}, "`study` is a mapping"),
    (
        {"study": {"objectives": ["validation.uar"]}},
        "study.objectives is a mapping, such as objectives: {validation.uar",
    ),
    ({"study": {"sampler": "random"}}, "study.sampler is a mapping, such as sampler: {name: tpe}"),
    ({"study": {"pruner": None}}, "study.pruner is a mapping"),
    ({"study": {"crossval": True}}, "study.crossval is a mapping, such as crossval: {folds: null}"),
    ({"base": "experiment=emodb_fused"}, "base is a list of words"),
    ({"base": ["experiment=emodb_fusd"]}, "unknown experiment `emodb_fusd`"),
    ({"constraints": {"parameters": "few"}}, "constraints.parameters=few: .*a number above 0"),
    ({"constraints": {"test.wa": 1}}, "constraints: `test.wa` looks at the test part"),
    ({"start": {"model.hidden_dim": 32}}, "`start` is a list of mappings"),
    ({"start": [{"model.hidden_dim": 33}]}, "mine.yaml: start: model.hidden_dim: 33 is not in 32 to 128"),
]


@pytest.mark.parametrize(("changes", "message"), FILE_MISTAKES)
def test_each_mistake_of_a_file_has_its_message(stand: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(stand, **changes)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (
            "study.sampler=random",
            "`study.sampler` is set in the sweep file; on the command line there are study.trials",
        ),
        ("study.trials=some", "study.trials: .*some"),
        ("model.hidden_dim=64", "model.hidden_dim=64: every trial sets model.hidden_dim itself"),
        ("features.coarse.hop=512", "every trial sets features.coarse.hop itself; .* take features.coarse out"),
        ("model.hiden_dim=64", "unknown key `model.hiden_dim`"),
    ],
)
def test_words_that_could_not_be_followed_are_refused(stand: Path, word: str, message: str) -> None:
    space = SWEEP["space"] | {"features.coarse": [{"n_fft": 1024, "hop": 512}]}
    with pytest.raises(ConfigError, match=message):
        read(stand, word, space=space)


def test_what_scores_trials_is_checked_against_the_result_of_each(stand: Path) -> None:
    recall = {"objectives": {"validation.recall.anger": "maximize"}, "pruner": {"name": "none"}}
    assert "validation.recall.anger" in read(stand, study=recall).study.objectives
    folds = {"objectives": {"validation.recall.anger": "maximize"}, "crossval": {"folds": None}}
    assert read(stand, study=folds).study.crossval, "folds report any value"
    front = {"objectives": {"validation.uar": "maximize", "epochs": "minimize"}, "pruner": {"name": "none"}}
    assert read(stand, study=front).study.objectives == front["objectives"]
    with pytest.raises(ConfigError, match=r"`epochs` is no number in the result of training\.learner=classical"):
        space = {"model.costs": [[0.1], [1.0]]}
        read(stand, base=["experiment=emodb_svm"], space=space, study=front)
    twice = [{"model.hidden_dim": 32}, {"model.hidden_dim": 32}]
    assert read(stand, study={"trials": 1}, start=twice).start == twice, "one trial: the points are the same"


def test_the_file_of_a_database_is_a_place_like_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("SCRATCH", "/scratch")

    def storage(url: str) -> str | None:
        return study_settings({"name": "s", "storage": url}, (), "here").storage

    assert storage("sqlite:///~/s.db") == "sqlite:////home/someone/s.db"
    assert storage("sqlite+pysqlite:///$SCRATCH/s.db?timeout=9") == "sqlite+pysqlite:////scratch/s.db?timeout=9"
    assert storage("postgresql://me:$SCRATCH~@db/studies") == "postgresql://me:$SCRATCH~@db/studies"


def test_a_missing_value_and_broken_yaml_are_told(stand: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing value: give corpus.root=\.\.\."):
        read_sweep(written(stand))
    (stand / "twice.yaml").write_text("base: [a=1]\nbase: [a=2]\n")
    with pytest.raises(ConfigError, match=r"twice.yaml, line 2: the key `base` stands there twice"):
        read_sweep("twice.yaml", ROOT)


def test_relied_upon_sweeps_are_there() -> None:
    assert {"quick", "window_sizes", "hidden_dims", "paper_fused"} <= set(packaged())


def test_the_example_of_the_readme_reads(stand: Path) -> None:
    text = packaged()["quick"].with_name("README.md").read_text().split("```yaml\n")[1].split("```")[0]
    frozen = read(stand, **yaml.safe_load(text))
    tree = frozen.config(frozen.searched.walk({"model": "fused", "features.fine": {"n_fft": 800, "hop": 200}}), 0)
    assert (tree.features["coarse"]["n_fft"], tree.features["coarse"]["hop"]) == (1600, 400)


@pytest.mark.parametrize("name", packaged())
def test_every_packaged_sweep_builds_at_each_corner(stand: Path, name: str) -> None:
    frozen = read_sweep(name, ROOT)
    assert frozen.study.name == name and frozen.start
    for values in corners(frozen.searched):
        config = frozen.config(values, 0)
        shapes = {}
        for stream, given in config.features.items():
            own = {key: value for key, value in given.items() if key not in ("frames", "normalise")}
            one = build("extractor", own, selector="extractor")
            assert one.extract(torch.randn(16000) * 0.1).shape[1] == one.dim, "no empty mel filter"
            shapes[stream] = StreamShape(one.dim, one.hop_seconds, given["frames"], one.spectrogram)
        model = build("model", config.model, shapes, len(config.corpus["classes"]))
        assert sum(p.numel() for p in model.parameters()) > 1000


def test_window_sizes_let_frames_follow_the_hop_and_align_in_seconds(stand: Path) -> None:
    frozen = read_sweep("window_sizes", ROOT)
    for values in corners(frozen.searched):
        config = frozen.config(values, 0)
        assert config.model["alignment"] == "time"
        for stream in ("fine", "coarse"):
            settings = config.features[stream]
            assert settings["frames"] is None and 2 * settings["hop"] == settings["n_fft"]
        assert config.features["fine"]["hop"] < config.features["coarse"]["hop"]
