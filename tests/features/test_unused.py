"""What a collection may remove: old, and needed by nobody who is asked about."""

import os
import time
from pathlib import Path

import pytest
import torch

from ser_lightning.errors import UserError
from ser_lightning.features.log_mel import LogMel
from ser_lightning.features.mfcc import MFCC
from ser_lightning.features.store import FeatureStore
from ser_lightning.features.unused import find_unused, still_old


def add(store: FeatureStore, extractor: MFCC | LogMel, *digests: str, hours: float = 2) -> Path:
    """Store a segment of its own, written so long ago."""
    before = set(store.folder.rglob("*.safetensors"))
    store.add(extractor, {digest: torch.ones(3, extractor.dim) for digest in digests})
    (path,) = set(store.folder.rglob("*.safetensors")) - before
    os.utime(path, (time.time() - hours * 3600,) * 2)
    return path


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path)


def test_segments_are_needed_by_extractor_and_by_one_digest(store: FeatureStore) -> None:
    add(store, MFCC(), "a", "b")
    gone = add(store, MFCC(), "c")
    other = add(store, MFCC(hop=80), "a", "b")
    add(store, LogMel(), "b")
    found = find_unused(store, [MFCC(), LogMel()], ["a"])
    # LogMel has no "a"; what it has of "b" is unneeded as well.
    assert set(found.old) == {gone, other, store.reader(LogMel()).path("b")}
    assert found.old[gone] == gone.stat().st_size
    assert set(find_unused(store, [MFCC(), LogMel()], ["a", "b"]).old) == {gone, other}


def test_what_two_processes_computed_is_needed_once(store: FeatureStore) -> None:
    both = {add(store, MFCC(), "a", "b"), add(store, MFCC(), "a", "b", "c")}
    kept = store.reader(MFCC()).path("a")
    found = find_unused(store, [MFCC()], ["a", "b"])
    assert set(found.old) == both - {kept}
    for path in still_old(found):
        path.unlink()
    assert store.missing(MFCC(), ["a", "b"]) == []


def test_the_young_stay_and_are_counted(store: FeatureStore) -> None:
    add(store, MFCC(), "a", hours=0.9)
    old = add(store, MFCC(), "b", hours=1.1)
    found = find_unused(store, [], [])
    assert (set(found.old), found.young) == ({old}, 1)


def test_being_used_makes_young_even_after_it_was_found(store: FeatureStore) -> None:
    path = add(store, MFCC(), "a")
    found = find_unused(store, [], [])
    assert list(still_old(found)) == [path]
    store.mark_used(MFCC())
    assert list(still_old(found)) == []
    assert find_unused(store, [], []).young == 1


def test_files_of_killed_writers_count_when_they_are_a_day_old(store: FeatureStore) -> None:
    folder = add(store, MFCC(), "a").parent
    for name, hours in {".x-1.tmp.safetensors": 25, ".y-2.tmp.safetensors": 23}.items():
        (folder / name).touch()
        os.utime(folder / name, (time.time() - hours * 3600,) * 2)
    assert [path.name for path in find_unused(store, [MFCC()], ["a"]).old] == [".x-1.tmp.safetensors"]


def test_a_broken_segment_that_may_be_needed_is_told(store: FeatureStore) -> None:
    add(store, MFCC(), "a").write_bytes(b"")
    with pytest.raises(UserError, match="ser features verify"):
        find_unused(store, [MFCC()], ["a"])
