import math

import pytest
import torch
from torch import Tensor

from ser_lightning.errors import UserError
from ser_lightning.models.ds_lstm.cell import DualSequenceLayer, DualSequenceLSTM
from ser_lightning.models.ds_lstm.recurrence import dual_recurrence


def batch_norm(values: Tensor, scale: Tensor | float, shift: Tensor | float) -> Tensor:
    mean = values.mean(0)
    variance = ((values - mean) ** 2).mean(0)
    return (values - mean) / torch.sqrt(variance + 1e-5) * scale + shift


def plain(layer: DualSequenceLayer, x: Tensor, y: Tensor, *, norms: bool) -> Tensor:
    """The published equations as they stand, one matrix a gate, inputs joined to the state in the loop."""
    hidden = layer.weight_h.shape[1]

    def rows(tensor: Tensor, index: int) -> Tensor:
        return tensor[index * hidden : (index + 1) * hidden]

    names = ["f", "iT", "o", "iF"]
    weight = {
        name: torch.cat([rows(layer.weight_x, i), rows(layer.weight_y, i), rows(layer.weight_h, i)], 1)
        for i, name in enumerate(names)
    }
    weight["T"] = torch.cat([rows(layer.weight_x, 4), rows(layer.weight_h, 4)], 1)
    weight["F"] = torch.cat([rows(layer.weight_y, 4), rows(layer.weight_h, 5)], 1)
    bias = {name: rows(layer.bias, i) for i, name in enumerate([*names, "T", "F"])}
    h = c = torch.zeros(x.shape[0], hidden, dtype=x.dtype)
    outputs = []
    for t in range(x.shape[1]):
        u = torch.cat([x[:, t], y[:, t], h], 1)
        gate = {}
        for i, name in enumerate(names):
            gate[name] = 1 / (1 + torch.exp(-(u @ weight[name].T + bias[name])))
            if norms:
                scale, shift = rows(layer.gate_norm.weight, i), rows(layer.gate_norm.bias, i)
                gate[name] = batch_norm(gate[name], scale, shift)
        candidate_x = torch.tanh(torch.cat([x[:, t], h], 1) @ weight["T"].T + bias["T"])
        candidate_y = torch.tanh(torch.cat([y[:, t], h], 1) @ weight["F"].T + bias["F"])
        c = gate["f"] * c + gate["iT"] * candidate_x + gate["iF"] * candidate_y
        h = gate["o"] * torch.tanh(c)
        outputs.append(batch_norm(h, layer.out_norm.weight, layer.out_norm.bias) if norms else h)
    return torch.stack(outputs, 1)


# (B, T, Dx, Dy, H), odd on purpose
SHAPES = [(1, 1, 1, 1, 1), (3, 7, 5, 11, 13), (5, 2, 17, 3, 1), (2, 9, 1, 6, 4)]


@pytest.mark.parametrize("norms", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_forward_and_gradients_equal_the_plain_equations(shape: tuple[int, ...], norms: bool) -> None:
    batch, frames, x_dim, y_dim, hidden = shape
    batch = batch + 2 if norms else batch
    layer = DualSequenceLayer(
        x_dim,
        y_dim,
        hidden,
        gate_norm="post_sigmoid_bn" if norms else "none",
        out_norm="bn" if norms else "none",
        steps=frames if norms else None,
    ).double()
    if norms:
        torch.nn.init.normal_(layer.gate_norm.weight)
        torch.nn.init.normal_(layer.gate_norm.bias)
    x = torch.randn(batch, frames, x_dim, dtype=torch.float64, requires_grad=True)
    y = torch.randn(batch, frames, y_dim, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(batch, frames, hidden, dtype=torch.float64)
    leaves = [x, y, *layer.parameters()]
    result = layer(x, y, torch.full((batch,), frames))
    expected = plain(layer, x, y, norms=norms)
    torch.testing.assert_close(result, expected, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(
        torch.autograd.grad((result * upstream).sum(), leaves),
        torch.autograd.grad((expected * upstream).sum(), leaves),
        atol=1e-8,
        rtol=1e-8,
    )


def test_single_precision_stays_close_to_the_double_reference() -> None:
    layer = DualSequenceLayer(30, 50, 40)
    x, y = torch.randn(8, 27, 30), torch.randn(8, 27, 50)
    result = layer(x, y, torch.full((8,), 27))
    expected = plain(layer.double(), x.double(), y.double(), norms=False)
    torch.testing.assert_close(result.double(), expected, atol=1e-5, rtol=0)


def test_gradients_by_finite_differences() -> None:
    layer = DualSequenceLayer(2, 3, 2).double()
    lengths = torch.full((2,), 3)
    x, y = (torch.randn(2, 3, d, dtype=torch.float64, requires_grad=True) for d in (2, 3))
    names, values = zip(*layer.named_parameters(), strict=True)

    def run(x: Tensor, y: Tensor, *parameters: Tensor) -> Tensor:
        result: Tensor = torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x, y, lengths))
        return result

    assert torch.autograd.gradcheck(run, (x, y, *values))


def test_parameters_and_initial_bounds_are_those_of_the_published_matrices() -> None:
    x_dim, y_dim, hidden = 90, 30, 60
    layer = DualSequenceLayer(x_dim, y_dim, hidden)
    published = 4 * hidden * (x_dim + y_dim + hidden + 1)
    published += hidden * (x_dim + hidden + 1) + hidden * (y_dim + hidden + 1)
    assert sum(p.numel() for p in layer.parameters()) == published
    gates, candidate_x, candidate_y = 180**-0.5, 150**-0.5, 90**-0.5
    blocks = [
        (layer.weight_x[:240], gates),
        (layer.weight_y[:240], gates),
        (layer.weight_h[:240], gates),
        (layer.bias[:240], gates),
        (layer.weight_x[240:], candidate_x),
        (layer.weight_h[240:300], candidate_x),
        (layer.bias[240:300], candidate_x),
        (layer.weight_y[240:], candidate_y),
        (layer.weight_h[300:], candidate_y),
        (layer.bias[300:], candidate_y),
    ]
    assert sum(block.numel() for block, _ in blocks) == published
    for block, bound in blocks:
        # the largest of n uniforms falls below (1 - d) of the bound with probability (1 - d)^n
        assert bound * (1 - 20 / block.numel()) < block.abs().max() <= bound
        assert block.abs().mean().item() == pytest.approx(bound / 2, rel=6 / math.sqrt(block.numel()))


def test_gates_have_mean_zero_and_deviation_a_tenth_at_the_start() -> None:
    layer = DualSequenceLayer(20, 30, 16, gate_norm="post_sigmoid_bn", steps=6)
    seen = []

    def record(gates: Tensor, step: int) -> Tensor:
        normalised: Tensor = layer.gate_norm(gates, step)
        seen.append(normalised)
        return normalised

    x, y = torch.randn(64, 6, 20), torch.randn(64, 6, 30)
    dual_recurrence(layer.project(x, y), layer.weight_h, record)
    for gates in seen:
        assert gates.mean(0).abs().max() < 1e-5
        torch.testing.assert_close(gates.std(0, correction=0), torch.full((64,), 0.1), atol=1e-3, rtol=0)
    assert len(seen) == 6 and min(g.min().item() for g in seen) < -0.2


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_every_layer_reads_the_one_below_and_y_again(layers: int) -> None:
    stack = DualSequenceLSTM(
        3, 5, 4, num_layers=layers, dropout=0.0, gate_norm="none", out_norm="none", steps=None
    ).double()
    x, y = torch.randn(2, 6, 3, dtype=torch.float64), torch.randn(2, 6, 5, dtype=torch.float64)
    expected = x
    for layer in stack.layers:
        expected = plain(layer, expected, y, norms=False)
    assert len(stack.layers) == layers
    torch.testing.assert_close(stack(x, y, torch.tensor([6, 6])), expected)


def test_dropout_is_on_what_the_next_layer_sees_and_not_on_the_input() -> None:
    stack = DualSequenceLSTM(3, 5, 4, num_layers=2, dropout=1.0, gate_norm="none", out_norm="none", steps=None).double()
    x, y = torch.randn(2, 6, 3, dtype=torch.float64), torch.randn(2, 6, 5, dtype=torch.float64)
    below = torch.zeros(2, 6, 4, dtype=torch.float64)
    torch.testing.assert_close(stack(x, y, torch.tensor([6, 6])), plain(stack.layers[1], below, y, norms=False))
    del stack.layers[1]
    torch.testing.assert_close(stack(x, y, torch.tensor([6, 6])), plain(stack.layers[0], x, y, norms=False))


def test_layer_norm_is_on_the_output_and_not_on_the_state() -> None:
    bare, normed = DualSequenceLayer(3, 5, 4), DualSequenceLayer(3, 5, 4, out_norm="layer")
    normed.load_state_dict(bare.state_dict() | normed.out_norm.state_dict(prefix="out_norm."))
    x, y, lengths = torch.randn(2, 6, 3), torch.randn(2, 6, 5), torch.tensor([6, 6])
    h = bare(x, y, lengths)
    deviation = torch.sqrt(h.var(-1, keepdim=True, correction=0) + 1e-5)
    torch.testing.assert_close(normed(x, y, lengths), (h - h.mean(-1, keepdim=True)) / deviation)


def test_padding_after_an_utterance_changes_nothing_before() -> None:
    layer = DualSequenceLayer(3, 5, 4, out_norm="layer")
    x, y, lengths = torch.randn(2, 6, 3), torch.randn(2, 6, 5), torch.tensor([6, 4])
    other = x.clone()
    other[1, 4:] = 1000.0
    a, b = layer(x, y, lengths), layer(other, y, lengths)
    assert torch.equal(a[0], b[0]) and torch.equal(a[1, :4], b[1, :4])
    assert not torch.equal(a[1, 4:], b[1, 4:])


def test_gate_norm_refuses_lengths_that_vary() -> None:
    with pytest.raises(UserError, match=r"fixed number of frames.*model\.gate_norm=none"):
        DualSequenceLayer(3, 5, 4, gate_norm="post_sigmoid_bn", steps=None)


def test_at_least_one_layer() -> None:
    with pytest.raises(UserError, match=r"model\.num_layers is 0"):
        DualSequenceLSTM(3, 5, 4, num_layers=0, dropout=0.0, gate_norm="none", out_norm="none", steps=None)
