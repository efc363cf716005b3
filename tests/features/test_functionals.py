"""openSMILE functionals as an extractor: the numbers of the package, one frame an utterance, clear refusals."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from ser_lightning.corpora.audio import look
from ser_lightning.errors import UserError
from ser_lightning.features import functionals
from ser_lightning.features.audio import read_audio
from ser_lightning.features.extract import fill
from ser_lightning.features.extractor import extractor_key
from ser_lightning.features.functionals import Functionals
from ser_lightning.features.store import FeatureStore

pytest.importorskip("opensmile")

FeatureSet = Literal["eGeMAPSv02", "ComParE_2016"]
SETS: tuple[tuple[FeatureSet, int], ...] = (("eGeMAPSv02", 88), ("ComParE_2016", 6373))


def voice(samples: int = 16000) -> torch.Tensor:
    """A harmonic sound of 150 Hz with some noise."""
    time = np.arange(samples) / 16000
    sound = sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 20))
    noise = np.random.default_rng(0).normal(0, 0.01, samples)
    return torch.from_numpy((0.1 * sound + noise).astype(np.float32))


@pytest.mark.parametrize(("feature_set", "dim"), SETS)
def test_one_frame_with_the_numbers_of_opensmile(feature_set: FeatureSet, dim: int) -> None:
    import opensmile

    extractor = Functionals(feature_set=feature_set)
    features = extractor.extract(voice())
    reference = opensmile.Smile(getattr(opensmile.FeatureSet, feature_set), opensmile.FeatureLevel.Functionals)
    assert features.shape == (1, dim) == (1, extractor.dim)
    assert features.dtype == torch.float32
    np.testing.assert_array_equal(features.numpy(), reference.process_signal(voice().numpy(), 16000).to_numpy())


def test_pitch_is_that_of_the_sound() -> None:
    import opensmile

    names = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals).feature_names
    semitones = Functionals().extract(voice())[0, names.index("F0semitoneFrom27.5Hz_sma3nz_amean")].item()
    assert semitones == pytest.approx(12 * np.log2(150 / 27.5), abs=0.1)


def test_the_store_keeps_them(real_speech: Path, tmp_path: Path) -> None:
    path = sorted((real_speech / "emodb/wav").iterdir())[0]
    digest, store = look(path).digest, FeatureStore(tmp_path)
    assert fill(store, {"functionals": Functionals()}, [(digest, path)]) == {"functionals": 1}
    reader = store.reader(Functionals())
    assert reader.frames(digest) == 1
    assert torch.equal(reader[digest], Functionals().extract(read_audio(path, digest, [16000])[16000]))


@pytest.mark.parametrize(("feature_set", "dim"), SETS)
def test_silence_is_finite(feature_set: FeatureSet, dim: int) -> None:
    assert Functionals(feature_set=feature_set).extract(torch.zeros(8000)).isfinite().all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("feature_set", "dim"), SETS)
def test_what_is_shorter_than_the_longest_frame_is_refused(feature_set: FeatureSet, dim: int) -> None:
    # The longest frame of both sets is the 60 ms of pitch.
    assert Functionals(feature_set=feature_set).extract(voice(960)).isfinite().all()
    with pytest.raises(UserError, match=r"800 samples \(0\.050 s at 16000 Hz\) are too short.*960 samples"):
        Functionals(feature_set=feature_set).extract(voice(800))


def test_the_key_depends_on_set_rate_and_release(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [extractor_key(Functionals()), extractor_key(Functionals(feature_set="ComParE_2016"))]
    keys.append(extractor_key(Functionals(sample_rate=8000)))
    assert Functionals().parameters["opensmile"] == metadata.version("opensmile")
    monkeypatch.setattr(functionals, "_opensmile_version", lambda: "99.0")
    keys.append(extractor_key(Functionals()))
    assert len(set(keys)) == 4


def test_without_the_package_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    functionals._opensmile_version.cache_clear()
    monkeypatch.setattr(metadata, "version", absent)
    with pytest.raises(UserError, match=r"pip install 'ser-lightning\[opensmile\]'"):
        Functionals()


def test_parameters_out_of_range_are_refused() -> None:
    with pytest.raises(UserError, match="sample_rate=0"):
        Functionals(sample_rate=0)
    with pytest.raises(UserError, match=r"feature_set=eGeMAPS .*eGeMAPSv02"):
        Functionals(feature_set="eGeMAPS")  # type: ignore[arg-type]


def test_describing_them_imports_neither_torch_nor_opensmile() -> None:
    code = (
        "import sys; from ser_lightning.features.functionals import Functionals; Functionals().parameters; "
        "sys.exit(bool({'torch', 'opensmile'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
