"""MFCC against openSMILE frame by frame, and against closed forms."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ser_lightning.corpora.audio import look
from ser_lightning.errors import UserError
from ser_lightning.features.audio import read_audio
from ser_lightning.features.mfcc import MFCC

TOLERANCE = 2e-3
"""Largest difference from openSMILE in any value (the values reach about 100)."""

OPENSMILE_CONFIG = Path(__file__).with_name("htk_mfcc.conf")


@pytest.fixture(scope="module")
def smile() -> Any:
    opensmile = pytest.importorskip("opensmile")
    return opensmile.Smile(feature_set=str(OPENSMILE_CONFIG), feature_level="lld", loglevel=0)


def as_int16(samples: np.ndarray) -> torch.Tensor:
    """Samples that 16 bits hold exactly, as openSMILE gets them."""
    return torch.from_numpy(np.clip(np.round(samples * 32767), -32768, 32767).astype(np.float32) / 32768)


def synthetic_voice(seconds: float, seed: int) -> torch.Tensor:
    """Harmonics of a gliding pitch under a syllable envelope, with breath noise and a stretch of silence."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * 16000)) / 16000
    phase = 2 * np.pi * np.cumsum(120 + 40 * np.sin(2 * np.pi * 0.7 * time)) / 16000
    voice = sum(np.sin(k * phase) / k for k in range(1, 30))
    envelope = 0.5 - 0.5 * np.cos(2 * np.pi * 4 * time)
    samples = 0.1 * envelope * (voice + 0.1 * rng.standard_normal(len(time)))
    samples[len(time) // 2 : len(time) // 2 + 1600] = 0
    return as_int16(samples)


@pytest.mark.parametrize("samples", [880, 1039, 1040, 7999, 36000])
def test_equals_opensmile_on_synthetic_voice(smile: Any, samples: int) -> None:
    waveform = synthetic_voice(samples / 16000, seed=samples)
    expected = smile(waveform.numpy(), 16000)[0].T
    actual = MFCC().extract(waveform).numpy()
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE)


def test_equals_opensmile_on_emodb(smile: Any, real_speech: Path) -> None:
    # Speaker 16 has the largest differences of the corpus (1.3e-3 in 16a02Wb).
    emodb = real_speech / "emodb" / "wav"
    paths = sorted(emodb.glob("*"))[::40] + sorted(emodb.glob("16a02Wb.*"))
    for path in paths:
        waveform = read_audio(path, look(path).digest, [16000])[16000]
        expected = smile(waveform.numpy(), 16000)[0].T
        actual = MFCC().extract(waveform).numpy()
        np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE, err_msg=path.name)


@pytest.mark.parametrize(("samples", "frames"), [(400, 1), (559, 1), (560, 2), (719, 2), (720, 3), (16000, 98)])
def test_frame_count(samples: int, frames: int) -> None:
    features = MFCC().extract(torch.zeros(samples))
    assert features.shape == (frames, 39)
    assert features.dtype == torch.float32


def test_silence_is_zero_everywhere() -> None:
    # Mel powers and energy have a floor of 1, whose logarithm is 0; a constant has no deltas.
    # The DCT of 26 equal zeros is zero as well.
    assert torch.equal(MFCC().extract(torch.zeros(4000)), torch.zeros(23, 39))


def test_energy_is_that_of_the_raw_16_bit_frame() -> None:
    energy = MFCC().extract(torch.full((400,), 0.5))[0, 12]
    assert energy.item() == pytest.approx(np.log(400 * 16384.0**2), rel=1e-6)


def test_energy_deltas_follow_the_regression() -> None:
    # The amplitude of frame t is exp(t), so that the log energy rises by 2 a frame and its delta is 2 inside.
    # Non-overlapping frames keep each frame's energy its own.
    extractor = MFCC(window=400, hop=400)
    amplitudes = 1e-4 * torch.exp(torch.arange(8.0))
    features = extractor.extract(amplitudes.repeat_interleave(400))
    energy_deltas, energy_accelerations = features[:, 25], features[:, 38]
    # Edges repeat: (1*(2-0) + 2*(4-0)) / 10 = 1 at t=0, (1*(4-0) + 2*(6-0)) / 10 = 1.6 at t=1, and mirrored.
    expected = torch.tensor([1.0, 1.6, 2, 2, 2, 2, 1.6, 1.0])
    torch.testing.assert_close(energy_deltas, expected, rtol=0, atol=1e-4)
    # At t=3 the deltas around are 1.6, 2 | 2, 2: (1*(2-2) + 2*(2-1.6)) / 10.
    assert energy_accelerations[3].item() == pytest.approx(0.08, abs=1e-4)


def test_one_sample_short_of_a_frame_is_refused() -> None:
    with pytest.raises(UserError, match=r"399 samples.*400 samples \(0\.025 s\)"):
        MFCC().extract(torch.zeros(399))


def test_dimensions_and_hop() -> None:
    extractor = MFCC(n_cepstra=4, n_mels=20, hop=80)
    assert extractor.dim == 15
    assert extractor.hop_seconds == 0.005
    assert extractor.extract(torch.randn(800)).shape == (6, 15)


def test_filters_between_bins_are_refused() -> None:
    # 200 bands lie 14 mel apart; the second spans 14 to 42 mel, between the bins at 0 and 49 mel (31.25 Hz).
    with pytest.raises(UserError, match=r"n_mels=200.*n_fft=512"):
        MFCC(n_mels=200).extract(torch.zeros(400))


@pytest.mark.parametrize(
    "parameters", [{"n_cepstra": 26}, {"window": 1}, {"hop": 0}, {"preemphasis": 1.0}, {"lifter": -1}]
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(parameters))):
        MFCC(**parameters)
