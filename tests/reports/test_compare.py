"""Comparison: figures against scikit-learn and brute force, what is refused, and the three forms it is told in."""

import json
import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, t
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from ser_lightning.config.identity import RESULT_VERSION
from ser_lightning.errors import ConfigError, UserError
from ser_lightning.evaluation import significance
from ser_lightning.evaluation.pooled import Pooled
from ser_lightning.files import read_csv
from ser_lightning.reports.compare import compare, show
from ser_lightning.reports.compare_show import markdown
from ser_lightning.reports.comparison import Comparison, Difference, TestOutcome, adjusted
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.vault import record

from .systems import Maker, noisy

UAR = balanced_accuracy_score


@pytest.fixture
def maker(tmp_path: Path) -> Any:
    return Maker(tmp_path)


@pytest.fixture
def two(maker: Any) -> Comparison:
    maker.crossval("good", {0: noisy(maker.spoken, 1, 2.0)})
    maker.crossval("poor", {0: noisy(maker.spoken, 2, 0.5)})
    return compare(["good", "poor", *maker.places])


def labels_of(maker: Any, name: str) -> tuple[Any, Any, Any, Any]:
    """True and predicted labels, ids and speakers from the file alone."""
    rows = read_csv(maker.root / "crossval" / name / "predictions.csv")
    columns = [c for c in rows[0] if c.startswith("logit_")]
    predicted = [max(columns, key=lambda c, row=row: float(row[c])).removeprefix("logit_") for row in rows]  # type: ignore[misc]
    told = ([row[key] for row in rows] for key in ("label", "id", "speaker"))
    true, ids, speakers = (np.array(column) for column in told)
    return true, np.array(predicted), ids, speakers


def outcomes(one: Difference) -> dict[str, TestOutcome]:
    return {outcome.test: outcome for outcome in one.tests}


def test_figures_and_differences_are_scikit_learns(maker: Any, two: Comparison) -> None:
    values = {}
    for system, name in zip(two.systems, ("good", "poor"), strict=True):
        true, predicted, _, speakers = labels_of(maker, name)
        values[system.letter] = UAR(true, predicted), accuracy_score(true, predicted)
        assert (system.figures["uar"], system.figures["wa"]) == pytest.approx(values[system.letter])
        each = [UAR(true[speakers == s], predicted[speakers == s]) for s in sorted(set(speakers))]
        spread = system.figures["over_folds_and_seeds"]["uar"]
        assert (spread["mean"], spread["std"]) == pytest.approx((np.mean(each), np.std(each, ddof=1)))
    assert [(one.a, one.b, one.metric) for one in two.differences] == [("A", "B", "uar"), ("A", "B", "wa")]
    assert [one.value for one in two.differences] == pytest.approx(np.subtract(values["A"], values["B"]))
    for one in two.differences:
        assert one.interval and one.interval[0] < one.value < one.interval[1]
    assert (two.utterances, two.speakers, two.seeds) == (54, 6, 1)


def test_p_values_are_those_of_brute_force_and_scipy(maker: Any, two: Comparison) -> None:
    true, a, ids, speakers = labels_of(maker, "good")
    _, b, others, _ = labels_of(maker, "poor")
    assert list(ids) == list(others)
    names = sorted(set(speakers))
    for one, score in zip(two.differences, (UAR, accuracy_score), strict=True):
        seen, hits = abs(score(true, a) - score(true, b)), 0
        for swaps in product((False, True), repeat=len(names)):
            swapped = np.isin(speakers, [name for name, swap in zip(names, swaps, strict=True) if swap])
            x, y = np.where(swapped, b, a), np.where(swapped, a, b)
            hits += abs(score(true, x) - score(true, y)) >= seen - 1e-9
        assert outcomes(one)["permutation by speaker"].p == pytest.approx(hits / 2 ** len(names))
        each = [
            score(true[speakers == s], a[speakers == s]) - score(true[speakers == s], b[speakers == s]) for s in names
        ]
        # Of 6 speakers one tests and one validates: a model is fitted on four.
        statistic = np.mean(each) / np.sqrt((1 / 6 + 1 / 4) * np.var(each, ddof=1))
        assert outcomes(one)["corrected resampled t"].p == pytest.approx(2 * t.sf(abs(statistic), 5))
    only_a, only_b = int(((a == true) & (b != true)).sum()), int(((b == true) & (a != true)).sum())
    assert outcomes(two.differences[1])["McNemar"].p == pytest.approx(binomtest(only_a, only_a + only_b).pvalue)
    assert "McNemar" not in outcomes(two.differences[0])


def test_holm_goes_over_the_pairs_of_one_test_and_metric(maker: Any) -> None:
    for number, right in enumerate((2.0, 1.0, 0.3)):
        maker.crossval(f"c{number}", {0: noisy(maker.spoken, number, right)})
    found = compare(["c0", "c1", "c2", *maker.places])
    assert [(d.a, d.b) for d in found.differences[:3]] == [("A", "B"), ("A", "C"), ("B", "C")]
    for metric in ("uar", "wa"):
        of_metric = [d for d in found.differences if d.metric == metric]
        for test in outcomes(of_metric[0]):
            three = [outcomes(d)[test] for d in of_metric]
            low, middle, high = sorted(three, key=lambda outcome: outcome.p or 0.0)
            assert [outcome.m for outcome in three] == [3, 3, 3]
            first = min(1.0, 3 * low.p)
            second = max(first, min(1.0, 2 * middle.p))
            assert (low.adjusted, middle.adjusted, high.adjusted) == pytest.approx((first, second, max(second, high.p)))


def test_a_test_that_does_not_suit_a_pair_is_no_member_of_the_family() -> None:
    found = adjusted(
        "t",
        [significance.Test("t", 0.02, ""), significance.Test("t", None, "no folds"), significance.Test("t", 0.03, "")],
    )
    assert [(o.p, o.adjusted, o.m) for o in found] == [(0.02, 0.04, 2), (None, None, 2), (0.03, 0.04, 2)]
    assert found[1].note == "no folds"


def test_means_over_folds_of_different_classes_are_noted(maker: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "ab":
        maker.crossval(name, {0: noisy(maker.spoken, len(name), 1.0)})
        path = maker.root / "crossval" / name / "predictions.csv"
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not line.startswith("s2_joy_")), encoding="utf-8")
    found = compare(["a", "b", *maker.places])
    show(found)
    said = " ".join(capsys.readouterr().out.split())
    for text in (said, markdown(found)):
        for letter in "AB":
            note = f"{letter}, mean ± std: means over folds that hold different classes: fold 2 lacks joy"
            assert text.count(note) == 1


def test_several_seeds(maker: Any) -> None:
    for name, right in (("a", 2.0), ("b", 0.5)):
        maker.crossval(name, {seed: noisy(maker.spoken, 10 * seed + len(name), right) for seed in (0, 1)})
    found = compare(["a", "b", *maker.places])
    assert (found.utterances, found.seeds) == (54, 2)
    tests = outcomes(found.differences[1])
    assert tests["McNemar"].p is None and "seeds" in tests["McNemar"].note
    assert "12 folds x seeds" in tests["corrected resampled t"].note
    maker.crossval("c", {0: noisy(maker.spoken, 1, 1.0)})
    with pytest.raises(UserError, match=r"a has 2 seeds, c 1: .* cross-validate c again with seeds=2"):
        compare(["a", "c", *maker.places])


def test_runs_are_compared_with_what_one_test_part_allows(maker: Any) -> None:
    maker.run("x", noisy(maker.spoken, 1, 2.0))
    maker.run("y", noisy(maker.spoken, 2, 2.0))
    one = compare(["x", "y", *maker.places]).differences[1]
    assert one.interval is None
    assert outcomes(one)["corrected resampled t"].p is None
    assert outcomes(one)["McNemar"].p is not None


def test_other_folds_of_the_same_utterances_allow_no_corrected_t(maker: Any) -> None:
    maker.crossval("a", {0: noisy(maker.spoken, 1, 2.0)})
    path = maker.crossval("b", {0: noisy(maker.spoken, 2, 1.0)})
    pooled = Pooled.read(path / "predictions.csv")
    replace(pooled, folds=(pooled.folds + np.arange(len(pooled.folds)) % 2) % 6).write(path / "predictions.csv")
    tests = outcomes(compare(["a", "b", *maker.places]).differences[0])
    assert tests["corrected resampled t"].p is None
    assert "folds test different utterances" in tests["corrected resampled t"].note
    assert tests["permutation by speaker"].p is not None


def test_a_speaker_dependent_system_beside_an_honest_one_is_said_first_and_gets_no_p(
    maker: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    maker.crossval("honest", {0: noisy(maker.spoken, 1, 1.0)})
    replace(maker, labels=("speaker_dependent",)).crossval("leaky", {0: noisy(maker.spoken, 2, 2.0)})
    found = compare(["honest", "leaky", *maker.places])
    assert found.caveats[0].startswith("NOT THE SAME PROTOCOL: B speaker_dependent, A not")
    assert all(outcome.p is None for one in found.differences for outcome in one.tests)
    show(found)
    said = capsys.readouterr().out
    assert said.index("NOT THE SAME PROTOCOL") < said.index("Test figures")
    assert "B: crossval leaky, speaker_dependent" in said


def test_systems_of_different_result_versions_are_not_compared_without_a_word(maker: Any) -> None:
    maker.crossval("now", {0: noisy(maker.spoken, 1, 1.0)})
    result = maker.crossval("before", {0: noisy(maker.spoken, 2, 2.0)}) / "result.json"
    assert not any("NOT COMPUTED ALIKE" in said for said in compare(["now", "before", *maker.places]).caveats)
    result.write_text(json.dumps(json.loads(result.read_text()) | {"result_version": 1}))
    (said,) = [said for said in compare(["now", "before", *maker.places]).caveats if "NOT COMPUTED ALIKE" in said]
    assert said.startswith(f"NOT COMPUTED ALIKE: A of result version {RESULT_VERSION}, B of result version 1,")


def test_different_utterances_are_refused_with_the_difference(maker: Any) -> None:
    maker.crossval("whole", {0: noisy(maker.spoken, 1, 1.0)})
    maker.crossval("part", {0: noisy(maker.spoken, 2, 1.0)}, missing={(5, 0): "failed"})
    with pytest.raises(
        UserError, match=r"whole has 9 utterances that part lacks \(s5_anger_0, s5_anger_1, .*, \.\.\.\)"
    ):
        compare(["whole", "part", *maker.places])


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("label", "joy", "1 labels differ (s0_anger_0: anger in a, joy in b)"),
        ("speaker", "s1", "1 speakers differ (s0_anger_0: s0 in a, s1 in b)"),
    ],
)
def test_other_labels_or_speakers_are_refused(maker: Any, column: str, value: str, said: str) -> None:
    maker.crossval("a", {0: noisy(maker.spoken, 1, 1.0)})
    path = maker.crossval("b", {0: noisy(maker.spoken, 2, 1.0)}) / "predictions.csv"
    rows = Pooled.read(path)
    changed = {"label": "labels", "speaker": "speakers"}[column]
    own = replace(rows.rows, **{changed: [value, *getattr(rows.rows, changed)[1:]]})
    replace(rows, rows=own).write(path)
    with pytest.raises(UserError, match=re.escape(said)):
        compare(["a", "b", *maker.places])


def test_other_classes_are_refused(maker: Any) -> None:
    maker.crossval("a", {0: noisy(maker.spoken, 1, 1.0)})
    path = maker.crossval("b", {0: noisy(maker.spoken, 2, 1.0)}) / "predictions.csv"
    path.write_text(path.read_text().replace("joy", "happiness"))
    with pytest.raises(UserError, match="classes are anger, joy, sadness in a, anger, happiness, sadness in b"):
        compare(["a", "b", *maker.places])


def test_another_recording_under_the_same_name_is_refused(maker: Any) -> None:
    maker.crossval("a", {0: noisy(maker.spoken, 1, 1.0)})
    other = replace(maker, manifest="other")
    other.crossval("b", {0: noisy(maker.spoken, 2, 1.0)})
    compare(["a", "b", *maker.places])  # the manifests differ in what was not tested
    replace(other, recorded=" again").crossval("c", {0: noisy(maker.spoken, 2, 1.0)})
    with pytest.raises(UserError, match=r"54 recordings differ under one name \(s0_anger_0, "):
        compare(["a", "c", *maker.places])


def test_names(maker: Any, two: Comparison) -> None:
    with pytest.raises(ConfigError, match=r"name at least two .* not 1"):
        compare(["good", *maker.places])
    with pytest.raises(ConfigError, match="are the same crossval; name each once"):
        compare(["good", str(maker.root / "crossval" / "good"), *maker.places])
    with pytest.raises(ConfigError, match="no run, cross-validation or fusion `bad`"):
        compare(["good", "bad", *maker.places])
    with pytest.raises(ConfigError, match="unknown setting `markdwn`; did you mean `markdown`"):
        compare(["good", "poor", "markdwn=x.md", *maker.places])
    with pytest.raises(ConfigError, match="is a folder"):
        compare(["good", "poor", f"json={maker.root}", *maker.places])


def test_the_files_and_the_terminal_say_the_same(
    maker: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, right in enumerate((2.0, 1.0, 0.3)):
        maker.crossval(f"c{number}", {0: noisy(maker.spoken, number, right)})
    files = maker.root / "out" / "c.md", maker.root / "c.json"
    found = compare(["c0", "c1", "c2", f"markdown={files[0]}", f"json={files[1]}", *maker.places])
    told = json.loads(files[1].read_text())
    assert told["differences"][0]["value"] == found.differences[0].value
    assert told["differences"][0]["interval"] == list(found.differences[0].interval or ())
    assert told["differences"][3]["tests"][2]["m"] == 3
    text = files[0].read_text()
    tables = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    assert [len(table.splitlines()) for table in tables] == [5, 5, 5]
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1
        assert set(table.splitlines()[1]) <= set("|:- ")
    points = f"{100 * found.differences[0].value:+.1f}"
    p = outcomes(found.differences[0])["permutation by speaker"]
    show(found)
    for form in (text, " ".join(capsys.readouterr().out.split())):
        assert points in form
        assert f"{p.p:.3f} ({p.adjusted:.3f})" in form
        assert "over m = 3 pairs in each of: permutation by speaker, UAR; corrected resampled t, UAR;" in form


def test_looks_by_other_configurations_are_counted(maker: Any, two: Comparison) -> None:
    runs = maker.root / "runs"
    tested = sorted(path for path in runs.glob("*/split.csv"))
    for configuration in ("one", "two", "two"):
        for path in tested:
            run = RunFolder(path.parent)
            record(run, run.read_config(), runs, run.id, configuration, "chosen on validation", [])
    found = compare(["good", "poor", *maker.places])
    assert found.caveats == ["looks at these test recordings so far: by 2 configurations"]


def test_looks_that_are_not_recorded_are_said(maker: Any, two: Comparison) -> None:
    found = compare(["good", "poor", *maker.places])
    assert found.caveats == ["NOT ALL LOOKS ARE RECORDED: none of A, B stands in test_looks.csv beside the runs"]
