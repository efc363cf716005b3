import pytest
import torch

from ser_lightning.errors import UserError
from ser_lightning.models.ds_lstm.norm import OutputBatchNorm, StepGateNorm


def test_gate_norm_keeps_statistics_of_each_step() -> None:
    norm = StepGateNorm(3, 4)
    batches = [torch.rand(9, 4) + step for step in range(3)]
    for step, gates in enumerate(batches):
        norm(gates, step)
    norm.eval()
    for step, gates in enumerate(batches):
        mean, var = 0.1 * gates.mean(0), 0.9 + 0.1 * gates.var(0)
        torch.testing.assert_close(norm(gates, step), 0.1 * (gates - mean) / torch.sqrt(var + 1e-5))


def test_output_norm_of_fixed_time_normalises_each_step_and_shares_running_statistics() -> None:
    norm = OutputBatchNorm(4, fixed=True)
    outputs = torch.randn(9, 5, 4) * torch.arange(1, 6)[:, None] + torch.arange(5)[:, None]
    result = norm.sequence(outputs, torch.full((9,), 5))
    deviation = torch.sqrt(outputs.var(0, correction=0) + 1e-5)
    torch.testing.assert_close(result, (outputs - outputs.mean(0)) / deviation)
    mean, var = torch.zeros(4), torch.ones(4)
    for step in outputs.unbind(1):
        mean, var = 0.9 * mean + 0.1 * step.mean(0), 0.9 * var + 0.1 * step.var(0)
    norm.eval()
    torch.testing.assert_close(norm.sequence(outputs, torch.full((9,), 5)), (outputs - mean) / torch.sqrt(var + 1e-5))


def test_output_norm_of_varying_time_takes_statistics_over_valid_steps() -> None:
    norm = OutputBatchNorm(4, fixed=False)
    outputs, lengths = torch.randn(3, 5, 4), torch.tensor([5, 1, 3])
    valid = torch.cat([row[:n] for row, n in zip(outputs, lengths, strict=True)])
    expected = (outputs - valid.mean(0)) / torch.sqrt(valid.var(0, correction=0) + 1e-5)
    result = norm.sequence(outputs, lengths)
    for row, n in enumerate(lengths):
        torch.testing.assert_close(result[row, :n], expected[row, :n])
    assert norm.running_mean is not None
    torch.testing.assert_close(norm.running_mean, 0.1 * valid.mean(0))


def test_a_training_batch_of_one_is_refused_and_an_evaluation_batch_is_not() -> None:
    gate, output = StepGateNorm(2, 4), OutputBatchNorm(4, fixed=True)
    with pytest.raises(UserError, match=r"gate_norm.*one utterance"):
        gate(torch.rand(1, 4), 0)
    with pytest.raises(UserError, match=r"out_norm.*one utterance"):
        output.sequence(torch.rand(1, 2, 4), torch.tensor([2]))
    assert gate.eval()(torch.rand(1, 4), 0).shape == (1, 4)
    assert output.eval().sequence(torch.rand(1, 2, 4), torch.tensor([2])).shape == (1, 2, 4)
