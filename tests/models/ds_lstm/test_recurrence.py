import torch
from torch import Tensor, nn
from torch.nn import functional

from ser_lightning.models.ds_lstm.recurrence import dual_recurrence


def test_two_scalar_steps_by_hand() -> None:
    """H = 1, all recurrent weights 1, worked out with Python's own floats."""
    from math import exp, tanh

    rows = [[0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [-1.0, 0.5, 2.0, -0.3, 0.7, -0.2]]
    h = c = 0.0
    expected = []
    for row in rows:
        f, ix, o, iy = (1 / (1 + exp(-(a + h))) for a in row[:4])
        c = f * c + ix * tanh(row[4] + h) + iy * tanh(row[5] + h)
        h = o * tanh(c)
        expected.append(h)
    result = dual_recurrence(torch.tensor([rows], dtype=torch.float64), torch.ones(6, 1, dtype=torch.float64))
    torch.testing.assert_close(result[0, :, 0], torch.tensor(expected, dtype=torch.float64))


def test_gate_norm_gets_the_gates_after_the_sigmoid_and_the_step() -> None:
    projected, weight = torch.randn(2, 3, 12), torch.randn(12, 2)
    seen: list[tuple[Tensor, int]] = []

    def swap(gates: Tensor, step: int) -> Tensor:
        seen.append((gates, step))
        return torch.zeros_like(gates) if step < 2 else gates

    result = dual_recurrence(projected, weight, swap)
    assert [step for _, step in seen] == [0, 1, 2]
    assert torch.equal(seen[0][0], projected[:, 0, :8].sigmoid())
    assert (result[:, :2] == 0).all()
    alone = dual_recurrence(projected[:, 2:], weight)
    torch.testing.assert_close(result[:, 2], alone[:, 0])


def test_equals_torchs_lstm_cell_when_y_is_silent() -> None:
    hidden, width = 7, 5
    cell = nn.LSTMCell(width, hidden)
    order = {"f": 1, "iT": 0, "o": 3, "iF": None, "cT": 2, "cF": None}  # torch: i, f, g, o
    weights = []
    for tensor in (cell.weight_ih, cell.weight_hh, cell.bias_ih + cell.bias_hh):
        chunks = tensor.detach().chunk(4)
        silent = torch.zeros_like(chunks[0])
        weights.append(torch.cat([silent if k is None else chunks[k] for k in order.values()]))
    x = torch.randn(3, 11, width)
    result = dual_recurrence(functional.linear(x, weights[0], weights[2]), weights[1])
    state = None
    for step in range(11):
        state = cell(x[:, step], state)
        torch.testing.assert_close(result[:, step], state[0], atol=1e-6, rtol=0)
