"""SpecAugment masks stripes of an utterance's own length, the same at every resolution."""

import torch

from ser_lightning.data.augment import Masks


def test_off_changes_nothing() -> None:
    x = torch.randn(2, 10, 8)
    assert torch.equal(Masks.draw(2, 0, 0.5, 0, 0.5).apply(x, torch.tensor([10, 10])), x)


def test_masks_are_stripes_no_wider_than_told() -> None:
    torch.manual_seed(0)
    x, lengths = torch.ones(64, 40, 20), torch.full((64,), 40)
    time = Masks.draw(64, 1, 0.25, 0, 0.0).apply(x, lengths)
    assert ((time.sum(2) == 0) | (time.sum(2) == 20)).all()
    widths = (time.sum(2) == 0).sum(1)
    assert widths.max() <= 10
    assert len(widths.unique()) > 3
    edges = (time[:, 1:, 0] != time[:, :-1, 0]).sum(1)
    assert edges.max() <= 2
    mel = Masks.draw(64, 0, 0.0, 1, 0.5).apply(x, lengths)
    assert ((mel.sum(1) == 0) | (mel.sum(1) == 40)).all()
    assert 0 < (mel.sum(1) == 0).sum(1).max() <= 10


def test_widths_follow_the_utterance_and_not_the_padding() -> None:
    torch.manual_seed(0)
    hidden = Masks.draw(500, 1, 0.2, 0, 0.0).apply(torch.ones(500, 400, 4), torch.full((500,), 100)) == 0
    inside = hidden[:, :100, 0].sum(1)
    assert inside.max() <= 20
    # The mean width is a tenth of 100 frames; its standard error over 500 draws is 0.26.
    assert 9 < inside.float().mean() < 11
    assert not hidden[:, 100:].any()


def test_two_resolutions_are_masked_over_the_same_time_and_frequencies() -> None:
    torch.manual_seed(0)
    masks = Masks.draw(8, 1, 0.3, 1, 0.3)
    fine = masks.apply(torch.ones(8, 200, 80), torch.full((8,), 200))
    coarse = masks.apply(torch.ones(8, 100, 40), torch.full((8,), 100))
    halved = fine.unflatten(1, (100, 2)).mean(2).unflatten(2, (40, 2)).mean(3)
    assert ((halved == coarse) | (halved % 1 != 0)).all()
    assert (halved % 1 != 0).float().mean() < 0.05


def test_two_masks_cover_more_than_one() -> None:
    torch.manual_seed(0)
    x, lengths = torch.ones(200, 40, 20), torch.full((200,), 40)
    one, two = ((Masks.draw(200, n, 0.3, 0, 0.0).apply(x, lengths) == 0).float().mean() for n in (1, 2))
    assert two > 1.5 * one
