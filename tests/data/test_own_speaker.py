"""Each speaker's frames by that speaker's statistics, in memory or mapped, of one part alone."""

import numpy as np
import pytest
import torch

from ser_lightning.config.compose import compose
from ser_lightning.data.own_speaker import OwnSpeaker
from ser_lightning.data.splits import Part
from ser_lightning.files import read_csv
from ser_lightning.runs.evaluate import evaluate
from ser_lightning.runs.prepare import prepare
from ser_lightning.runs.train import train
from ser_lightning.runs.vault import FILE as LOOKS

SPEAKERS = ["a", "b", "a", "c", "b"]


def test_against_numpy_in_float64() -> None:
    generator = torch.Generator().manual_seed(0)
    frames = [100 * i + (i + 1) * torch.randn(4 + i, 3, generator=generator) for i in range(5)]
    found = OwnSpeaker.of(frames, SPEAKERS)
    assert len(found) == 5
    for row, speaker in enumerate(SPEAKERS):
        own = np.concatenate([f.numpy() for f, s in zip(frames, SPEAKERS, strict=True) if s == speaker])
        own = own.astype(np.float64)
        expected = (frames[row].numpy() - own.mean(0)) / own.std(0)
        assert np.allclose(found[row].numpy(), expected, atol=1e-4)


def test_a_constant_dimension_becomes_zero() -> None:
    assert OwnSpeaker.of([torch.full((4, 2), 2.5)], ["a"])[0].abs().max() == 0


WORDS = ["features.mfcc.normalise=speaker", "training.max_epochs=1"]


@pytest.mark.parametrize("place", ["yes", "no"])
def test_batches_of_resident_and_mapped_features(tiny: list[str], place: str) -> None:
    prepared = prepare(compose([*tiny, *WORDS, f"training.keep_on_device={place}"]).config)
    parts, _ = prepared.split()
    data = prepared.data(parts, ("train", "test"), ("mfcc",), torch.device("cpu"))
    assert data.resident == (place == "yes")
    for part in ("train", "test"):
        rows = data.parts[part]
        collected: dict[str, list[torch.Tensor]] = {speaker: [] for speaker in rows.speakers}
        for batch in data.in_order(part):  # type: ignore[arg-type]
            for frames, length, row in zip(batch.features["mfcc"], batch.lengths["mfcc"], batch.rows, strict=True):
                collected[rows.speakers[int(row)]].append(frames[:length])
                assert frames[length:].abs().sum() == 0
        for own in map(torch.cat, collected.values()):
            assert own.mean(0).abs().max() < 1e-3
            assert (own.std(0, unbiased=False) - 1).abs().max() < 1e-3


def test_what_else_is_loaded_changes_nothing(tiny: list[str]) -> None:
    words = [w for w in tiny if not w.startswith("split.")]
    prepared = prepare(compose([*words, *WORDS, "split=random_kfold"]).config)
    parts, proof = prepared.split()
    assert any(proof.shared_speakers.values())

    def batches(wanted: tuple[Part, ...]) -> torch.Tensor:
        data = prepared.data(parts, wanted, ("mfcc",), torch.device("cpu"))
        return torch.cat([batch.features["mfcc"].flatten() for batch in data.in_order("train")])

    assert torch.equal(batches(("train",)), batches(("train", "validation", "test")))


def test_every_result_is_marked_transductive(tiny: list[str]) -> None:
    run = evaluate(train(compose([*tiny, *WORDS]).config))
    assert run.read_result()["labels"] == ["transductive"]
    assert '"transductive": true' in run.proof.read_text()
    assert [look["labels"] for look in read_csv(run.path.parent / LOOKS)] == ["transductive"]
    _, plain = prepare(compose(tiny).config).split()
    assert plain.labels == []
    assert "transductive" not in plain.as_dict()
