"""The feature store: whole segments or none, whatever happens to writers."""

import json
import os
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from ser_lightning.errors import UserError
from ser_lightning.features.extractor import extractor_key
from ser_lightning.features.log_mel import LogMel
from ser_lightning.features.mfcc import MFCC
from ser_lightning.features.store import FeatureStore
from ser_lightning.features.verify import bad_files

from .limits import small_files


def features_of(*digests: str, frames: int = 5) -> dict[str, torch.Tensor]:
    return {digest: torch.full((frames, 39), float(len(digest))) for digest in digests}


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def segments_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.safetensors") if not path.name.startswith(".")]


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    prelude = """
import sys, torch
from pathlib import Path
from ser_lightning.features.mfcc import MFCC
from ser_lightning.features.store import FeatureStore
store = FeatureStore(Path(sys.argv[1]))
"""
    command = [sys.executable, "-c", prelude + code, *map(str, arguments)]
    # One thread: a process that forks after torch has started OpenMP's threads leaves a child that waits for them.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_what_is_added_is_read_back(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    added = {"aa": torch.randn(7, 39), "bb": torch.randn(1, 39)}
    store.add(MFCC(), added)
    reader = store.reader(MFCC())
    assert torch.equal(reader["aa"], added["aa"])
    assert torch.equal(reader["bb"], added["bb"])
    assert (reader.frames("aa"), reader.frames("bb")) == (7, 1)
    assert "aa" in reader
    assert "cc" not in reader
    with pytest.raises(KeyError):
        reader["cc"]


def test_missing_keeps_the_order_and_names_each_once(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    store.add(MFCC(), features_of("b"))
    assert store.missing(MFCC(), ["c", "b", "a", "c"]) == ["c", "a"]


def test_other_parameters_are_other_features(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    store.add(MFCC(), features_of("a"))
    assert store.missing(MFCC(hop=80), ["a"]) == ["a"]
    assert store.missing(LogMel(), ["a"]) == ["a"]
    assert store.missing(MFCC(), ["a"]) == []


def test_layout_is_described_for_people(tmp_path: Path) -> None:
    FeatureStore(tmp_path).add(LogMel(), features_of("a"))
    description = json.loads((tmp_path / extractor_key(LogMel()) / "extractor.json").read_text())
    assert (description["name"], description["version"]) == ("log_mel", 1)
    assert description["parameters"]["fmax"] == 8000.0


def test_segment_is_named_by_its_content(tmp_path: Path) -> None:
    FeatureStore(tmp_path).add(MFCC(), features_of("a"))
    FeatureStore(tmp_path).add(MFCC(), features_of("a"))
    (segment,) = segments_in(tmp_path)
    done = subprocess.run(["sha256sum", segment], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == segment.stem


def test_reader_maps_the_file_and_cannot_change_it(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    store.add(MFCC(), features_of("a"))
    values = store.reader(MFCC())["a"]
    maps = Path("/proc/self/maps")
    assert not maps.exists() or segments_in(tmp_path)[0].name in maps.read_text()
    values.zero_()
    assert torch.equal(store.reader(MFCC())["a"], torch.ones(5, 39))


def test_reader_can_be_sent_to_a_worker_process(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    store.add(MFCC(), features_of("a"))
    reader = pickle.loads(pickle.dumps(store.reader(MFCC())))
    assert torch.equal(reader["a"], torch.ones(5, 39))


def test_writer_killed_in_mid_write_leaves_nothing_to_read(tmp_path: Path) -> None:
    code = """
import os, signal
def half(self, data):
    with self.open("wb") as file:
        file.write(data[: len(data) // 2])
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
Path.write_bytes = half
store.add(MFCC(), {"a": torch.ones(1000, 39)})
"""
    assert run(code, tmp_path).returncode == -9
    left = [name for name in files_in(tmp_path) if name.endswith(".safetensors")]
    assert len(left) == 1  # the half-written file is there ...
    store = FeatureStore(tmp_path)
    assert store.missing(MFCC(), ["a"]) == ["a"]  # ... and not read
    store.add(MFCC(), features_of("a"))
    assert store.missing(MFCC(), ["a"]) == []
    (temporary,) = tmp_path.rglob(left[0])
    os.utime(temporary, (time.time() - 25 * 3600,) * 2)
    store.add(MFCC(), features_of("b"))
    assert not temporary.exists()


POINTS = ("first", "open", "half", "fsync", "replace", "replaced")


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store a point, whose writer of a second segment killed itself there; one torch serves all, by forks.

    At the first point it is an empty store, and the description is being written.
    """
    folder = tmp_path_factory.mktemp("killed")
    code = """
import os, signal
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
def half(self, data):
    with self.open("wb") as file:
        file.write(data[: len(data) // 2])
        file.flush()
        die()
def replaced(self, target, move=Path.replace):
    move(self, target)
    die()
places = {"first": (os, die), "open": (os, die), "half": (Path, half), "fsync": (os, die),
          "replace": (Path, die), "replaced": (Path, replaced)}
names = {"first": "fsync", "half": "write_bytes", "replaced": "replace"}
for point, (where, fault) in places.items():
    store = FeatureStore(Path(sys.argv[1]) / point)
    if point != "first":
        store.add(MFCC(), {"a": torch.ones(1000, 39)})
    if (child := os.fork()) == 0:
        setattr(where, names.get(point, point), fault)
        store.add(MFCC(), {"b": torch.full((1000, 39), 2.0)})
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
"""
    done = run(code, folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("point", POINTS)
def test_a_writer_killed_at_any_point_leaves_nothing_or_all(killed: Path, point: str) -> None:
    store = FeatureStore(killed / point)
    assert store.missing(MFCC(), ["a", "b"]) == {"first": ["a", "b"], "replaced": []}.get(point, ["b"])
    assert list(bad_files(store)) == []
    # What was half done is there under a hidden name, except before it had one and after it was done.
    hidden = [name for name in files_in(store.folder) if name.startswith(".")]
    assert len(hidden) == (0 if point in ("open", "replaced") else 1)
    store.add(MFCC(), {"b": torch.full((1000, 39), 2.0)})
    assert torch.equal(store.reader(MFCC())["b"], torch.full((1000, 39), 2.0))
    assert len(segments_in(store.folder)) == (1 if point == "first" else 2)
    assert list(bad_files(store)) == []


def test_what_killed_writers_left_is_removed_after_a_day(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    store.add(MFCC(), features_of("a"))
    store.add(LogMel(), features_of("a"))
    (segment,) = (tmp_path / extractor_key(MFCC())).glob("*.safetensors")
    ages = {".seg-x.tmp.safetensors": 25, ".extractor-y.tmp.json": 25, ".seg-z.tmp.safetensors": 23, segment.name: 99}
    for extractor in (MFCC(), LogMel()):
        for name, hours in ages.items():
            path = tmp_path / extractor_key(extractor) / name
            path.touch()
            os.utime(path, (time.time() - hours * 3600,) * 2)
    before = set(files_in(tmp_path))
    store.add(MFCC(), features_of("b"))
    assert before - set(files_in(tmp_path)) == {".seg-x.tmp.safetensors", ".extractor-y.tmp.json"}
    assert store.missing(MFCC(), ["a", "b"]) == []


def test_concurrent_writers_do_no_harm(tmp_path: Path) -> None:
    # Overlapping digests in segments of different content, and one identical segment, again and again.
    code = """
shift = int(sys.argv[2])
for round in range(15):
    store.add(MFCC(), {f"{n:02x}": torch.full((20, 39), float(n)) for n in range(shift, shift + 8)})
    store.add(MFCC(), {f"{n:02x}": torch.full((20, 39), float(n)) for n in range(round, round + 4)})
    assert not store.missing(MFCC(), [f"{n:02x}" for n in range(shift, shift + 8)])
"""
    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(lambda shift: run(code, tmp_path, shift), (0, 4)):
            assert done.returncode == 0, done.stderr
    reader = FeatureStore(tmp_path).reader(MFCC())
    for n in range(18):
        assert torch.equal(reader[f"{n:02x}"], torch.full((20, 39), float(n)))
    assert not [name for name in files_in(tmp_path) if name.startswith(".")]
    assert len(segments_in(tmp_path)) == 17  # two of eight, fifteen of four


@pytest.mark.parametrize("length", [0, 4, 60, -1])
def test_broken_segment_is_named_with_the_remedy(tmp_path: Path, length: int) -> None:
    store = FeatureStore(tmp_path)
    store.add(MFCC(), features_of("a"))
    (segment,) = segments_in(tmp_path)
    segment.write_bytes(segment.read_bytes()[:length])
    with pytest.raises(UserError, match=rf"{segment.name}: broken feature segment.*delete the file"):
        store.missing(MFCC(), ["a"])
    segment.unlink()
    assert store.missing(MFCC(), ["a"]) == ["a"]


def test_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    # 10,000 x 39 float32 are 1.49 MiB.
    found, said = (
        features_of("a", frames=10_000),
        r"cannot write 1\.5 MiB of features \(File too large\); free some space",
    )
    with pytest.raises(UserError, match=said), small_files(100_000):
        store.add(MFCC(), found)
    assert files_in(tmp_path) == ["extractor.json"]
    assert store.missing(MFCC(), ["a"]) == ["a"]
