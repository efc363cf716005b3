"""What `ser config` and `--help` print."""

from dataclasses import asdict

import pytest
import yaml

from ser_lightning.cli import main
from ser_lightning.config.compose import compose
from ser_lightning.config.show import show
from ser_lightning.config.sources import GROUPS, choices, search_path
from ser_lightning.config.yaml_text import parse

SHIPPED = [(group, choice) for group in GROUPS for choice in choices(group, search_path(None))]


def test_config_prints_yaml_that_reads_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "experiment=paper_fused", "corpus.root=007", "tracking.name=on"]) == 0
    shown = capsys.readouterr().out
    read = yaml.safe_load(shown)
    assert read["corpus"]["root"] == "007"
    assert read["tracking"]["name"] == "on"
    assert read["corpus"]["labels"]["N"] == "neutral"
    assert read["training"]["batch_size"] == 128
    assert "# conf/training/paper.yaml" in shown
    assert "# command line" in shown


def test_help_lists_groups_and_choices(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    shown = capsys.readouterr().out
    for group, choice in SHIPPED:
        assert group in shown
        assert choice in shown


def test_what_is_missing_is_shown_and_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "corpus=table", "split=file"]) == 0
    shown = capsys.readouterr()
    assert "  root: ???" in shown.out
    read = yaml.safe_load(shown.out)
    assert read["corpus"] == {"name": "table", "root": "???", "classes": "???", "labels": {}}
    assert read["training"]["spec_augment"]["time_masks"] == 0
    assert shown.err.strip() == "still to be given: corpus.root=... corpus.classes=... split.file=..."


def test_nothing_is_said_where_nothing_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "corpus=demo"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("verb", ["train", "features", "corpus"])
def test_the_other_verbs_need_every_value(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "experiment=emodb_fused"]) == 2
    shown = capsys.readouterr()
    assert "missing value: give corpus.root=..." in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("words", [["training.batch_size=0"], ["model.hiden_dim=1"]])
def test_mistakes_beside_missing_values_are_errors(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "experiment=emodb_fused", *words]) == 2
    assert words[0].partition("=")[0] in capsys.readouterr().err


def test_config_alone_asks_for_a_corpus(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config"]) == 2
    assert "choose corpus=..." in capsys.readouterr().err


def test_what_is_shown_reads_back(capsys: pytest.CaptureFixture[str]) -> None:
    tags = "['yes','010','1e3','\U0001f600','é','[x]','a: b','~','.inf','12:30','=']"
    composed = compose(["corpus=demo", f"tracking.tags={tags}", "corpus.labels={010: '1e3', \U0001f600: x}"])
    show(composed)
    assert parse(capsys.readouterr().out) == asdict(composed.config)
