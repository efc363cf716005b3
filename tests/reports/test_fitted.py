"""What is said, and counted, of systems whose models learn from the validation part too."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import t
from sklearn.metrics import accuracy_score

from ser_lightning.files import read_csv
from ser_lightning.reports.compare import compare
from ser_lightning.reports.fitted import fitted_caveats
from ser_lightning.reports.fuse import fuse
from ser_lightning.reports.fuse_show import show
from ser_lightning.reports.settings import Places
from ser_lightning.reports.system import open_system

from . import systems
from .systems import Maker, noisy


@pytest.fixture
def maker(tmp_path: Path) -> Any:
    """Two networks, `net` and `other`, and two classical systems, `svm` and `svm2`."""
    made = Maker(tmp_path)
    for seed, name in enumerate(("net", "other")):
        made.crossval(name, {0: noisy(made.spoken, seed, 1.0)})
        replace(made, learner="classical").crossval(f"svm{seed}", {0: noisy(made.spoken, seed + 2, 1.0)})
    return made


@pytest.mark.parametrize(
    ("a", "b", "speakers"),
    [("net", "other", 4), ("svm0", "svm1", 5), ("net", "svm0", 4)],
    ids=["train: four of six", "train and validation: five", "the smaller of both"],
)
def test_the_corrected_t_counts_what_the_models_were_fitted_on(maker: Any, a: str, b: str, speakers: int) -> None:
    wa = compare([a, b, *maker.places]).differences[1]
    p = next(outcome.p for outcome in wa.tests if outcome.test == "corrected resampled t")
    d = np.subtract(*(by_speaker(maker, name) for name in (a, b)))
    statistic = d.mean() / np.sqrt((1 / 6 + 1 / speakers) * d.var(ddof=1))
    assert p == pytest.approx(2 * t.sf(abs(statistic), 5))


def by_speaker(maker: Any, name: str) -> list[float]:
    """WA of each speaker, from the file alone."""
    rows = read_csv(maker.root / "crossval" / name / "predictions.csv")
    found = []
    for speaker in sorted({row["speaker"] for row in rows}):
        own = [row for row in rows if row["speaker"] == speaker]
        decided = [max(systems.CLASSES, key=lambda name, row=row: float(row[f"logit_{name}"])) for row in own]  # type: ignore[misc]
        found.append(float(accuracy_score([row["label"] for row in own], decided)))
    return found


def test_who_was_fitted_on_validation_is_said(maker: Any) -> None:
    places = Places(*(str(maker.root / kind) for kind in ("runs", "crossval", "fusions")))
    letters = dict(zip("ABC", (open_system(name, places) for name in ("net", "svm0", "svm1")), strict=True))
    said = "B, C were also fitted on the validation part, A on the train part alone"
    assert fitted_caveats(letters) == [said]
    assert fitted_caveats({"A": letters["B"]}) == ["A was also fitted on the validation part"]
    assert fitted_caveats({"A": letters["A"]}) == []


def test_a_fusion_says_whose_validation_logits_are_of_another_fit(
    maker: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    found = fuse(["net", "svm0", *maker.places])
    show(found)
    said = " ".join(capsys.readouterr().out.split())
    assert "member 2: svm0 also fitted on the validation part: its test logits are of that fit" in said
    assert "member 1: net member 2" in said
    assert found.result["selected_by"] == ["mean UAR of 5 inner folds over speakers", "validation.uar"]
    fuse(["net", "other", *maker.places])
    assert fitted_caveats({"A": found}) == ["A was also fitted on the validation part"]


def test_a_fusion_knows_where_its_members_runs_lie(maker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (maker.root / "runs").rename(maker.root / "mine")
    monkeypatch.chdir(maker.root)
    found = fuse(["net", "other", "runs_dir=mine"])
    assert {run.path.parent.name for runs in open_system(found.name, Places()).runs.values() for run in runs} == {
        "mine"
    }
