"""`ser study`: what it prints is what the storage holds."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import TrialState

from ser_lightning.errors import ConfigError, UserError
from ser_lightning.files import write_json
from ser_lightning.runs.folder import RunFolder
from ser_lightning.sweeps.claims import NOTE, Claims
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.importances import LEAST, STEADY, importances
from ser_lightning.sweeps.result import note
from ser_lightning.sweeps.study import StudyFolder, open_study
from ser_lightning.sweeps.study_show import show_study
from ser_lightning.sweeps.whereabouts import dashboard, where

RATE = "training.learning_rate"
SPACE = {RATE: {"float": [1e-4, 1e-2], "log": True}, "model.hidden_dim": {"int": [32, 128], "step": 32}}
Small = Callable[..., Frozen]
Show = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return StudyFolder(tmp_path / "studies" / "small")


@pytest.fixture
def fill(folder: StudyFolder, small: Small) -> Callable[..., Claims]:
    """`fill(values, excess=[...], **settings)`: complete trials with these values, the last of them under way."""

    def filled(values: list[list[float]], excess: list[float] | None = None, **settings: object) -> Claims:
        frozen = small(**{"trials": len(values), "space": SPACE, "pruner": {"name": "none"}} | settings)
        claims = Claims(open_study(folder, frozen), folder, frozen.study)
        for i, one in enumerate(values):
            claimed = claims.claim()
            assert claimed
            frozen.searched.suggest(claimed.trial)
            claimed.trial.set_constraint("memory", excess[i] if excess else 0)
            claims.finish(claimed, TrialState.COMPLETE, one)
        return claims

    return filled


@pytest.fixture
def show(folder: StudyFolder, capsys: pytest.CaptureFixture[str]) -> Show:
    def shown() -> str:
        capsys.readouterr()
        show_study([folder.name, f"studies_dir={folder.path.parent}"])
        return capsys.readouterr().out

    return shown


def leaders(text: str) -> list[tuple[int, float]]:
    """Number and first value of each row of the first table."""
    table = text[text.index("┡") : text.index("└")]
    return [(int(row[0]), float(row[1])) for row in re.findall(r"^│\s*(\d+)\s*│\s*([\d.]+)\s*│", table, re.MULTILINE)]


def test_the_ten_best_that_keep_the_constraints(fill: Callable[..., Claims], show: Show) -> None:
    values = [0.5 + 0.37 * i % 0.4 for i in range(14)]
    excess = [1.0 if i in (3, 7) else -1.0 for i in range(14)]
    fill([[value] for value in values], excess)
    best = sorted((i for i in range(14) if excess[i] <= 0), key=lambda i: (-values[i], i))[:10]
    assert leaders(show()) == [(i, pytest.approx(values[i], abs=1e-3)) for i in best]


def test_several_objectives_have_a_front(fill: Callable[..., Claims], show: Show) -> None:
    directions = {"validation.uar": "maximize", "parameters": "minimize"}
    fill([[0.5, 1000], [0.7, 5000], [0.6, 6000], [0.4, 900]], objectives=directions)
    text = show()
    assert "Pareto front" in text and [number for number, _ in leaders(text)] == [1, 0, 3]
    assert re.search(r"│\s*1 │\s*0\.7 │\s*5,000 │", text)


def test_a_mean_over_folds_of_other_classes_says_so(fill: Callable[..., Claims], show: Show, tmp_path: Path) -> None:
    recalls = [{"angry": 0.5, "calm": 1.0}, {"angry": 1.0, "calm": None}]
    runs = [RunFolder(tmp_path / str(fold)) for fold in range(2)]
    for run, recall in zip(runs, recalls, strict=True):
        write_json(run.result, {"validation": {"recall": recall}})
    said = "means over folds that hold different classes: fold 1 lacks calm"
    assert note(runs) == said and not note(runs[:1]) and not note([runs[0], runs[0]])
    claims = fill([[0.5]], trials=2)
    claimed = claims.claim()
    assert claimed
    claimed.trial.set_user_attr(NOTE, note(runs))
    claims.finish(claimed, TrialState.COMPLETE, [0.6])
    first, second = re.findall(r"^trial \d: .*$", show(), re.MULTILINE)
    assert first.endswith(said) and said not in second


def test_failures_prunings_workers_and_what_to_type(folder: StudyFolder, small: Small, show: Show) -> None:
    frozen = small(trials=5, space=SPACE)
    claims = Claims(open_study(folder, frozen), folder, frozen.study)
    ends = [(TrialState.COMPLETE, [0.5], "", ""), (TrialState.PRUNED, None, "pruned by median after epoch 3", "")]
    ends += [(TrialState.FAIL, None, "crashed (SIGSEGV)", "first\n[red]last[/red]")] * 2
    for state, values, reason, log in ends:
        claimed = claims.claim()
        assert claimed
        frozen.searched.suggest(claimed.trial)
        claims.finish(claimed, state, values, reason, log)
    running = claims.claim()
    assert running
    text = show()
    assert "4 of 5 trials ended: 1 complete, 1 pruned, 2 failed; 1 running, 0 waiting" in text
    assert "failed: crashed (SIGSEGV): 2 (trials 2, 3)" in text and "[red]last[/red]" in text
    assert f"worker {claims.leases.me}: 4 ended, on trial 4 (alive)" in text
    assert f"storage: {folder.journal}" in text and f"optuna-dashboard {folder.journal}" in text
    for verb in ("worker", "finalize", "report"):
        assert f"next: ser {verb} small studies_dir={folder.path.parent}" in text
    claims.leave(running.number)
    assert "on trial 4 (dead)" in show()


def test_a_study_without_leaders_says_why(fill: Callable[..., Claims], show: Show) -> None:
    fill([[0.5], [0.6]], [1, 2])
    assert "no trial leads: none keeps all constraints" in show()


def test_importances_find_the_parameter_that_decides(fill: Callable[..., Claims]) -> None:
    claims = fill([[0.1]])
    assert f"at least {LEAST}" in importances(claims.study).note
    frozen = replace(Frozen.read(claims_folder(claims).frozen))
    grown = replace(frozen, study=replace(frozen.study, trials=60, sampler={"name": "random", "seed": 1}))
    claims = Claims(open_study(claims_folder(claims), grown, changed=True), claims_folder(claims), grown.study)
    while claimed := claims.claim():
        values = grown.searched.suggest(claimed.trial)
        claims.finish(claimed, TrialState.COMPLETE, [values["model.hidden_dim"] / 128])
    found = importances(claims.study)
    assert len(claims.study.trials) >= STEADY and not found.note
    assert next(iter(found.shares)) == "model.hidden_dim" and found.shares["model.hidden_dim"] > 0.5
    assert sum(found.shares.values()) == pytest.approx(1)


def claims_folder(claims: Claims) -> StudyFolder:
    return StudyFolder(Path(claims.study.user_attrs["folder"]))


def test_one_parameter_has_no_importance(fill: Callable[..., Claims]) -> None:
    claims = fill([[0.1 * i] for i in range(6)], space={RATE: SPACE[RATE]})
    assert "one parameter" in importances(claims.study).note


def test_trials_of_an_older_space_are_still_shown(fill: Callable[..., Claims], folder: StudyFolder, show: Show) -> None:
    fill([[0.5], [0.6]])
    frozen = Frozen.read(folder.frozen)
    open_study(folder, replace(frozen, space={"model.hidden_dim": {"int": [32, 64]}, "seed": {"int": [0, 9]}}), True)
    assert re.search(rf"trial 1: .*{RATE}=", show())


def test_no_password_is_shown(folder: StudyFolder, small: Small) -> None:
    frozen = small(storage="postgresql+psycopg://me:secret@db:5432/studies")
    for text in (where(frozen, folder), dashboard(frozen, folder) or ""):
        assert "secret" not in text and "me:***@db:5432/studies" in text
    assert dashboard(small(storage="grpc://node1:13000"), folder) is None


@pytest.mark.parametrize("words", [[], ["one", "two"], ["one", "color=red"]])
def test_it_takes_one_name(words: list[str]) -> None:
    with pytest.raises(ConfigError):
        show_study(words)


def test_an_unknown_study_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no study `nothing`"):
        show_study(["nothing", f"studies_dir={tmp_path}"])
