"""Augmented variants: exact in what they change, the same every time, and of the training part alone."""

from pathlib import Path

import pytest
import torch

from ser_lightning.config.compose import compose
from ser_lightning.config.schema import Waveform
from ser_lightning.data.splits import Part
from ser_lightning.data.variant import at_speed, variant, with_noise
from ser_lightning.errors import ConfigError
from ser_lightning.features.extractor import extractor_key
from ser_lightning.features.log_mel import LogMel
from ser_lightning.runs.prepare import Prepared, prepare
from ser_lightning.runs.train import train

WORDS = ["training.waveform.copies=2", "training.max_epochs=1"]


def tone(hertz: float, seconds: float = 1.0) -> torch.Tensor:
    return torch.sin(2 * torch.pi * hertz * torch.arange(int(16000 * seconds)) / 16000)


@pytest.mark.parametrize("level", [-5.0, 0.0, 20.0])
def test_noise_has_the_snr_that_was_asked(level: float) -> None:
    clean = tone(300.0)
    noise = with_noise(clean, (level, level), torch.Generator().manual_seed(0)) - clean
    found = 10 * torch.log10(clean.double().square().mean() / noise.double().square().mean())
    assert found.item() == pytest.approx(level, abs=0.01)
    spectrum = torch.fft.rfft(noise.double()).abs().square()
    # White: each quarter of the band holds a quarter of the power; 2,000 bins leave an error of 2.2 %.
    assert all(abs(quarter.sum() / spectrum.sum() - 0.25) < 0.03 for quarter in spectrum[:8000].chunk(4))


def test_levels_are_uniform_between_the_bounds() -> None:
    clean, generator = tone(300.0, 0.01), torch.Generator().manual_seed(0)
    noise = [with_noise(clean, (10.0, 20.0), generator) - clean for _ in range(500)]
    levels = torch.stack([10 * torch.log10(clean.square().mean() / one.square().mean()) for one in noise])
    assert 9.99 < levels.min() < 10.5 < 19.5 < levels.max() < 20.01
    assert 14.5 < levels.mean() < 15.5


@pytest.mark.parametrize("factor", [0.9, 1.1, 0.97])
def test_speed_shortens_and_raises_the_pitch(factor: float) -> None:
    changed = at_speed(tone(1000.0), factor)
    assert len(changed) == pytest.approx(16000 / factor, abs=1)
    peak = torch.fft.rfft(changed).abs().argmax() * 16000 / len(changed)
    assert peak.item() == pytest.approx(1000 * factor, abs=1.5)


def test_silence_stays_silence() -> None:
    assert with_noise(torch.zeros(100), (10.0, 10.0), torch.Generator()).abs().max() == 0


def test_a_variant_is_its_extractor_on_another_waveform_and_repeats() -> None:
    base, wave = LogMel(n_mels=20), tone(500.0)
    loud = variant(base, Waveform(copies=1, speeds=[], snr=[5.0, 5.0]), 1)
    assert torch.equal(loud.extract(wave), loud.extract(wave.clone()))
    assert not torch.equal(loud.extract(wave), base.extract(wave))
    fast = variant(base, Waveform(copies=1, speeds=[2.0], snr=[]), 1).extract(wave)
    assert fast.shape == (1 + 8000 // base.hop, 20)
    assert torch.equal(fast, base.extract(at_speed(wave, 2.0)))
    speeds = [variant(base, Waveform(copies=3, speeds=[0.8, 1.25], snr=[]), k).extract(wave) for k in (1, 2, 3)]
    assert [len(s) for s in speeds] == [1 + n // base.hop for n in (20000, 12800, 20000)]


def test_everything_that_changes_a_variant_changes_its_key() -> None:
    base = LogMel()
    settings = [
        (Waveform(), 1),
        (Waveform(), 2),
        (Waveform(seed=1), 1),
        (Waveform(snr=[10, 20]), 1),
        (Waveform(snr=[]), 1),
        (Waveform(speeds=[1.1]), 1),
        (Waveform(speeds=[]), 1),
    ]
    keys = {extractor_key(variant(base, waveform, copy)) for waveform, copy in settings}
    assert len(keys | {extractor_key(base)}) == len(settings) + 1
    assert extractor_key(variant(LogMel(n_mels=20), Waveform(), 1)) not in keys
    # How many there are, and speeds of others, is not what one of them is.
    assert extractor_key(variant(base, Waveform(copies=5, speeds=[0.9]), 1)) in keys


def frames(prepared: Prepared, part: Part, wanted: tuple[Part, ...]) -> dict[str, torch.Tensor]:
    parts, _ = prepared.split()
    data = prepared.data(parts, wanted, ("mfcc",), torch.device("cpu"))
    batches = data.in_order(part)
    return {
        data.parts[part].ids[int(row)]: x[:length]
        for batch in batches
        for row, x, length in zip(batch.rows, batch.features["mfcc"], batch.lengths["mfcc"], strict=True)
    }


@pytest.mark.parametrize("place", ["yes", "no"])
@pytest.mark.parametrize("mode", ["none", "speaker"])
def test_validation_and_test_are_untouched_and_training_grows(tiny: list[str], place: str, mode: str) -> None:
    words = [*tiny, f"training.keep_on_device={place}", f"features.mfcc.normalise={mode}"]
    plain, more = prepare(compose(words).config), prepare(compose([*words, *WORDS]).config)
    for part in ("validation", "test"):
        before, after = frames(plain, part, ("train", part)), frames(more, part, ("train", part))  # type: ignore[arg-type]
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)
    before, after = frames(plain, "train", ("train",)), frames(more, "train", ("train",))
    variants = {name for name in after if "variant" in name}
    assert after.keys() - variants == before.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert len(variants) == 2 * len(before)
    for name, x in before.items():
        slow, fast = (len(after[f"{name} (variant {k})"]) for k in (1, 2))
        assert slow / len(x) == pytest.approx(1 / 0.9, abs=0.06)
        assert fast / len(x) == pytest.approx(1 / 1.1, abs=0.06)


def test_variants_are_stored_once_and_train(tiny: list[str]) -> None:
    config = compose([*tiny, *WORDS, "seed=1"]).config
    train(config)
    store = Path(config.cache_dir) / "features"
    held = {path: path.stat().st_ino for path in store.rglob("*.safetensors")}
    train(compose([*tiny, *WORDS, "seed=2"]).config)
    assert {path: path.stat().st_ino for path in store.rglob("*.safetensors")} == held


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["speeds=[0.4]"], r"speeds=\[0.4\].*from 0.5 to 2"),
        (["speeds=[0.955]"], "in hundredths"),
        (["snr=[10]"], "least and the greatest"),
        (["snr=[20,10]"], "least and the greatest"),
        (["copies=-1"], "must be 0 or more"),
        (["copies=1", "snr=[]", "speeds=[1.0]"], "would not differ"),
    ],
)
def test_settings_that_make_no_sense_are_refused(words: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        compose(["corpus=demo", *(f"training.waveform.{word}" for word in words)])
