"""Batches of a part straight from a store, and what an epoch's padding is."""

from pathlib import Path

import pytest
import torch

from ser_lightning.config.schema import Training
from ser_lightning.data.datamodule import PartRows, SERData, Stream
from ser_lightning.features.mfcc import MFCC
from ser_lightning.features.store import FeatureStore, Reader

LENGTHS = torch.randint(5, 90, (41,), generator=torch.Generator().manual_seed(1)).tolist()
DIGESTS = [f"{row:02x}" for row in range(41)]


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    store = FeatureStore(tmp_path)
    store.add(MFCC(), {d: torch.randn(n, 39) for d, n in zip(DIGESTS, LENGTHS, strict=True)})
    return store.reader(MFCC())


def data(reader: Reader, *frames: int | None, keep: str = "yes", most: int | None = None) -> SERData:
    rows = PartRows(DIGESTS, DIGESTS, [0] * 41, ["s"] * 41, [0] * 41)
    streams = {f"x{n}": Stream([reader], 39, count) for n, count in enumerate(frames)}
    settings = Training(batch_size=8, max_frames=most, keep_on_device=keep, num_workers=0)  # type: ignore[arg-type]
    return SERData({"train": rows}, streams, settings, 0, torch.device("cpu"))


@pytest.mark.parametrize("frames", [[None], [None, 20], [20, None, None]])
def test_padding_is_what_the_batches_hold_besides_frames(reader: Reader, frames: list[int | None]) -> None:
    made = data(reader, *frames)
    padded = [name for name, stream in made.streams.items() if stream.frames is None]
    batches = list(made.train_dataloader())
    assert len(batches) == 5, "of 41 the last is dropped"
    size = sum(batch.features[name].shape[:2].numel() for batch in batches for name in padded)
    held = sum(int(batch.lengths[name].sum()) for batch in batches for name in padded)
    assert made.padding == pytest.approx(1 - held / size)
    assert made.padding > 0.01
    assert made.place == f"kept on the device, {round(100 * made.padding)}% of a batch's frames padding"


def test_fixed_frames_have_no_padding(reader: Reader) -> None:
    assert data(reader, 20).padding == 0


def test_batches_are_the_same_from_the_device_and_from_the_store(reader: Reader) -> None:
    kept, mapped = (list(data(reader, None, 20, keep=keep).train_dataloader()) for keep in ("yes", "no"))
    for a, b in zip(kept, mapped, strict=True):
        assert torch.equal(a.rows, b.rows)
        assert all(torch.equal(a.features[name], b.features[name]) for name in a.features)
        assert all(torch.equal(a.lengths[name], b.lengths[name]) for name in a.lengths)
        for features, length, row in zip(a.features["x0"], a.lengths["x0"], a.rows, strict=True):
            assert torch.equal(features[:length], reader[DIGESTS[row]])
            assert not features[length:].any()


def test_batches_are_bounded_in_the_stream_with_most_frames(reader: Reader) -> None:
    made = data(reader, None, 100, most=300)
    assert all(len(batch.rows) <= 3 for batch in made.train_dataloader()), (
        "100 frames are more than any has in the other"
    )
    assert max(len(batch.rows) for batch in data(reader, None, 20, most=300).train_dataloader()) > 3
    for batch in (
        *data(reader, None, 20, most=300).train_dataloader(),
        *data(reader, None, most=300).in_order("train"),
    ):
        assert len(batch.rows) * max(20, int(batch.lengths["x0"].max())) <= 300
