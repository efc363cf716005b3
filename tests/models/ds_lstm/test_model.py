from typing import Any

import pytest
import torch

from ser_lightning.errors import UserError
from ser_lightning.models.ds_lstm.model import DSLSTM
from ser_lightning.models.stream import StreamShape

SMALL: dict[str, Any] = {"channels": [3, 2], "kernels": [4, 2], "hidden_dim": 6, "num_layers": 2}
PAPER: dict[str, Any] = {"gate_norm": "post_sigmoid_bn", "out_norm": "bn", "alignment": "paper"}


def free(fine_hop: float, coarse_hop: float) -> dict[str, StreamShape]:
    return {"fine": StreamShape(18, fine_hop, None), "coarse": StreamShape(21, coarse_hop, None)}


@pytest.mark.parametrize("out_norm", ["none", "bn", "layer"])
@pytest.mark.parametrize("hops", [(0.016, 0.032), (0.01, 0.01), (0.005, 0.02), (0.01, 0.016)])
def test_alone_equals_batched_at_any_hops(
    hops: tuple[float, float], out_norm: Any, make_batch: Any, assert_alone_equals_batched: Any
) -> None:
    streams = free(*hops)
    model = DSLSTM(streams, 3, out_norm=out_norm, **SMALL)
    batch = make_batch(streams, [0.81, 0.47, 0.07, 0.004])
    model(*batch)
    assert_alone_equals_batched(model, batch)


def test_alone_equals_batched_with_the_published_alignment(make_batch: Any, assert_alone_equals_batched: Any) -> None:
    streams = free(0.016, 0.032)
    model = DSLSTM(streams, 3, alignment="paper", **SMALL)
    batch = make_batch(streams, [0.81, 0.47, 0.07, 0.004])
    model(*batch)
    assert_alone_equals_batched(model, batch)


@pytest.mark.parametrize("hops", [(0.01, 0.01), (0.016, 0.032), (0.005, 0.02)])
def test_the_last_frame_of_either_stream_reaches_the_logits(hops: tuple[float, float], make_batch: Any) -> None:
    streams = free(*hops)
    model = DSLSTM(streams, 3, channels=[8, 8]).eval()
    features, lengths = make_batch(streams, [0.4])
    before = model(features, lengths).logits
    for name in features:
        changed = {k: v.clone() for k, v in features.items()}
        changed[name][0, -1] += 10.0
        assert (model(changed, lengths).logits - before).abs().max() > 1e-4


def fixed(fine: int = 230, coarse: int = 120) -> dict[str, StreamShape]:
    return {"fine": StreamShape(18, 0.016, fine), "coarse": StreamShape(21, 0.032, coarse)}


def test_published_system_trains_has_27_steps_and_survives_its_state_dict(make_batch: Any) -> None:
    model = DSLSTM(fixed(), 3, **SMALL, **PAPER)
    assert model.align.frames == 27
    assert model.lstm.layers[1].gate_norm.running_mean.shape == (27, 24)
    batch = make_batch(fixed(), [1.0] * 5)
    model(*batch).logits.square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    model.eval()
    copy = DSLSTM(fixed(), 3, **SMALL, **PAPER).eval()
    assert not torch.equal(copy(*batch).logits, model(*batch).logits)
    copy.load_state_dict(model.state_dict())
    assert torch.equal(copy(*batch).logits, model(*batch).logits)
    assert model.lstm.layers[0].gate_norm.running_mean.abs().min() > 0


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_bf16_autocast_stays_near_single_precision(published: bool, training: bool, make_batch: Any) -> None:
    streams = fixed() if published else free(0.016, 0.032)
    model = DSLSTM(streams, 3, **SMALL, **(PAPER if published else {}))
    batch = make_batch(streams, [1.0, 0.9, 0.8, 0.7])
    model(*batch)
    model.train(training)
    exact = model(*batch).logits
    with torch.autocast("cpu", torch.bfloat16):
        output = model(*batch)
        loss = output.logits.float().logsumexp(1).sum()
    loss.backward()
    assert output.logits.dtype == torch.float32, "logits are kept exact"
    assert not torch.equal(output.logits, exact), "bf16 was not in use"
    assert (output.logits - exact).abs().max() < (0.5 if training else 0.1)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_dropout_is_between_layers_and_before_the_classifier(make_batch: Any) -> None:
    streams = free(0.016, 0.032)
    batch = make_batch(streams, [0.5, 0.4])
    model = DSLSTM(streams, 3, dropout=1.0, out_norm="none", **SMALL)
    for row in model(*batch).logits:
        torch.testing.assert_close(row, model.classifier.bias)
    model.dropout.p = 0.0
    first = model(*batch).logits
    model.lstm.dropout.p = 0.0
    assert not torch.equal(model(*batch).logits, first)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["fine"], "exactly two"),
        (["coarse", "fine"], r"write \[fine, coarse\]"),
        (["fine", "mel"], "mel, but the features have only coarse, fine"),
    ],
)
def test_wrong_spectrograms_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        DSLSTM(free(0.016, 0.032), 3, spectrograms=names)


def test_published_norms_refuse_lengths_that_vary() -> None:
    with pytest.raises(UserError, match=r"model\.gate_norm=none"):
        DSLSTM(free(0.016, 0.032), 3, **SMALL, **PAPER)


def test_the_recurrence_is_told_and_named_and_all_name_the_same_numbers(make_batch: Any) -> None:
    streams, cpu = free(0.016, 0.032), torch.device("cpu")
    model = DSLSTM(streams, 3, recurrence="reference", **SMALL)
    auto, named = DSLSTM(streams, 3, **SMALL), DSLSTM(streams, 3, recurrence="fused", **SMALL)
    assert [one.recurrence_on(cpu) for one in (model, auto, named)] == ["reference", "cpu", "cpu"]
    with pytest.raises(UserError, match=r"model\.recurrence=fused"):
        named.recurrence_on(torch.device("meta"))
    batch = make_batch(streams, [0.8, 0.5])
    for other in (auto, named):
        other.load_state_dict(model.state_dict())
        torch.testing.assert_close(other.eval()(*batch).logits, model.eval()(*batch).logits)
