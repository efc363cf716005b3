"""Batches gathered by index equal batches put together utterance by utterance."""

import pytest
import torch

from ser_lightning.data.ragged import Ragged, Resident

LENGTHS = (3, 7, 1, 5)


@pytest.fixture
def utterances() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(n, 4, generator=generator) for n in LENGTHS]


def test_padded_batches(utterances: list[torch.Tensor]) -> None:
    rows = [3, 0, 2]
    batch, lengths = Resident(Ragged.of(utterances), None).take(torch.tensor(rows))
    expected = torch.nn.utils.rnn.pad_sequence([utterances[row] for row in rows], batch_first=True)
    assert torch.equal(batch, expected)
    assert lengths.tolist() == [5, 3, 1]


@pytest.mark.parametrize("frames", [1, 2, 5, 7, 12])
def test_resampling_takes_source_frame_floor_j_times_in_over_out(utterances: list[torch.Tensor], frames: int) -> None:
    batch, lengths = Resident(Ragged.of(utterances), frames).take(torch.tensor([1, 2, 3]))
    for got, row in zip(batch, (1, 2, 3), strict=True):
        source = [int(j * LENGTHS[row] / frames) for j in range(frames)]
        assert torch.equal(got, utterances[row][source])
    assert lengths.tolist() == [frames] * 3


def test_resampling_agrees_with_torch_nearest(utterances: list[torch.Tensor]) -> None:
    batch, _ = Resident(Ragged.of(utterances), 9).take(torch.tensor([1]))
    expected = torch.nn.functional.interpolate(utterances[1].T[None], size=9, mode="nearest")[0].T
    assert torch.equal(batch[0], expected)
