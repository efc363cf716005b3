"""Keys: equal for equal extraction, different for anything that can change a number."""

import dataclasses
import subprocess
import sys
from typing import Any, ClassVar

import pytest

from ser_lightning.config.components import TABLES
from ser_lightning.features.extractor import READING, extractor_key, key_of
from ser_lightning.features.functionals import Functionals
from ser_lightning.features.log_mel import LogMel
from ser_lightning.features.mfcc import MFCC


@dataclasses.dataclass(frozen=True)
class NextMFCC(MFCC):
    version: ClassVar[int] = MFCC.version + 1


@dataclasses.dataclass(frozen=True)
class MaskableMFCC(MFCC):
    spectrogram: ClassVar[bool] = not MFCC.spectrogram


def test_key_is_the_hash_of_the_canonical_description() -> None:
    # printf '%s' TEXT | sha256sum, with TEXT = {"name":"mfcc","parameters":{"hop":160.0,"lifter":22.0,
    # "n_cepstra":12.0,"n_mels":26.0,"preemphasis":0.97,"sample_rate":16000.0,"window":400.0},"reading":2,"version":1}
    assert extractor_key(MFCC()) == "1dec2eabb12f0489a72d6be8e6fc90e17032746186917c98732ba7f77db5a4a2"


def test_what_changes_the_reading_of_files_changes_the_key_of_every_extractor() -> None:
    keys = [key_of("theirs", 1, {}, reading) for reading in (1, 2, 3)]
    assert len(set(keys)) == 3
    assert keys[READING - 1] == key_of("theirs", 1, {})
    # printf '%s' '{"name":"mfcc","parameters":{...as above...},"version":1}' | sha256sum: no version of reading yet.
    first = key_of(MFCC.name, MFCC.version, MFCC().parameters, 1)
    assert first == "3865f947042a8d2ef7176fdacef419e84c01c14646c93323b630c938a7629e0c"


def test_null_and_its_meaning_have_one_key() -> None:
    assert extractor_key(LogMel()) == extractor_key(LogMel(fmax=8000.0, floor=1.0))
    assert extractor_key(LogMel(scale=1.0)) == extractor_key(LogMel(scale=1.0, floor=2.0**-30))


def test_whole_numbers_have_one_key_however_written() -> None:
    assert extractor_key(LogMel(fmin=0)) == extractor_key(LogMel(fmin=0.0))


@pytest.mark.parametrize("extractor", [MFCC(), LogMel()])
def test_every_parameter_changes_the_key(extractor: MFCC | LogMel) -> None:
    for field in dataclasses.fields(extractor):
        value = getattr(extractor, field.name)
        other = 4000.0 if value is None else value / 2 if isinstance(value, float) and value else value + 1
        changes: dict[str, Any] = {field.name: other}
        assert extractor_key(dataclasses.replace(extractor, **changes)) != extractor_key(extractor)


def test_version_and_name_change_the_key() -> None:
    assert extractor_key(NextMFCC()) != extractor_key(MFCC())
    assert extractor_key(MFCC(sample_rate=16000)) != extractor_key(LogMel(sample_rate=16000))


def test_whether_it_is_a_spectrogram_is_no_part_of_the_key() -> None:
    assert extractor_key(MaskableMFCC()) == extractor_key(MFCC())


def test_only_mel_bands_lie_along_frequency() -> None:
    assert {cls.name: cls.spectrogram for cls in (MFCC, LogMel, Functionals)} == {
        "mfcc": False,
        "log_mel": True,
        "functionals": False,
    }


def test_table_names_are_the_extractors_own() -> None:
    assert {f"{cls.__module__}:{cls.__name__}": cls.name for cls in (MFCC, LogMel, Functionals)} == {
        target: name for name, target in TABLES["extractor"].items()
    }


def test_describing_extractors_does_not_import_torch() -> None:
    code = (
        "import sys; from ser_lightning.features import extract, mfcc, log_mel, store; "
        "from ser_lightning.features.extractor import extractor_key; extractor_key(mfcc.MFCC()); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
