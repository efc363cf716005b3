from typing import Any

import pytest
import torch

from ser_lightning.errors import UserError
from ser_lightning.models.cnn_lstm import CNNLSTM
from ser_lightning.models.stream import StreamShape


@pytest.mark.parametrize("names", [["fine"], ["coarse"], ["fine", "coarse"]])
@pytest.mark.parametrize("kernels", [[3, 3], [4, 2]])
def test_alone_equals_batched(
    names: list[str],
    kernels: list[int],
    streams: dict[str, StreamShape],
    make_batch: Any,
    assert_alone_equals_batched: Any,
) -> None:
    model = CNNLSTM(streams, 3, spectrograms=names, kernels=kernels, num_layers=2)
    assert model.streams == tuple(names)
    batch = make_batch(streams, [0.61, 0.35, 0.03, 0.01])
    model(*batch)
    assert_alone_equals_batched(model, batch)


def test_two_towers_are_classified_side_by_side(streams: dict[str, StreamShape], make_batch: Any) -> None:
    model = CNNLSTM(streams, 3, hidden_dim=5).eval()
    batch = make_batch(streams, [0.4, 0.2])
    full = model(*batch).logits - model.classifier.bias
    weight = model.classifier.weight.detach().clone()
    parts = []
    for tower in range(2):
        kept = torch.zeros_like(weight)
        kept[:, 5 * tower : 5 * tower + 5] = weight[:, 5 * tower : 5 * tower + 5]
        model.classifier.weight.data = kept
        parts.append(model(*batch).logits - model.classifier.bias)
    torch.testing.assert_close(parts[0] + parts[1], full)
    assert all(part.abs().max() > 1e-3 for part in parts)


@pytest.mark.parametrize("names", [[], ["fine", "coarse", "mfcc"]])
def test_one_or_two_spectrograms(names: list[str], streams: dict[str, StreamShape]) -> None:
    with pytest.raises(UserError, match="one or two"):
        CNNLSTM(streams, 3, spectrograms=names)


def test_dropout_is_before_the_classifier(streams: dict[str, StreamShape], make_batch: Any) -> None:
    model = CNNLSTM(streams, 3, dropout=1.0)
    batch = make_batch(streams, [0.5, 0.2])
    for row in model(*batch).logits:
        torch.testing.assert_close(row, model.classifier.bias)
    assert (model.eval()(*batch).logits - model.classifier.bias).abs().max() > 1e-3
