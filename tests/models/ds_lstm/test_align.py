from fractions import Fraction

import pytest
import torch
from torch import Tensor

from ser_lightning.errors import UserError
from ser_lightning.models.ds_lstm.align import PaperAlignment, TimeAlignment
from ser_lightning.models.stream import StreamShape


def shape(hop: float, frames: int | None = None) -> StreamShape:
    return StreamShape(3, hop, frames)


def test_paper_alignment_has_27_steps_and_means_of_three() -> None:
    align = PaperAlignment(shape(0.016, 56), shape(0.032, 29))
    assert align.frames == 27
    assert PaperAlignment(shape(0.016, 57), shape(0.032, 30)).frames == 27
    x, y = torch.randn(2, 56, 3), torch.randn(2, 29, 4)
    x_out, y_out, lengths = align(x, y, torch.tensor([56, 56]), torch.tensor([29, 29]))
    expected = [(x[:, 2 * i] + x[:, 2 * i + 1] + x[:, 2 * i + 2]) / 3 for i in range(27)]
    torch.testing.assert_close(x_out, torch.stack(expected, 1))
    assert torch.equal(y_out, y[:, :27])
    assert lengths.tolist() == [27, 27]


def test_paper_alignment_of_varying_lengths_reads_valid_frames_only() -> None:
    x_lengths, y_lengths = torch.tensor([11, 8, 5, 1]), torch.tensor([6, 2, 3, 1])
    x = torch.ones(4, 11, 1) * (torch.arange(11) < x_lengths[:, None])[..., None]
    x_out, y_out, lengths = PaperAlignment(shape(0.01), shape(0.02))(x, x[:, :6], x_lengths, y_lengths)
    assert lengths.tolist() == [4, 2, 1, 1]
    for row, n in enumerate([4, 2, 1]):
        torch.testing.assert_close(x_out[row, :n], torch.ones(n, 1))
    assert x_out[3, 0].item() == pytest.approx(1 / 3)
    assert x_out.shape == y_out.shape == (4, 4, 1)


@pytest.mark.parametrize("hops", [(0.016, 0.016), (0.016, 0.064), (0.01, 0.016), (0.032, 0.016)])
def test_paper_alignment_refuses_other_hops(hops: tuple[float, float]) -> None:
    with pytest.raises(UserError, match=r"model\.alignment=time"):
        PaperAlignment(shape(hops[0]), shape(hops[1]))


@pytest.mark.parametrize("kind", [PaperAlignment, TimeAlignment])
def test_one_fixed_and_one_free_stream_are_refused(
    kind: type[PaperAlignment] | type[TimeAlignment],
) -> None:
    with pytest.raises(UserError, match="share no clock"):
        kind(shape(0.016, 56), shape(0.032))


HOPS = [
    (Fraction(1, 100), Fraction(1, 100)),
    (Fraction(256, 16000), Fraction(512, 16000)),
    (Fraction(1, 100), Fraction(4, 100)),
    (Fraction(1, 100), Fraction(256, 16000)),
    (Fraction(2, 300), Fraction(3, 300)),
    (Fraction(128, 22050), Fraction(441, 22050)),
]


def sampled(frames: Tensor, hop: Fraction, grid: Fraction, cells: int) -> Tensor:
    """Cell means of the held signal, read off on the finest raster that both steps lie on."""
    tick = Fraction(1, (hop / grid).denominator) * grid
    per_cell = grid / tick
    assert per_cell.denominator == 1 and (hop / tick).denominator == 1
    ticks = [min(int(i * tick / hop), len(frames) - 1) for i in range(cells * int(per_cell))]
    return frames[ticks].view(cells, int(per_cell), -1).mean(1)


@pytest.mark.parametrize("hops", HOPS)
def test_time_alignment_is_the_mean_over_each_cell_and_drops_nothing(
    hops: tuple[Fraction, Fraction],
) -> None:
    align = TimeAlignment(shape(float(hops[0])), shape(float(hops[1])))
    seconds = [Fraction(61, 100), Fraction(24, 100), Fraction(1, 1000)]
    lengths = [torch.tensor([max(1, round(s / hop)) for s in seconds]) for hop in hops]
    inputs = [torch.randn(3, int(n.max()), 2, dtype=torch.float64, requires_grad=True) for n in lengths]
    *outputs, cells = align(*inputs, *lengths)
    grid = max(hops)
    for row in range(3):
        ends = [int(n[row]) * hop for n, hop in zip(lengths, hops, strict=True)]
        assert int(cells[row]) == -(-max(ends) // grid)
        for value, result, n, hop in zip(inputs, outputs, lengths, hops, strict=True):
            count = int(cells[row])
            expected = sampled(value[row, : int(n[row])].detach(), hop, grid, count)
            torch.testing.assert_close(result[row, :count], expected)
            assert (result[row, count:] == 0).all()
    for value, result, n, hop in zip(inputs, outputs, lengths, hops, strict=True):
        (share,) = torch.autograd.grad(result.sum(), value)
        for row in range(3):  # every frame carries at least its own duration, none past the end carries any
            own = share[row, : int(n[row])]
            assert (own >= float(hop / grid) - 1e-12).all()
            assert own[:-1].sum().item() == pytest.approx(2 * (int(n[row]) - 1) * float(hop / grid))
            assert (share[row, int(n[row]) :] == 0).all()


def test_time_alignment_of_equal_hops_keeps_every_frame_as_it_is() -> None:
    x, y, lengths = torch.randn(1, 7, 2), torch.randn(1, 7, 3), torch.tensor([7])
    x_out, y_out, after = TimeAlignment(shape(0.016), shape(0.016))(x, y, lengths, lengths)
    assert torch.equal(x_out, x) and torch.equal(y_out, y) and after.tolist() == [7]


def test_time_alignment_of_fixed_frames_spans_the_utterance_with_both() -> None:
    align = TimeAlignment(shape(0.016, 56), shape(0.032, 29))
    assert align.frames == 29
    x, y = torch.randn(2, 56, 2, dtype=torch.float64), torch.randn(2, 29, 2, dtype=torch.float64)
    x_out, y_out, lengths = align(x, y, torch.tensor([56, 56]), torch.tensor([29, 29]))
    torch.testing.assert_close(y_out, y)
    torch.testing.assert_close(x_out[1], sampled(x[1], Fraction(1, 56), Fraction(1, 29), 29))
    torch.testing.assert_close(x_out.mean(1), x.mean(1))
    assert lengths.tolist() == [29, 29]
