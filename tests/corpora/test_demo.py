"""The demo corpus as a folder: made once, whole, the same for the same seed, refused if it is another."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from ser_lightning.corpora import demo_synthesis
from ser_lightning.corpora.demo import Demo
from ser_lightning.corpora.scan import scan
from ser_lightning.errors import UserError

Make = Callable[..., Any]
SMALL: dict[str, Any] = {"speakers": 2, "utterances": 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo") / "corpus"
    list(Demo(root=str(root), **SMALL).entries())
    return root


def test_the_yaml_and_the_dataclass_agree(configured: Make) -> None:
    assert configured("demo") == Demo()


def test_the_folder_is_a_corpus_like_any_other(made: Path, configured: Make, tmp_path: Path) -> None:
    corpus = scan(configured("demo", root=str(made), **SMALL), tmp_path)
    corpus.check()
    assert corpus.problems == ()
    assert corpus.counts == {"anger": 2, "happiness": 2, "neutral": 2, "sadness": 2}
    first = corpus.utterances[0]
    assert (first.id, first.speaker, first.label, first.text) == ("s01_ang_01", "s01", "anger", "01")
    assert soundfile.info(first.path).subtype == "PCM_16"
    assert (first.sample_rate, first.channels) == (16_000, 1)
    assert list(made.parent.glob(".*")) == []


def test_two_syntheses_agree_and_files_do_not_depend_on_each_other(made: Path, tmp_path: Path) -> None:
    again = scan(Demo(root=str(tmp_path / "again"), speakers=3, utterances=1), tmp_path / "cache")
    first = scan(Demo(root=str(made), **SMALL), tmp_path / "cache")
    assert [u for u in again.utterances if u.speaker != "s03"] != []
    assert {u.id: u.digest for u in again.utterances if u.speaker != "s03"} == {
        u.id: u.digest for u in first.utterances
    }
    assert len({u.digest for u in again.utterances}) == 12


def test_an_existing_corpus_is_not_made_again(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("synthesised again")

    monkeypatch.setattr(demo_synthesis, "synthesise", fail)
    assert len(list(Demo(root=str(made), **SMALL).entries())) == 8


@pytest.mark.parametrize("change", [{"seed": 1}, {"speakers": 3}, {"utterances": 2}])
def test_other_parameters_are_refused(made: Path, change: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"set corpus\.root=\.\.\. to a new folder, or remove this one"):
        list(Demo(root=str(made), **(SMALL | change)).entries())


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="is not a demo corpus"):
        list(Demo(root=str(tmp_path), **SMALL).entries())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_synthesis, "synthesise", interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(Demo(root=str(tmp_path / "corpus"), **SMALL).entries())
    assert list(tmp_path.iterdir()) == []


def test_who_comes_second_uses_what_the_first_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, real = tmp_path / "corpus", demo_synthesis.synthesise

    def slow(*arguments: Any) -> Any:
        monkeypatch.setattr(demo_synthesis, "synthesise", real)
        list(Demo(root=str(root), **SMALL).entries())
        return real(*arguments)

    monkeypatch.setattr(demo_synthesis, "synthesise", slow)
    assert len(list(Demo(root=str(root), **SMALL).entries())) == 8
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]
    assert json.loads((root / "corpus.json").read_text())["speakers"] == 2


@pytest.mark.parametrize("wrong", [{"speakers": 0}, {"utterances": 100}, {"seed": -1}])
def test_impossible_sizes(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"corpus\.speakers and \.utterances must be 1 to 99"):
        list(Demo(root=str(tmp_path / "corpus"), **wrong).entries())
