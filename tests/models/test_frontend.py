import pytest
import torch
from torch import nn
from torch.nn import functional

from ser_lightning.errors import UserError
from ser_lightning.models.frontend import FrontEnd, front_ends
from ser_lightning.models.stream import StreamShape

FINE, COARSE = StreamShape(128, 0.016, 230), StreamShape(256, 0.032, 120)


@pytest.mark.parametrize(
    ("channels", "kernels", "x", "y"),
    [
        ([64, 16], [4, 2], (496, 56), (1008, 29)),
        ([64, 32], [4, 4], (992, 56), (2016, 29)),
        ([64, 32], [5, 3], (1024, 57), (2048, 30)),
        ([128, 16], [3, 3], (512, 57), (1024, 30)),
    ],
)
def test_published_sizes(channels: list[int], kernels: list[int], x: tuple[int, int], y: tuple[int, int]) -> None:
    fronts = front_ends([FINE, COARSE], channels, kernels)
    for front, stream, (dim, frames) in zip(fronts, (FINE, COARSE), (x, y), strict=True):
        assert front.output == StreamShape(dim, 4 * stream.hop, frames)


def test_the_second_kernel_is_the_first_transposed_and_nothing_is_shared() -> None:
    fine, coarse = front_ends([FINE, COARSE], [3], [4, 2])
    assert fine.blocks[0].conv.weight.shape[2:] == (2, 4)  # (time, frequency)
    assert coarse.blocks[0].conv.weight.shape[2:] == (4, 2)


def plain(front: FrontEnd, spectrogram: torch.Tensor, kernel: tuple[int, int]) -> torch.Tensor:
    """The published block, axes (frequency, time)."""
    image = spectrogram.transpose(1, 2)[:, None]
    for block in front.blocks:
        weight = block.conv.weight.transpose(2, 3)
        assert weight.shape[2:] == kernel
        padding = ((kernel[0] - 1) // 2, (kernel[1] - 1) // 2)
        image = functional.conv2d(image, weight, block.conv.bias, padding=padding)
        norm: nn.BatchNorm2d = block.norm
        image = functional.batch_norm(image, norm.running_mean, norm.running_var, norm.weight, norm.bias)
        image = functional.max_pool2d(functional.relu(image), 2)
    batch, channels, bands, frames = image.shape
    sequence = torch.empty(batch, frames, channels * bands)
    for channel in range(channels):
        for band in range(bands):
            sequence[:, :, channel * bands + band] = image[:, channel, band]
    return sequence


@pytest.mark.parametrize("kernel", [(4, 2), (2, 4), (5, 3), (4, 4)])
def test_fixed_frames_follow_the_published_block(kernel: tuple[int, int]) -> None:
    front = FrontEnd(StreamShape(19, 0.01, 27), [3, 5], kernel)
    spectrogram, lengths = torch.randn(2, 27, 19), torch.tensor([27, 27])
    front(spectrogram, lengths)  # moves the running statistics away from 0 and 1
    front.eval()
    sequence, after = front(spectrogram, lengths)
    torch.testing.assert_close(sequence, plain(front, spectrogram, kernel), atol=1e-5, rtol=1e-5)
    assert front.output.frames == sequence.shape[1]
    assert after.tolist() == [sequence.shape[1]] * 2
    assert front.output.dim == sequence.shape[2]


@pytest.mark.parametrize("kernel", [(3, 3), (4, 2), (5, 4)])
def test_no_frame_of_any_length_is_dropped(kernel: tuple[int, int]) -> None:
    front = FrontEnd(StreamShape(9, 0.01, None), [4, 6], kernel).eval()
    for block in front.blocks:  # every cell is positive and every pooling window has one winner
        nn.init.uniform_(block.conv.weight, 0.1, 1.0)
    lengths = torch.arange(1, 18)
    ramp = torch.arange(1.0, 18.0).cumsum(0)[None, :, None].expand(17, 17, 9)
    ramp = ramp * (torch.arange(17) < lengths[:, None])[..., None]
    sequence, after = front(ramp, lengths)
    assert after.tolist() == [-(-n // 4) for n in range(1, 18)]
    assert front.output == StreamShape(sequence.shape[2], 0.04, None)
    for row, (n, m) in enumerate(zip(lengths, after, strict=True)):
        assert (sequence[row, :m] > 0).all() and (sequence[row, m:] == 0).all()
        changed = ramp.clone()
        changed[row, n - 1] += 100.0
        assert (front(changed, lengths)[0][row, m - 1] > sequence[row, m - 1]).any()


@pytest.mark.parametrize("kernel", [(3, 3), (4, 2), (2, 4)])
def test_an_utterance_alone_gives_the_same_sequence(kernel: tuple[int, int]) -> None:
    front = FrontEnd(StreamShape(10, 0.01, None), [4, 3], kernel)
    lengths = torch.tensor([23, 22, 13, 4, 1])
    spectrogram = torch.randn(5, 23, 10) * (torch.arange(23) < lengths[:, None])[..., None]
    front(spectrogram, lengths)
    front.eval()
    together, after = front(spectrogram, lengths)
    for row, n in enumerate(lengths):
        alone, m = front(spectrogram[row : row + 1, :n], n[None])
        assert int(m) == int(after[row]) == alone.shape[1]
        torch.testing.assert_close(alone[0], together[row, : int(m)], atol=1e-5, rtol=0)


def test_padding_does_not_move_the_statistics_of_training() -> None:
    lengths, spectrogram = torch.tensor([12, 12]), torch.randn(2, 12, 8)
    tight, loose = (FrontEnd(StreamShape(8, 0.01, None), [3], [3, 3]) for _ in range(2))
    loose.load_state_dict(tight.state_dict())
    a, _ = tight(spectrogram, lengths)
    b, _ = loose(functional.pad(spectrogram, (0, 0, 0, 30)), lengths)
    torch.testing.assert_close(a, b[:, :6], atol=1e-5, rtol=0)
    torch.testing.assert_close(tight.state_dict(), loose.state_dict())


@pytest.mark.parametrize(("channels", "kernel"), [([], [3, 3]), ([4], [3]), ([4, 0], [3, 3]), ([4], [0, 3])])
def test_wrong_sizes_are_refused(channels: list[int], kernel: list[int]) -> None:
    with pytest.raises(UserError, match=r"model\.kernels"):
        FrontEnd(FINE, channels, kernel)


def test_a_spectrogram_that_vanishes_is_refused() -> None:
    with pytest.raises(UserError, match="leaves nothing after 3 poolings"):
        FrontEnd(StreamShape(40, 0.01, 7), [4, 4, 4], [3, 3])
