"""Augmentation of training batches."""

from torch import Tensor

from ser_lightning.features.torchaudio_shim import torchaudio


def spec_augment(x: Tensor, time_masks: int, time_fraction: float, mel_masks: int, mel_fraction: float) -> Tensor:
    """Mask spectrograms (B, T, D) along time and mel bands, drawn an utterance (Park et al., Interspeech 2019).

    Masks are 0, the mean of a normalised stream. Widths are uniform from 0 to the fraction of T or D. No time warp.
    """
    mask = torchaudio.functional.mask_along_axis_iid
    image = x.unsqueeze(1)
    for axis, count, width in (
        (2, time_masks, time_fraction * x.shape[1]),
        (3, mel_masks, mel_fraction * x.shape[2]),
    ):
        for _ in range(count):
            image = mask(image, mask_param=int(width), mask_value=0.0, axis=axis)
    return image.squeeze(1)
