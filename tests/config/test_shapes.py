"""One value for a list or a mapping: one line that says how to write it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ser_lightning.config.compose import bind, compose
from ser_lightning.config.shapes import made
from ser_lightning.errors import ConfigError

LISTS = ["split=lists", "split.validation=[a]"]
MISTAKES = [
    ([*LISTS, "split.test=03"], "`split.test` is a list: write split.test=[03]"),
    ([*LISTS, "split.test=03,08"], "write split.test=[03,08]"),
    ([*LISTS, "split.test=null"], "write split.test=[]"),
    (["training.milestones=3"], "write training.milestones=[3]"),
    (["model.spectrograms=fine"], "write model.spectrograms=[fine]"),
    (["corpus.labels=3"], "`corpus.labels` is a mapping: write corpus.labels={KEY: VALUE}"),
    (
        ["training.spec_augment=3"],
        "write training.spec_augment.KEY=VALUE (KEY: time_masks, time_fraction, mel_masks, mel_fraction)",
    ),
    (["features.fine=log_mel"], "write features.fine.extractor=log_mel or features.fine={extractor: log_mel}"),
    (["features.new=mfcc"], "write features.new.extractor=mfcc or features.new={extractor: mfcc}"),
    (
        ["features.fine=logmel"],
        "features.fine.extractor=EXTRACTOR or features.fine={extractor: EXTRACTOR} (EXTRACTOR: mfcc,",
    ),
    (["features.mfcc=null"], "`features.mfcc=null`: a stream cannot be removed"),
]


@pytest.mark.parametrize(("words", "says"), MISTAKES)
def test_a_value_of_another_shape_is_answered_with_the_right_one(words: list[str], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(["corpus=demo", *words])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("word", ["features.fine.extractor=log_mel", "features.fine={extractor: log_mel}"])
def test_what_is_suggested_for_a_stream_works(word: str) -> None:
    assert compose(["corpus=demo", word]).config.features["fine"]["extractor"] == "log_mel"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("split: {name: lists, validation: [a], test: b}", "`split.test` is a list: write split.test=[b] (from conf/"),
        ("training: 3", "conf/experiment/mine.yaml: `training` is a mapping of keys to values"),
        ("features:", "`features` is a mapping"),
        ("features: {fine: log_mel}", "`features.fine` is a mapping"),
    ],
)
def test_shapes_in_a_file_are_checked(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(f"{text}\n")
    with pytest.raises(ConfigError) as caught:
        compose(["corpus=demo", "experiment=mine"], str(tmp_path))
    assert says in str(caught.value)


def test_a_reference_may_stand_for_a_list(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "defaults: [{corpus: demo}, {split: lists}]\n"
        'split: {validation: [a], test: "${tracking.tags}"}\n'
        "tracking: {tags: [b]}\n"
    )
    assert compose(["experiment=mine"], str(tmp_path)).config.split["test"] == ["b"]


def test_a_group_cannot_be_chosen_again_for_a_run_that_is_there() -> None:
    with pytest.raises(ConfigError, match="`training` is a mapping"):
        bind({"corpus": {"name": "emodb", "root": "X", "classes": ["a"], "labels": {}}, "split": {"name": "kfold"},
              "model": {"name": "mfcc_lstm"}, "features": {}}, "config.yaml", ["training=paper"])  # fmt: skip


@dataclass
class Address:
    """What a file gives of it."""

    host: str
    paths: list[str] = field(default_factory=list)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"hots": "a"}, "own.yaml: unknown key `hots`; did you mean `host`"),
        ({}, "own.yaml: `host` is missing"),
        ({"host": 8}, "`host` .from own.yaml.: YAML reads `8`"),
        ({"host": "a", "paths": "b"}, "`paths` is a list"),
        ({"host": "a", "paths": ["b", None]}, "`paths` .*reads `null`"),
    ],
)
def test_a_dataclass_from_a_file(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        made(Address, values, Path("own.yaml"))
    assert made(Address, {"host": "a", "paths": ["b"]}, Path("own.yaml")) == Address("a", ["b"])
