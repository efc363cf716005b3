"""A run's id changes with what can change its numbers, and with nothing else."""

from dataclasses import replace

import pytest

from ser_lightning.config import identity
from ser_lightning.config.compose import compose
from ser_lightning.config.identity import run_id

BASE = ["experiment=emodb_fused", "corpus.root=here"]


def an_id(*words: str, manifest: str = "m") -> str:
    return run_id(compose([*BASE, *words]).config, manifest)


@pytest.mark.parametrize(
    "word",
    [
        "corpus.root=there",
        "runs_dir=elsewhere",
        "cache_dir=elsewhere",
        "extraction_workers=4",
        "tracking.mode=off",
        "tracking.tags=[a]",
        "training.accelerator=cpu",
        "training.num_workers=2",
        "training.keep_on_device=no",
        "model.recurrence=reference",
    ],
)
def test_paths_devices_and_tracking_keep_the_id(word: str) -> None:
    assert an_id(word) == an_id()


@pytest.mark.parametrize(
    "word",
    [
        "seed=1",
        "model.hidden_dim=7",
        "features.fine.hop=128",
        "split.seed=1",
        "training.learning_rate=0.1",
        "training.precision=bf16-mixed",
        "corpus.classes=[anger,neutral]",
    ],
)
def test_what_changes_numbers_changes_the_id(word: str) -> None:
    assert an_id(word) != an_id()


def test_what_a_plug_in_calls_recurrence_changes_the_id() -> None:
    config = compose(BASE).config
    lstm, gru = (replace(config, model={"name": "mine", "recurrence": kind}) for kind in ("lstm", "gru"))
    assert run_id(lstm, "m") != run_id(gru, "m")


def test_audio_labels_and_the_result_version_change_the_id(monkeypatch: pytest.MonkeyPatch) -> None:
    before = an_id()
    assert an_id(manifest="other") != before
    monkeypatch.setattr(identity, "RESULT_VERSION", identity.RESULT_VERSION + 1)
    assert an_id() != before
