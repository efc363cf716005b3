"""Reading audio files: scale, channels, rate, broken files."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from ser_lightning.corpora.audio import decode, look
from ser_lightning.errors import UserError
from ser_lightning.features.audio import read_audio, resample


def read(path: Path, rate: int = 16000) -> torch.Tensor:
    """A file that has not changed, at one rate."""
    return read_audio(path, look(path).digest, [rate])[rate]


def test_sixteen_bit_samples_are_exact(tmp_path: Path) -> None:
    samples = np.array([0, 1, -1, 16384, 32767, -32768], dtype=np.int16)
    soundfile.write(tmp_path / "a.flac", samples, 16000)
    expected = torch.tensor([0, 1 / 32768, -1 / 32768, 0.5, 32767 / 32768, -1.0])
    assert torch.equal(read(tmp_path / "a.flac"), expected)


def test_channels_are_averaged(tmp_path: Path) -> None:
    stereo = np.array([[0.5, 0.25], [-0.5, 0.5], [1.0 - 2**-15, -1.0]])
    soundfile.write(tmp_path / "a.wav", stereo, 16000)
    expected = torch.tensor([0.375, 0.0, -(2**-16)])
    torch.testing.assert_close(read(tmp_path / "a.wav"), expected, rtol=0, atol=0)


@pytest.mark.parametrize("source_rate", [8000, 22050, 44100, 48000])
def test_resampling_keeps_a_tone(tmp_path: Path, source_rate: int) -> None:
    time = np.arange(source_rate) / source_rate
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 1000 * time), source_rate)
    waveform = read(tmp_path / "a.wav")
    assert waveform.shape == (16000,)
    # One second: bin k of the spectrum is k Hz, and a sine of amplitude 0.5 has magnitude 0.5 * 16000 / 2.
    spectrum = torch.fft.rfft(waveform).abs()
    assert spectrum.argmax().item() == 1000
    assert spectrum[1000].item() == pytest.approx(4000, rel=0.01)


def level(rate: int, hertz: float) -> float:
    """dB that a tone gains on its way from `rate` to 16 kHz, by its power away from its ends."""
    tone = torch.sin(2 * torch.pi * hertz * torch.arange(2 * rate, dtype=torch.float64) / rate)
    inner = resample(tone.float(), rate, 16000)[4000:-4000].double()
    return 10 * math.log10(2 * float(inner.square().mean()) + 1e-30)


@pytest.mark.parametrize("rate", [44100, 48000])
def test_resampling_removes_what_the_new_rate_cannot_hold_and_keeps_the_rest(rate: int) -> None:
    above = [8100, 8200, 8500, 9000, 12000, 15900, 16100, 20000]
    assert max(level(rate, hertz) for hertz in above) < -60
    assert max(abs(level(rate, hertz)) for hertz in (50, 300, 1000, 3000, 5000, 6500, 7000)) < 0.2


@pytest.mark.parametrize("rate", [8000, 11025, 15999, 16001, 22050, 44099, 95999, 192000])
def test_any_rate_keeps_length_and_tone(rate: int) -> None:
    """Coprime ones, too; the sine is compared with the same sine at the new rate, and so is its phase."""
    tone = torch.sin(2 * torch.pi * 440 * torch.arange(rate, dtype=torch.float64) / rate)
    found = resample(tone.float(), rate, 16000)
    assert abs(len(found) - 16000) <= 1
    expected = torch.sin(2 * torch.pi * 440 * torch.arange(len(found), dtype=torch.float64) / 16000)
    torch.testing.assert_close(found[2000:-2000].double(), expected[2000:-2000], rtol=0, atol=2e-3)


def test_coprime_rates_take_no_more_memory_than_others() -> None:
    """Ten minutes at 16,001 Hz are 37 MiB of samples; a kernel for each of 16,000 phases would take gigabytes."""
    code = (
        "import resource, torch; from ser_lightning.features.audio import resample\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "resample(torch.zeros(600 * 16001), 16001, 16000)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    grown = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert grown < 300 * 1024  # KiB


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.wav: cannot read"):
        read_audio(tmp_path / "none.wav", "", [16000])


def test_file_that_is_no_audio(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"hello, this is no RIFF header at all")
    with pytest.raises(UserError, match=r"a\.wav: cannot read"):
        read_audio(tmp_path / "a.wav", "", [16000])


def test_empty_file(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 16000)
    with pytest.raises(UserError, match=r"a\.wav: the audio file holds no samples"):
        read(tmp_path / "a.wav")


def test_flac_cut_off_in_the_middle(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 40000)
    soundfile.write(tmp_path / "a.flac", noise, 16000)
    content = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"a\.flac: cannot read this audio file \(.*(cut short|lost sync)"):
        read_audio(tmp_path / "a.flac", "", [16000])


def test_samples_that_are_not_finite(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0.0, np.nan]), 16000, subtype="FLOAT")
    with pytest.raises(UserError, match=r"a\.wav: cannot read this audio file \(.*not finite"):
        read_audio(tmp_path / "a.wav", "", [16000])


def test_a_file_of_other_audio_than_was_scanned(tmp_path: Path) -> None:
    """One bit of one sample, another rate and another split into channels are all other audio."""
    samples = np.arange(1600, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", samples, 16000)
    scanned = look(tmp_path / "a.wav").digest
    for changed, rate in (
        (samples ^ (np.arange(1600) == 800), 16000),
        (samples, 8000),
        (samples.reshape(-1, 2), 16000),
    ):
        soundfile.write(tmp_path / "a.wav", changed.astype(np.int16), rate)
        with pytest.raises(UserError, match=r"a\.wav: the audio file changed since it was scanned; start again"):
            read_audio(tmp_path / "a.wav", scanned, [16000])


def test_the_same_audio_in_another_format_has_not_changed(tmp_path: Path) -> None:
    samples = np.arange(1600, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", samples, 16000)
    soundfile.write(tmp_path / "a.flac", samples, 16000)
    waveform = read_audio(tmp_path / "a.flac", look(tmp_path / "a.wav").digest, [16000])[16000]
    assert torch.equal(waveform, torch.from_numpy(samples) / 32768)


def test_two_rates_from_one_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(1600, 0.25), 16000)
    digest, opened = look(tmp_path / "a.wav").digest, []
    monkeypatch.setattr("ser_lightning.features.audio.decode", lambda path: (opened.append(path), decode(path))[1])
    waveforms = read_audio(tmp_path / "a.wav", digest, {16000, 8000})
    assert {rate: len(waveform) for rate, waveform in waveforms.items()} == {16000: 1600, 8000: 800}
    assert opened == [tmp_path / "a.wav"]


def test_original_files_with_extra_chunks(real_speech: Path) -> None:
    for path in sorted((real_speech / "originals").rglob("*.wav")):
        info = soundfile.info(path)
        waveform = read(path)
        assert len(waveform) == round(info.frames * 16000 / info.samplerate), path.name
        # Header or chunk bytes taken for samples would be loud noise.
        assert waveform[:10].abs().max().item() < 0.1, path.name
