"""The convolutional front end of the published systems: a spectrogram becomes a shorter, wider sequence."""

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from ser_lightning.errors import UserError
from ser_lightning.models.blocks import length_mask, masked_batch_norm
from ser_lightning.models.spectrogram_block import pooled_block
from ser_lightning.models.stream import StreamShape

Size = TypeVar("Size", int, Tensor)


def pooled(size: Size, kernel: int, fixed: bool) -> Size:
    """The size of an axis after a block: the paper's floors where time is fixed, else every frame is kept."""
    if fixed:
        return (size - (kernel + 1) % 2) // 2
    return (size + 1) // 2


class ConvBlock(nn.Module):
    """Convolution, batch norm, ReLU, 2 x 2 max pooling.

    With fixed frames the padding is floor((k-1)/2) on each side, so that an even kernel shortens its axis by
    one, and an odd rest is cut by the pooling. With lengths that vary each axis keeps its size until the
    pooling, which rounds up.

    Args:
        channels_in: channels of the input.
        channels_out: channels of the output.
        kernel: (time, frequency), frames and bands.
        fixed: every utterance has the same number of frames.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: tuple[int, int], fixed: bool) -> None:
        super().__init__()
        self.kernel, self.fixed = kernel, fixed
        time, bands = ((k - 1) // 2 if fixed else k // 2 for k in kernel)
        self.padding = time, bands
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, padding=self.padding)
        self.norm = nn.BatchNorm2d(channels_out)
        self.pool = nn.MaxPool2d(2, ceil_mode=not fixed)

    def forward(self, image: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C_in, T, F), lengths (B,) -> (B, C_out, T', F'), lengths (B,)."""
        mask = None if self.fixed else length_mask(lengths, image.shape[2])[:, None, :, None]
        block = self._spectrogram if self._is_spectrogram(image) else self._maps
        return block(image, mask), pooled(lengths, self.kernel[0], self.fixed)

    def _is_spectrogram(self, image: Tensor) -> bool:
        """Whether the path made for spectrograms can go: data on a CPU, outside a compiler, which fuses by itself."""
        on_cpu = image.device.type == "cpu" and not torch.compiler.is_compiling()
        return on_cpu and image.shape[1] == 1 and not image.requires_grad

    def _maps(self, image: Tensor, mask: Tensor | None) -> Tensor:
        frames, bands = image.shape[2:]
        image = self.conv(image)
        if mask is not None:
            image = image[:, :, :frames, :bands]
        image = masked_batch_norm(self.norm, image, mask)
        if mask is not None:
            # a window may reach into the padding, which must not win it
            image = image.masked_fill(~mask, -torch.inf)
        # ReLU commutes with max pooling and has a quarter to do after it
        pooled_image: Tensor = self.pool(image)
        return pooled_image.relu()

    def _spectrogram(self, image: Tensor, mask: Tensor | None) -> Tensor:
        """The same numbers as `_maps` without its maps at full resolution."""
        frames, bands = image.shape[2:]
        size = pooled(frames, self.kernel[0], self.fixed), pooled(bands, self.kernel[1], self.fixed)
        before = self.padding
        # behind, the last window has to be whole, too
        after = [
            max(pad, 2 * half + k - 1 - pad - whole)
            for pad, half, k, whole in zip(before, size, self.kernel, (frames, bands), strict=True)
        ]
        padded = functional.pad(image[:, 0], (before[1], after[1], before[0], after[0]))
        valid = None if mask is None else mask[:, 0].expand(-1, -1, bands)
        kind, dtype = image.device.type, self.conv.weight.dtype
        if torch.is_autocast_enabled(kind) and dtype != torch.float64:  # as autocast does with a convolution
            dtype = torch.get_autocast_dtype(kind)
        return pooled_block(padded, self.conv, self.norm, size, valid, dtype)


class FrontEnd(nn.Module):
    """A stack of convolution blocks over one spectrogram, flattened to a sequence (arXiv 1910.08874).

    Attribute `output` is the StreamShape of what it returns: `hop` is the stream's times 2 for each block.

    Args:
        stream: the spectrogram's shape.
        channels: channels of each block.
        kernel: (along frequency, along time), the same in every block.

    Raises:
        UserError: not two kernel sizes, no block, or the spectrogram is too small for the poolings.
    """

    def __init__(self, stream: StreamShape, channels: Sequence[int], kernel: Sequence[int]) -> None:
        super().__init__()
        if len(kernel) != 2 or min(kernel) < 1 or not channels or min(channels) < 1:
            raise UserError(
                f"model.kernels is {list(kernel)} and model.channels {list(channels)}: kernels takes two "
                "positive sizes (frequency, time), channels one positive number for each block"
            )
        bands_kernel, time_kernel = kernel
        fixed = stream.frames is not None
        sizes = [1, *channels]
        self.blocks = nn.ModuleList(
            ConvBlock(a, b, (time_kernel, bands_kernel), fixed) for a, b in zip(sizes, channels, strict=False)
        )
        bands, frames = stream.dim, stream.frames
        for _ in channels:
            bands = pooled(bands, bands_kernel, fixed)
            frames = None if frames is None else pooled(frames, time_kernel, fixed)
        if bands < 1 or (frames is not None and frames < 1):
            raise UserError(
                f"a spectrogram of {stream.dim} bands and {stream.frames} frames leaves nothing after "
                f"{len(channels)} poolings by 2; choose larger features or fewer model.channels"
            )
        self.output = StreamShape(channels[-1] * bands, stream.hop * 2 ** len(channels), frames)

    def forward(self, spectrogram: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, F), lengths (B,) -> (B, T', C*F') with the channel index slowest, lengths (B,)."""
        image = spectrogram[:, None]
        for block in self.blocks:
            image, lengths = block(image, lengths)
        return image.transpose(1, 2).flatten(2), lengths


def front_ends(shapes: Sequence[StreamShape], channels: Sequence[int], kernels: Sequence[int]) -> list[FrontEnd]:
    """One front end a spectrogram, not shared; the second's kernel is the first's transposed, as published.

    Raises:
        UserError: as FrontEnd.
    """
    orientations = (kernels, kernels[::-1])
    return [FrontEnd(s, channels, kernel) for s, kernel in zip(shapes, orientations, strict=False)]
