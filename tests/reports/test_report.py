"""`ser report` as a page: figures as the predictions have them, what is missing said, nothing from outside."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score, recall_score

from ser_lightning.errors import ConfigError, UserError
from ser_lightning.evaluation.bootstrap import intervals
from ser_lightning.reports.html.provenance import NOTHING
from ser_lightning.reports.report import report
from ser_lightning.runs.folder import RunFolder

from .conftest import Shelf, Study
from .systems import change, run_id


class Outline(HTMLParser):
    """Headings, tables, attributes and visible text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.links: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.hidden = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        self.hidden += tag in ("style", "script")
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [(name, given[name] or "") for name in ("href", "src", "srcset", "action") if name in given]
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in ("style", "script")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def written(shelf: Shelf, *names: str) -> str:
    return report([*names, *shelf.places, f"out={shelf.root / 'report.html'}"]).read_text(encoding="utf-8")


def percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}"


def test_pooled_figures_are_those_of_scikit_learn(shelf: Shelf) -> None:
    study = Study()
    rows = shelf.crossval(study).rows
    text = Outline(written(shelf, study.name)).text
    true, found = rows.labels, [rows.classes[i] for i in rows.logits.argmax(1)]
    uar, wa = balanced_accuracy_score(true, found), accuracy_score(true, found)
    assert percent(uar) != percent(wa)  # or neither would show that the other is right
    assert f"{percent(uar)} % UAR" in text
    assert f"WA {percent(wa)} %, macro-F1 {percent(f1_score(true, found, average='macro'))} %" in text
    low, high = intervals(rows)["uar"] or (0, 0)
    assert f"95 % interval {percent(low)} to {percent(high)}" in text


def test_mean_and_deviation_over_folds_and_seeds_are_named(shelf: Shelf) -> None:
    study = Study(speakers=4, seeds=(0, 1))
    pooled = shelf.crossval(study)
    each = [pooled.at(*place) for place in study.places]
    values = [balanced_accuracy_score(rows.targets, rows.decisions) for rows in each]
    text = Outline(written(shelf, study.name)).text
    assert "Mean ± std over folds and seeds" in text
    assert f"{percent(np.mean(values))} ± {percent(np.std(values, ddof=1))}, n = 8" in text


def test_confusion_matrix_recalls_and_speakers(shelf: Shelf) -> None:
    study = Study()
    rows = shelf.crossval(study).rows
    page = written(shelf, study.name)
    cells = [int(n) for n in re.findall(r"<small>(\d+)</small></td>", page)]
    np.testing.assert_array_equal(np.array(cells).reshape(3, 3), confusion_matrix(rows.targets, rows.decisions))
    for recall in recall_score(rows.targets, rows.decisions, average=None):
        assert f"<td>{percent(recall)}</td>" in page
    by_speaker = {}
    for speaker in sorted(set(rows.speakers)):
        own = [i for i, name in enumerate(rows.speakers) if name == speaker]
        uar = balanced_accuracy_score(rows.targets[own], rows.decisions[own])
        line = re.search(rf'<th scope="row">{speaker}</th>(.*?)</tr>', page, re.S)
        by_speaker[speaker] = uar, line
        assert line and percent(uar) in line[1] and f'"group">{len(own)}<' in line[1]
    assert [speaker for speaker, (_, line) in by_speaker.items() if line and ">lowest<" in line[1]] == [
        min(by_speaker, key=lambda speaker: by_speaker[speaker][0])
    ]


def test_last_epoch_stands_beside_the_chosen_one_and_selection_on_test_is_labelled(shelf: Shelf) -> None:
    study = Study(selected=True)
    shelf.crossval(study)
    text = Outline(written(shelf, study.name)).text
    order = [text.rindex(choice) for choice in ("A chosen on validation", "A last epoch", "A selected on test")]
    assert order == sorted(order)
    assert "also fitted on validation" not in text
    # No pooled figure: every fold has its own epoch.
    dashes = " ".join([NOTHING] * 4)
    said = f"selected on test the best test epoch of each fold {dashes} 98.7 ± 1.2, n = 5 97.6 ± 2.3, n = 5 {NOTHING}"
    assert said in text
    assert "also selected on test" in text


def test_what_a_figure_is_not_is_said_where_it_stands(shelf: Shelf) -> None:
    study = Study()
    shelf.crossval(study)
    runs = [RunFolder(shelf.root / "runs" / run_id(study.name, place)) for place in study.places]
    for run, ended_by in zip(runs, ["patience", "max_epochs", "patience", "max_epochs", "max_epochs"], strict=True):
        change(run.result, ended_by=ended_by)
    early = "last epoch chosen on validation, too, by early stopping, which ended 2 of 5 trainings"
    unequal = "mean ± std are means over folds that hold different classes: fold 3 lacks happiness"
    before = Outline(written(shelf, study.name)).text
    assert before.count(early) == 2, "in the table, and beside the intervals"
    assert unequal not in before
    path = shelf.root / "crossval" / study.name / "predictions.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("s3_happiness_")), encoding="utf-8")
    assert unequal in Outline(written(shelf, study.name)).text


def test_labels_and_missing_folds_are_badges_with_reasons(shelf: Shelf) -> None:
    study = Study(labels=["speaker_dependent"], shared=["s0", "s3"], missing={(2, 0): "out of memory in epoch 4"})
    shelf.crossval(study)
    page = written(shelf, study.name)
    text = Outline(page).text
    assert re.search(r'class="badge warning"[^>]*>speaker_dependent<', page)
    assert "incomplete: 1 of 5 runs are missing" in text
    assert "Missing: fold 2, seed 0 (failed)." in text
    assert "failed out of memory in epoch 4" in text
    assert "speakers shared in 2 of 4 splits; worst: fold 0 with 1" in text
    assert "no recordings in two parts, in any of 4 splits" in text


def test_seeds_of_one_fold_share_a_line_of_the_split(shelf: Shelf) -> None:
    study = Study(speakers=4, seeds=(0, 7))
    shelf.crossval(study)
    text = Outline(written(shelf, study.name)).text
    # 3 classes of 6, 7 and 8 takes are 21 utterances a speaker; two of four speakers train.
    assert "0 0 7 42 of 2 speakers s2 s3 21 of 1 speaker s1 21 of 1 speaker s0" in text
    assert "4 splits" in text


def test_looks_of_other_configurations_at_the_same_speakers_count(shelf: Shelf) -> None:
    mine, other, elsewhere = Study(name="a-000000000001"), Study(name="b-000000000002"), Study(name="c-000000000003")
    shelf.crossval(mine)
    shelf.look(other, [(0, 0), (1, 0)])
    shelf.look(elsewhere, [(9, 0)])  # a speaker whom `mine` does not test
    text = Outline(written(shelf, mine.name)).text
    assert "2 configurations looked at some of these test recordings, 7 times in all" in text
    assert "000000000003" not in text


def test_a_single_run_with_one_speaker_has_no_interval_and_says_so(shelf: Shelf) -> None:
    study = Study(epochs=0, learner="classical", model="linear_svm")
    test = shelf.run(study)
    text = Outline(written(shelf, study.name)).text
    assert f"{percent(balanced_accuracy_score(test.targets, test.decisions))} % UAR" in text
    assert "no interval: fewer than 3 test speakers" in text
    assert "No epochs: linear_svm fits in one go" in text
    assert "decision values of linear_svm" in text
    assert "A chosen by mean UAR of 5 inner folds over speakers" in text and "A chosen on validation" not in text
    assert "also fitted on validation" in text
    assert "No look is recorded" in text
    assert "ser crossval experiment=emodb_fused split=loso" in text


def test_what_is_not_in_a_folder_is_said(shelf: Shelf) -> None:
    study = Study(command=["/usr/bin/pytest", "tests"])
    shelf.crossval(study)
    for name in ("split_proof.json", "metrics.csv"):
        for path in (shelf.root / "runs").glob(f"*/{name}"):
            path.unlink()
    text = Outline(written(shelf, study.name)).text
    assert "No epochs: no metrics.csv in its runs" in text
    assert "No proof was found (split_proof.json is not in the run's folder) for A: fold 0, seed 0" in text
    assert "no ser command on record" in text


def test_a_class_that_one_system_lacks_or_test_does_not_hold(shelf: Shelf) -> None:
    three, two = Study(name="three"), Study(name="two", classes=("anger", "happiness"))
    shelf.crossval(three)
    shelf.crossval(two)
    path = shelf.root / "crossval" / "three" / "predictions.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "_happiness_" not in line), encoding="utf-8")
    page = written(shelf, "three", "two")
    assert "not in test" in re.search(r'<th scope="row">happiness</th>\s*<td class="group">(.*?)</tr>', page, re.S)[0]  # type: ignore[index]
    assert "no such class" in re.search(r'<th scope="row">sadness</th>\s*<td class="group">(.*?)</tr>', page, re.S)[0]  # type: ignore[index]


def test_a_training_whose_loss_became_infinite_is_drawn_as_far_as_it_goes(shelf: Shelf) -> None:
    study = Study()
    shelf.crossval(study)
    metrics = shelf.root / "runs" / f"{study.name}-f0s0" / "metrics.csv"
    header = metrics.read_text(encoding="utf-8").splitlines()[0]
    metrics.write_text(f"{header}\n0,10,0.001,0.5,nan,0.4,inf,0.4\n", encoding="utf-8")
    assert "NaN" not in (page := written(shelf, study.name)) and 'd="Mnan' not in page


def test_a_fusion_shows_members_and_weights(shelf: Shelf) -> None:
    study = Study(speakers=3, epochs=0)
    shelf.crossval(study, kind="fusion")
    path = shelf.root / "fusions" / study.name / "result.json"
    result = json.loads(path.read_text(encoding="utf-8"))
    (path.parent / "config.yaml").write_text("members: [first, second]\nweights: null\nstep: 0.25\n", encoding="utf-8")
    alone = [{"n": 9, "uar": uar, "wa": 0.5, "interval": {"uar": [0.1, 0.2], "wa": None}} for uar in (0.125, 0.375)]
    weights = [{"fold": fold, "seed": 0, "weights": [0.25, 0.75], "validation_uar": 0.6} for fold in range(3)]
    told = result | {"members": ["first", "second"], "weights": weights, "alone": alone}
    path.write_text(json.dumps(told | {"tried": None}), encoding="utf-8")
    assert "Given for every fold, with the UAR (%) they reach there." in Outline(written(shelf, study.name)).text
    path.write_text(json.dumps(told | {"tried": 5}), encoding="utf-8")
    text = Outline(written(shelf, study.name)).text
    assert "the highest of 5 weightings tried on these very rows, so it flatters." in text
    assert "Members: first, second." in text
    assert "2 0 0.25 0.75 60.0" in text
    assert "first 9 12.5 10.0 to 20.0 50.0" in text and "second 9 37.5" in text
    assert "A fusion trains nothing" in text
    assert "ser fuse first second step=0.25" in text
    assert "1 configuration looked at some of these test recordings, 3 times" in text


def test_differences_between_configurations_come_first(shelf: Shelf) -> None:
    shelf.crossval(Study(name="one"))
    shelf.crossval(Study(name="two", model="ds_lstm"))
    text = Outline(written(shelf, "one", "two")).text
    assert "Settings in which the systems differ: 1 of" in text
    assert "model.name differs mfcc_lstm ds_lstm" in text


def test_names_from_outside_are_escaped(shelf: Shelf) -> None:
    study = Study(classes=("<b>anger</b>", 'joy" onload="x', "sad & so"), labels=["<script>alert(1)</script>"])
    shelf.crossval(study)
    page = written(shelf, study.name)
    assert "<b>anger" not in page and "&lt;b&gt;anger&lt;/b&gt;" in page
    assert "<script>alert" not in page
    assert not any("onload" in given for _, given in Outline(page).tags)


def test_nothing_comes_from_outside_the_file(shelf: Shelf) -> None:
    study = Study()
    shelf.crossval(study)
    page = written(shelf, study.name)
    outline = Outline(page)
    assert all(name == "href" and target[1:] in outline.ids for name, target in outline.links)
    assert not re.search(r"https?:|url\(|@import|<link|<img|<iframe", page)
    assert "default-src 'none'" in page


def test_headings_captions_scopes_and_landmarks(shelf: Shelf) -> None:
    shelf.crossval(Study(name="one", selected=True))
    shelf.crossval(Study(name="two", epochs=0))
    outline = Outline(written(shelf, "one", "two"))
    names = [tag for tag, _ in outline.tags]
    assert outline.headings[0] == 1 and outline.headings.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(outline.headings, outline.headings[1:], strict=False))
    assert names.count("table") == names.count("caption") > 5
    assert all("scope" in given for tag, given in outline.tags if tag == "th")
    assert {"header", "nav", "main", "footer"} <= set(names)
    assert ("html", {"lang": "en"}) in outline.tags
    assert len(outline.ids) == len(set(outline.ids))
    for tag, given in outline.tags:
        if tag == "svg" and given.get("class", "").startswith("plot"):  # type: ignore[union-attr]
            assert given["role"] == "img" and given["aria-label"]


def test_the_same_folders_give_the_same_bytes_and_a_large_study_a_small_file(shelf: Shelf) -> None:
    study = Study(speakers=24, seeds=range(5), epochs=60, takes=1)
    shelf.crossval(study)
    page = written(shelf, study.name)
    assert page == written(shelf, study.name)
    assert len(page) < 500_000
    assert page.count("<details open>") == 1  # the 24 splits; the 120 runs are folded away


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name runs, cross-validations or fusions"),
        (["one", "./crossval/../crossval/one"], "one is named twice"),
        (["one", "oot=x"], "did you mean `out`"),
        (["none"], "no run, cross-validation or fusion `none`"),
        (["one", "out=."], "is a folder"),
    ],
)
def test_bad_words_are_refused(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str) -> None:
    shelf.crossval(Study(name="one"))
    monkeypatch.chdir(shelf.root)
    with pytest.raises(ConfigError, match=re.escape(said)):
        report(words)
    assert not Path("report.html").exists()


def test_a_run_whose_test_part_was_not_scored_is_refused(shelf: Shelf) -> None:
    shelf.run(Study(name="unscored"), scored=False)
    with pytest.raises(UserError, match="ser evaluate unscored"):
        report(["unscored", *shelf.places])
