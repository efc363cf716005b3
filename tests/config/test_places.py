"""Folders and files among the settings: `~` and variables are settled where they are read, once, for every verb."""

from dataclasses import asdict
from pathlib import Path

import pytest

from ser_lightning.cli import main
from ser_lightning.cluster.settings import slurm_settings
from ser_lightning.config.compose import bind, compose
from ser_lightning.config.identity import identity
from ser_lightning.config.schema import Config
from ser_lightning.config.settings import taken
from ser_lightning.errors import ConfigError
from ser_lightning.reports.settings import Report
from ser_lightning.sweeps.sweep_file import read_sweep
from ser_lightning.tracking.sync import Sync

HOME = "/home/someone"


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", HOME)
    monkeypatch.setenv("DISK", "/disk/7")
    monkeypatch.delenv("NOWHERE", raising=False)


def demo(*words: str) -> Config:
    return compose(["experiment=demo_fused", *words]).config


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("~/x", f"{HOME}/x"),
        ("$DISK/x", "/disk/7/x"),
        ("${DISK}x", "/disk/7x"),
        ("a/$DISK", "a//disk/7"),
        ("./~x", "./~x"),
        ("a~/b", "a~/b"),
        ("price$/x", "price$/x"),
        ("out [/x]", "out [/x]"),
    ],
)
def test_each_folder_of_a_configuration(written: str, meant: str) -> None:
    found = demo(f"runs_dir={written}", f"cache_dir={written}", f"corpus.root={written}")
    assert (found.runs_dir, found.cache_dir, found.corpus["root"]) == (meant, meant, meant)
    assert compose(["experiment=demo_fused", "split=file", f"split.file={written}"]).config.split["file"] == meant


def test_a_setting_of_a_yaml_file_and_one_that_refers_to_another(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("runs_dir: ~/runs\ncache_dir: ${runs_dir}/$DISK\n")
    found = compose(["experiment=demo_fused", "seed=3"], str(tmp_path)).config
    assert (found.runs_dir, found.cache_dir) == (f"{HOME}/runs", f"{HOME}/runs//disk/7")
    assert demo("runs_dir=runs/${seed}", "seed=3").runs_dir == "runs/3"


def test_the_scratch_folder_keeps_the_variables_of_the_node() -> None:
    assert demo("scratch_dir=$NOWHERE/x").scratch_dir == "$NOWHERE/x"
    assert demo("scratch_dir=${NOWHERE}x").scratch_dir == "${NOWHERE}x"
    assert demo("scratch_dir=~/x").scratch_dir == f"{HOME}/x"
    config = demo("scratch_dir=${NOWHERE}x")
    assert bind(asdict(config), "config.yaml") == config


def test_an_unknown_variable_or_home_is_refused_with_its_key_and_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"`runs_dir=\$NOWHERE/x`: the variable NOWHERE is not set"):
        demo("runs_dir=$NOWHERE/x")
    (tmp_path / "config.yaml").write_text("cache_dir: ${NOWHERE}/x\n")
    with pytest.raises(ConfigError, match=r"`cache_dir=.*config.yaml\): the variable NOWHERE is not set"):
        compose(["experiment=demo_fused"], str(tmp_path))
    with pytest.raises(ConfigError, match="no home folder is known for `~nobody-at-all`"):
        demo("runs_dir=~nobody-at-all/x")
    monkeypatch.setenv("NOWHERE", "a$DISK")
    with pytest.raises(ConfigError, match="names another variable"):
        demo("runs_dir=$NOWHERE/x")


def test_the_run_stays_the_same_one() -> None:
    assert identity(demo("runs_dir=~/x", "corpus.root=$DISK")) == identity(demo())
    assert asdict(demo("runs_dir=x")) == asdict(demo()) | {"runs_dir": "x"}


def test_settings_of_verbs_and_of_jobs() -> None:
    report, _ = taken(Report, ["runs_dir=~/r", "crossval_dir=$DISK/c", "out=~/r.html"])
    assert (report.runs_dir, report.crossval_dir, report.out) == (f"{HOME}/r", "/disk/7/c", f"{HOME}/r.html")
    assert taken(Sync, ["studies_dir=~/s"])[0].studies_dir == f"{HOME}/s"
    assert slurm_settings(["slurm.logs_dir=~/logs"])[0].logs_dir == f"{HOME}/logs"
    with pytest.raises(ConfigError, match=r"`slurm.logs_dir=\$NOWHERE`: the variable NOWHERE is not set"):
        slurm_settings(["slurm.logs_dir=$NOWHERE"])


def test_a_study_freezes_what_was_meant(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "base: [experiment=demo_fused, runs_dir=~/runs, cache_dir=$DISK/c]\n"
        "space: {training.learning_rate: [0.1, 0.01]}\n"
    )
    base = read_sweep(str(tmp_path / "a.yaml")).base
    assert (base["runs_dir"], base["cache_dir"]) == (f"{HOME}/runs", "/disk/7/c")


@pytest.mark.parametrize("verb", [["runs", "list"], ["runs", "show", "x"], ["logs", "x"], ["evaluate", "x"]])
def test_verbs_on_runs(verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*verb, "runs_dir=~/nothing here"]) in (0, 1)
    said = capsys.readouterr()
    assert f"{HOME}/nothing here/" in said.out + said.err
    assert main([*verb, "runs_dir=$NOWHERE"]) == 2
