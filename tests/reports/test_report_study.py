"""Studies in the report: what stands there is what the storage holds, and every plot is inside."""

import re
import subprocess
from pathlib import Path

import matplotlib
import pytest
from matplotlib import pyplot
from optuna.trial import TrialState

from ser_lightning.errors import ConfigError
from ser_lightning.reports.html import study_plots
from ser_lightning.reports.report import report
from ser_lightning.sweeps.claims import Claims
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.settings import StudySettings
from ser_lightning.sweeps.study import StudyFolder, open_study

from ..needs import CHROMIUM, no_chromium
from .conftest import Shelf, Study

FINE = [{"n_fft": n, "hop": n // 2} for n in (400, 512, 640)]
SPACE = {
    "features.fine": FINE,
    "model": ["ds_lstm", "fused"],
    "model.hidden_dim": {"int": [32, 128], "step": 32},
    "training.learning_rate": {"float": [1e-4, 1e-2], "log": True},
    "model.weight": {"float": [0.3, 0.7], "when": {"model": "fused"}},
    "features.coarse.n_fft": {"of": "features.fine.n_fft", "times": 2},
}
BASE = {"features": {"fine": FINE[0], "coarse": {"n_fft": 1}}, "model": {"name": "fused"}, "training": {}}
CHOICES = {"model": {"ds_lstm": {"name": "ds_lstm"}, "fused": {"name": "fused"}}}
UAR, SIZE = {"validation.uar": "maximize"}, {"parameters": "minimize"}
LOG = "Traceback\n<b>ValueError</b>: nan"


def search(root: Path, name: str, trials: int = 12, objectives: dict[str, str] = UAR) -> Claims:
    """A study whose trial 1 fails, 2 is pruned, 3 breaks its constraint; the others are worth number / 100."""
    settings = StudySettings(name=name, trials=trials, objectives=objectives, sampler={"name": "random", "seed": 0})
    if len(objectives) > 1:
        settings = StudySettings(**vars(settings) | {"pruner": {"name": "none"}})
    frozen = Frozen(settings, BASE, CHOICES, SPACE, {"parameters": 400000}, [{"model": "fused"}], ["seed=1"])
    folder = StudyFolder(root / "studies" / name)
    claims = Claims(open_study(folder, frozen), folder, settings)
    while claimed := claims.claim():
        i = claimed.number
        values = frozen.searched.suggest(claimed.trial)
        claimed.trial.set_constraint("parameters", 1 if i == 3 else -1)
        if i == 1:
            claims.finish(claimed, TrialState.FAIL, None, "loss is not finite", LOG)
        elif i == 2:
            claims.finish(claimed, TrialState.PRUNED, None, "pruned by median after epoch 4")
        else:
            claims.finish(claimed, TrialState.COMPLETE, [i / 100, values["model.hidden_dim"]][: len(objectives)])
    return claims


def write(root: Path, *names: str) -> Path:
    folders = Shelf(root).places
    return report([*names, *folders, f"studies_dir={root / 'studies'}", f"out={root / 'report.html'}"])


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the studies `one`, of one objective, and `two`, of two, are."""
    made = tmp_path_factory.mktemp("searched")
    search(made, "one")
    search(made, "two", objectives=UAR | SIZE)
    return made


@pytest.fixture(scope="module")
def one(searched: Path) -> str:
    return write(searched, "one").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def both(searched: Path) -> str:
    return write(searched, "two", "one").read_text(encoding="utf-8")


def board(text: str) -> list[tuple[int, float]]:
    table = text[text.index("Best trials of") : text.index("<h3>History")]
    rows = re.findall(r'<tr><th scope="row">(\d+)</th><td>([\d.]+)</td>', table)
    return [(int(number), float(value)) for number, value in rows]


def test_the_leader_board_is_the_best_that_keep_the_constraints(one: str) -> None:
    assert board(one) == [(i, i / 100) for i in (11, 10, 9, 8, 7, 6, 5, 4, 0)]
    assert "12 of 12 trials ended: 10 complete, 1 pruned, 1 failed; 0 running, 0 waiting" in one
    assert "looks at no test utterance" in one and 'id="headline"' not in one


def test_failures_have_their_log_and_the_space_its_words(one: str) -> None:
    assert "loss is not finite" in one and "&lt;b&gt;ValueError&lt;/b&gt;: nan" in one and "<b>" not in one
    for words in ("n_fft 400, hop 200 |", "32 to 128 in steps of 32", "0.0001 to 0.01, logarithmic", "model is fused"):
        assert words in one
    assert "2 times features.fine.n_fft" in one and "at most 400,000" in one and "ser train seed=1" in one


def test_every_kind_of_plot_is_there(one: str) -> None:
    found = re.findall(r'<svg role="img" aria-label="([^"]*)"', one)
    names = ["features.fine", "model", "model.hidden_dim", "training.learning_rate", "model.weight"]
    assert sorted(found) == sorted(
        ["validation.uar of each trial", "what matters for validation.uar", "a line for each trial, through its values"]
        + [f"validation.uar by {name}" for name in names]
    )


def test_several_objectives_have_a_front(searched: Path, both: str) -> None:
    front = open_study(StudyFolder(searched / "studies" / "two")).best_trials
    assert [number for number, _ in board(both)] == sorted((trial.number for trial in front), reverse=True)
    found = re.findall(r'<svg role="img" aria-label="([^"]*)"', both)
    assert "Pareto front" in found and {"what matters for parameters", "parameters by model"} <= set(found)
    assert "Objective 0" not in both and "Objective Value" not in both


def test_the_file_needs_nothing_beside_it_and_its_ids_are_unique(both: str) -> None:
    ids = re.findall(r'\bid="([^"]*)"', both)
    assert len(ids) == len(set(ids)) and len(ids) > 100
    referred = re.findall(r'(?:href="#|url\(#)([^")]*)', both)
    assert referred and set(referred) <= set(ids)
    assert not [link for link in re.findall(r'(?:href|src)="([^"]*)"', both) if not link.startswith("#")]
    assert both.count("<style") == 1 and "<image" not in both


def test_the_same_study_gives_the_same_text_and_matplotlib_stays_as_it_was(searched: Path, one: str) -> None:
    pyplot.switch_backend("svg")
    before, figures = dict(matplotlib.rcParams), pyplot.get_fignums()
    assert write(searched, "one").read_text(encoding="utf-8") == one
    assert dict(matplotlib.rcParams) == before and pyplot.get_fignums() == figures


def test_studies_stand_after_systems_and_one_complete_trial_has_no_plots(shelf: Shelf) -> None:
    shelf.crossval(Study(name="network"))
    search(shelf.root, "few", trials=2)
    text = write(shelf.root, "network", "few").read_text(encoding="utf-8")
    assert text.index('id="folds"') < text.index('id="study-1"')
    assert text.count("<section") == 10 and "<title>network, few " in text
    assert "they need at least two complete trials" in text and 'class="study-plot"' not in text


def test_of_too_many_trials_the_best_are_drawn_and_the_rest_thinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = search(tmp_path, "many", trials=60)
    monkeypatch.setattr(study_plots, "MOST", 20)
    plotter = study_plots.Plotter(claims.study, ["validation.uar"], [59, 58], False, "x")
    drawn = [t.number for t in plotter.study.trials if t.state == TrialState.COMPLETE]
    complete = [t.number for t in claims.study.trials if t.state == TrialState.COMPLETE]
    assert drawn == sorted({*complete[::3], 58, 59}) and plotter.left_out == len(complete) - len(drawn)
    for number in drawn:
        assert plotter.study.trials[number].params == claims.study.trials[number].params


def test_a_study_is_named_once(tmp_path: Path) -> None:
    search(tmp_path, "one", trials=2)
    with pytest.raises(ConfigError, match="one is named twice"):
        write(tmp_path, "one", str(tmp_path / "studies" / "one"))


@pytest.mark.skipif(bool(no_chromium()), reason=no_chromium())
def test_it_renders_without_errors_and_fits_a_narrow_window(tmp_path: Path, one: str) -> None:
    out = tmp_path / "report.html"
    script = "<script>document.title = [document.documentElement.scrollWidth, innerWidth].join(' of ')</script></body>"
    out.write_text(one.replace("</body>", script), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr"]
    options += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", "--window-size=500,900", out.as_uri()]
    done = subprocess.run([CHROMIUM, *options], capture_output=True, text=True, check=True)
    assert not re.findall(r".*CONSOLE.*", done.stderr)
    title = re.search(r"<title>(\d+) of (\d+)</title>", done.stdout)
    assert title and int(title[1]) <= int(title[2]) <= 500
