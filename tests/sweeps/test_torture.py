"""Many workers, and everything that can happen to a trial: each ends once, with its reason, and the best is right."""

import csv
import os
import random
import signal
import time
from collections import defaultdict
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState

from ..waiting import until
from . import trials

stand = trials.stand

WORKERS, MEMORY, LEAST = 4, 1500, 0.7
MOOD = "model.mood"
LONG = ("training.max_epochs=40", "training.patience=null")
"""A second or so: a worker looks at a trial twice a second, and prunes none that is over by then."""
SEGFAULT, NAN, HUNGRY, HANG_CHILD, *HANG_WORKERS = range(6)
"""Numbers of the trials that begin with a mood: the model's own, less one."""
SWEEP: dict[str, Any] = {
    "study": {
        "sampler": {"name": "random", "seed": 0},
        "pruner": {"name": "threshold", "lower": LEAST, "n_warmup_steps": 1},
        "memory": MEMORY,
        "failures": 200,  # kills come in rows
        "stale": 6.0,  # of which an idle worker looks every sixth
    },
    # No float that is drawn is a whole number, so only what a study starts with has a mood.
    "space": {trials.RATE: trials.RATES, MOOD: {"float": [0.0, 6.0]}},
}


def begin(stand: Any, count: int, moods: int, storage: str | None, workers: int, *words: str) -> None:
    start = [{MOOD: 1.0 + number} for number in range(moods)]
    own = ["model.name=erratic", "model.dropout=0.0", f"model.notes={stand.folder}", *LONG, *words]
    stand.write(SWEEP["space"], *own, study=SWEEP["study"] | {"trials": count}, start=start)
    where = [f"study.storage={storage}"] if storage else []
    stand.process("sweep", "s.yaml", *where)
    until(lambda: "trials in all" in stand.started[0].said, "a study")
    for _ in range(workers - 1):
        stand.process("worker", "s")


def uar(run: Any) -> float:
    """Mean recall of the classes on the validation part, from the rows of predictions.csv."""
    hits = defaultdict(list)
    with run.predictions.open(newline="", encoding="utf-8") as source:
        for row in csv.DictReader(source):
            assert row["part"] == "validation"
            logits = {name: float(row[f"logit_{name}"]) for name in ("high", "low")}
            hits[row["label"]].append(max(logits, key=logits.__getitem__) == row["label"])
    return sum(sum(one) / len(one) for one in hits.values()) / len(hits)


def check(found: list[FrozenTrial], count: int, stand: Any) -> None:
    """Every number once, each ended in one of three ways and told why, the best value that of the run folders."""
    assert [trial.number for trial in found] == list(range(count))
    for trial in found:
        reason = trial.user_attrs.get("reason", "")
        if trial.state == TrialState.COMPLETE:
            assert reason == ""
            assert trial.value == pytest.approx(uar(trials.run_of(trial)))
            assert trials.run_of(trial).read_config().training.learning_rate == trial.params[trials.RATE]
        elif trial.state == TrialState.PRUNED:
            last = max(trial.intermediate_values)
            assert reason == f"pruned by threshold after epoch {last}"
            assert trial.intermediate_values[last] < LEAST and last >= 1
            assert not trials.run_of(trial).finished
        else:
            assert trial.state == TrialState.FAIL and reason
    complete = [trial for trial in found if trial.state == TrialState.COMPLETE]
    assert stand.study().best_value == max(uar(trials.run_of(trial)) for trial in complete)
    runs = [trial.user_attrs["run"] for trial in found if "run" in trial.user_attrs]
    assert len(set(runs)) == len(runs), "one run a trial"
    assert not list(stand.folder.glob("runs/*/.lock.*"))


@pytest.mark.parametrize(
    ("storage", "count", "workers"),
    [
        ("journal", 16, 3),
        pytest.param("journal", 40, 4, marks=pytest.mark.slow),
        pytest.param("postgres", 40, 4, marks=pytest.mark.slow),
    ],
)
def test_trials_end_once_each_whatever_happens(
    storage: str, count: int, workers: int, stand: Any, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres") if storage == "postgres" else None
    begin(stand, count, 6, url, workers)
    notes = [stand.folder / f"{1 + number}" for number in (HANG_CHILD, *HANG_WORKERS)]
    until(lambda: all(note.exists() for note in notes), "three trials that hang")
    hanging = stand.study().trials
    child, *orphans = (int(note.read_text()) for note in notes)
    os.kill(child, signal.SIGKILL)
    first_epochs = {n: trials.run_of(hanging[n]).metrics.read_text() for n in HANG_WORKERS}
    for number in HANG_WORKERS:
        os.kill(int(hanging[number].user_attrs["worker"].rpartition(":")[2]), signal.SIGKILL)
    for pid in orphans:
        until(lambda pid=pid: not trials.alive(pid), "an end of a child whose worker was killed")
    codes = [process.wait() for process in stand.started]
    assert sorted(codes) == [-signal.SIGKILL] * 2 + [0] * (workers - 2), [one.said for one in stand.started]

    found = stand.study().trials
    check(found, count, stand)
    reasons = {t.number: t.user_attrs["reason"] for t in found if t.state == TrialState.FAIL}
    assert reasons.keys() == {SEGFAULT, NAN, HUNGRY, HANG_CHILD}
    assert reasons[SEGFAULT] == "crashed (SIGSEGV)"
    assert reasons[NAN] == "loss is not finite" and "for the utterances" in found[NAN].user_attrs["log_end"]
    assert reasons[HUNGRY].startswith("out of memory (") and f"study.memory={MEMORY}" in reasons[HUNGRY]
    assert reasons[HANG_CHILD].startswith("killed by SIGKILL")
    for number in HANG_WORKERS:  # taken up where it was: its first epoch is not trained again
        assert found[number].user_attrs["adoptions"] == 1
        assert found[number].user_attrs["worker"] != hanging[number].user_attrs["worker"]
        assert trials.run_of(found[number]).metrics.read_text().startswith(first_epochs[number].rstrip())
        assert found[number].params == hanging[number].params
    assert {trial.user_attrs["adoptions"] for trial in found} == {0, 1}
    assert len({trial.user_attrs["worker"] for trial in found}) >= 2
    assert sum(trial.state == TrialState.PRUNED for trial in found) > 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("storage", ["journal", "postgres"])
def test_two_hundred_trials_survive_random_kills(storage: str, stand: Any, request: pytest.FixtureRequest) -> None:
    """Again and again a worker or a trial's child is killed when some more trials have ended; workers are replaced."""
    url = request.getfixturevalue("postgres") if storage == "postgres" else None
    chance, killed, before = random.Random(0), 0, 0
    begin(stand, 200, 3, url, WORKERS)
    while any(trial.state in (TrialState.RUNNING, TrialState.WAITING) for trial in stand.study().trials):
        time.sleep(chance.uniform(0.5, 2.0))
        if (ended := sum(trial.state.is_finished() for trial in stand.study().trials)) < before + chance.randint(1, 4):
            continue
        before = ended
        running = [process for process in stand.started if process.poll() is None]
        if chance.random() < 0.3 and running:
            chance.choice(running).kill()
        elif children := children_at_work(stand):
            os.kill(chance.choice(children), signal.SIGKILL)
            killed += 1
        for _ in range(WORKERS - sum(process.poll() is None for process in stand.started)):
            stand.process("worker", "s")
    for process in stand.started:
        assert process.wait() in (0, -signal.SIGKILL), process.said
    found = stand.study().trials
    check(found, 200, stand)
    failed = [trial for trial in found if trial.state == TrialState.FAIL]
    died = [trial for trial in failed if "its worker died" in trial.user_attrs["reason"]]
    assert 3 <= len(failed) <= 3 + killed + len(died)
    assert all(trial.user_attrs["adoptions"] > 0 for trial in died)
    assert any(trial.user_attrs["adoptions"] for trial in found)


def children_at_work(stand: Any) -> list[int]:
    """Process numbers of trials' children: who holds a run's lock."""
    locks = [path.read_text(encoding="utf-8") for path in stand.folder.glob("runs/*/.lock")]
    pids = [int(text.rpartition(":")[2].strip(" }")) for text in locks if text]
    return [pid for pid in pids if trials.alive(pid)]
