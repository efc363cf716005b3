"""Log-mel spectrograms against librosa, and against closed forms."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ser_lightning.corpora.audio import look
from ser_lightning.errors import UserError
from ser_lightning.features.audio import read_audio
from ser_lightning.features.log_mel import LogMel

RESOLUTIONS = [
    {},
    {"n_fft": 1024, "hop": 512, "n_mels": 256},
    {"n_fft": 256, "hop": 128, "n_mels": 64},
    {"n_fft": 400, "hop": 160, "n_mels": 40, "fmin": 50.0, "fmax": 7600.0},
    {"n_fft": 300, "hop": 77, "n_mels": 30, "sample_rate": 11025},
    {"n_fft": 2048, "hop": 300, "n_mels": 80, "sample_rate": 44100, "scale": 1.0},
]


def coloured_noise(samples: int) -> torch.Tensor:
    """Noise that falls by about 12 dB an octave, as speech does, with a loud and a faint half."""
    steps = torch.randn(samples, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    walk = torch.zeros(samples, dtype=torch.float64)
    for start in range(2):
        walk += torch.from_numpy(np.convolve(steps, 0.95 ** np.arange(200))[start : samples + start])
    walk[samples // 2 :] *= 1e-2
    return (0.5 * walk / walk.abs().max()).float()


def librosa_power(waveform: torch.Tensor, extractor: LogMel, **others: str) -> np.ndarray:
    librosa = pytest.importorskip("librosa")
    power = librosa.feature.melspectrogram(
        y=waveform.double().numpy() * extractor.scale,
        sr=extractor.sample_rate,
        n_fft=extractor.n_fft,
        hop_length=extractor.hop,
        n_mels=extractor.n_mels,
        fmin=extractor.fmin,
        fmax=extractor.fmax,
        dtype=np.float64,
        **{"pad_mode": "reflect"} | others,
    )
    expected: np.ndarray = np.maximum(power.T, extractor.least_power)
    return expected


def assert_same_power(decibels: torch.Tensor, expected: np.ndarray) -> None:
    """1e-4 relative, and in the valleys of a frame the rounding noise of a single-precision FFT."""
    actual = 10 ** (decibels.double().numpy() / 10)
    assert actual.shape == expected.shape
    allowed = 1e-4 * expected + 1e-8 * expected.max(axis=1, keepdims=True)
    assert (abs(actual - expected) / allowed).max() <= 1


@pytest.mark.parametrize("parameters", RESOLUTIONS)
def test_equals_librosa_on_noise(parameters: dict[str, Any]) -> None:
    extractor = LogMel(**parameters)
    waveform = coloured_noise(20001)
    assert_same_power(extractor.extract(waveform), librosa_power(waveform, extractor))


@pytest.mark.parametrize("parameters", [RESOLUTIONS[0], RESOLUTIONS[4]])
def test_with_librosas_default_padding_only_whole_frames_agree(parameters: dict[str, Any]) -> None:
    extractor, samples = LogMel(**parameters), 20001
    waveform = coloured_noise(samples)
    found = extractor.extract(waveform)
    padded = librosa_power(waveform, extractor, pad_mode="constant")
    centres, reach = np.arange(len(found)) * extractor.hop, extractor.n_fft / 2
    whole = (centres >= reach) & (centres <= samples - reach)
    assert_same_power(found[whole], padded[whole])
    first = 10 * np.log10(padded[0]) - found[0].double().numpy()
    assert abs(first).max() > 1, "of the first frame half is silence in one, and a reflection in the other"


@pytest.mark.parametrize("parameters", RESOLUTIONS[:2])
def test_equals_librosa_on_emodb(parameters: dict[str, Any], real_speech: Path) -> None:
    extractor = LogMel(**parameters)
    for path in sorted((real_speech / "emodb" / "wav").glob("*"))[::60]:
        waveform = read_audio(path, look(path).digest, [16000])[16000]
        assert_same_power(extractor.extract(waveform), librosa_power(waveform, extractor))


@pytest.mark.parametrize(("samples", "frames"), [(257, 2), (511, 2), (512, 3), (16000, 63), (16128, 64)])
def test_frame_count(samples: int, frames: int) -> None:
    features = LogMel().extract(torch.randn(samples))
    assert features.shape == (frames, 128)
    assert features.dtype == torch.float32


@pytest.mark.parametrize(
    ("parameters", "decibels"),
    [({}, 0.0), ({"scale": 1.0}, -90.309), ({"scale": 3276.8}, -20.0), ({"floor": 1e-10}, -100.0)],
)
def test_silence_is_the_floor(parameters: dict[str, float], decibels: float) -> None:
    features = LogMel(**parameters).extract(torch.zeros(4000))
    torch.testing.assert_close(features, torch.full((16, 128), decibels), rtol=0, atol=1e-3)


def test_a_loud_recording_and_its_copy_in_16_bits_are_almost_the_same() -> None:
    """Faint noise in the pauses, which 16 bits turn into digital silence, is below the floor with it."""
    waveform = coloured_noise(20001)
    waveform[5000:15000] = 1e-6 * torch.randn(10000, generator=torch.Generator().manual_seed(1))
    rounded = (waveform * 32768).round() / 32768
    assert (rounded[6000:14000] == 0).all()
    features = LogMel()
    pauses = (features.extract(waveform) - features.extract(rounded))[25:54]
    assert pauses.abs().max() == 0.0


def test_the_default_floor_is_the_same_level_at_any_scale() -> None:
    waveform = coloured_noise(4000) * 1e-3
    at_one, at_sixteen_bits = LogMel(scale=1.0).extract(waveform), LogMel().extract(waveform)
    assert (at_sixteen_bits == 0).any() and (at_sixteen_bits > 0).any()
    torch.testing.assert_close(at_sixteen_bits - at_one, torch.full_like(at_one, 90.309), rtol=0, atol=1e-3)


def test_scale_shifts_the_level() -> None:
    # 20 log10(32768) = 90.309 dB between the 16-bit scale and [-1, 1].
    waveform = coloured_noise(4000)
    difference = LogMel(floor=1e-20).extract(waveform) - LogMel(scale=1.0, floor=1e-30).extract(waveform)
    torch.testing.assert_close(difference, torch.full_like(difference, 90.309), rtol=0, atol=1e-3)


def test_tone_peaks_in_the_band_of_its_frequency() -> None:
    # Below 1 kHz Slaney's scale is f / (200/3 Hz); 1 kHz is 15, 8 kHz is 15 + 27 ln(8) / ln(6.4) = 45.245.
    # 40 bands have their centres every 45.245 / 41 = 1.1035: 662.1 Hz is the centre of the ninth.
    tone = 0.5 * torch.sin(2 * torch.pi * 662.1 * torch.arange(16000) / 16000)
    features = LogMel(n_fft=1024, n_mels=40).extract(tone)
    assert set(features[2:-2].argmax(dim=1).tolist()) == {8}


def test_too_short_to_reflect_is_refused() -> None:
    with pytest.raises(UserError, match=r"log_mel: 256 samples.*257 samples \(0\.016 s\)"):
        LogMel().extract(torch.zeros(256))


def test_empty_filter_is_refused() -> None:
    # 256 bands are 11.8 Hz apart at the bottom, the bins of 512 points 31.25 Hz.
    with pytest.raises(UserError, match=r"n_mels=256.*n_fft=512"):
        LogMel(n_mels=256).extract(torch.zeros(1000))


@pytest.mark.parametrize(
    "parameters",
    [{"n_fft": 0}, {"hop": 0}, {"n_mels": 0}, {"floor": 0.0}, {"sample_rate": 0}, {"fmax": 8001.0}],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(parameters))):
        LogMel(**parameters)


def test_dimensions_and_hop() -> None:
    extractor = LogMel(n_mels=64, hop=160)
    assert extractor.dim == 64
    assert extractor.hop_seconds == 0.01
