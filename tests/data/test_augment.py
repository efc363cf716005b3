"""SpecAugment masks whole frames and whole mel bands, no wider than told, in each utterance anew."""

import torch

from ser_lightning.data.augment import spec_augment


def test_off_changes_nothing() -> None:
    x = torch.randn(2, 10, 8)
    assert torch.equal(spec_augment(x, 0, 0.5, 0, 0.5), x)


def test_masks_are_stripes_no_wider_than_told() -> None:
    torch.manual_seed(0)
    x = torch.ones(64, 40, 20)
    time = spec_augment(x, 1, 0.25, 0, 0.0)
    assert ((time.sum(2) == 0) | (time.sum(2) == 20)).all()
    widths = (time.sum(2) == 0).sum(1)
    assert widths.max() <= 10
    assert len(widths.unique()) > 3
    mel = spec_augment(x, 0, 0.0, 1, 0.5)
    assert ((mel.sum(1) == 0) | (mel.sum(1) == 40)).all()
    assert 0 < (mel.sum(1) == 0).sum(1).max() <= 10


def test_two_masks_cover_more_than_one() -> None:
    torch.manual_seed(0)
    x = torch.ones(200, 40, 20)
    one, two = ((spec_augment(x, n, 0.3, 0, 0.0) == 0).float().mean() for n in (1, 2))
    assert two > 1.5 * one
