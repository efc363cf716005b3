"""The first block of a front end on a CPU: with one input channel it costs memory, not arithmetic.

As separate operations, convolution, batch norm, ReLU and pooling each write or read maps 64 times the size of the
spectrogram. Two identities avoid every map at full resolution:

- A convolution of one channel is a product of patches of k values with weights, z = w p + b, so mean and variance of
  z follow from the k means m and the k x k covariance S of the patches: w m + b and w S w' for each channel. The
  batch norm's scale and shift can then be folded into weights and bias before anything is convolved.
- ReLU is monotone, so it commutes with max pooling: the largest of the window's four products, then zero or more.

The four products of a window are made tile by tile in the processor's cache; the backward pass makes them again.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ser_lightning.models.blocks import track
from ser_lightning.models.synchronise import over_ranks

TILE = 2**16
"""Products a thread and a tile: with their like, 256 KiB of float32 each, they stay in a core's cache."""

GROUP = 2**20
"""Values of patches copied at once."""


def pooled_block(
    padded: Tensor,
    conv: nn.Conv2d,
    norm: nn.BatchNorm2d,
    size: tuple[int, int],
    valid: Tensor | None,
    dtype: torch.dtype,
) -> Tensor:
    """Convolution, batch norm, max pooling 2 x 2 and ReLU of one input channel; gradients to parameters alone.

    Statistics in training come from valid positions alone, and positions that are not valid win no window, as
    with `masked_batch_norm`. Moments are taken in float64, products in the parameters' dtype.

    Args:
        padded: (B, H, W), zero-padded so that an unpadded convolution has at least twice `size`.
        conv: one input channel; its padding is not used.
        norm: holds scale, shift and running statistics, which move in training.
        size: (T', F'), the output's time and frequency.
        valid: 1 where the convolution's output is valid, (B, T, F); None: all of it.
        dtype: of the output.

    Returns:
        (B, C, T', F') in channels_last order.
    """
    with torch.autocast(padded.device.type, enabled=False):
        padded = padded.detach().to(conv.weight.dtype)
        weight = _folded(padded, conv, norm, valid)
        window = None if valid is None else _even(valid, size)
        pooled: Tensor = _PooledProduct.apply(padded, weight, window, _kernel(conv), size, dtype)  # type: ignore[no-untyped-call]
    return pooled.permute(0, 3, 1, 2)


def _kernel(conv: nn.Conv2d) -> tuple[int, int]:
    return conv.kernel_size[0], conv.kernel_size[1]


def _even(valid: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, T, F) -> (B, 2 T', 2 F'), what is beyond T and F not valid."""
    even = valid.new_zeros(len(valid), 2 * size[0], 2 * size[1])
    even[:, : valid.shape[1], : valid.shape[2]] = valid
    return even


def _folded(padded: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d, valid: Tensor | None) -> Tensor:
    """(k + 1, C): weights, and in the last row biases, of convolution and batch norm in one."""
    weight = conv.weight.flatten(1).double()
    assert conv.bias is not None and norm.running_mean is not None and norm.running_var is not None
    bias = conv.bias.double()
    if norm.training:
        count, patch_mean, covariance = _moments(padded, _kernel(conv), norm, valid)
        mean, variance = weight @ patch_mean + bias, ((weight @ covariance) * weight).sum(1)
        unbiased = variance * count / (count - 1).clamp(min=1)
        track(norm, mean.to(conv.weight.dtype), unbiased.to(conv.weight.dtype))
    else:
        mean, variance = norm.running_mean.double(), norm.running_var.double()
    scale = norm.weight.double() * torch.rsqrt(variance + norm.eps)
    shift = norm.bias.double() + (bias - mean) * scale
    return torch.cat([weight.T * scale, shift[None]]).to(conv.weight.dtype)


def _moments(
    padded: Tensor, kernel: tuple[int, int], norm: nn.BatchNorm2d, valid: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Number, mean (k) and covariance (k, k) of the valid patches, of all ranks where `norm` is marked so; float64.

    In float64, so that the covariance survives the subtraction of the mean's square (levels in dB lie far from 0).
    """
    size = (padded.shape[1] - kernel[0] + 1, padded.shape[2] - kernel[1] + 1)
    if valid is not None:
        size = (valid.shape[1], valid.shape[2])
    products = [rows[0] @ rows[0].T for _, rows in _patches(padded.double(), kernel, 1, size, valid)]
    total = over_ranks(norm, torch.stack(products).sum(0))
    count, mean = total[-1, -1], total[-1, :-1] / total[-1, -1]
    return count, mean, total[:-1, :-1] / count - torch.outer(mean, mean)


def _patches(
    padded: Tensor, kernel: tuple[int, int], step: int, size: tuple[int, int], valid: Tensor | None
) -> Iterator[tuple[int, Tensor]]:
    """Patches as columns, a group of utterances at a time, a 1 below each; columns that are not valid are zeros.

    Args:
        padded: (B, H, W).
        kernel: time and frequency; k is their product.
        step: 1, or 2 for the four positions of every pooling window apart.
        size: (T', F'), positions along time and frequency, of windows with step 2.
        valid: (B, step T', step F').

    Yields:
        index of the group's first column, (step * step, k + 1, b * T' * F').
    """
    (k_t, k_f), (frames, bands) = kernel, size
    k, (by_row, by_frame, by_band) = k_t * k_f, padded.stride()
    group = max(1, GROUP // ((k + 1) * step * step * frames * bands))
    for start in range(0, len(padded), group):
        part = padded[start : start + group]
        b = len(part)
        rows = padded.new_ones(step, step, k + 1, b, frames, bands)
        rows[:, :, :k].view(step, step, k_t, k_f, b, frames, bands).copy_(
            part.as_strided(
                (step, step, k_t, k_f, b, frames, bands),
                (by_frame, by_band, by_frame, by_band, by_row, step * by_frame, step * by_band),
            )
        )
        if valid is not None:
            inside = valid[start : start + group].view(b, frames, step, bands, step).permute(2, 4, 0, 1, 3)
            rows.mul_(inside[:, :, None])
        yield start * frames * bands, rows.view(step * step, k + 1, b * frames * bands)


class _PooledProduct(torch.autograd.Function):
    """relu(max over a window's four positions of the patch's product with the weights); gradient to the weights."""

    @staticmethod
    def forward(
        ctx: Any,
        padded: Tensor,
        weight: Tensor,
        valid: Tensor | None,
        kernel: tuple[int, int],
        size: tuple[int, int],
        dtype: torch.dtype,
    ) -> Tensor:
        channels = weight.shape[1]
        output = padded.new_empty(len(padded), *size, channels, dtype=dtype)
        flat = output.view(-1, channels)
        for start, rows in _tiles(_patches(padded, kernel, 2, size, valid), channels):
            first, *others = (position.T @ weight for position in rows)
            for other in others:
                torch.maximum(first, other, out=first)
            flat[start : start + len(first)] = first.clamp_(min=0)
        ctx.save_for_backward(padded, weight, valid, output)
        ctx.kernel, ctx.size = kernel, size
        return output

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None, None, None, None]:
        padded, weight, valid, output = ctx.saved_tensors
        channels, total = weight.shape[1], torch.zeros_like(weight)
        gradient, output = gradient.reshape(-1, channels), output.view(-1, channels)
        # Products in another dtype than forward's would give the gradient to other positions.
        with torch.autocast("cpu", enabled=False):
            for start, rows in _tiles(_patches(padded, ctx.kernel, 2, ctx.size, valid), channels):
                part = slice(start, start + rows.shape[2])
                passed = _where_positive(gradient[part], output[part]).to(weight.dtype)
                for position, share in zip(rows, _shares([p.T @ weight for p in rows], passed), strict=True):
                    total.addmm_(position, share)
        return None, total, None, None, None, None


def _tiles(groups: Iterator[tuple[int, Tensor]], channels: int) -> Iterator[tuple[int, Tensor]]:
    """Columns of every group in pieces whose products fit a cache."""
    width = max(1, TILE * torch.get_num_threads() // channels)
    for start, rows in groups:
        for offset, piece in zip(range(0, rows.shape[2], width), torch.split(rows, width, 2), strict=True):
            yield start + offset, piece


def _shares(products: list[Tensor], gradient: Tensor) -> list[Tensor]:
    """What each of a window's four products gets of the gradient: all where it is the first of the largest."""
    a, b, c, d = products
    lower = _where_positive(gradient, torch.maximum(c, d) - torch.maximum(a, b))
    upper = gradient - lower
    of_b, of_d = _where_positive(upper, b - a), _where_positive(lower, d - c)
    return [upper - of_b, of_b, lower - of_d, of_d]


def _where_positive(gradient: Tensor, of: Tensor) -> Tensor:
    """`gradient` where `of` is positive, else zero: one pass, several times as fast as a mask and a product."""
    passed: Tensor = torch.ops.aten.threshold_backward(gradient, of, 0)
    return passed
