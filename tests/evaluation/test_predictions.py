"""predictions.csv reads back to exactly the numbers that were written."""

from pathlib import Path

import numpy as np
import pytest

from ser_lightning.errors import UserError
from ser_lightning.evaluation.predictions import Predictions


def some(part: str, n: int, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 2)).astype(np.float32).astype(np.float64)
    labels = ["angry, very" if i % 2 else "b" for i in range(n)]
    return Predictions(
        ["angry, very", "b"],
        [f"{part}{i}" for i in range(n)],
        [f"s{i % 3}" for i in range(n)],
        [part] * n,
        labels,
        logits,
    )


def test_round_trip_is_exact(tmp_path: Path) -> None:
    written = some("validation", 20)
    written.write(tmp_path / "predictions.csv")
    read = Predictions.read(tmp_path / "predictions.csv")
    assert np.array_equal(read.logits, written.logits)
    assert (read.classes, read.ids, read.labels) == (written.classes, written.ids, written.labels)
    assert read.scores() == written.scores()


def test_parts_are_added_and_taken_apart() -> None:
    both = some("validation", 5) + some("test", 7, seed=1)
    assert both.part("test").scores() == some("test", 7, seed=1).scores()
    assert len(both.without("test").ids) == 5


def test_columns(tmp_path: Path) -> None:
    some("test", 2).write(tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_text().splitlines()[0] == 'id,speaker,part,label,"logit_angry, very",logit_b'


@pytest.mark.parametrize("text", ["", "id,label\n1,2\n", "id,speaker,part,label,logit_a\n"])
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(UserError, match=r"p\.csv: needs rows"):
        Predictions.read(tmp_path / "p.csv")


def test_logits_of_different_classes_do_not_mix() -> None:
    other = Predictions(["x", "y"], ["1"], ["s"], ["test"], ["x"], np.zeros((1, 2)))
    with pytest.raises(UserError, match="different classes"):
        some("test", 1) + other
