"""`ser study NAME`: what a study has found so far, what failed, who works on it, and what to type next."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from rich.table import Table
from rich.text import Text

from ser_lightning.config.settings import names_and
from ser_lightning.console import answer
from ser_lightning.errors import ConfigError
from ser_lightning.processes.identity import ProcessIdentity
from ser_lightning.sweeps.claims import LOG_END, WORKER, liveness
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.importances import importances
from ser_lightning.sweeps.lease import Leases
from ser_lightning.sweeps.standing import Standing, figure, leader_board
from ser_lightning.sweeps.study import StudyFolder, open_study
from ser_lightning.sweeps.verbs import Show
from ser_lightning.sweeps.whereabouts import dashboard, where

LOG_LINES = 5
"""Of a failed trial's log."""
TOP_FAILED = 8
"""Trials whose numbers are shown of one reason."""
BAR = 30
"""Characters of an importance of 1."""


def show_study(words: Sequence[str]) -> StudyFolder:
    """Show a study; `words` are its name or folder, then settings.

    Raises:
        ConfigError: no name or several, or an unknown setting.
        UserError: there is no such study, or its storage does not answer.
    """
    names, settings = names_and(Show, words)
    if len(names) != 1:
        raise ConfigError("ser study: name one study, by its name under studies/ or by its folder")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder = StudyFolder.find(names[0], Path(settings.studies_dir))
    study = open_study(folder)
    frozen = Frozen.read(folder.frozen)
    standing = Standing(study.get_trials(deepcopy=False))
    answer(f"\nstudy {folder.name}: {standing.counts()}", "bold")
    _show_leaders(study, frozen, standing)
    _show_importances(study)
    _show_failures(standing)
    _show_workers(folder, frozen, standing)
    answer(f"storage: {where(frozen, folder)}")
    _show_next(shlex.join(words), folder, frozen, standing)
    return folder


def _show_leaders(study: Study, frozen: Frozen, standing: Standing) -> None:
    several = len(frozen.study.objectives) > 1
    leaders = leader_board(study, frozen, standing.trials)
    if not leaders:
        complete = standing.by_state[TrialState.COMPLETE]
        answer("no trial leads: " + ("none keeps all constraints" if complete else "none is complete yet"))
        return
    table = Table(title="Pareto front" if several else "leader board", title_justify="left")
    for name in ("trial", *frozen.study.objectives, "learns", "minutes"):
        table.add_column(name, justify="right")
    table.add_column("run", overflow="fold")
    for one in leaders:
        count = "" if one.parameters is None else f"{one.parameters:,}"
        table.add_row(str(one.number), *map(figure, one.values), count, f"{one.minutes:.1f}", Text(one.run))
    answer(table)
    for one in leaders:
        answer(f"trial {one.number}: {one.settings}{one.note and f'; {one.note}'}")


def _show_importances(study: Study) -> None:
    found = importances(study)
    if found.note:
        answer(found.note)
    if found.shares:
        table = Table("parameter", "importance", "", title="importances (PED-ANOVA)", title_justify="left")
        for name, share in found.shares.items():
            table.add_row(name, f"{share:.2f}", "█" * round(BAR * share))
        answer(table)


def _show_failures(standing: Standing) -> None:
    for reason, trials in standing.failures.items():
        numbers = ", ".join(str(trial.number) for trial in trials[:TOP_FAILED])
        more = f" and {len(trials) - TOP_FAILED} more" if len(trials) > TOP_FAILED else ""
        answer(f"failed: {reason}: {len(trials)} (trial{'s' if len(trials) > 1 else ''} {numbers}{more})", "red")
        if log := trials[-1].user_attrs.get(LOG_END):
            lines = log.splitlines()[-LOG_LINES:]
            answer("\n".join([f"  end of trial {trials[-1].number}'s log:", *(f"    {line}" for line in lines)]))


def _show_workers(folder: StudyFolder, frozen: Frozen, standing: Standing) -> None:
    """Every worker that had a trial last, those with running trials first."""
    ended = Counter(t.user_attrs[WORKER] for t in standing.trials if t.state.is_finished() and WORKER in t.user_attrs)
    running: dict[str, list[int]] = {}
    for trial in standing.by_state[TrialState.RUNNING]:
        if WORKER in trial.user_attrs:
            running.setdefault(trial.user_attrs[WORKER], []).append(trial.number)
    lives = _lives(folder, frozen, standing.by_state[TrialState.RUNNING])
    for name in [*running, *sorted(ended.keys() - running.keys())]:
        at_work = ", ".join(f"on trial {number} ({lives.get(number, 'unknown')})" for number in running.get(name, []))
        answer(f"worker {name}: {ended[name]} ended{', ' * bool(at_work)}{at_work}")


def _lives(folder: StudyFolder, frozen: Frozen, running: Sequence[FrozenTrial]) -> Mapping[int, str]:
    """Whether workers live; nothing is known of them in a folder that may only be read."""
    try:
        return liveness(Leases(folder.owners, ProcessIdentity.here(), frozen.study.stale), running)
    except PermissionError:
        return {}


def _show_next(named: str, folder: StudyFolder, frozen: Frozen, standing: Standing) -> None:
    """`named`: the words by which this study was found."""
    if standing.ended < len(standing.trials):
        answer(f"next: ser worker {named} (joins it, from any machine that sees this folder)")
    if standing.by_state[TrialState.COMPLETE]:
        answer(f"next: ser finalize {named} (the winner with several seeds, and its test part once)")
        answer(f"next: ser report {named} (history, parallel coordinates, slices)")
    if command := dashboard(frozen, folder):
        answer(f"next: {command} (pip install optuna-dashboard)")
