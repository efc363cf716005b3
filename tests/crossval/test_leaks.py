"""A planted leak of each kind is caught."""

import csv
import shutil
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from lightning.pytorch.loggers import Logger

from ser_lightning.config import components
from ser_lightning.config.compose import compose
from ser_lightning.crossval.crossval import crossval
from ser_lightning.crossval.settings import Settings
from ser_lightning.data.datamodule import SERData
from ser_lightning.data.proof import LeakError
from ser_lightning.errors import UserError
from ser_lightning.files import read_csv, write_csv
from ser_lightning.processes.stopping import StopRequest
from ser_lightning.runs.evaluate import evaluate
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.prepare import Prepared
from ser_lightning.runs.train import train
from ser_lightning.training.learner import Fit
from ser_lightning.training.lightning_learner import LightningLearner

LISTS = ["split=lists", "split.test=[s5]", "split.validation=[s4]"]


@pytest.fixture
def words(tiny: list[str]) -> list[str]:
    return [word for word in tiny if not word.startswith("split.")]


def test_a_speaker_in_two_parts(words: list[str], tmp_path: Path, tiny_corpus: Path) -> None:
    """One take of a training speaker slips into the test part of a split from a file."""
    with tiny_corpus.open(encoding="utf-8") as source:
        ids = [(Path(row["path"]).stem, row["speaker"]) for row in csv.DictReader(source)]
    part = {"s4": "validation", "s5": "test"}
    rows = [(name, part.get(speaker, "train")) for name, speaker in ids]
    rows[0] = (rows[0][0], "test")
    write_csv(tmp_path / "split.csv", ("id", "part"), rows)
    leaky = compose([*words, "split=file", f"split.file={tmp_path / 'split.csv'}"]).config
    with pytest.raises(LeakError, match=r"speakers stand in two parts.*s0"):
        crossval(leaky, Settings(crossval_dir=str(tmp_path / "crossval")))
    assert not list(tmp_path.glob("runs/*"))


def test_a_speaker_moved_into_two_parts_after_the_training(words: list[str]) -> None:
    run = train(compose([*words, *LISTS]).config)
    rows = read_csv(run.split)
    rows[0]["part"] = "test"
    write_csv(run.split, list(rows[0]), [list(row.values()) for row in rows])
    with pytest.raises(UserError, match="speakers stand in two parts"):
        evaluate(run)
    assert "test" not in run.read_result()


def test_one_audio_under_two_names(words: list[str], tiny_corpus: Path, tmp_path: Path) -> None:
    """The copy carries another speaker's name; leave-one-speaker-out keeps the two together, lists are refused."""
    copied = tmp_path / "copied"
    shutil.copytree(tiny_corpus.parent, copied, ignore=shutil.ignore_patterns("cache"))
    shutil.copy(copied / "s0_high_0.wav", copied / "s5_high_0.wav")
    moved = [*words, f"corpus.root={copied / 'corpus.csv'}"]
    with pytest.raises(LeakError, match="recordings stand in two parts"):
        train(compose([*moved, *LISTS]).config)
    run = train(compose([*moved, "split=loso", "split.validation=1", "training.max_epochs=1"]).config)
    tested = {row["speaker"] for row in read_csv(run.split) if row["part"] == "test"}
    assert tested == {"s0", "s5"}


def weights(run: RunFolder) -> dict[str, torch.Tensor]:
    return torch.load(run.checkpoints / "best.ckpt", weights_only=True)["state_dict"]  # type: ignore[no-any-return]


def louder_test_speaker(corpus: Path, folder: Path) -> Path:
    """The same corpus, but the test speaker's recordings are another voice."""
    shutil.copytree(corpus.parent, folder, ignore=shutil.ignore_patterns("cache"))
    for path in folder.glob("s5_*.wav"):
        samples, rate = soundfile.read(path)
        soundfile.write(path, np.clip(3 * samples[::-1], -1, 1), rate)
    return folder / "corpus.csv"


def depends_on_test_audio(words: list[str], corpus: Path, folder: Path) -> bool:
    """Whether the trained system is another one when only the test speaker's audio is."""
    other = louder_test_speaker(corpus, folder / "other")
    runs = [train(compose([*words, *LISTS, *more]).config) for more in ([], [f"corpus.root={other}"])]
    assert runs[0].id != runs[1].id  # the manifest tells them apart
    first, second = map(weights, runs)
    return any(not torch.equal(first[name], second[name]) for name in first)


def test_statistics_fitted_on_test(
    words: list[str], tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that is trained depends on test audio; a normaliser that also sees the test speaker does, and is seen."""
    assert not depends_on_test_audio(words, tiny_corpus, tmp_path / "clean")
    given = Prepared.data

    def with_test(self: Prepared, parts: Any, wanted: Any, *rest: Any) -> SERData:
        return given(self, parts, (*wanted, "test"), *rest)

    def leaky_blocks(self: SERData) -> dict[str, Any]:
        parts = [self.part(part).sources for part in ("train", "test")]
        return {name: chain(*(sources[name].blocks() for sources in parts)) for name in parts[0]}

    monkeypatch.setattr(Prepared, "data", with_test)
    monkeypatch.setattr(SERData, "training_blocks", leaky_blocks)
    again = [*words, f"runs_dir={tmp_path / 'leaky_runs'}"]
    assert depends_on_test_audio(again, tiny_corpus, tmp_path / "leaky")


class Peeking(LightningLearner):
    """Chooses by the test part: what a learner must not do."""

    def fit(self, data: SERData, folder: Path, logger: Logger | None, stop: StopRequest) -> Fit:
        facts = super().fit(data, folder, logger, stop)
        self.predict(data, "test")
        return facts


class Greedy(LightningLearner):
    """Takes statistics of the test part."""

    def fit(self, data: SERData, folder: Path, logger: Logger | None, stop: StopRequest) -> Fit:
        data.part("test")
        return super().fit(data, folder, logger, stop)


@pytest.mark.parametrize("learner", [Peeking, Greedy])
def test_a_learner_that_asks_for_the_test_part(
    words: list[str], learner: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(components.TABLES["learner"], "peeking", "peeking:Peeking")
    monkeypatch.setattr("ser_lightning.runs.prepare.load", lambda _: learner)
    with pytest.raises(UserError, match="the test part is closed here"):
        train(compose([*words, *LISTS, "training.learner=peeking"]).config)


def test_selection_on_test_is_not_there_unless_asked_for_and_then_labelled(words: list[str], tmp_path: Path) -> None:
    """Other test labels change no choice; the figure that does choose on test says so."""
    asked = Settings(selected_on_test=True, crossval_dir=str(tmp_path / "crossval"))
    result = crossval(compose([*words, *LISTS]).config, asked).read_result()
    assert list(result["figures"]) == ["chosen on validation", "last epoch", "selected on test"]
    (run,) = map(RunFolder, (tmp_path / "runs").glob("table-*"))
    assert run.read_result()["checkpoint"]["selected_by"] == "validation.uar"
    uars = [float(row["validation/uar"]) for row in read_csv(run.metrics)]
    assert uars[run.read_result()["checkpoint"]["epoch"]] == max(uars)
    assert not any(name.startswith("test") for name in read_csv(run.metrics)[0])
