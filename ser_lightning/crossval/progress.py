"""How far the folds are: in folds.csv, on the board, and in words when one fails."""

from collections.abc import Sequence
from dataclasses import replace

from ser_lightning.console import say
from ser_lightning.crossval.board import RUNNING, FoldBoard
from ser_lightning.crossval.folder import CrossvalFolder, Fold
from ser_lightning.crossval.plan import Task
from ser_lightning.processes.endings import FINISHED
from ser_lightning.processes.launcher import tail
from ser_lightning.processes.slots import Job
from ser_lightning.runs.folder import RunFolder


class Progress:
    """Watches the slots; what is finished is read from the run folders, not remembered."""

    def __init__(self, folder: CrossvalFolder, tasks: Sequence[Task]) -> None:
        self.folder, self.tasks = folder, tasks
        self.runs = {task.run: RunFolder(task.prepared.run_path) for task in tasks}
        self._folds = {task.run: self._read(task) for task in tasks}
        self._begun: set[str] = set()
        self.board = FoldBoard(folder.id, self._folds, self.runs)
        folder.write_folds(self.folds)

    @property
    def folds(self) -> list[Fold]:
        return list(self._folds.values())

    @property
    def waiting(self) -> list[Task]:
        return [task for task in self.tasks if self._folds[task.run].state != FINISHED]

    @property
    def failed(self) -> int:
        return len(self.waiting)

    @property
    def advanced(self) -> bool:
        """Whether an epoch of any run has ended that was begun here."""
        return any(self.runs[name].advanced for name in self._begun)

    @property
    def said(self) -> str:
        done = len(self.tasks) - len(self.waiting)
        return f"{len(self.tasks)} runs" + (f", {done} of them finished before" if done else "")

    def __enter__(self) -> "Progress":
        self.board.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.board.stop()

    def begun(self, job: Job) -> None:
        self._begun.add(job.name)
        self._put(job.name, RUNNING, "")

    def ended(self, job: Job, reason: str) -> None:
        self._put(job.name, reason, "" if reason == FINISHED else "\n".join(tail(job.log)))

    def tick(self) -> None:
        self.board.draw()

    def report_failures(self) -> None:
        """A failed run's reason and its log's end; the last word of a person who has not looked."""
        for fold in self.folds:
            if fold.state != FINISHED:
                where = self.runs[fold.run].process_log
                end = "\n  ".join(["", *fold.reason.splitlines()])
                say(f"fold {fold.fold}, seed {fold.seed}: {fold.state}; the end of {where}:{end}", style="yellow")

    def _put(self, run: str, state: str, reason: str) -> None:
        self._folds[run] = replace(self._folds[run], state=state, reason=reason)
        self.board.put(self._folds[run])
        self.folder.write_folds(self.folds)

    def _read(self, task: Task) -> Fold:
        run, wanted = self.runs[task.run], {"test"}
        if task.prepared.config.training.keep_epochs:
            wanted.add("selected_on_test")
        done = run.finished and wanted <= set(run.read_result())
        return Fold(
            task.fold, task.seed, task.run, " ".join(task.proof.speakers["test"]), FINISHED if done else "waiting"
        )
