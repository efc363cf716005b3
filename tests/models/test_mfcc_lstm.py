from typing import Any

import pytest
import torch
from torch import nn

from ser_lightning.errors import UserError
from ser_lightning.models.mfcc_lstm import MFCCLSTM
from ser_lightning.models.stream import StreamShape


def test_equals_lstm_mean_linear_of_each_utterance(streams: dict[str, StreamShape], make_batch: Any) -> None:
    model = MFCCLSTM(streams, 3, hidden_dim=6, num_layers=2).eval()
    features, lengths = make_batch(streams, [0.2, 0.11, 0.03])
    reference = nn.LSTM(13, 6, 2)
    reference.load_state_dict(model.lstm.lstm.state_dict())
    output = model(features, lengths)
    for row, n in enumerate(lengths["mfcc"]):
        states, _ = reference(features["mfcc"][row, :n, None])
        expected = model.classifier.weight @ states[:, 0].mean(0) + model.classifier.bias
        torch.testing.assert_close(output.logits[row], expected)
    ((weight, logits),) = output.heads
    assert weight == 1.0 and logits is output.logits


def test_reads_only_its_stream_and_says_when_it_is_not_there(streams: dict[str, StreamShape]) -> None:
    assert MFCCLSTM(streams, 3, stream="fine").streams == ("fine",)
    with pytest.raises(UserError, match="gemaps"):
        MFCCLSTM(streams, 3, stream="gemaps")


def test_alone_equals_batched(
    streams: dict[str, StreamShape], make_batch: Any, assert_alone_equals_batched: Any
) -> None:
    model = MFCCLSTM(streams, 3, num_layers=2, dropout=0.3)
    assert_alone_equals_batched(model, make_batch(streams, [0.5, 0.2, 0.01]))


def test_dropout_is_before_the_classifier(streams: dict[str, StreamShape], make_batch: Any) -> None:
    model = MFCCLSTM(streams, 3, dropout=1.0)
    batch = make_batch(streams, [0.5, 0.2])
    for row in model(*batch).logits:
        torch.testing.assert_close(row, model.classifier.bias)
    assert (model.eval()(*batch).logits - model.classifier.bias).abs().max() > 1e-3
