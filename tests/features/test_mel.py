"""Filter banks against a plain double-precision restatement and against librosa."""

import math

import numpy as np
import pytest
import torch

from ser_lightning.features.mel import htk_bank, mel_power, slaney_bank


def test_htk_bank_written_out() -> None:
    bank = htk_bank(16000, 512, 26)
    assert bank.shape == (257, 26)
    step = 1127 * math.log(1 + 8000 / 700) / 27
    for bin_index in (0, 1, 5, 40, 100, 255, 256):
        mel = 1127 * math.log(1 + bin_index * 31.25 / 700)
        expected = [max(0.0, 1 - abs(mel - step * (m + 1)) / step) for m in range(26)]
        np.testing.assert_allclose(bank[bin_index], expected, atol=1e-6)


def test_htk_triangles_overlap_to_one() -> None:
    # Between the first and the last centre (75.9 Hz and 7.1 kHz) the two triangles over a bin add up to 1.
    sums = htk_bank(16000, 512, 26)[3:226].sum(dim=1)
    torch.testing.assert_close(sums, torch.ones(223))


@pytest.mark.parametrize(
    "parameters",
    [(16000, 512, 128, 0.0, 8000.0), (16000, 1024, 256, 0.0, 8000.0), (11025, 301, 30, 60.0, 5512.5)],
)
def test_slaney_bank_equals_librosa(parameters: tuple[int, int, int, float, float]) -> None:
    librosa = pytest.importorskip("librosa")
    rate, n_fft, n_mels, fmin, fmax = parameters
    expected = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax, dtype=np.float64)
    np.testing.assert_allclose(slaney_bank(*parameters).T, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("bank", [slaney_bank(16000, 1024, 256, 0.0, 8000.0), htk_bank(16000, 512, 26)])
def test_power_in_bands_is_that_of_the_whole_bank(bank: torch.Tensor) -> None:
    """256 bands go in several products, 26 in one; the reference is one product in double precision."""
    spectrum = torch.randn(7, len(bank), dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    expected = spectrum.to(torch.complex128).abs().square() @ bank.double()
    torch.testing.assert_close(mel_power(spectrum, bank).double(), expected, rtol=1e-6, atol=0)
