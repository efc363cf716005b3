"""What a person sees while folds run: one table, brought up to date as epochs end."""

from collections.abc import Mapping

from rich.live import Live
from rich.table import Table

from ser_lightning.console import console, say
from ser_lightning.crossval.folder import Fold
from ser_lightning.processes.endings import FINISHED
from ser_lightning.runs.folder import RunFolder
from ser_lightning.training.history import read_history

RUNNING = "running"


class FoldBoard:
    """A row a run; in a terminal drawn in place, elsewhere a line for each that ends."""

    def __init__(self, title: str, folds: dict[str, Fold], runs: Mapping[str, RunFolder]) -> None:
        self.title, self.folds, self.runs = title, folds, runs
        self.cells = {run: self._cells(run) for run in folds}
        self.live = Live(console=console, auto_refresh=False, vertical_overflow="visible")

    def start(self) -> None:
        if console.is_terminal:
            self.live.start()

    def stop(self) -> None:
        """The table as it was last stays."""
        if console.is_terminal:
            self.draw()
            self.live.stop()
        else:
            console.print(self._table())

    def put(self, fold: Fold) -> None:
        """A fold's new state."""
        self.cells[fold.run] = self._cells(fold.run)
        if fold.state != RUNNING and not console.is_terminal:
            say(f"fold {fold.fold}, seed {fold.seed}: {fold.state}")

    def draw(self) -> None:
        """Read how far the running ones are, and show all."""
        for run, fold in self.folds.items():
            if fold.state == RUNNING:
                self.cells[run] = self._cells(run)
        if console.is_terminal:
            self.live.update(self._table(), refresh=True)

    def _table(self) -> Table:
        done = sum(fold.state == FINISHED for fold in self.folds.values())
        table = Table(title=f"{self.title}: {done} of {len(self.folds)} finished", title_justify="left")
        for name in ("fold", "seed", "test speakers", "state", "epochs", "validation UAR", "test UAR", "minutes"):
            table.add_column(name, justify="left" if name in ("test speakers", "state") else "right")
        for run, fold in self.folds.items():
            table.add_row(str(fold.fold), str(fold.seed), _short(fold.test_speakers), fold.state, *self.cells[run])
        return table

    def _cells(self, name: str) -> tuple[str, ...]:
        run = self.runs[name]
        rows = read_history(run.metrics)
        best = max((row["validation/uar"] or 0.0 for row in rows), default=None)
        minutes = sum(row["seconds"] or 0.0 for row in rows) / 60
        result = run.read_result() if run.finished else {}
        uars = [result[part]["uar"] if part in result else None for part in ("validation", "test")]
        shown = (f"{uar:.3f}" if uar is not None else "" for uar in (uars[0] or best, uars[1]))
        return str(len(rows) or ""), *shown, f"{minutes:.1f}" if rows else ""


def _short(names: str, width: int = 24) -> str:
    return names if len(names) <= width else f"{names[: width - 2].rpartition(' ')[0]} …"
