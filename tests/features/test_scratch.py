"""Features copied to a node's own disk: what is needed, once, whole, and never stale."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ser_lightning.config.compose import compose
from ser_lightning.config.identity import identity
from ser_lightning.errors import UserError
from ser_lightning.features import scratch
from ser_lightning.features.mfcc import MFCC
from ser_lightning.features.scratch import copied, expanded
from ser_lightning.features.store import FeatureStore, segments
from ser_lightning.features.verify import bad_files
from ser_lightning.runs.prepare import prepare

from .limits import small_files


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    found = FeatureStore(tmp_path / "shared")
    for value, digest in enumerate("abc"):
        found.add(MFCC(), {digest: torch.full((3, 39), float(value))})
    return found


def names(folder: Path) -> set[str]:
    return {path.name for path in segments(folder)}


def test_only_segments_that_are_needed_are_copied_and_read_from_there(store: FeatureStore, tmp_path: Path) -> None:
    reader = copied(store, MFCC(), ["a", "c", "never stored"], tmp_path / "node")
    assert reader["c"].equal(torch.full((3, 39), 2.0))
    assert "b" not in reader
    assert "never stored" not in reader
    shared = store.reader(MFCC())
    local = FeatureStore(tmp_path / "node" / "features")
    assert reader.path("a").is_relative_to(local.folder)
    assert names(local.folder_of(MFCC())) == {shared.path("a").name, shared.path("c").name}
    # A store like any other, so that `ser features verify` and `gc` work on it.
    assert list(bad_files(local)) == []


def test_a_copy_is_used_again_and_one_cut_short_is_replaced(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = copied(store, MFCC(), ["a", "b"], tmp_path).path("a")
    first.write_bytes(first.read_bytes()[:-7])
    made: list[str] = []
    copy = scratch._copy
    monkeypatch.setattr(scratch, "_copy", lambda source, target: (made.append(target.name), copy(source, target)))
    assert copied(store, MFCC(), ["a", "b"], tmp_path)["a"].equal(torch.zeros(3, 39))
    assert made == [first.name]


def test_several_at_once_copy_once(store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    copy = scratch._copy
    monkeypatch.setattr(scratch, "_copy", lambda source, target: (made.append(target.name), copy(source, target)))
    threads = [
        threading.Thread(target=copied, args=(store, MFCC(), ["a", "b", "c"], tmp_path / "node")) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == sorted(names(store.folder_of(MFCC())))


def test_a_broken_source_is_not_copied(store: FeatureStore, tmp_path: Path) -> None:
    path = store.reader(MFCC()).path("a")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"{path.name}: broken feature segment.*ser features verify"):
        copied(store, MFCC(), ["a"], tmp_path / "node")
    assert not list((tmp_path / "node").rglob("*.safetensors"))


def test_a_full_disk_names_the_key_and_leaves_no_half_copy(store: FeatureStore, tmp_path: Path) -> None:
    said = r"scratch_dir: .*node.*cannot take.*\(File too large\).*scratch_dir=null"
    with pytest.raises(UserError, match=said), small_files(100):
        copied(store, MFCC(), ["a"], tmp_path / "node")
    assert not [path for path in (tmp_path / "node").rglob("*") if path.is_file() and path.name != ".copying"]


def test_a_folder_that_cannot_be_made_names_the_key(store: FeatureStore, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"scratch_dir: .*Not a directory"):
        copied(store, MFCC(), ["a"], tmp_path / "file")


def test_variables_are_those_of_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_TMPDIR", "/local/7")
    assert expanded("$SLURM_TMPDIR/ser") == Path("/local/7/ser")
    assert expanded("${SLURM_TMPDIR}x") == Path("/local/7x")
    monkeypatch.delenv("SLURM_TMPDIR")
    with pytest.raises(UserError, match=r"scratch_dir=\$SLURM_TMPDIR/ser: the variable SLURM_TMPDIR is not set here"):
        expanded("$SLURM_TMPDIR/ser")


def test_a_training_reads_its_copy_and_is_the_same_run(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_DISK", str(tmp_path / "node"))
    config = compose([*tiny, "scratch_dir=$NODE_DISK"]).config
    assert identity(config) == identity(compose(tiny).config)
    prepared = prepare(config)
    parts, _ = prepared.split()
    data = prepared.data(parts, ("train", "validation"), ["mfcc"], torch.device("cpu"))
    place = tmp_path / "node" / "features"
    assert data.streams["mfcc"].readers[0].folder.is_relative_to(place)
    plain = replace(prepared, config=compose(tiny).config).data(parts, ("train",), ["mfcc"], torch.device("cpu"))
    theirs, ours = (next(iter(one.in_order("train"))).features["mfcc"] for one in (data, plain))
    assert theirs.equal(ours)
    # A test part is read once: what is not there (the variable, on a login node) is not asked for.
    monkeypatch.delenv("NODE_DISK")
    prepared.data(parts, ("test",), ["mfcc"], torch.device("cpu"))
