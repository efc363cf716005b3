"""What a trial of a sweep costs beyond its training.

`python benchmarks/sweep_overhead.py`, about a minute on two cores.

One worker runs trials of a tiny training (36 synthetic utterances, an LSTM of 8 units, tracking and pictures off),
one after the other. A trial lasts from its claim to its end in the study; its training is what its epochs took, from
the run's metrics. The rest is taken apart: `launch` until the child begins its log, `run` inside the child beyond its
epochs (corpus, split, features read, predictions, files), `notice` until the worker has told the study. Against it
stands a fresh process that trains the same (`ser train`), less its epochs. Without the first trial, which starts the
server of children and extracts the features.
"""

import csv
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
import yaml
from measure import Bar, report
from optuna.trial import FrozenTrial

from ser_lightning.runs.folder import RunFolder
from ser_lightning.sweeps.study import StudyFolder, open_study

TRIALS, FRESH, EPOCHS = 15, 5, 3
RATE = "training.learning_rate"


def corpus(folder: Path) -> Path:
    """Two classes that differ in pitch, six speakers, three takes of 0.3 to 0.6 s."""
    rng, rows = np.random.default_rng(0), []
    for speaker in range(6):
        for label, pitch in (("high", 600.0), ("low", 200.0)):
            for take in range(3):
                seconds = np.arange(int(16000 * rng.uniform(0.3, 0.6))) / 16000
                tone = 0.3 * np.sin(2 * np.pi * (pitch + 10 * speaker) * seconds)
                name = f"s{speaker}_{label}_{take}.wav"
                soundfile.write(folder / name, tone + rng.normal(0, 0.02, len(seconds)), 16000)
                rows.append((name, label, f"s{speaker}"))
    with (folder / "corpus.csv").open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("path", "label", "speaker"), *rows])
    return folder / "corpus.csv"


def words(table: Path) -> list[str]:
    return [
        "corpus=table",
        f"corpus.root={table}",
        "corpus.classes=[high,low]",
        "corpus.labels={high: high, low: low}",
        "split.validation=1",
        "split.test=1",
        "model=mfcc_lstm",
        "model.hidden_dim=8",
        f"training.max_epochs={EPOCHS}",
        "training.batch_size=8",
        "training.accelerator=cpu",
        "tracking.mode=off",
        "pictures=false",
    ]


def of_trial(trial: FrozenTrial) -> dict[str, float]:
    """Seconds of one trial by part."""
    run = RunFolder(Path(trial.user_attrs["run"]))
    assert trial.datetime_start and trial.datetime_complete
    began, ended = trial.datetime_start.timestamp(), trial.datetime_complete.timestamp()
    config, result = run.config.stat().st_mtime, run.result.stat().st_mtime
    training = run.read_result()["seconds"]
    return {
        "whole": ended - began,
        "training": training,
        "beyond": ended - began - training,
        "launch": config - began,
        "run": result - config - training,
        "notice": ended - result,
    }


def of_fresh(base: Sequence[str], number: int) -> float:
    """Seconds of `ser train` in a process of its own, beyond its epochs."""
    own = [*base, f"{RATE}={0.011 + number / 1000}", f"runs_dir=fresh{number}"]
    start = time.monotonic()
    subprocess.run([sys.executable, "-m", "ser_lightning", "train", *own], check=True, capture_output=True)
    wall = time.monotonic() - start
    (result,) = Path(f"fresh{number}").glob("*/result.json")
    return wall - float(RunFolder(result.parent).read_result()["seconds"])


def measure() -> tuple[list[dict[str, float]], list[float]]:
    base = words(corpus(Path.cwd()))
    study = {"trials": TRIALS, "pruner": {"name": "none"}, "sampler": {"name": "random", "seed": 0}}
    tree = {"study": study, "base": base, "space": {RATE: {"float": [1e-3, 1e-2], "log": True}}}
    Path("overhead.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "ser_lightning", "sweep", "overhead.yaml"], check=True, capture_output=True)
    rows = [of_trial(trial) for trial in open_study(StudyFolder.find("overhead")).trials]
    return rows[1:], [of_fresh(base, number) for number in range(FRESH)]


def bars() -> Iterator[Bar]:
    here = Path.cwd()
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            rows, fresh = measure()
        finally:
            os.chdir(here)
    beyond = [row["beyond"] / median(fresh) for row in rows]
    low, ratio, high = quantiles(beyond, n=4, method="inclusive")
    parts = ", ".join(f"{part} {median(row[part] for row in rows):.2f} s" for part in ("launch", "run", "notice"))
    note = f"{median(row['beyond'] for row in rows):.2f} s ({parts}) against {median(fresh):.2f} s"
    yield Bar(
        "a sweep's trial against a fresh `ser train`, both beyond their epochs", ratio, 0.1, "at most", low, high, note
    )


if __name__ == "__main__":
    report(bars())
