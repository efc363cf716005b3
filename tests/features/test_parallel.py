"""Extraction shared among processes: the same numbers, the same errors, and no worker outlives its parent."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from ser_lightning.corpora.audio import look
from ser_lightning.errors import ConfigError, UserError
from ser_lightning.features import extract, parallel
from ser_lightning.features.extract import fill
from ser_lightning.features.extractor import Extractor
from ser_lightning.features.log_mel import LogMel
from ser_lightning.features.mfcc import MFCC
from ser_lightning.features.store import FeatureStore
from ser_lightning.features.verify import bad_files

from ..waiting import until

Items = list[tuple[str, Path]]

MOODY = """
import os, signal, time
from dataclasses import dataclass
from pathlib import Path
from ser_lightning.features.mfcc import MFCC

@dataclass(frozen=True)
class Moody(MFCC):
    def extract(self, waveform):
        if waveform[0] > 0.8:
            os.kill(os.getpid(), signal.SIGKILL)
        if waveform[0] < 0:
            Path(__file__).with_name(f"asleep-{os.getpid()}").touch()
            time.sleep(60 if waveform[0] < -0.8 else 1)
        if waveform[0] > 0.7:
            raise ZeroDivisionError
        return super().extract(waveform)
"""
"""An extractor in a module of its own, which a worker can import; the first sample says what becomes of it."""


@pytest.fixture
def moody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Extractor:
    (tmp_path / "moody.py").write_text(MOODY)
    monkeypatch.syspath_prepend(str(tmp_path))
    import moody  # type: ignore[import-not-found]

    monkeypatch.delitem(sys.modules, "moody")
    made: Extractor = moody.Moody()
    monkeypatch.setitem(sys.modules, "moody", moody)
    return made


@pytest.fixture
def items(tmp_path: Path) -> Items:
    """Nine files of noise, 0.1 to 0.5 s."""
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{n}.wav" for n in range(9)]
    for n, path in enumerate(paths):
        soundfile.write(path, rng.uniform(-0.5, 0.5, 1600 + 800 * n), 16000)
    return [(look(path).digest, path) for path in paths]


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "store")


def starting_with(sample: float, path: Path) -> tuple[str, Path]:
    soundfile.write(path, np.r_[sample, np.zeros(1600)], 16000)
    return look(path).digest, path


def test_features_are_those_of_one_process_bit_for_bit(
    store: FeatureStore, items: Items, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "SEGMENT_UTTERANCES", 2)
    streams: dict[str, Extractor] = {"mfcc": MFCC(), "mel": LogMel()}
    other = FeatureStore(tmp_path / "other")
    assert fill(store, streams, items, workers=3) == fill(other, streams, items) == {"mfcc": 9, "mel": 9}
    for extractor in streams.values():
        mine, theirs = store.reader(extractor), other.reader(extractor)
        assert all(torch.equal(mine[digest], theirs[digest]) for digest, _ in items)
    assert fill(store, streams, items, workers=3) == {"mfcc": 0, "mel": 0}


def test_two_processes_fill_one_store_at_once(items: Items, store: FeatureStore) -> None:
    """In opposite orders, so that they pack their segments differently."""
    program = (
        "import os, sys; from pathlib import Path\n"
        "from ser_lightning.corpora.audio import look\n"
        "from ser_lightning.features import extract\n"
        "from ser_lightning.features.mfcc import MFCC\n"
        "from ser_lightning.features.store import FeatureStore\n"
        "extract.SEGMENT_UTTERANCES = 2\n"
        "items = [(look(path).digest, path) for path in map(Path, sys.argv[2:])]\n"
        "import safetensors.torch, ser_lightning.features.torchaudio_shim\n"  # both then start at once
        "child = os.fork()\n"
        "extract.fill(FeatureStore(Path(sys.argv[1])), {'x': MFCC()}, items if child else items[::-1])\n"
        "sys.exit(os.waitpid(child, 0)[1] if child else 0)"
    )
    command = [sys.executable, "-c", program, str(store.folder), *(str(path) for _, path in items)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(bad_files(store)) == []
    reader = store.reader(MFCC())
    for digest, path in items:
        samples, _ = soundfile.read(path, dtype="float32")
        assert torch.allclose(reader[digest], MFCC().extract(torch.from_numpy(samples)), atol=1e-4)


def test_bad_files_are_collected_in_their_order(store: FeatureStore, items: Items) -> None:
    for n in (1, 4, 7):
        items[n][1].write_bytes(b"no audio")
    with pytest.raises(UserError) as caught:
        fill(store, {"mfcc": MFCC()}, items, workers=2)
    head, *lines = str(caught.value).splitlines()
    assert "3 of the 9 audio files" in head
    assert [Path(line.strip().split(":")[0]).name for line in lines] == ["1.wav", "4.wav", "7.wav"]
    assert store.missing(MFCC(), [d for d, _ in items]) == [items[n][0] for n in (1, 4, 7)]


def test_a_store_that_cannot_be_written_is_told_once(store: FeatureStore, items: Items) -> None:
    store.folder.write_text("a file where the folder should be")
    with pytest.raises(UserError, match="cannot write"):
        fill(store, {"mfcc": MFCC()}, items, workers=2)


def test_parameters_that_suit_no_file_are_told_as_such(store: FeatureStore, items: Items) -> None:
    with pytest.raises(ConfigError, match="lower n_mels"):
        fill(store, {"mel": LogMel(n_mels=300)}, items, workers=2)


def test_a_killed_worker_is_named_with_its_file_and_work_goes_on_after(
    store: FeatureStore, items: Items, moody: Extractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "SEGMENT_UTTERANCES", 1)
    deadly = starting_with(0.9, tmp_path / "deadly.wav")
    with pytest.raises(UserError) as caught:
        fill(store, {"x": moody}, [*items, deadly], workers=2)
    message = str(caught.value)
    assert message.startswith("extraction worker ")
    assert "was killed by SIGKILL while it read " in message
    assert "deadly.wav" in message and "lower extraction_workers" in message
    # The deadly file is handed out last: all others are stored but at most the one in the other worker's hands.
    assert len(store.missing(moody, [d for d, _ in items])) <= 1
    assert fill(store, {"x": moody}, items)["x"] <= 1
    assert not store.missing(moody, [d for d, _ in items])


def test_all_files_in_the_hands_of_a_killed_worker_are_named(
    store: FeatureStore, items: Items, moody: Extractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "HANDFULS", 1)
    deadly = starting_with(0.9, tmp_path / "deadly.wav")
    with pytest.raises(UserError, match=r"while it read one of \S*0\.wav, \S*1\.wav, \S*deadly\.wav;"):
        fill(store, {"x": moody}, [*items[:2], deadly, *items[2:5]], workers=2)


def test_a_bug_in_a_worker_comes_with_its_traceback_and_file(
    store: FeatureStore, items: Items, moody: Extractor, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError, match="raise ZeroDivisionError") as caught:
        fill(store, {"x": moody}, [starting_with(0.75, tmp_path / "bug.wav"), *items], workers=2)
    assert "bug.wav" in caught.value.__notes__[0]


def alive(group: int) -> list[str]:
    shown = subprocess.run(["ps", "-A", "-o", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in shown.splitlines()]
    return [" ".join(row) for row in rows if row[0] == str(group) and not row[1].startswith("Z")]


@pytest.mark.usefixtures("moody")
@pytest.mark.parametrize("ended_by", ["SIGINT", "SIGKILL"])
def test_workers_end_with_their_parent(store: FeatureStore, tmp_path: Path, ended_by: str) -> None:
    """Ctrl-C reaches all processes and ends two workers in mid-file; a kill reaches the parent, they finish theirs."""
    program = (
        # What runs in a shell's background starts with SIGINT ignored.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from moody import Moody\n"
        "from ser_lightning.corpora.audio import look\n"
        "from ser_lightning.features.extract import fill\n"
        "from ser_lightning.features.store import FeatureStore\n"
        "items = [(look(path).digest, path) for path in map(Path, sys.argv[3:])]\n"
        "fill(FeatureStore(Path(sys.argv[2])), {'x': Moody()}, items, workers=2)"
    )
    first = -0.9 if ended_by == "SIGINT" else -0.7
    slow = [starting_with(first + shift, tmp_path / f"slow{shift}.wav")[1] for shift in (0, 0.01, 0.02, 0.03)]
    command = [sys.executable, "-c", program, *map(str, (tmp_path, store.folder, *slow))]
    parent = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True)
    until(lambda: len(list(tmp_path.glob("asleep-*"))) == 2, "two workers in mid-file")
    if ended_by == "SIGINT":
        os.killpg(parent.pid, signal.SIGINT)
    else:
        parent.kill()
    _, printed = parent.communicate()
    assert parent.returncode == -signal.Signals[ended_by]
    # Reading its error stream to the end has waited for all that inherited it; they may still be leaving.
    until(lambda: not alive(parent.pid), "an end of the workers")
    assert printed.count("Traceback") == (1 if ended_by == "SIGINT" else 0)
    assert store.missing(MFCC(), [look(path).digest for path in slow]) == [look(path).digest for path in slow]
