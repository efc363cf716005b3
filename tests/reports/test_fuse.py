"""Late fusion: weights by validation alone, logits by hand, looks recorded first, nothing made twice."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from ser_lightning.errors import ConfigError, UserError
from ser_lightning.evaluation.pooled import Pooled
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.files import read_csv
from ser_lightning.reports import fuse as fusing
from ser_lightning.reports.compare import compare
from ser_lightning.reports.fuse import fuse
from ser_lightning.reports.fuse_show import show
from ser_lightning.reports.weights import choose, fused, parts_of
from ser_lightning.runs.vault import looks

from .systems import CLASSES, Maker, noisy

Logits = Mapping[str, Sequence[float]]


@pytest.fixture
def maker(tmp_path: Path) -> Any:
    return Maker(tmp_path)


def validation(*logits: list[list[float]], labels: Sequence[str] = CLASSES) -> list[Predictions]:
    ids = [str(i) for i in range(len(labels))]
    part = ["validation"] * len(labels)
    return [Predictions(CLASSES, ids, ["v"] * len(labels), part, list(labels), np.array(z, float)) for z in logits]


def one_part(maker: Any, speaker: str, right: bool) -> dict[str, list[float]]:
    """Logits that are all right, or all wrong, on one speaker, strongly; elsewhere flat."""
    found = {}
    for i, s, label in maker.spoken.rows:
        scale = 0.0 if s != speaker else 10.0 if right else -10.0
        found[i] = [scale * (label == name) for name in CLASSES]
    return found


def test_the_weight_is_chosen_on_validation_also_where_test_prefers_another(maker: Any) -> None:
    # Fold 0 tests s0 and validates on s1: A is right on s1 and wrong on s0, B the other way round.
    a = {**one_part(maker, "s1", True), **{i: z for i, z in one_part(maker, "s0", False).items() if i[:2] == "s0"}}
    b = {**one_part(maker, "s1", False), **{i: z for i, z in one_part(maker, "s0", True).items() if i[:2] == "s0"}}
    maker.run("a", a)
    maker.run("b", b)
    found = fuse(["a", "b", *maker.places])
    (chosen,) = found.result["weights"]
    # Any weight above a half is all right on validation; the nearest to equal of the steps of 0.05 is 0.55.
    assert chosen == {"fold": 0, "seed": 0, "weights": [0.55, 0.45], "validation_uar": 1.0}
    assert found.result["figures"]["chosen on validation"]["uar"] == 0.0
    assert fuse(["a", "b", "weights=[0,1]", *maker.places]).result["figures"]["chosen on validation"]["uar"] == 1.0


def test_logits_and_figures_fold_by_fold_and_the_choice_by_brute_force(maker: Any) -> None:
    logits = [{seed: noisy(maker.spoken, 10 * m + seed, 0.8) for seed in (0, 1)} for m in range(2)]
    for name, own in zip("ab", logits, strict=True):
        maker.crossval(name, own, last=True)
    found = fuse(["a", "b", "step=0.1", *maker.places])
    chosen = {(row["fold"], row["seed"]): row for row in found.result["weights"]}
    assert set(chosen) == set(product(range(6), (0, 1)))
    last = Pooled.read(found.path / "predictions_last_epoch.csv")
    for (fold, seed), row in chosen.items():
        true = [label for _, s, label in maker.spoken.rows if s == f"s{(fold + 1) % 6}"]
        ids = [i for i, s, _ in maker.spoken.rows if s == f"s{(fold + 1) % 6}"]
        uars = {}
        for p in np.arange(11) / 10:
            z = [p * logits[0][seed][i] + (1 - p) * logits[1][seed][i] for i in ids]
            uars[p] = balanced_accuracy_score(true, [CLASSES[int(np.argmax(one))] for one in z])
        best = [p for p, uar in uars.items() if uar > max(uars.values()) - 1e-9]
        # Every class is spoken equally often, so WA ties where UAR does.
        p = min(best, key=lambda p: (round(abs(p - 0.5), 6), -p))
        assert row["weights"] == pytest.approx([p, 1 - p])
        assert row["validation_uar"] == pytest.approx(uars[p])
        rows, ends = found.pooled.at(fold, seed), last.at(fold, seed)
        assert set(rows.speakers) == {f"s{fold}"}
        hand = np.array([p * logits[0][seed][i] + (1 - p) * logits[1][seed][i] for i in rows.ids])
        np.testing.assert_allclose(rows.logits, hand, atol=1e-12)
        np.testing.assert_allclose(ends.logits, -hand, atol=1e-12)
    figures = found.result["figures"]
    predicted = [CLASSES[i] for i in found.pooled.rows.logits.argmax(1)]
    assert figures["chosen on validation"]["uar"] == pytest.approx(
        balanced_accuracy_score(found.pooled.rows.labels, predicted)
    )
    assert figures["last epoch"]["n"] == figures["chosen on validation"]["n"] == 108
    assert found.result["alone"][0]["uar"] == pytest.approx(
        compare(["a", "b", *maker.places]).systems[0].figures["uar"]
    )


def test_of_equal_uar_wa_decides_then_the_distance_to_equal_weights_then_the_order_of_names() -> None:
    right = [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]]
    assert choose(validation(right, right), 20).weights == (0.5, 0.5)
    assert choose(validation(right, right, right), 3).weights == (1 / 3, 1 / 3, 1 / 3)
    # No middle among halves of three members: the sum of squares is least with two of them, the first two.
    assert choose(validation(right, right, right), 2).weights == (0.5, 0.5, 0)
    assert choose(validation(right, right), 5).weights == (0.6, 0.4)
    # Three of anger, one of joy: all anger and all joy have UAR 1/2; WA is 3/4 and 1/4. At equal weights joy wins.
    labels = ["anger", "anger", "anger", "joy"]
    anger, joy = [[1.0, 0, 0]] * 4, [[0, 1.5, 0]] * 4
    assert choose(validation(joy, anger, labels=labels), 4).weights == (0.25, 0.75)
    assert choose(validation(joy, anger, labels=labels), 4).validation_uar == 0.5


def test_three_members(maker: Any) -> None:
    logits = [noisy(maker.spoken, seed, 0.6) for seed in range(3)]
    for name, own in zip("abc", logits, strict=True):
        maker.run(name, own)
    found = fuse(["a", "b", "c", "weights=[0.5,0.3,0.2]", *maker.places])
    rows = found.pooled.rows
    hand = [0.5 * logits[0][i] + 0.3 * logits[1][i] + 0.2 * logits[2][i] for i in rows.ids]
    np.testing.assert_allclose(rows.logits, hand, atol=1e-12)
    tried = fuse(["a", "b", "c", "step=0.25", *maker.places]).result["weights"][0]
    parts = [Predictions.read(maker.root / "runs" / name / "predictions.csv").part("validation") for name in "abc"]
    grid = [np.array(point) / 4 for point in product(range(5), repeat=3) if sum(point) == 4]
    assert tried["validation_uar"] == pytest.approx(max(fused(parts, list(point)).scores().uar for point in grid))


def test_looks_are_recorded_before_anything_is_scored(maker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    maker.crossval("a", {0: noisy(maker.spoken, 1, 1.0)})
    replace(maker, hidden=16).crossval("b", {0: noisy(maker.spoken, 2, 1.0)})

    def broken(*_: object) -> None:
        raise RuntimeError("scoring")

    monkeypatch.setattr(fusing, "write", broken)
    with pytest.raises(RuntimeError, match="scoring"):
        fuse(["a", "b", *maker.places])
    monkeypatch.undo()
    before = looks(maker.root / "runs")
    assert [(look.kind, look.corpus, look.speakers) for look in before] == [
        ("fusion", "table", [f"s{i}"]) for i in range(6)
    ]
    assert len({look.configuration for look in before}) == 1
    found = fuse(["a", "b", *maker.places])
    assert {look.run for look in looks(maker.root / "runs")} == {found.name}
    for words in (["b", "a"], ["a", "b", "weights=[0.7,0.3]"], ["b", "a", "weights=[0.3,0.7]"]):
        fuse([*words, *maker.places])
    counted = [look.configuration for look in looks(maker.root / "runs")]
    # The order of names makes no other configuration; fixed weights do, each with its member.
    assert len(set(counted)) == 2 and len(set(counted[-12:])) == 1


def test_a_finished_fusion_is_returned_as_it_stands_until_a_member_changes(maker: Any) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        maker.crossval(name, {0: noisy(maker.spoken, seed, 1.0)})
    first = fuse(["a", "b", *maker.places])
    before = {path: path.stat().st_mtime_ns for path in first.path.iterdir()}
    again = fuse(["a", "b", *maker.places])
    assert again.path == first.path
    assert {path: path.stat().st_mtime_ns for path in first.path.iterdir()} == before
    assert len(looks(maker.root / "runs")) == 6
    assert fuse(["a", "b", "weights=[0.5,0.5]", *maker.places]).path != first.path
    maker.crossval("b", {0: noisy(maker.spoken, 3, 1.0)})
    assert fuse(["a", "b", *maker.places]).path != first.path


def test_the_folder_has_the_files_of_a_cross_validation(maker: Any) -> None:
    replace(maker, labels=("transductive",)).crossval("a", {0: noisy(maker.spoken, 1, 1.0)})
    replace(maker, labels=("speaker_dependent", "transductive")).crossval("b", {0: noisy(maker.spoken, 2, 1.0)})
    found = fuse(["a", "b", *maker.places])
    assert {path.name for path in found.path.iterdir()} == {
        "config.yaml",
        "folds.csv",
        "predictions.csv",
        "result.json",
    }
    fold = {"fold": "1", "seed": "0", "run": "a-f1s0 b-f1s0", "test_speakers": "s1", "state": "finished", "reason": ""}
    assert read_csv(found.path / "folds.csv")[1] == fold
    result = json.loads((found.path / "result.json").read_text())
    assert result["labels"] == ["transductive", "speaker_dependent"]
    assert (result["kind"], result["complete"], result["folds"], result["seeds"]) == ("fusion", True, 6, [0])
    assert (result["members"], result["classes"], result["experiment"]) == (["a", "b"], list(CLASSES), None)
    assert [run.id for run in found.runs[1, 0]] == ["a-f1s0", "b-f1s0"]
    assert compare([found.name, "a", *maker.places]).systems[0].kind == "fusion"


def test_seeds_that_not_all_members_have_are_left_out_and_said(maker: Any, capsys: pytest.CaptureFixture[str]) -> None:
    maker.crossval("a", {seed: noisy(maker.spoken, seed, 1.0) for seed in (0, 1)})
    maker.crossval("b", {1: noisy(maker.spoken, 2, 1.0)})
    found = fuse(["a", "b", *maker.places])
    assert found.pooled.places == [(fold, 1) for fold in range(6)]
    assert found.result["left_out"] == [{"fold": fold, "seed": 0} for fold in range(6)]
    assert found.result["alone"][0]["n"] == 54
    capsys.readouterr()
    show(found)
    said = " ".join(capsys.readouterr().out.split())
    assert "left out, because not every member has it: fold 0 seed 0, fold 1 seed 0" in said
    assert f"{100 * found.result['weights'][0]['validation_uar']:.1f}" in said
    assert f"{100 * found.result['figures']['chosen on validation']['uar']:.1f}" in said
    assert "validation UAR: the highest of 21 weightings tried on these very rows, so it flatters" in said
    assert found.result["tried"] == 21
    given = fuse(["a", "b", "weights=[0.5,0.5]", *maker.places])
    show(given)
    assert "weightings tried" not in capsys.readouterr().err and given.result["tried"] is None
    maker.crossval("c", {0: noisy(maker.spoken, 3, 1.0)})
    with pytest.raises(UserError, match="b, c share no fold and seed"):
        fuse(["b", "c", *maker.places])


def test_runs_of_different_seeds_are_fused_on_one_split(maker: Any) -> None:
    maker.run("first", noisy(maker.spoken, 1, 1.0), seed=0)
    maker.run("second", noisy(maker.spoken, 2, 1.0), seed=1)
    assert fuse(["first", "second", *maker.places]).pooled.places == [(0, 0)]
    maker.run("elsewhere", noisy(maker.spoken, 2, 1.0), fold=1)
    with pytest.raises(UserError, match=r"do not hold the same validation rows: first has 9 utterances that elsewhere"):
        fuse(["first", "elsewhere", *maker.places])


def test_rows_in_another_order_are_the_same_rows(maker: Any) -> None:
    logits = {name: noisy(maker.spoken, seed, 1.0) for seed, name in enumerate("ab")}
    for name, own in logits.items():
        maker.run(name, own)
    straight = fuse(["a", "b", *maker.places])
    path = maker.root / "runs" / "b" / "predictions.csv"
    rows = Predictions.read(path)
    rows.rows(list(range(len(rows.ids)))[::-1]).write(path)
    turned = fuse(["a", "b", *maker.places])
    assert turned.path != straight.path
    assert turned.result["figures"] == straight.result["figures"]


def test_what_can_not_be_fused_is_refused(maker: Any) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        maker.crossval(name, {0: noisy(maker.spoken, seed, 1.0)})
    fusion = fuse(["a", "b", *maker.places])
    maker.run("run", noisy(maker.spoken, 3, 1.0))
    maker.crossval("part", {0: noisy(maker.spoken, 3, 1.0)}, missing={(4, 0): "failed", (5, 0): "failed"})
    replace(maker, manifest="other").crossval("other", {0: noisy(maker.spoken, 3, 1.0)})
    for name, said in (
        (fusion.name, r"is a fusion; fuse its members \(a, b\)"),
        ("run", "a is a crossval, run a run"),
        ("part", "part is incomplete: start its `ser crossval` again"),
        ("other", r"differ in manifest \(manifest, other\)"),
    ):
        with pytest.raises(UserError, match=said):
            fuse(["a", name, *maker.places])
    recorded = len(looks(maker.root / "runs"))
    (maker.root / "runs" / "b-f2s0" / "predictions.csv").unlink()
    with pytest.raises(UserError, match=r"b-f2s0 is gone"):
        fuse(["a", "b", *maker.places])
    assert len(looks(maker.root / "runs")) == recorded


def test_settings_are_checked(maker: Any) -> None:
    for name in "ab":
        maker.run(name, noisy(maker.spoken, 1, 1.0))
    for word, said in (
        ("weights=[0.5,0.6]", "0 or more and sum to 1"),
        ("weights=[1.5,-0.5]", "0 or more and sum to 1"),
        ("weights=[1]", "2 members need as many weights, not 1"),
        ("weights=[]", "2 members need as many weights, not 0"),
        ("step=0.3", "must divide 1"),
        ("step=0", "must divide 1"),
        ("wights=[1,0]", "did you mean `weights`"),
    ):
        with pytest.raises(ConfigError, match=said):
            fuse(["a", "b", word, *maker.places])
    with pytest.raises(ConfigError, match="name each once"):
        fuse(["a", "a", *maker.places])
    # Five members in steps of 0.05: 24 choose 4.
    with pytest.raises(ConfigError, match="10626 points of weights for 5 members"):
        parts_of(0.05, 5)
    assert parts_of(0.05, 4) == 20
