"""Normalisation against numpy in float64; padding stays zero."""

import numpy as np
import pytest
import torch

from ser_lightning.data.normalise import Normaliser, moments


@pytest.fixture
def blocks() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(n, 3, generator=generator) * torch.tensor([1.0, 10.0, 0.1]) + 1000 for n in (5, 1, 40)]


def test_moments_equal_those_of_all_rows_together(blocks: list[torch.Tensor]) -> None:
    mean, std = moments(blocks)
    together = np.concatenate([block.numpy() for block in blocks]).astype(np.float64)
    assert np.allclose(mean.numpy(), together.mean(0), rtol=1e-12)
    assert np.allclose(std.numpy(), together.std(0), rtol=1e-9)


def test_global_uses_the_fitted_statistics_and_leaves_padding_zero(blocks: list[torch.Tensor]) -> None:
    normaliser = Normaliser({"x": "global"}, {"x": 3})
    normaliser.fit({"x": blocks})
    batch = torch.zeros(2, 6, 3)
    batch[0], batch[1, :2] = torch.randn(6, 3), torch.randn(2, 3)
    out = normaliser({"x": batch}, {"x": torch.tensor([6, 2])})["x"]
    together = np.concatenate([block.numpy() for block in blocks]).astype(np.float64)
    expected = (batch[0].numpy() - together.mean(0)) / together.std(0)
    assert np.allclose(out[0].numpy(), expected, rtol=1e-3)
    assert out[1, 2:].abs().max() == 0
    assert out[1, :2].abs().min() > 0


def test_utterance_statistics_ignore_padding_and_batch_mates() -> None:
    long, short = torch.randn(6, 3) * 5 + 3, torch.randn(2, 3)
    batch = torch.nn.utils.rnn.pad_sequence([long, short], batch_first=True)
    out = Normaliser({"x": "utterance"}, {"x": 3})({"x": batch}, {"x": torch.tensor([6, 2])})["x"]
    for got, alone in ((out[0], long), (out[1, :2], short)):
        assert torch.allclose(got, (alone - alone.mean(0)) / alone.std(0, unbiased=False), atol=1e-4)
    assert out[1, 2:].abs().max() == 0


def test_a_constant_dimension_becomes_zero_not_infinite() -> None:
    for mode in ("global", "utterance"):
        normaliser = Normaliser({"x": mode}, {"x": 1})
        normaliser.fit({"x": [torch.full((4, 1), 2.5)]})
        out = normaliser({"x": torch.full((1, 4, 1), 2.5)}, {"x": torch.tensor([4])})["x"]
        assert out.abs().max() == 0


def test_none_changes_nothing_and_statistics_travel_in_the_state() -> None:
    x = torch.randn(1, 4, 2)
    assert torch.equal(Normaliser({"x": "none"}, {"x": 2})({"x": x}, {"x": torch.tensor([4])})["x"], x)
    fitted = Normaliser({"x": "global"}, {"x": 2})
    fitted.fit({"x": [torch.randn(9, 2)]})
    other = Normaliser({"x": "global"}, {"x": 2})
    other.load_state_dict(fitted.state_dict())
    lengths = {"x": torch.tensor([4])}
    assert torch.equal(other({"x": x}, lengths)["x"], fitted({"x": x}, lengths)["x"])
