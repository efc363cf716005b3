import copy

import pytest
import torch
from torch import Tensor

from ser_lightning.errors import UserError
from ser_lightning.models.ds_lstm import cpu
from ser_lightning.models.ds_lstm.cell import DualSequenceLayer, GateNormName
from ser_lightning.models.ds_lstm.recurrence import dual_recurrence

# (B, T, Dx, Dy, H): one of everything, odd ones, several spans of both directions, a batch wider than a span
SHAPES = [(1, 1, 1, 1, 1), (2, 9, 1, 6, 4), (3, 7, 5, 11, 13), (37, 31, 6, 3, 17), (521, 2, 3, 2, 5), (1, 300, 4, 4, 8)]
NORMS: list[GateNormName] = ["none", "post_sigmoid_bn"]


def layer_of(shape: tuple[int, ...], norm: GateNormName = "none") -> DualSequenceLayer:
    layer = DualSequenceLayer(*shape[2:], gate_norm=norm, steps=shape[1], recurrence="fused")
    if layer.gate_norm is not None:
        torch.nn.init.uniform_(layer.gate_norm.weight, 0.1, 0.3)  # of 1 and more, gradients explode over the steps
        torch.nn.init.uniform_(layer.gate_norm.bias, 0.2, 0.6)
    return layer


def inputs_of(shape: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    batch, steps, x_dim, y_dim, hidden = shape
    return tuple(torch.randn(batch, steps, dim) for dim in (x_dim, y_dim, hidden))


def results(layer: DualSequenceLayer, x: Tensor, y: Tensor, upstream: Tensor) -> dict[str, Tensor]:
    """h and the gradients of both inputs and of every parameter."""
    x, y = x.clone().requires_grad_(), y.clone().requires_grad_()
    h = layer(x, y, torch.full((len(x),), x.shape[1]))
    names, leaves = zip(*layer.named_parameters(), strict=True)
    grads = torch.autograd.grad(h, [x, y, *leaves], upstream.to(h.dtype))
    return {"h": h.detach()} | dict(zip(["x", "y", *names], grads, strict=True))


def exact(layer: DualSequenceLayer, *inputs: Tensor) -> dict[str, Tensor]:
    reference = copy.deepcopy(layer).double()
    reference.recurrence = "reference"
    return results(reference, *(tensor.double() for tensor in inputs))


def assert_near(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    for name, value in expected.items():
        error = (found[name].double() - value).norm() / value.norm().clamp(min=1e-9)
        assert error <= tolerance, f"{name}: relative error {error:.1e}"


@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_the_reference_in_double_precision(shape: tuple[int, ...]) -> None:
    layer, inputs = layer_of(shape), inputs_of(shape)
    assert_near(results(layer, *inputs), exact(layer, *inputs), 1e-5)


@pytest.mark.parametrize("shape", SHAPES[1:-1])
@pytest.mark.parametrize("training", [True, False])
def test_gate_norm_agrees_with_the_reference_and_leaves_the_same_statistics(
    shape: tuple[int, ...], training: bool
) -> None:
    layer, inputs = layer_of(shape, "post_sigmoid_bn").double(), [t.double() for t in inputs_of(shape)]
    for buffer in layer.buffers():
        buffer.uniform_(0.2, 0.9)
    layer.train(training)
    reference = copy.deepcopy(layer)
    reference.recurrence = "reference"
    before = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    assert_near(results(layer, *inputs), results(reference, *inputs), 1e-9)
    for name, buffer in reference.named_buffers():
        torch.testing.assert_close(layer.get_buffer(name), buffer, rtol=1e-12, atol=1e-12)
        assert training != torch.equal(buffer, before[name])


@pytest.mark.parametrize("shape", [SHAPES[3], (64, 27, 40, 50, 60)])
def test_bfloat16_products_stay_near_with_states_in_single_precision(shape: tuple[int, ...]) -> None:
    layer, inputs = layer_of(shape), inputs_of(shape)
    with torch.autocast("cpu", torch.bfloat16):
        found = results(layer, *inputs)
    assert found["h"].dtype == found["weight_h"].dtype == torch.float32
    expected = exact(layer, *inputs)
    assert_near(found, expected, 1e-2)
    with pytest.raises(AssertionError):
        assert_near(found, expected, 1e-5)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("way", ["fused", "reference"])
def test_gradients_by_finite_differences(way: str, norm: GateNormName, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "FORWARD_ROWS", 6)
    monkeypatch.setattr(cpu, "BACKWARD_ROWS", 9)
    layer = layer_of((3, 5, 2, 3, 2), norm).double()
    layer.recurrence = way
    x, y, _ = (t.double().requires_grad_() for t in inputs_of((3, 5, 2, 3, 2)))
    names, values = zip(*layer.named_parameters(), strict=True)

    def run(x: Tensor, y: Tensor, *parameters: Tensor) -> Tensor:
        given = dict(zip(names, parameters, strict=True))
        h: Tensor = torch.func.functional_call(layer, given, (x, y, torch.full((3,), 5)))
        return h

    assert torch.autograd.gradcheck(run, (x, y, *values))


@pytest.mark.parametrize("norm", NORMS)
def test_parameters_lent_for_one_call_get_their_own_gradients(norm: GateNormName) -> None:
    shape = (3, 7, 5, 11, 13)
    layer, (x, y, upstream) = layer_of(shape, norm).double(), (t.double() for t in inputs_of(shape))
    lent = {name: (1.5 * value.detach()).requires_grad_() for name, value in layer.named_parameters()}
    h = torch.func.functional_call(layer, lent, (x, y, torch.full((3,), 7)))
    found = torch.autograd.grad(h, list(lent.values()), upstream)
    owner = copy.deepcopy(layer)
    owner.load_state_dict({name: value.detach() for name, value in lent.items()}, strict=False)
    expected = exact(owner, x, y, upstream)
    assert_near(dict(zip(lent, found, strict=True)), {name: expected[name] for name in lent}, 1e-9)


@pytest.mark.parametrize("name", ["weight_x", "weight_y", "weight_h", "gate_norm.weight"])
def test_a_weight_that_changes_before_the_backward_pass_is_noticed(name: str) -> None:
    layer, (x, y, upstream) = layer_of((3, 7, 5, 11, 13), "post_sigmoid_bn"), inputs_of((3, 7, 5, 11, 13))
    h = layer(x, y, torch.full((3,), 7))
    with torch.no_grad():
        layer.get_parameter(name).mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        h.backward(upstream)


def test_a_gradient_of_the_gradient_is_refused_and_the_reference_gives_it() -> None:
    layer, lengths = layer_of((2, 3, 2, 3, 2)).double(), torch.full((2,), 3)
    x, y = (t.double().requires_grad_() for t in inputs_of((2, 3, 2, 3, 2))[:2])
    with pytest.raises(UserError, match=r"gradient of its gradient.*model\.recurrence=reference"):
        torch.autograd.grad(layer(x, y, lengths).sum(), x, create_graph=True)
    layer.recurrence = "reference"
    assert torch.autograd.gradgradcheck(lambda x, y: layer(x, y, lengths), (x, y))


@pytest.mark.parametrize("norm", NORMS)
def test_nothing_is_kept_and_nothing_changes_without_gradients(norm: GateNormName) -> None:
    shape = (37, 31, 6, 3, 17)
    layer, (x, y, _) = layer_of(shape, norm).eval(), inputs_of(shape)
    lengths = torch.full((37,), 31)
    with torch.no_grad():
        alone = layer(x, y, lengths)
    assert alone.grad_fn is None
    assert torch.equal(alone, layer(x, y, lengths))
    with torch.inference_mode():
        assert torch.equal(alone, layer(x, y, lengths))


def test_inputs_of_any_strides_and_a_gradient_asked_twice() -> None:
    shape = (5, 40, 6, 4, 7)
    layer, (x, y, upstream) = layer_of(shape), inputs_of(shape)
    straight = results(layer, x, y, upstream)
    turned = torch.stack([x, x], 3)[..., 0], y.transpose(0, 2).contiguous().transpose(0, 2)
    assert_near(
        results(layer, *turned, upstream[:, :1].expand(-1, 40, -1)),
        exact(layer, x, y, upstream[:, :1].expand(-1, 40, -1)),
        1e-5,
    )
    h = layer(x, y, torch.full((5,), 40))
    for _ in range(2):
        (found,) = torch.autograd.grad(h, layer.weight_h, upstream, retain_graph=True)
        assert torch.equal(found, straight["weight_h"])


@pytest.mark.parametrize("wanted", ["x", "y", "weight_x", "weight_y", "weight_h", "bias"])
def test_any_one_gradient_alone(wanted: str) -> None:
    shape = (3, 7, 5, 11, 13)
    layer, (x, y, upstream) = layer_of(shape), inputs_of(shape)
    expected = exact(layer, x, y, upstream)[wanted]
    leaves = {"x": x, "y": y, **dict(layer.requires_grad_(False).named_parameters())}
    leaves[wanted].requires_grad_()
    layer(x, y, torch.full((3,), 7)).backward(upstream)
    assert [name for name, leaf in leaves.items() if leaf.grad is not None] == [wanted]
    assert leaves[wanted].grad is not None
    assert_near({wanted: leaves[wanted].grad}, {wanted: expected}, 1e-5)


def test_compiled_it_gives_the_same() -> None:
    shape = (4, 2, 5, 2, 3)
    layer, inputs = layer_of(shape), inputs_of(shape)
    compiled = copy.deepcopy(layer)
    compiled.compile(backend="aot_eager")
    assert_near(results(compiled, *inputs), results(layer, *inputs), 1e-6)


def test_projected_inputs_give_the_same_as_the_layer() -> None:
    shape = (3, 7, 5, 11, 13)
    layer, (x, y, _) = layer_of(shape).double(), (t.double() for t in inputs_of(shape))
    h = dual_recurrence(layer.project(x, y), layer.weight_h)
    torch.testing.assert_close(layer(x, y, torch.full((3,), 7)), h)
