"""What a person sees while a worker is at work: how the study stands, and a row for each trial that runs."""

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from optuna.trial import FrozenTrial, TrialState
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ser_lightning.console import console, say
from ser_lightning.runs.folder import RunFolder
from ser_lightning.sweeps.claims import NOTE, REASON, RUN, WORKER, Claims, liveness
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.pruning import folds_of
from ser_lightning.sweeps.standing import Standing, leading, seconds, settings_of, values_of
from ser_lightning.training.history import read_history

EVERY = 2.0
"""Least seconds between two looks into the storage."""
SHARE = 0.02
"""Of a worker's time that looking may take: a slow storage is asked less often."""
PULSE = 30.0
"""Seconds between two questions whether other workers live, which may ask the scheduler."""


class TrialBoard:
    """In a terminal drawn in place; elsewhere a line for each trial of this worker that ends, and the table at the end.

    Enter it as a context for as long as the worker is at work.
    """

    def __init__(self, frozen: Frozen, claims: Claims) -> None:
        self.frozen, self.claims = frozen, claims
        self.standing, self.leader = Standing([]), list[FrozenTrial]()
        self.lives: Mapping[int, str] = {}
        self.told: set[int] | None = None
        """Numbers of trials that have ended already."""
        self.next, self.pulse = 0.0, 0.0
        self.live = Live(console=console, auto_refresh=False, vertical_overflow="visible")

    def __enter__(self) -> Self:
        if console.is_terminal:
            self.live.start()
        self.look()
        self.next = time.monotonic() + EVERY  # the first look filled the storage's cache, and cost more than others
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """The table as it was last stays."""
        try:
            if error is None:
                self.look()
        finally:
            if console.is_terminal:
                self.live.stop()
            else:
                console.print(self.shown())

    def tick(self) -> None:
        """Look, and show what is found, if it is time."""
        if time.monotonic() >= self.next:
            self.look()

    def look(self) -> None:
        """Read the storage and show what is found."""
        began = time.monotonic()
        study = self.claims.study
        self.standing = Standing(study.get_trials(deepcopy=False))
        self.leader = leading(study, self.standing.trials, most=1)
        if console.is_terminal:
            self._ask_pulse()
            self.live.update(self.shown(), refresh=True)
        else:
            self._tell()
        took = time.monotonic() - began
        self.next = time.monotonic() + max(EVERY, took / SHARE)

    def shown(self) -> Group:
        """Everything, as it was when the storage was read last."""
        lines = [Text(f"study {self.frozen.study.name}: {self.standing.counts()}", style="bold")]
        failures = [f"{len(trials)} {reason}" for reason, trials in self.standing.failures.items()]
        if failures:
            lines.append(Text(f"failed: {'; '.join(failures)}", style="red"))
        if self.leader:
            (best,) = self.leader
            told = f"best: trial {best.number}, {values_of(self.frozen, best)}: {settings_of(self.frozen, best)}"
            note = best.user_attrs.get(NOTE, "")
            lines.append(Text(told + (note and f" ({note})")))
        if left := self._left():
            lines.append(Text(left))
        return Group(*lines, *([self._table()] if self.standing.by_state[TrialState.RUNNING] else []))

    def _left(self) -> str:
        running = self.standing.by_state[TrialState.RUNNING]
        slots = sum(self.lives.get(trial.number, "alive") == "alive" for trial in running)
        left = self.standing.seconds_left(slots, datetime.now())
        return "" if left is None else f"about {duration(left)} left, with {slots} at a time"

    def _table(self) -> Table:
        unit = "epochs" if self.frozen.study.crossval is None else "folds"
        table = Table()
        for name in ("trial", "worker", unit, "validation UAR", "minutes", "sets"):
            table.add_column(name, justify="left" if name in ("worker", "sets") else "right")
        for trial in self.standing.by_state[TrialState.RUNNING]:
            table.add_row(*self._row(trial))
        return table

    def _row(self, trial: FrozenTrial) -> tuple[str, ...]:
        lives = self.lives.get(trial.number, "alive")
        worker = trial.user_attrs.get(WORKER, "") + ("" if lives == "alive" else f" ({lives})")
        began = trial.datetime_start
        minutes = f"{(datetime.now() - began).total_seconds() / 60:.1f}" if began else ""
        return str(trial.number), worker, *self._progress(trial), minutes, settings_of(self.frozen, trial)

    def _progress(self, trial: FrozenTrial) -> tuple[str, str]:
        """Epochs, or folds, that are done, and the last validation UAR."""
        if self.frozen.study.crossval is None:
            run, rows = trial.user_attrs.get(RUN), []
            with suppress(OSError):  # another host put a new file in its place: on NFS the old one is gone while read
                rows = read_history(RunFolder(Path(run)).metrics) if run else []
            uars = [row.get("validation/uar") for row in rows]
        else:
            scores = folds_of(trial).intermediate_values
            uars = [scores[fold] for fold in sorted(scores)]
        return str(len(uars) or ""), f"{uars[-1]:.3f}" if uars and uars[-1] is not None else ""

    def _ask_pulse(self) -> None:
        if time.monotonic() < self.pulse:
            return
        others = [t for t in self.standing.by_state[TrialState.RUNNING] if t.number not in self.claims.held]
        with suppress(OSError):  # the study's folder is away: what was known last is shown
            self.lives = liveness(self.claims.leases, others)
        self.pulse = time.monotonic() + PULSE

    def _tell(self) -> None:
        """A line for each of this worker's trials that ended since the last look."""
        ended = {trial.number: trial for trial in self.standing.trials if trial.state.is_finished()}
        new = ended.keys() - (ended.keys() if self.told is None else self.told)
        self.told = set(ended)
        for trial in (ended[number] for number in sorted(new)):
            if trial.user_attrs.get(WORKER) == str(self.claims.leases.me):
                say(self._line(trial))

    def _line(self, trial: FrozenTrial) -> str:
        complete = trial.state == TrialState.COMPLETE
        how = values_of(self.frozen, trial) if complete else trial.user_attrs.get(REASON, "")
        name = {TrialState.FAIL: "failed"}.get(trial.state, trial.state.name.lower())
        sets = settings_of(self.frozen, trial)
        return f"trial {trial.number}: {name}, {how}, {(seconds(trial) or 0) / 60:.1f} min{': ' * bool(sets)}{sets}"


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
