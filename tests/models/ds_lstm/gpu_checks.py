"""Run by test_gpu.py: in a process of its own under Triton's interpreter, or on a GPU where there is one."""

import math

import pytest
import torch
from torch import Tensor, nn

from ser_lightning.errors import UserError
from ser_lightning.models.ds_lstm import gpu
from ser_lightning.models.ds_lstm.recurrence import dual_recurrence

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 2e-3}
# utterances, steps, state; above 256 every step is a launch of its own
SHAPES = [(1, 1, 5), (3, 2, 16), (17, 5, 33), (5, 3, 64), (2, 2, 130), (2, 3, 257), (1, 1, 300)]
LARGE = [(128, 27, 200), (32, 120, 128), (33, 61, 256), (33, 17, 512)] if GPU else []


def _inputs(batch: int, steps: int, hidden: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """projected, weight_h, the gradient of h: every number one that `dtype` can hold."""
    shapes = [(batch, steps, 6 * hidden), (6 * hidden, hidden), (batch, steps, hidden)]
    projected, weight, grad = (torch.randn(shape) for shape in shapes)
    return projected.to(DEVICE, dtype), (weight / math.sqrt(hidden)).to(DEVICE, dtype), grad.to(DEVICE, dtype)


def _results(call: object, projected: Tensor, weight: Tensor, grad: Tensor) -> list[Tensor]:
    """h, gradients of both inputs."""
    projected, weight = projected.clone().requires_grad_(), weight.clone().requires_grad_()
    hidden = call(projected, weight)  # type: ignore[operator]
    hidden.backward(grad)
    assert projected.grad is not None and weight.grad is not None
    return [hidden.detach(), projected.grad, weight.grad]


def _assert_near(results: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for name, ours, exact in zip(("h", "grad of projected", "grad of weight_h"), results, expected, strict=True):
        error = (ours.double() - exact).norm() / exact.norm().clamp(min=1e-30)
        assert error <= tolerance, f"{name}: relative error {error:.2e}"


@pytest.mark.parametrize("dtype", TOLERANCE if GPU else list(TOLERANCE)[:2], ids=str)
@pytest.mark.parametrize(("batch", "steps", "hidden"), SHAPES + LARGE)
def test_agrees_with_the_float64_reference(batch: int, steps: int, hidden: int, dtype: torch.dtype) -> None:
    inputs = _inputs(batch, steps, hidden, dtype)
    expected = _results(dual_recurrence, *(tensor.double() for tensor in inputs))
    results = _results(gpu.fused_recurrence, *inputs)
    assert [tensor.dtype for tensor in results] == [dtype] * 3
    _assert_near(results, expected, TOLERANCE[dtype])


def test_steps_agree_where_shared_memory_is_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_launch", lambda *_: None)
    monkeypatch.setattr(gpu, "BLOCK", 64)  # programs that end in the middle of an utterance
    inputs = _inputs(9, 6, 21, torch.float32)
    _assert_near(
        _results(gpu.fused_recurrence, *inputs), _results(dual_recurrence, *(t.double() for t in inputs)), 1e-5
    )


@pytest.mark.parametrize("hidden", [12, 260])
def test_memory_grows_by_what_bfloat16_would_lose(hidden: int) -> None:
    """Gates open, no recurrence: c is 0.5 after a step and then grows by less than half of bfloat16's spacing there."""
    first, small = 0.5, 1 / 1024
    rows = torch.tensor([50.0, 50.0, 50.0, -50.0, small, 0.0]).repeat(41, 1)
    rows[0, 4] = math.atanh(first)
    projected = rows.repeat_interleave(hidden, 1)[None].to(DEVICE, torch.bfloat16)
    out = gpu.fused_recurrence(projected, torch.zeros(6 * hidden, hidden, device=DEVICE, dtype=torch.bfloat16))
    expected = math.tanh(first + 40 * math.tanh(small))
    assert out[0, -1].tolist() == pytest.approx([expected] * hidden, rel=2**-7)


@pytest.mark.parametrize("hidden", [10, 257])
def test_nothing_is_kept_without_a_gradient(hidden: int) -> None:
    projected, weight, _ = _inputs(3, 4, hidden, torch.float32)
    trained = gpu.fused_recurrence(projected, weight.clone().requires_grad_())
    with torch.no_grad():
        assert torch.equal(gpu.fused_recurrence(projected, weight.clone().requires_grad_()), trained)
    states = gpu.forward(projected, weight, weight.dtype, saved=False)
    assert torch.equal(states.hidden.transpose(0, 1), trained)
    assert states.gates.numel() == states.cell.numel() == 0


@pytest.mark.parametrize("hidden", [10, 257])
def test_layout_in_memory_does_not_matter(hidden: int) -> None:
    projected, weight, grad = _inputs(4, 3, hidden, torch.float32)
    odd = [
        projected.transpose(0, 1).contiguous().transpose(0, 1),
        weight.t().contiguous().t(),
        grad.transpose(1, 2).contiguous().transpose(1, 2),
    ]
    for ours, plain in zip(
        _results(gpu.fused_recurrence, *odd), _results(gpu.fused_recurrence, projected, weight, grad), strict=True
    ):
        torch.testing.assert_close(ours, plain, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("trained", [0, 1])
def test_gradient_of_one_input_alone(trained: int) -> None:
    *inputs, grad = _inputs(3, 4, 7, torch.float32)
    both = _results(gpu.fused_recurrence, *inputs, grad)[1 + trained]
    inputs[trained].requires_grad_()
    gpu.fused_recurrence(*inputs).backward(grad)
    assert inputs[1 - trained].grad is None
    assert torch.equal(inputs[trained].grad, both)


@pytest.mark.parametrize("hidden", [16, 260])
def test_autocast_takes_products_in_its_dtype(hidden: int) -> None:
    """The float32 h stays what it was: only factors of products are rounded."""
    inputs = _inputs(3, 4, hidden, torch.float32)
    expected = _results(dual_recurrence, *(tensor.double() for tensor in inputs))
    with torch.autocast(DEVICE, torch.bfloat16):
        results = _results(gpu.fused_recurrence, *inputs)
    assert [tensor.dtype for tensor in results] == [torch.float32] * 3
    _assert_near(results, expected, 1e-2)
    assert (results[0] - expected[0]).norm() > 1e-5 * expected[0].norm()
    torch.testing.assert_close(results[0][:, 0].double(), expected[0][:, 0], rtol=1e-5, atol=1e-6)


def test_torch_compile_gives_the_same() -> None:
    class Layer(nn.Module):
        def forward(self, projected: Tensor, weight: Tensor) -> Tensor:
            return gpu.fused_recurrence(projected * 2, weight) * 3

    inputs = _inputs(3, 4, 9, torch.float32)
    compiled = torch.compile(Layer(), backend="aot_eager")
    for ours, plain in zip(_results(compiled, *inputs), _results(Layer(), *inputs), strict=True):
        torch.testing.assert_close(ours, plain)


def test_gradient_of_the_gradient_is_refused() -> None:
    projected, weight, _ = _inputs(2, 3, 4, torch.float32)
    out = gpu.fused_recurrence(projected.requires_grad_(), weight)
    with pytest.raises(UserError, match=r"create_graph=True.*model.recurrence=reference"):
        torch.autograd.grad(out.sum(), projected, create_graph=True)


def test_float64_is_refused() -> None:
    projected, weight, _ = _inputs(2, 3, 4, torch.float64)
    with pytest.raises(UserError, match=r"not in torch.float64.*model.recurrence=reference"):
        gpu.fused_recurrence(projected, weight)
