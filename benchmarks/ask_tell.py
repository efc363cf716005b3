"""What it costs to claim a trial, suggest its values and finish it, as a study fills and as workers join.

`python benchmarks/ask_tell.py [STORAGE_URL]`, about three minutes on two cores.

First, one worker in a study that already has 10, 100, 1,000 or 10,000 finished trials: medians of claim (which trial),
suggest (its values, by random search and by TPE) and finish; what was timed counts as finished for the next. Then 1, 2,
4 and 8 workers at once in a study of 100 finished trials: finished trials a second, all together, and what each waits.
Trainings take no time here, so workers do nothing but wait for each other: the worst case. The journal is in a
temporary folder on this disk; with a URL (of a PostgreSQL, say) the same is measured there. Also written to
benchmarks/results/ask_tell_STORAGE.json.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial
from rich.console import Console
from rich.table import Table

from ser_lightning.files import write_json
from ser_lightning.sweeps.claims import Claims
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.settings import StudySettings
from ser_lightning.sweeps.storage import open_storage
from ser_lightning.sweeps.study import StudyFolder, open_study

FINISHED, WORKERS, SAMPLERS = (10, 100, 1_000, 10_000), (1, 2, 4, 8), ("random", "tpe")
TIMED, EACH, PARAMETERS, EPOCHS = 20, 25, 4, 10
STEPS = ("claim", "suggest", "finish")


def frozen(name: str, trials: int, url: str | None) -> Frozen:
    space = {f"training.p{i}": {"float": [0.0, 1.0]} for i in range(PARAMETERS)}
    settings = StudySettings(name=name, trials=trials, storage=url, sampler={"name": "random", "seed": 0})
    return Frozen(settings, {"training": {f"p{i}": 0.5 for i in range(PARAMETERS)}}, {}, space, {}, [], [])


def grow(folder: StudyFolder, finished: int, waiting: int, url: str | None) -> int:
    """Make it a study with at least so many finished trials, added whole, and so many that wait; how many finished."""
    known = len(open_study(folder).get_trials(deepcopy=False)) if folder.frozen.exists() else 0
    study = open_study(folder, frozen(folder.name, max(known, 1), url))
    keys = list(frozen(folder.name, 1, url).space)
    for number in range(max(known, 1), finished):
        values = {key: (number * (i + 3) % 101) / 101 for i, key in enumerate(keys)}
        study.add_trial(
            create_trial(
                state=TrialState.COMPLETE,
                params=values,
                distributions={key: FloatDistribution(0.0, 1.0) for key in keys},
                values=[sum(values.values())],
                intermediate_values=dict.fromkeys(range(EPOCHS), 0.5),
            )
        )
    finished = max(known, finished)
    open_study(folder, frozen(folder.name, finished + waiting, url))
    return finished


def work(folder: StudyFolder, most: int, sampler: str = "random") -> dict[str, list[float]]:
    """Seconds of each step of `most` trials."""
    now = Frozen.read(folder.frozen)
    claims = Claims(open_study(folder), folder, replace(now.study, sampler={"name": sampler, "seed": 0}))
    seconds = {step: list[float]() for step in STEPS}
    for _ in range(most):
        marks = [time.perf_counter()]
        claimed = claims.claim()
        if claimed is None:
            break
        marks.append(time.perf_counter())
        values = now.searched.suggest(claimed.trial)
        marks.append(time.perf_counter())
        claims.finish(claimed, TrialState.COMPLETE, [sum(values.values())])
        marks.append(time.perf_counter())
        for step, begin, end in zip(STEPS, marks, marks[1:], strict=False):
            seconds[step].append(end - begin)
    return seconds


def together(folder: StudyFolder, workers: int) -> tuple[float, list[float]]:
    """Trials a second of workers that begin together, and the seconds of each trial."""
    command = [sys.executable, __file__, "--work", str(folder.path), str(EACH)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes: list[Any] = [subprocess.Popen(command, **pipes) for _ in range(workers)]  # type: ignore[call-overload]
    for process in processes:
        process.stdout.readline()
    start = time.perf_counter()
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    each = [float(line) for process in processes for line in process.communicate()[0].split()]
    return len(each) / (time.perf_counter() - start), each


def one_of_many(path: str, most: int) -> None:
    """A worker that `together` began."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print("ready", flush=True)
    sys.stdin.readline()
    for seconds in zip(*work(StudyFolder(Path(path)), most).values(), strict=True):
        print(sum(seconds))


@contextmanager
def studied(name: str, url: str | None) -> Iterator[StudyFolder]:
    with TemporaryDirectory() as place:
        folder = StudyFolder(Path(place) / f"{name}-{time.time_ns()}")
        yield folder
        if url:
            optuna.delete_study(study_name=folder.name, storage=open_storage(url, folder.path))


def by_finished(console: Console, url: str | None) -> list[dict[str, Any]]:
    table = Table("finished", "sampler", *(f"{step} (ms)" for step in STEPS), "open (s)", title="One worker")
    rows = []
    with studied("bench", url) as folder:
        for least in FINISHED:
            for sampler in SAMPLERS:
                finished = grow(folder, least, TIMED, url)
                start = time.perf_counter()
                open_study(folder)
                opened = time.perf_counter() - start
                medians = {step: 1000 * median(values) for step, values in work(folder, TIMED, sampler).items()}
                rows.append({"finished": finished, "sampler": sampler, "open": opened, "milliseconds": medians})
                cells = (f"{medians[step]:.1f}" for step in STEPS)
                table.add_row(f"{finished:,}", sampler, *cells, f"{opened:.2f}")
    console.print(table)
    return rows


def by_workers(console: Console, url: str | None) -> list[dict[str, Any]]:
    table = Table("workers", "trials a second", "median a trial (ms)", "largest (ms)", title="Workers at once")
    rows = []
    for workers in WORKERS:
        with studied("bench", url) as folder:
            grow(folder, 100, workers * EACH, url)
            rate, each = together(folder, workers)
        assert len(each) == workers * EACH
        rows.append({"workers": workers, "rate": rate, "median": median(each), "largest": max(each)})
        table.add_row(str(workers), f"{rate:.1f}", f"{1000 * median(each):.1f}", f"{1000 * max(each):.0f}")
    console.print(table)
    return rows


def main(url: str | None) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    console, kind = Console(), url.partition(":")[0].partition("+")[0] if url else "journal"
    console.print(f"storage: {kind}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    found = {"storage": kind, "by_finished": by_finished(console, url), "by_workers": by_workers(console, url)}
    write_json(Path(__file__).parent / "results" / f"ask_tell_{kind}.json", found | {"load": os.getloadavg()[0]})


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        one_of_many(sys.argv[2], int(sys.argv[3]))
    else:
        main(sys.argv[1] if len(sys.argv) > 1 else None)
