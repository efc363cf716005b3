"""What tests share: threads, groups, what this machine lacks, and a tiny corpus that a model learns in seconds."""

import os

# Tests run several at a time, and so do the processes that they start: one thread each, whatever is set outside, unless
# a test says `@pytest.mark.threads(N)`. Both are read by what is imported below.
THREADS = "OMP_NUM_THREADS"
os.environ[THREADS] = "1"
os.environ.pop("COLUMNS", None)  # a width that pytest-xdist hands on, and that no test could change

import csv
import gc
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

import ser_lightning  # noqa: F401  first: it sets how threads wait, which torch reads when it loads
from ser_lightning.config.compose import compose

from . import needs

if TYPE_CHECKING:
    from ser_lightning.runs.folder import RunFolder

SPEAKERS, CLASSES, TAKES = 6, ("high", "low"), 3


MADE_ONCE = ("_session_cluster", "own_postgres", "installed", "_requeued", "_whole", "_frozen", "searched", "killed")
"""Fixtures that take seconds: tests that use one run in one of pytest-xdist's workers, and begin before the others."""


def pytest_xdist_auto_num_workers() -> int:
    """For `-n auto`: one more than there are cores, as some of what a test takes is waiting."""
    return 1 + (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def pytest_report_header() -> Sequence[str]:
    return needs.lines()


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name in MADE_ONCE:
            if name in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.xdist_group(name))
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


def pytest_collection_finish() -> None:
    """What was imported stays: the collector need not go through it again and again, nor look often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(autouse=True)
def own_threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test, and each process that it starts, computes with the threads that it says: one, unless it is marked."""
    marker = request.node.get_closest_marker("threads")
    count = marker.args[0] if marker else 1
    monkeypatch.setenv(THREADS, str(count))
    torch = sys.modules.get("torch")
    if torch:
        torch.set_num_threads(count)
    yield


@pytest.fixture(scope="session")
def real_speech() -> Path:
    """The folder with EMO-DB and RAVDESS beside the checkout."""
    if reason := needs.no_speech():
        pytest.skip(reason)
    return needs.SHARED / "data"


@pytest.fixture(scope="session")
def few_speakers(real_speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EMO-DB with five of its ten speakers."""
    root = tmp_path_factory.mktemp("emodb")
    for path in (real_speech / "emodb").rglob("*"):
        if path.name[:2] in ("03", "08", "09", "10", "11"):
            (to := root / path.relative_to(real_speech / "emodb")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, to)
    return root


@pytest.fixture(scope="session")
def speech_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scans and features of real speech, which all tests of a run share, in whichever of pytest-xdist's workers."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    (shared / "speech_cache").mkdir(exist_ok=True)
    return shared / "speech_cache"


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV over 36 files of 0.3 to 0.6 s: six speakers, two classes that differ in pitch."""
    folder = tmp_path_factory.mktemp("tiny")
    rng = np.random.default_rng(0)
    rows = []
    for speaker in range(SPEAKERS):
        for label, pitch in zip(CLASSES, (600.0, 200.0), strict=True):
            for take in range(TAKES):
                time = np.arange(int(16000 * rng.uniform(0.3, 0.6))) / 16000
                tone = np.sin(2 * np.pi * (pitch + 10 * speaker) * time) * 0.3
                name = f"s{speaker}_{label}_{take}.wav"
                soundfile.write(folder / name, tone + rng.normal(0, 0.02, len(time)), 16000)
                rows.append((name, label, f"s{speaker}"))
    with (folder / "corpus.csv").open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("path", "label", "speaker"), *rows])
    return folder / "corpus.csv"


def words_of(corpus: Path, folder: Path) -> list[str]:
    return [
        "corpus=table",
        f"corpus.root={corpus}",
        "corpus.classes=[high,low]",
        "corpus.labels={high: high, low: low}",
        "split.validation=1",
        "split.test=1",
        "model=mfcc_lstm",
        "model.hidden_dim=8",
        "training.max_epochs=3",
        "training.batch_size=8",
        "pictures=false",
        "tracking.mode=off",
        f"runs_dir={folder / 'runs'}",
        f"cache_dir={corpus.parent / 'cache'}",
    ]


@pytest.fixture
def tiny(tiny_corpus: Path, tmp_path: Path) -> list[str]:
    """Overrides for a training that takes a second: the tiny corpus, a small model, folders under tmp_path."""
    return words_of(tiny_corpus, tmp_path)


@pytest.fixture(scope="session")
def _trained(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `runs`, which hold the finished training of `tiny`, with its pictures."""
    from ser_lightning.runs.train import train  # which loads torch

    home = tmp_path_factory.mktemp("trained")
    train(compose([*words_of(tiny_corpus, home), "pictures=true"]).config)
    return home


@pytest.fixture
def trained(_trained: Path, tmp_path: Path) -> "RunFolder":
    """The finished training of `tiny`: trained once, and copied to where `tiny` would have it."""
    from ser_lightning.runs.folder import RunFolder

    copied(_trained, tmp_path)
    (run,) = (tmp_path / "runs").glob("table-*")
    return RunFolder(run)


def copied(home: Path, to: Path) -> None:
    """Copy what was made in one folder to another, as if it had been made there."""
    shutil.copytree(home, to, symlinks=True, dirs_exist_ok=True)
    for path in to.rglob("config.yaml"):
        path.write_text(path.read_text(encoding="utf-8").replace(str(home), str(to)), encoding="utf-8")
