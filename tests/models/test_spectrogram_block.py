"""The path for spectrograms against the published layers one after the other, in float64."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ser_lightning.models import spectrogram_block
from ser_lightning.models.blocks import masked_batch_norm
from ser_lightning.models.frontend import ConvBlock

KERNELS = [(2, 4), (4, 2), (3, 3), (5, 4), (1, 1)]


def separately(block: ConvBlock, image: Tensor, lengths: Tensor) -> Tensor:
    """Convolution, batch norm, ReLU, blanking, pooling."""
    frames, bands = image.shape[2:]
    image = block.conv(image)
    if block.fixed:
        return functional.max_pool2d(block.norm(image).relu(), 2)
    mask = (torch.arange(frames) < lengths[:, None])[:, None, :, None]
    image = masked_batch_norm(block.norm, image[:, :, :frames, :bands], mask)
    return functional.max_pool2d(image.relu() * mask, 2, ceil_mode=True)


def pair(kernel: tuple[int, int], fixed: bool, dtype: torch.dtype) -> tuple[ConvBlock, ConvBlock]:
    """Two blocks of equal, random weights; the second in float64."""
    ours, reference = ConvBlock(1, 5, kernel, fixed), ConvBlock(1, 5, kernel, fixed)
    for parameter in ours.norm.parameters():
        nn.init.uniform_(parameter, -1, 1)  # scales of both signs
    nn.init.uniform_(ours.norm.running_mean, -1, 1)  # type: ignore[arg-type]
    reference.load_state_dict(ours.state_dict())
    return ours.to(dtype), reference.double()


def levels(frames: int, bands: int, lengths: Tensor) -> Tensor:
    """(B, 1, T, F) in dB, far from zero, zeros past a length."""
    image = 60 + 20 * torch.randn(len(lengths), 1, frames, bands, dtype=torch.float64)
    return image * (torch.arange(frames) < lengths[:, None])[:, None, :, None]


@pytest.fixture(params=[2**16, 35])
def tile(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All in one piece, and in many, an utterance a group."""
    monkeypatch.setattr(spectrogram_block, "TILE", request.param)
    monkeypatch.setattr(spectrogram_block, "GROUP", 2**20 if request.param > 35 else 1)


@pytest.mark.usefixtures("tile")
@pytest.mark.parametrize("data", [True, False], ids=["spectrogram", "maps"])
@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("size", [(11, 8), (12, 9)])
def test_outputs_gradients_and_statistics_equal_separate_layers(
    kernel: tuple[int, int], fixed: bool, size: tuple[int, int], data: bool
) -> None:
    ours, reference = pair(kernel, fixed, torch.float64)
    lengths = torch.full((3,), size[0]) if fixed else torch.tensor([size[0], 1, 6])
    image = levels(*size, lengths).requires_grad_(not data)
    result, _ = ours(image, lengths)
    expected = separately(reference, image, lengths)
    torch.testing.assert_close(result, expected, rtol=1e-9, atol=1e-9)
    upstream = torch.randn_like(expected)
    gradients = torch.autograd.grad(result, list(ours.parameters()), upstream)
    wanted = torch.autograd.grad(expected, list(reference.parameters()), upstream)
    torch.testing.assert_close(gradients, wanted, rtol=1e-7, atol=1e-8)
    torch.testing.assert_close(ours.state_dict(), reference.state_dict(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(
        ours.eval()(image, lengths)[0], separately(reference.eval(), image, lengths), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
def test_float32_and_bfloat16_are_near_float64(dtype: torch.dtype, tolerance: float) -> None:
    ours, reference = pair((2, 4), True, torch.float32)
    lengths = torch.full((4,), 40)
    image = levels(40, 32, lengths).float()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        result, _ = ours(image, lengths)
    expected = separately(reference, image.double(), lengths)
    assert result.dtype == dtype
    assert (result.double() - expected).norm() <= tolerance * expected.norm()
    upstream = torch.randn_like(result)
    gradients = torch.autograd.grad(result, [ours.conv.weight, *ours.norm.parameters()], upstream)
    wanted = torch.autograd.grad(expected, [reference.conv.weight, *reference.norm.parameters()], upstream.double())
    for gradient, exact in zip(gradients, wanted, strict=True):
        # the batch norm's gradient cancels nearly all of the sum over positions, in either way of computing it
        assert gradient.dtype == torch.float32
        assert (gradient.double() - exact).norm() <= 10 * tolerance * exact.norm()


def test_autocast_leaves_float64_as_it_is() -> None:
    block, lengths = ConvBlock(1, 5, (2, 4), fixed=True).double(), torch.full((2,), 12)
    image = levels(12, 9, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        result, again = block(image, lengths)[0], block(image.requires_grad_(), lengths)[0]
    assert result.dtype == again.dtype == torch.float64


def test_of_equal_products_the_first_takes_the_gradient() -> None:
    """Silence is constant: every window is a tie, and max pooling's gradient goes to one position, not to all."""
    ours, reference = (block.eval() for block in pair((3, 3), False, torch.float64))
    image, lengths = torch.full((2, 1, 8, 6), -80.0, dtype=torch.float64), torch.tensor([8, 5])
    result, expected = ours(image, lengths)[0], separately(reference, image, lengths)
    upstream = torch.randn_like(expected)
    gradients = torch.autograd.grad(result, list(ours.parameters()), upstream)
    wanted = torch.autograd.grad(expected, list(reference.parameters()), upstream)
    torch.testing.assert_close(gradients, wanted)


def test_what_is_not_a_number_stays_so() -> None:
    block = ConvBlock(1, 4, (3, 3), fixed=True).eval()
    image = torch.randn(2, 1, 8, 6)
    image[0, 0, 3, 3] = torch.nan
    result, _ = block(image, torch.tensor([8, 8]))
    assert result[0].isnan().any() and not result[1].isnan().any()


def test_a_gradient_to_the_spectrogram_is_there_when_asked_for() -> None:
    ours, reference = pair((2, 4), True, torch.float64)
    lengths = torch.full((2,), 12)
    image, other = (levels(12, 9, lengths).requires_grad_() for _ in range(2))
    other.data.copy_(image.data)
    (gradient,) = torch.autograd.grad(ours(image, lengths)[0].square().sum(), image)
    (expected,) = torch.autograd.grad(separately(reference, other, lengths).square().sum(), other)
    torch.testing.assert_close(gradient, expected)


def test_no_map_at_full_resolution_is_kept_for_the_backward_pass() -> None:
    block, lengths = ConvBlock(1, 64, (2, 4), fixed=True), torch.full((2,), 64)
    kept: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output, _ = block(torch.randn(2, 1, 64, 64), lengths)
    assert max(kept) == output.numel()
