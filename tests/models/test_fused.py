from typing import Any

import pytest
import torch
from torch.nn import functional

from ser_lightning.errors import UserError
from ser_lightning.models.fused import Fused
from ser_lightning.models.stream import StreamShape


def test_logits_are_averaged_and_losses_are_separate(streams: dict[str, StreamShape], make_batch: Any) -> None:
    model = Fused(streams, 3, weight=0.3).eval()
    batch = make_batch(streams, [0.4, 0.2])
    output = model(*batch)
    (p, spectral), (q, cepstral) = output.heads
    assert (p, q) == pytest.approx((0.3, 0.7))
    assert torch.equal(spectral, model.spectral(*batch).logits)
    assert torch.equal(cepstral, model.cepstral(*batch).logits)
    torch.testing.assert_close(output.logits, 0.3 * spectral + 0.7 * cepstral)
    spectral.sum().backward()
    assert all(p.grad is None for p in model.cepstral.parameters())
    assert all(p.grad is not None for p in model.spectral.parameters())


def test_sizes_of_the_mfcc_branch(streams: dict[str, StreamShape]) -> None:
    same = Fused(streams, 3, hidden_dim=6, num_layers=2)
    assert (same.cepstral.lstm.lstm.hidden_size, same.cepstral.lstm.lstm.num_layers) == (6, 2)
    own = Fused(streams, 3, hidden_dim=6, num_layers=2, mfcc_hidden_dim=9, mfcc_num_layers=1)
    assert (own.cepstral.lstm.lstm.hidden_size, own.cepstral.lstm.lstm.num_layers) == (9, 1)
    assert own.streams == ("fine", "coarse", "mfcc")


def test_alone_equals_batched(
    streams: dict[str, StreamShape], make_batch: Any, assert_alone_equals_batched: Any
) -> None:
    model = Fused(streams, 3, num_layers=2, dropout=0.3, out_norm="bn")
    batch = make_batch(streams, [0.6, 0.43, 0.02])
    model(*batch)
    assert_alone_equals_batched(model, batch)


@pytest.mark.parametrize("weight", [-0.1, 1.01])
def test_weight_is_a_share(weight: float, streams: dict[str, StreamShape]) -> None:
    with pytest.raises(UserError, match=r"model\.weight"):
        Fused(streams, 3, weight=weight)


def test_both_branches_learn_a_batch_by_heart(streams: dict[str, StreamShape], make_batch: Any) -> None:
    model = Fused(streams, 3, hidden_dim=24, channels=[4, 4])
    features, lengths = make_batch(streams, [0.4, 0.3, 0.25, 0.2, 0.15, 0.1])
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        heads = model(features, lengths).heads
        losses = [functional.cross_entropy(logits, labels) for _, logits in heads]
        optimizer.zero_grad()
        sum(w * loss for (w, _), loss in zip(heads, losses, strict=True)).backward()
        optimizer.step()
    assert max(loss.item() for loss in losses) < 0.1
