"""What a person reads of a cross-validation: how what the figures are of was chosen, and on what it was fitted."""

from pathlib import Path

import numpy as np
import pytest

from ser_lightning.crossval.folder import CrossvalFolder
from ser_lightning.crossval.summary import show
from ser_lightning.evaluation.pooled import Pooled
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.evaluation.summary import CHOSEN, summarise
from ser_lightning.files import write_json

ROWS = Predictions(["a", "b"], ["1", "2"], ["s", "s"], ["test"] * 2, ["a", "b"], np.eye(2))
POOLED = Pooled.of([(0, 0, ROWS)])


def shown(path: Path, capsys: pytest.CaptureFixture[str], **facts: object) -> str:
    told = {
        "id": "cv",
        "labels": [],
        "folds": 1,
        "seeds": [0],
        "figures": {CHOSEN: summarise(POOLED)},
    }
    write_json(path / "result.json", told | facts)
    show(CrossvalFolder(path))
    return " ".join(capsys.readouterr().out.split())


def test_a_networks_epoch_is_chosen_on_validation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = shown(tmp_path, capsys, selected_by=["validation.uar"], fitted_on=["train"])
    assert "chosen on validation" in said and "also fitted" not in said


def test_a_learner_that_chooses_otherwise_says_how(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = shown(tmp_path, capsys, selected_by=["inner folds"], fitted_on=["train", "validation"])
    assert "chosen by inner folds" in said and "chosen on validation" not in said
    assert "also fitted on the validation part" in said


def test_what_figures_have_to_be_read_with_stands_below_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = {"over_folds_and_seeds": "means over folds that hold different classes: fold 1 lacks b"}
    chosen = summarise(POOLED) | {"notes": notes}
    last = summarise(POOLED) | {"notes": notes | {"epoch": "chosen on validation, too, by early stopping"}}
    figures = {"chosen on validation": chosen, "last epoch": last}
    said = shown(tmp_path, capsys, figures=figures, chosen_on={"least": 6, "most": 31})
    assert "epochs were chosen on 6 to 31 validation utterances" in said
    assert said.count("over folds and seeds: means over folds that hold different classes: fold 1 lacks b") == 1
    assert "last epoch: chosen on validation, too, by early stopping" in said
