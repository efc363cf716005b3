"""Trials that train in two ranks: one trial each, one set of parameters, pruned like any other, and nobody left."""

import re
from pathlib import Path
from typing import Any

import pytest

from ser_lightning.files import read_csv

from ..waiting import until
from . import trials

stand = trials.stand


def of_these_runs(folder: Path) -> list[str]:
    """Command lines and log files of living processes that have a file of `folder` open or stand there."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            links = [process / "cwd", *(process / "fd").iterdir()]
            places = [link.readlink() for link in links]
        except OSError:
            continue  # it has ended, or is another user's
        if any(place.is_relative_to(folder / "runs") for place in places):
            found.append(process.name)
    return found


def test_two_ranks_are_one_trial_and_a_pruned_one_leaves_no_rank(stand: Any) -> None:
    """No UAR is above 1, so the pruner stops every trial that lasts; the first ends before it may."""
    pruner = {"name": "threshold", "lower": 1.5, "n_warmup_steps": 2}
    space = {trials.RATE: trials.RATES, "training.max_epochs": [1, 400]}
    start = [{"training.max_epochs": epochs, trials.RATE: rate} for epochs, rate in ((1, 0.01), (400, 0.02))]
    words = ["training.devices=2", "training.accelerator=cpu", "training.patience=null"]
    stand.write(space, *words, study={"trials": 2, "pruner": pruner}, start=start)
    process = stand.process("sweep", "s.yaml")
    seen = until(lambda: ranks_of(stand.folder), "two ranks at work")
    assert process.wait() == 0, process.said
    whole, pruned = stand.study().trials
    assert [(t.number, t.state.name) for t in (whole, pruned)] == [(0, "COMPLETE"), (1, "PRUNED")]
    assert [t.params[trials.RATE] for t in (whole, pruned)] == [0.01, 0.02]
    result = trials.run_of(whole).read_result()
    assert (whole.value, result["epochs"]) == (result["validation"]["uar"], 1)
    last = max(pruned.intermediate_values)
    assert pruned.user_attrs["reason"] == f"pruned by threshold after epoch {last}"
    rows = read_csv(trials.run_of(pruned).metrics)
    assert 3 <= len(rows) < 400
    assert pruned.intermediate_values == {
        int(row["epoch"]): pytest.approx(float(row["validation/uar"])) for row in rows[: last + 1]
    }
    for trial in (whole, pruned):
        folder = trials.run_of(trial).path
        assert trials.run_of(trial).read_config().training.learning_rate == trial.params[trials.RATE]
        assert sorted(path.name for path in (folder / "logs").glob("rank*")) == ["rank0.log", "rank1.log"]
    assert len(list(stand.folder.glob("runs/*/config.yaml"))) == 2
    assert len(seen) == 2
    until(lambda: not of_these_runs(stand.folder), "an end of every rank")


def ranks_of(folder: Path) -> set[str]:
    """Process numbers that write a rank's log, once there are two."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            place = str((process / "fd" / "1").readlink())
        except OSError:
            continue
        if place.startswith(str(folder)) and re.search(r"/logs/rank\d\.log$", place):
            found.add(process.name)
    return found if len(found) == 2 else set()
