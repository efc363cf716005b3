"""What tests share: the place of real speech, and a tiny corpus that a model can learn in seconds."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

import ser_lightning  # noqa: F401  first: it sets how threads wait, which torch reads when it loads

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
SPEAKERS, CLASSES, TAKES = 6, ("high", "low"), 3


@pytest.fixture(scope="session")
def real_speech() -> Path:
    """The folder with EMO-DB and RAVDESS beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("real speech not found beside the checkout (../shared/data)")
    return SHARED


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


@pytest.fixture
def tiny(tiny_corpus: Path, tmp_path: Path) -> list[str]:
    """Overrides for a training that takes a second: the tiny corpus, a small model, folders under tmp_path."""
    return [
        "corpus=table",
        f"corpus.root={tiny_corpus}",
        "corpus.classes=[high,low]",
        "corpus.labels={high: high, low: low}",
        "split.validation=1",
        "split.test=1",
        "model=mfcc_lstm",
        "model.hidden_dim=8",
        "training.max_epochs=3",
        "training.batch_size=8",
        "tracking.mode=off",
        f"runs_dir={tmp_path / 'runs'}",
        f"cache_dir={tiny_corpus.parent / 'cache'}",
    ]
