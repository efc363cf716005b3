"""`ser wandb view` against the recording server: what is saved, under what, and what is said when it can't be."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wandb
from omegaconf import OmegaConf
from sklearn.metrics import balanced_accuracy_score

from ser_lightning.cli import main
from ser_lightning.errors import ConfigError, UserError
from ser_lightning.evaluation.pooled import Pooled
from ser_lightning.files import write_json, write_text
from ser_lightning.reports.wandb_view.view import view
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.settings import StudySettings

from ..reports.systems import Maker, Spoken, configuration, noisy
from .recorded import Run, SavedView
from .recorder import Recorder

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:wandb_workspaces.*")
SPACE: dict[str, Any] = {
    "features.fine": [{"n_fft": 400, "hop": 200, "n_mels": 40}, {"n_fft": 512, "hop": 256, "n_mels": 40}],
    "model": ["ds_lstm", "fused"],
    "model.hidden_dim": {"int": [32, 128], "step": 32},
    "training.learning_rate": {"float": [1e-4, 1e-2], "log": True},
    "features.coarse.n_fft": {"of": "features.fine.n_fft", "times": 2},
}
CHOICES = {"model": {"ds_lstm": {"name": "ds_lstm", "layers": 1}, "fused": {"name": "fused", "layers": 2}}}


class Shelf:
    """Folders below `root`: one study, cross-validations, and words that say where they are."""

    def __init__(self, root: Path) -> None:
        self.root, self.maker = root, Maker(root)
        self.words = [*self.maker.places, f"studies_dir={root / 'studies'}"]

    def study(self, name: str = "search", project: str = "p") -> None:
        settings = StudySettings(
            name, objectives={"validation.uar": "maximize", "parameters": "minimize"}, pruner={"name": "none"}
        )
        base = {
            "features": {"fine": SPACE["features.fine"][0], "coarse": {"n_fft": 800}},
            "model": {"name": "fused", "hidden_dim": 32},
            "training": {},
            "tracking": {"project": project, "entity": None, "group": None},
        }
        Frozen(settings, base, CHOICES, SPACE, {}, [], []).write(self.root / "studies" / name / "study.yaml")

    def crossval(self, name: str, right: float = 1.5, project: str = "p", group: str | None = None) -> Path:
        path = self.maker.crossval(name, {0: noisy(Spoken(), 0, right)})
        config = configuration(self.maker.hidden)
        tracking = replace(config.tracking, project=project, group=group)
        for folder, job in ((path, "train"), *((one, "fold") for one in self.root.glob(f"runs/{name}-*"))):
            whole = asdict(replace(config, tracking=replace(tracking, job_type=job)))
            write_text(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(whole)))
        return path


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.chdir(tmp_path)
    return Shelf(tmp_path)


@pytest.fixture
def project(recorder: Recorder) -> Recorder:
    """The recording server with a run in the project `p`."""
    run = Run(recorder.entity, "p", "x-1")
    recorder.store.runs[run.path] = run
    return recorder


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Cross-validations of two projects, and one whose group no filter can name."""
    shelf = Shelf(tmp_path_factory.mktemp("three"))
    shelf.crossval("cv-1")
    shelf.crossval("cv-2", project="q")
    shelf.crossval("cv-3", group="a=b")
    return shelf


def saved(recorder: Recorder, kind: str) -> SavedView:
    (found,) = [one for one in recorder.store.views.values() if one.type == kind]
    return found


def filters(runset: Mapping[str, Any]) -> dict[str, list[str]]:
    found = runset["filters"]["filters"]
    assert all((one["key"]["section"], one["op"], one["disabled"]) == ("run", "IN", False) for one in found)
    return {one["key"]["name"]: one["value"] for one in found}


def configs(panels: Sequence[Mapping[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [panel["config"] for panel in panels if panel["viewType"] == kind]


def sections(workspace: SavedView) -> dict[str, Any]:
    found = workspace.spec["section"]["panelBankConfig"]["sections"]
    return {section["name"]: section["panels"] for section in found if section["name"] not in ("Charts", "System")}


def grids(report: SavedView) -> dict[str, Any]:
    """Panel grids by the heading above them."""
    found, heading = {}, ""
    for block in report.spec["blocks"]:
        if block["type"] == "heading":
            heading = block["children"][0]["text"]
        if block["type"] == "panel-grid":
            found[heading] = block["metadata"]
    return found


def test_the_workspace_shows_the_named_groups(project: Recorder, shelf: Shelf) -> None:
    shelf.study()
    shelf.crossval("emodb-mfcc_lstm-1")
    assert main(["wandb", "view", "search", "emodb-mfcc_lstm-1", *shelf.words]) == 0
    found = saved(project, "project-view")
    assert (found.project, found.title) == ("lab/p", "SER search, emodb-mfcc_lstm-1")
    (runs,) = found.spec["section"]["runSets"]
    assert filters(runs) == {"group": ["search", "emodb-mfcc_lstm-1"]}
    assert [(one["section"], one["name"]) for one in runs["grouping"]] == [("run", "group"), ("run", "jobType")]
    assert found.spec["section"]["settings"]["xAxis"] == "epoch"
    by_name = sections(found)
    assert list(by_name) == ["UAR by model", "Curves by group", "Sweep search", "Confusion matrices"]
    ends, models = configs(by_name["UAR by model"], "Bar Chart")
    assert ends["metrics"] == ["final/test/uar_low", "final/test/uar", "final/test/uar_high"]
    assert (models["metrics"], models["groupBy"], models["groupAgg"]) == (
        ["final/test/uar"],
        "model.value.name",
        "mean",
    )
    curves = configs(by_name["Curves by group"], "Run History Line Plot")
    assert {"validation/uar", "train/loss", "validation/loss"} <= {key for one in curves for key in one["metrics"]}
    assert {(one["xAxis"], one["groupBy"], one["groupArea"]) for one in curves} == {("epoch", "group", "stddev")}
    pictures = configs(by_name["Confusion matrices"], "Media Browser")
    assert [one["mediaKeys"] for one in pictures] == [["test/confusion_matrix"], ["validation/confusion_matrix"]]
    assert pictures[0]["gallerySettings"] == {"axis": "run"}


def test_a_sweep_has_an_axis_for_each_key_that_its_parameters_change(project: Recorder, shelf: Shelf) -> None:
    shelf.study()
    view(["search", *shelf.words])
    (config,) = configs(sections(saved(project, "project-view"))["Sweep search"], "Parallel Coordinates Plot")
    columns = [(one["accessor"], bool(one.get("log")), bool(one.get("inverted"))) for one in config["columns"]]
    assert sorted(columns[:5]) == [
        ("config:features.value.fine.hop", False, False),
        ("config:features.value.fine.n_fft", False, False),  # n_mels is 40 in both choices
        ("config:model.value.hidden_dim", False, False),
        ("config:model.value.name", False, False),
        ("config:training.value.learning_rate", True, False),
    ]
    assert columns[5:] == [
        ("summary:objective/validation/uar", False, False),
        ("summary:objective/parameters", False, True),
    ]


def test_each_part_of_the_report_has_the_runs_that_belong_there(project: Recorder, shelf: Shelf) -> None:
    shelf.study()
    shelf.crossval("cv-1", group="shared")
    view(["search", "cv-1", *shelf.words])
    by_heading = grids(saved(project, "runs"))
    types = {heading: filters(grid["runSets"][0]) for heading, grid in by_heading.items()}
    both = {"group": ["search", "shared"]}
    assert types == {
        "UAR by model": both | {"jobType": ["summary", "train"]},
        "Curves by group": both | {"jobType": ["train", "fold", "trial", "final"]},
        "Sweep search": {"group": ["search"], "jobType": ["trial"]},
        "Confusion matrices": both | {"jobType": ["summary", "train"]},
    }
    assert all(grid["runSets"][0]["project"]["name"] == "p" for grid in by_heading.values())
    boxes = [panel["layout"] for panel in by_heading["Curves by group"]["panelBankSectionConfig"]["panels"]]
    assert len({(box["x"], box["y"]) for box in boxes}) == len(boxes)


def table(recorder: Recorder) -> tuple[list[list[str]], str]:
    """Rows of the report's Markdown table without its head, and the text below it."""
    (block,) = [one for one in saved(recorder, "runs").spec["blocks"] if one["type"] == "markdown-block"]
    rows, _, below = block["content"].partition("\n\n")
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows.splitlines()[2:]], below


def test_the_table_has_the_pooled_uar_between_the_ends_of_its_interval(project: Recorder, shelf: Shelf) -> None:
    worse, better = shelf.crossval("worse", right=0.5), shelf.crossval("better", right=2.0)
    view(["worse", "better", *shelf.words])
    rows, below = table(project)
    assert [row[5] for row in rows] == ["better", "worse"]
    for row, path in zip(rows, (better, worse), strict=True):
        found = Pooled.read(path / "predictions.csv").rows
        predicted = np.array(found.classes)[np.argmax(found.logits, axis=1)]
        shown, _, interval = row[1].partition(" ")
        low, high = json.loads(interval)
        assert float(shown) == pytest.approx(balanced_accuracy_score(found.labels, predicted), abs=5e-4)
        assert low < float(shown) < high
        assert (row[0], row[3]) == ("mfcc_lstm", "table, loso")
    assert "resampling speakers" in below and "Not tested" not in below


def test_without_a_name_it_is_of_the_whole_project(project: Recorder, shelf: Shelf) -> None:
    shelf.study()
    shelf.study("elsewhere", project="q")
    shelf.crossval("mine")
    shelf.crossval("other", project="q")
    view(["project=p", *shelf.words])
    workspace = saved(project, "project-view")
    assert workspace.title == "SER p"
    assert filters(workspace.spec["section"]["runSets"][0]) == {}
    assert [name for name in sections(workspace) if name.startswith("Sweep")] == ["Sweep search"]
    assert [row[5] for row in table(project)[0]] == ["mine"]


def test_a_run_stands_for_the_runs_of_its_group(project: Recorder, shelf: Shelf) -> None:
    for seed in (0, 1):
        run = shelf.maker.run(f"run-{seed}", noisy(Spoken(), seed, 1.5), seed=seed)
        text = run.config.read_text(encoding="utf-8").replace("group: null", "group: g").replace("ser-lightning", "p")
        write_text(run.config, text)
    view(["run-1", *shelf.words])
    assert filters(saved(project, "project-view").spec["section"]["runSets"][0]) == {"group": ["g"]}
    assert sorted(row[5] for row in table(project)[0]) == ["run-0", "run-1"]


def test_what_is_not_tested_is_named(project: Recorder, shelf: Shelf) -> None:
    (shelf.crossval("cv-1") / "result.json").unlink()
    view(["cv-1", *shelf.words])
    assert table(project)[0] == []
    assert "Not tested yet: cv-1" in json.dumps(saved(project, "runs").spec)


def test_what_lacks_folds_is_named(project: Recorder, shelf: Shelf) -> None:
    result = shelf.crossval("cv-1") / "result.json"
    shelf.crossval("cv-2")
    write_json(result, json.loads(result.read_text(encoding="utf-8")) | {"complete": False})
    view(["cv-1", "cv-2", *shelf.words])
    assert "Incomplete, pooled over what there is: cv-1." in json.dumps(saved(project, "runs").spec)


def test_the_same_again_replaces_both_and_another_title_makes_others(
    project: Recorder, shelf: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")  # as a shell has it for trainings
    shelf.crossval("cv-1")
    urls = view(["cv-1", *shelf.words])
    other = view(["cv-1", "title=another", *shelf.words])
    before = {key: (one.type, one.name) for key, one in project.store.views.items() if one.type == "project-view"}
    shelf.study()
    shelf.crossval("cv-2")
    assert view(["cv-1", *shelf.words]) == urls != other
    assert len(project.store.views) == 4
    assert before == {k: (one.type, one.name) for k, one in project.store.views.items() if one.type == "project-view"}
    assert f"report: {urls.report}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda recorder, env: env.delenv("WANDB_API_KEY"), "no key; `wandb login`"),
        (lambda recorder, env: env.setenv("WANDB_API_KEY", "f" * 40), "does not know the key; `wandb login`"),
        (lambda recorder, env: recorder.vanish(), "does not answer"),
        (lambda recorder, env: recorder.fail("Viewer", None), "no login at"),
        (lambda recorder, env: recorder.fail("upsertView", 403), "did not take the view"),
        (lambda recorder, env: recorder.fail("UpsertView2", None), "did not take the view"),
        (lambda recorder, env: recorder.store.runs.clear(), "no project lab/p yet; upload runs with `ser sync`"),
        (lambda recorder, env: env.setattr(Recorder, "entity", "other"), "no project lab/p yet"),
    ],
    ids=["no key", "wrong key", "gone", "hangs", "refuses the report", "hangs later", "no project", "not its entity"],
)
def test_a_bad_day_is_one_line_and_bounded(
    project: Recorder,
    shelf: Shelf,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Recorder, pytest.MonkeyPatch], None],
    said: str,
) -> None:
    shelf.study()
    monkeypatch.setenv("WANDB_HTTP_TIMEOUT", "2")
    monkeypatch.setattr(wandb.Api, "_HTTP_TIMEOUT", 2)  # what the variable says, had it been there at the import
    spoil(project, monkeypatch)
    assert main(["wandb", "view", "search", "entity=lab", *shelf.words]) == 1
    text = capsys.readouterr().err
    assert said in text and text.count("\n") == 1


def test_without_its_package_it_names_the_extra(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ser_lightning.reports.wandb_view.view.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"ser-lightning\[views\]"):
        view([])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing"], "no study, cross-validation or group of runs `nothing` here; known: a=b, cv-1, cv-2"),
        (["cv-1", "cv-2"], "projects p and q: choose one with project="),
        (["cv-3"], "group `a=b`: a filter of W&B takes no `=`"),
        (["cv-1", "title=<3"], "W&B takes no `<`"),
        (["cv-1", f"title={'x' * 129}"], "129 characters, but W&B takes 128"),
        (["cv-1", "projekt=p"], "did you mean `project`"),
    ],
)
def test_what_cannot_be_shown_is_said_before_the_server_is_asked(three: Shelf, words: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        view([*words, *three.words])
    assert said in str(error.value)
