"""Frozen studies: absolute, written and read back equal, deaf to later edits, and what differs between two."""

import shutil
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from ser_lightning.config.compose import compose
from ser_lightning.config.sources import packaged
from ser_lightning.errors import ConfigError
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.sweep_file import read_sweep

SWEEP = """
study: {trials: 3, crossval: {folds: 2}, sampler: {name: random, seed: 4}}
base:
  - experiment=emodb_fused
  - corpus.root=~/speech
  - split=file
  - split.file=parts.csv
space:
  model: [ds_lstm, fused]
  features.fine:
    - {n_fft: 512, hop: 256}
    - {n_fft: 800, hop: 200}
  training.learning_rate: {float: [1.0e-5, 1e-2], log: true}
constraints: {parameters: 4e5}
start:
  - {model: fused, features.fine: {n_fft: 800, hop: 200}}
"""
VALUES = {"model": "ds_lstm", "features.fine": {"n_fft": 800, "hop": 200}, "training.learning_rate": 1e-5}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `one.yaml` is."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "one.yaml").write_text(SWEEP)
    return folder


@pytest.fixture(scope="module")
def _frozen(place: Path) -> Frozen:
    with pytest.MonkeyPatch.context() as there:
        there.chdir(place)
        there.setenv("HOME", "/home/someone")
        return read_sweep("one.yaml")


@pytest.fixture
def frozen(_frozen: Frozen, place: Path, monkeypatch: pytest.MonkeyPatch) -> Frozen:
    """`one.yaml` as it was read, where it was read."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("HOME", "/home/someone")
    return deepcopy(_frozen)


def test_relative_paths_are_made_absolute(frozen: Frozen, place: Path) -> None:
    base = frozen.base
    assert base["corpus"]["root"] == "/home/someone/speech"
    assert base["runs_dir"] == str(place / "runs") and base["cache_dir"] == str(place / ".ser_cache")
    assert base["split"]["file"] == str(place / "parts.csv")
    assert base["scratch_dir"] is None
    for written, expected in [("fast", str(place / "fast")), ("$TMPDIR", "$TMPDIR"), ("~/fast", "/home/someone/fast")]:
        assert read_sweep("one.yaml", [f"scratch_dir={written}"]).base["scratch_dir"] == expected


def test_a_study_reads_back_equal_and_as_plain_yaml(frozen: Frozen, tmp_path: Path) -> None:
    path = tmp_path / "studies" / "one" / "study.yaml"
    frozen.write(path)
    again = Frozen.read(path)
    assert again == frozen and again.differences(frozen) == []
    assert again.config(VALUES, 5) == frozen.config(VALUES, 5)
    text = path.read_text()
    assert "!!" not in text and "&id" not in text
    assert list(path.parent.iterdir()) == [path]


def test_a_trial_is_the_base_with_its_values(frozen: Frozen, place: Path) -> None:
    config = frozen.config(VALUES, 12)
    expected = compose(
        [
            *frozen.words,
            "model=ds_lstm",
            "features.fine.n_fft=800",
            "features.fine.hop=200",
            "training.learning_rate=1e-5",
            "corpus.root=/home/someone/speech",
            f"split.file={place / 'parts.csv'}",
            f"runs_dir={place / 'runs'}",
            f"cache_dir={place / '.ser_cache'}",
            "tracking.group=one",
            "tracking.job_type=trial",
            "tracking.name=one trial 12",
        ]
    ).config
    assert config == expected
    assert frozen.base["tracking"]["group"] is None, "a trial leaves no mark on its study"


def test_what_is_edited_under_conf_later_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(packaged("conf"), "conf")
    Path("one.yaml").write_text(SWEEP)
    frozen = read_sweep("one.yaml")
    before = frozen.config(VALUES, 0)
    frozen.write(Path("study.yaml"))
    Path("conf/model/ds_lstm.yaml").write_text("name: ds_lstm\nhidden_dim: 7\n")
    Path("conf/training/default.yaml").write_text("max_epochs: 1\n")
    assert Frozen.read(Path("study.yaml")).config(VALUES, 0) == before
    changed = read_sweep("one.yaml")
    assert changed.config(VALUES, 0).model["hidden_dim"] == 7
    assert any(line.startswith("base.training.max_epochs (1 / 40)") for line in changed.differences(frozen))
    assert any(line.startswith("choices.model.ds_lstm.hidden_dim (7 / 64)") for line in changed.differences(frozen))


def test_differences_name_the_keys_and_let_trials_grow(frozen: Frozen) -> None:
    assert replace(frozen, study=replace(frozen.study, trials=99)).differences(frozen) == []
    other = replace(
        frozen,
        study=replace(frozen.study, failures=9),
        space=frozen.space | {"model.hidden_dim": [8, 16]},
        constraints={},
        start=[],
    )
    assert frozen.differences(other) == [
        "study.failures (5 / 9)",
        "constraints.parameters (400000.0 / not set)",
        "start ([{'model': 'fused', 'features.fine': {'n_fft': 800, 'hop': 200}}] / [])",
        "space.model.hidden_dim (not set / [8, 16])",
    ]


def test_a_study_of_before_a_setting_that_changes_no_score_goes_on(frozen: Frozen, tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    frozen.write(path)
    tree = yaml.safe_load(path.read_text())
    for key in ("also", "utterances", "audio", "artifacts", "private"):
        del tree["base"]["tracking"][key]
    del tree["choices"]["model"]["ds_lstm"]["recurrence"]
    path.write_text(yaml.safe_dump(tree))
    before = Frozen.read(path)
    assert before.differences(frozen) == frozen.differences(before) == []
    assert before.config(VALUES, 0) == frozen.config(VALUES, 0)


def test_a_recurrence_that_is_another_model_is_another_study(frozen: Frozen) -> None:
    def of(recurrence: str) -> Frozen:
        return replace(frozen, base={**frozen.base, "model": {"name": "plugin", "recurrence": recurrence}})

    assert of("lstm").differences(of("gru")) == ["base.model.recurrence (lstm / gru)"]


def test_a_file_that_is_no_study_is_told(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("study: {name: x}\n")
    with pytest.raises(ConfigError, match="no frozen study: `base` is missing"):
        Frozen.read(tmp_path / "study.yaml")


def test_values_that_do_not_go_together_name_the_trial(frozen: Frozen) -> None:
    with pytest.raises(ConfigError, match=r"study one, trial 8"):
        frozen.config(VALUES | {"model.weight": 0.5}, 8)


def test_any_name_and_word_of_a_study_reads_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["split=lists", "split.test=[08e4, 010, ~]", "tracking.tags=[1_0, yes, 12:30]", r"tracking.name=\${x}"]
    listed = "".join(f"  - '{word}'\n" for word in ["experiment=demo_fused", *words])
    Path("own.yaml").write_text(f'study: {{name: "695e0514"}}\nbase:\n{listed}space: {{model.weight: [0.2, 0.4]}}\n')
    frozen = read_sweep("own.yaml")
    frozen.write(tmp_path / "study.yaml")
    again = Frozen.read(tmp_path / "study.yaml")
    assert again == frozen
    assert (again.study.name, again.words[1:]) == ("695e0514", words)
    config = again.config({"model.weight": 0.2}, 0)
    assert (config.split["test"], config.tracking.tags) == (["08e4", "010", "~"], ["1_0", "yes", "12:30"])


def test_a_name_that_yaml_reads_as_a_number_goes_in_quotes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.yaml").write_text("study: {name: 695e0514}\nbase: [experiment=demo_fused]\nspace: {seed: [1, 2]}\n")
    with pytest.raises(ConfigError, match=r"`study\.name` \(from own\.yaml\): .*put it in quotes"):
        read_sweep("own.yaml")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("study", None),
        ("base", []),
        ("base", {"tracking": None}),
        ("choices", {"model": 1}),
        ("space", "x"),
        ("start", [1]),
    ],
)
def test_a_frozen_file_of_the_wrong_shape_is_one_line(_frozen: Frozen, tmp_path: Path, key: str, value: object) -> None:
    _frozen.write(tmp_path / "study.yaml")
    tree = yaml.safe_load((tmp_path / "study.yaml").read_text(encoding="utf-8"))
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(tree | {key: value}), encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"study\.yaml: no frozen study: `{key}.*` is no (mapping|list)"):
        Frozen.read(tmp_path / "study.yaml")
