"""What `bad_files` finds: one flipped bit, one missing byte, tensors that the extractor cannot have made."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from ser_lightning.errors import UserError
from ser_lightning.features.extractor import extractor_key, key_of
from ser_lightning.features.log_mel import LogMel
from ser_lightning.features.mfcc import MFCC
from ser_lightning.features.store import FeatureStore
from ser_lightning.features.verify import bad_files


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """Two segments of MFCC and one of log-mel."""
    store = FeatureStore(tmp_path)
    store.add(MFCC(), {"aa": torch.randn(9, 39)})
    store.add(MFCC(), {"bb": torch.randn(5, 39), "cc": torch.randn(1, 39)})
    store.add(LogMel(), {"aa": torch.randn(7, 128)})
    return store


def of(store: FeatureStore, digest: str) -> Path:
    return store.reader(MFCC()).path(digest)


def test_a_good_store_has_no_bad_files(store: FeatureStore) -> None:
    assert list(bad_files(store)) == []


def test_an_empty_store_has_none(tmp_path: Path) -> None:
    assert list(bad_files(FeatureStore(tmp_path / "none"))) == []


def test_features_of_an_earlier_version_of_reading_are_as_good_as_they_were(store: FeatureStore) -> None:
    now = store.folder / extractor_key(MFCC())
    now.rename(before := store.folder / key_of(MFCC.name, MFCC.version, MFCC().parameters, 1))
    assert [bad.path for bad in bad_files(store)] == [before / "extractor.json"]
    content = json.loads((before / "extractor.json").read_text())
    del content["reading"]  # which the first version did not write
    (before / "extractor.json").write_text(json.dumps(content))
    assert list(bad_files(store)) == []


@pytest.mark.parametrize("place", [0, 9, 0.5, -1])
def test_a_flipped_bit_is_found_wherever_it_is(store: FeatureStore, place: float) -> None:
    path = of(store, "bb")
    data = bytearray(path.read_bytes())
    at = int(place * len(data)) if place == 0.5 else int(place)
    data[at] ^= 1
    path.write_bytes(data)
    (bad,) = bad_files(store)
    assert bad.path == path
    assert "SHA-256" in bad.reason


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: b"", lambda data: data + b"\0"])
def test_a_byte_too_few_or_too_many_is_found(store: FeatureStore, change: Callable[[bytes], bytes]) -> None:
    path = of(store, "aa")
    path.write_bytes(change(path.read_bytes()))
    assert [bad.path for bad in bad_files(store)] == [path]


@pytest.mark.parametrize(
    ("tensor", "shown"),
    [
        (torch.zeros(4, 40), "F32 (4, 40) for dd, not F32 (T, 39)"),
        (torch.zeros(39), "F32 (39,) for dd"),
        (torch.zeros(4, 39, dtype=torch.float16), "F16 (4, 39) for dd"),
    ],
)
def test_tensors_that_the_extractor_cannot_have_made(store: FeatureStore, tensor: torch.Tensor, shown: str) -> None:
    data = save({"dd": tensor})
    path = store.folder / extractor_key(MFCC()) / f"{hashlib.sha256(data).hexdigest()}.safetensors"
    path.write_bytes(data)
    (bad,) = bad_files(store)
    assert bad.path == path
    assert shown in bad.reason


def test_what_is_no_segment_but_has_the_right_name(store: FeatureStore) -> None:
    path = store.folder / extractor_key(MFCC()) / f"{hashlib.sha256(b'hello').hexdigest()}.safetensors"
    path.write_bytes(b"hello")
    assert [(bad.path, bad.reason) for bad in bad_files(store)] == [(path, "is no feature segment")]


def test_a_description_of_another_extractor_is_found_and_written_again(store: FeatureStore) -> None:
    path = store.folder / extractor_key(MFCC()) / "extractor.json"
    good = path.read_bytes()
    content = json.loads(good)
    for text in (json.dumps(content | {"version": 2}), "{", "[]", json.dumps({"name": "mfcc"})):
        path.write_text(text)
        assert [bad.path for bad in bad_files(store)] == [path]
    path.unlink()
    assert ["is missing" in bad.reason for bad in bad_files(store)] == [True]
    store.mark_used(MFCC())
    assert path.read_bytes() == good
    assert list(bad_files(store)) == []


def test_a_file_that_cannot_be_read_is_no_verdict(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(hashlib, "file_digest", refused)
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\)"):
        list(bad_files(store))
