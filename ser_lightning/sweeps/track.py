"""A study in W&B: what became of each trial, in its own run, and one run with the study's table.

Each is written by a process of its own: a server that does not answer holds up no heartbeat, and no training fails
for it.
"""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from optuna.study import Study
from optuna.trial import FrozenTrial

from ser_lightning.config.schema import Tracking
from ser_lightning.console import say
from ser_lightning.processes.launcher import Child, start, without_scheduler
from ser_lightning.runs.folder import RunFolder
from ser_lightning.sweeps.claims import REASON, RUN
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.standing import leading
from ser_lightning.sweeps.study import StudyFolder
from ser_lightning.sweeps.tell_wandb import Ended, Told, tell_study, tell_trial

PATIENCE = 120.0
"""Seconds that W&B has for what is left when a worker is done; what it misses is made up for at the next start."""
STOPPING = 5.0
"""The same when the worker was asked to stop, or failed."""


class Tracker:
    """Tells W&B how trials ended; with tracking.mode=off it does nothing. A context: leaving it waits for W&B.

    Args:
        study: from `open_study`.
    """

    def __init__(self, study: Study, folder: StudyFolder, frozen: Frozen) -> None:
        self.study, self.folder, self.frozen = study, folder, frozen
        self.settings = Tracking(**frozen.base["tracking"])
        self.log = folder.path / "tracking.log"
        self._children, self._lock = list[Child](), threading.Lock()

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Where all trials have ended, the study's own run is written, by one of its workers."""
        self._wait(PATIENCE if kind is None else STOPPING)
        if kind is None and self._on and (told := self._told()):
            self._start("the study", tell_study, told)
            self._wait(PATIENCE)

    def ended(self, number: int, runs: Sequence[RunFolder]) -> None:
        """A trial of this worker has ended; one that goes on elsewhere is left to its worker."""
        if not self._on:
            return
        trial = self.study.get_trials(deepcopy=False)[number]
        if trial.state.is_finished():
            with self._lock:
                self._reap()
                self._start(f"trial {number}", tell_trial, self._ended(trial, [run.path for run in runs]))

    @property
    def _on(self) -> bool:
        return self.settings.mode != "off"

    def _told(self) -> Told | None:
        """All that the study's run shows; None while trials are left, or where it is told already."""
        trials = self.study.get_trials(deepcopy=False)
        marker, text = self.folder.path / "tracked", f"{len(trials)} trials\n"
        done = marker.exists() and marker.read_text(encoding="utf-8") == text
        if done or not all(trial.state.is_finished() for trial in trials):
            return None
        ended = [self._ended(t, [Path(t.user_attrs[RUN])] if RUN in t.user_attrs else []) for t in trials]
        identity = self.folder.id.read_text(encoding="utf-8").strip()
        settings = asdict(self.frozen.study)
        del settings["storage"]  # it may hold a password
        parts = {"base": self.frozen.base, "space": self.frozen.space, "constraints": self.frozen.constraints}
        counts = Counter(trial.state.name for trial in trials)
        most = 1 if len(self.frozen.study.objectives) == 1 else None
        summary = {"trials": dict(counts), "best": [self._row(trial) for trial in leading(self.study, trials, most)]}
        return Told(
            self.folder.path,
            f"{self.folder.name}-{identity[:8]}",
            self.settings,
            {"study": settings, **parts},
            list(self.frozen.study.objectives),
            self.frozen.searched.names,
            ended,
            summary,
            marker,
            text,
        )

    def _row(self, trial: FrozenTrial) -> dict[str, object]:
        return {"number": trial.number, "objectives": self._scores(trial), "values": dict(trial.params)}

    def _ended(self, trial: FrozenTrial, runs: Sequence[Path]) -> Ended:
        return Ended(
            trial.number,
            f"{self.frozen.study.name} trial {trial.number}",
            trial.state.name,
            dict(trial.params),
            self._scores(trial),
            trial.user_attrs.get(REASON, ""),
            runs,
        )

    def _scores(self, trial: FrozenTrial) -> dict[str, float]:
        return dict(zip(self.frozen.study.objectives, trial.values or (), strict=False))

    def _start(self, name: str, target: object, argument: Ended | Told) -> None:
        self._children.append(start(f"W&B: {name}", target, (argument,), without_scheduler(), 1, self.log))  # type: ignore[arg-type]

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for child in self._children:
            child.process.join(max(0.0, deadline - time.monotonic()))
            if child.process.is_alive():
                child.process.kill()
                child.process.join()
        self._reap()

    def _reap(self) -> None:
        ended = [child for child in self._children if child.exitcode is not None]
        self._children = [child for child in self._children if child not in ended]
        for child in ended:
            child.alive.close()
            if child.exitcode:
                text = f"{child.name}: not told, see {self.log}; `ser worker {self.folder.name}` tries again"
                say(text, style="yellow")
