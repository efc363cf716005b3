"""Mixtures of utterances, their lengths and their losses, recomputed plainly."""

import pytest
import torch
from torch.nn import functional as F

from ser_lightning.data.mixup import Mixup

LENGTHS = torch.tensor([6, 2, 4])


def padded() -> torch.Tensor:
    x = torch.randn(3, 6, 2, generator=torch.Generator().manual_seed(0))
    return x * (torch.arange(6) < LENGTHS[:, None])[..., None]


def test_mixtures_and_lengths_by_hand() -> None:
    x = padded()
    mixed, lengths = Mixup(0.75, torch.tensor([1, 2, 2])).apply({"x": x}, {"x": LENGTHS})
    assert lengths["x"].tolist() == [6, 4, 4]
    for row, partner in enumerate((1, 2, 2)):
        for frame in range(6):
            expected = 0.75 * x[row, frame] + 0.25 * x[partner, frame]
            assert torch.allclose(mixed["x"][row, frame], expected)
        assert mixed["x"][row, lengths["x"][row] :].abs().sum() == 0
    assert torch.allclose(mixed["x"][1, 2:4], 0.25 * x[2, 2:4])


def test_streams_share_partners_and_share() -> None:
    fine, coarse = padded(), padded()[:, ::2]
    mix = Mixup.draw(3, 0.4)
    mixed, _ = mix.apply({"fine": fine, "coarse": coarse}, {"fine": LENGTHS, "coarse": (LENGTHS + 1) // 2})
    assert torch.equal(mixed["fine"][:, ::2], mixed["coarse"])


def test_loss_weighs_both_labels() -> None:
    logits, labels = torch.randn(3, 4), torch.tensor([0, 3, 1])
    found = Mixup(0.6, torch.tensor([1, 2, 0])).loss(lambda y: F.cross_entropy(logits, y), labels)
    targets = torch.zeros(3, 4)
    for row, (own, partner) in enumerate(((0, 3), (3, 1), (1, 0))):
        targets[row, own] += 0.6
        targets[row, partner] += 0.4
    assert found.item() == pytest.approx(-(targets * logits.log_softmax(1)).sum(1).mean().item(), rel=1e-5)


def test_shares_follow_the_folded_beta() -> None:
    torch.manual_seed(0)
    uniform = torch.tensor([Mixup.draw(2, 1.0).share for _ in range(2000)])
    # Beta(1, 1) is uniform; folded it is uniform over [0.5, 1]: mean 0.75, standard error 0.0032.
    assert uniform.min() >= 0.5
    assert 0.74 < uniform.mean() < 0.76
    # A small alpha leaves most batches nearly unmixed.
    assert torch.tensor([Mixup.draw(2, 0.1).share for _ in range(500)]).median() > 0.95
