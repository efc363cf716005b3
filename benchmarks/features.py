"""Features of real speech against librosa and openSMILE, decoding included on all sides.

`python benchmarks/features.py`, about three minutes on two cores; needs EMO-DB beside the checkout
(../shared/data/emodb/wav). The streams are those of conf/features/paper.yaml: MFCCs with their deltas and two log-mel
spectrograms, from one decode a file here and in librosa. Nobody keeps them, and once both write them.
"""

import itertools
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import Bar, Seconds, compared, interleaved, report
from threadpoolctl import threadpool_limits

from ser_lightning.corpora.audio import look
from ser_lightning.features.extract import SEGMENT_UTTERANCES, fill
from ser_lightning.features.extractor import Extractor
from ser_lightning.features.filler import Filler, Task, handfuls
from ser_lightning.features.log_mel import LogMel
from ser_lightning.features.mfcc import MFCC
from ser_lightning.features.store import FeatureStore

ROOT = Path(__file__).parents[1]
SPEECH = ROOT.parent / "shared" / "data" / "emodb" / "wav"
OPENSMILE = ROOT / "tests" / "features" / "htk_mfcc.conf"
STREAMS: dict[str, Extractor] = {"mfcc": MFCC(), "fine": LogMel(), "coarse": LogMel(n_fft=1024, hop=512, n_mels=256)}
RATE = 16000
Items = Sequence[tuple[str, Path]]

PROCESSES = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from features import times_of_processes
print(json.dumps(times_of_processes(Path(sys.argv[2]))))
"""
"""A program that costs a worker nothing to import, as `ser features` does."""

GROWTH = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from features import filled_with_noise
print(filled_with_noise(Path(sys.argv[2]), int(sys.argv[3])))
"""


class Nowhere(FeatureStore):
    """Drops what it is given, as the rivals drop what they made."""

    def add(self, extractor: Extractor, features: Mapping[str, torch.Tensor]) -> None:
        pass


def in_memory(items: Items, streams: Mapping[str, Extractor]) -> None:
    """What `fill` does but for writing segments: audio checked by its digest, features for being finite."""
    filler = Filler(Nowhere(Path("nowhere")), streams, segment=SEGMENT_UTTERANCES)
    for some in handfuls([Task(digest, path, tuple(streams)) for digest, path in items], filler.handful):
        assert not any(filler(some))


def stored(items: Items, folders: Iterator[Path], workers: int = 1) -> None:
    fill(FeatureStore(next(folders)), STREAMS, items, workers=workers)


def librosa_streams(path: Path) -> dict[str, Any]:
    """The same three streams as a user of librosa makes them."""
    import librosa

    samples, rate = librosa.load(path, sr=None)
    frames = {"sr": rate, "n_fft": 512, "win_length": 400, "hop_length": 160, "window": "hamming", "n_mels": 26}
    static = librosa.feature.mfcc(y=samples, n_mfcc=13, **frames)
    deltas = [librosa.feature.delta(static, width=5, order=order) for order in (1, 2)]
    mels = {}
    for name, n_fft, hop, bands in (("fine", 512, 256, 128), ("coarse", 1024, 512, 256)):
        power = librosa.feature.melspectrogram(y=samples, sr=rate, n_fft=n_fft, hop_length=hop, n_mels=bands)
        mels[name] = librosa.power_to_db(power, top_db=None)
    return {"mfcc": np.concatenate([static, *deltas]), **mels}


def librosa_all(items: Items, folders: Iterator[Path] | None = None) -> None:
    folder = next(folders) if folders else None
    if folder:
        folder.mkdir()
    for digest, path in items:
        made = librosa_streams(path)
        if folder:
            np.savez(folder / digest, **made)


def opensmile_all(items: Items) -> Callable[[], None]:
    import opensmile
    import soundfile

    smile = opensmile.Smile(feature_set=str(OPENSMILE), feature_level="lld", loglevel=0)

    def run() -> None:
        for _, path in items:
            smile(*soundfile.read(path, dtype="float32"))

    return run


def against_others(items: Items, folders: Iterator[Path]) -> Iterator[Bar]:
    some = items[::3]
    rivals = {
        "ours": partial(in_memory, some, STREAMS),
        "librosa": partial(librosa_all, some),
        "ours, stored": partial(stored, some, folders),
        "librosa, stored": partial(librosa_all, some, folders),
        "ours, MFCC": partial(in_memory, some, {"mfcc": MFCC()}),
        "openSMILE": opensmile_all(some),
    }
    times = interleaved(rivals, rounds=7)
    yield compared("three streams against librosa, 1 thread", times, "ours", "librosa", 4, "at least")
    note = "segments with their SHA-256, flushed to the disk, against numpy.savez a file"
    yield compared("the same, both writing them", times, "ours, stored", "librosa, stored", None, "at least", note)
    yield compared("MFCC stream against openSMILE, 1 thread", times, "ours, MFCC", "openSMILE", 5, "at least")


def scanned(paths: Iterable[Path]) -> Items:
    return [(look(path).digest, path) for path in paths]


def times_of_processes(folder: Path) -> Seconds:
    """Of storing the streams of all files and of the same backwards, by 1 and 2 processes."""
    import soundfile

    torch.set_num_threads(1)
    paths = sorted(SPEECH.iterdir())
    for path in paths:
        samples, rate = soundfile.read(path, dtype="int16")
        soundfile.write(folder / path.name, samples[::-1], rate)
    items = scanned([*paths, *sorted(folder.iterdir())])
    folders = (folder / str(number) for number in itertools.count())
    return interleaved({str(count): partial(stored, items, folders, count) for count in (1, 2)}, rounds=7)


def processes(folder: Path) -> Bar:
    folder.mkdir()
    times = json.loads(printed_by(PROCESSES, folder))
    note = (
        f"{2 * len(list(SPEECH.iterdir()))} files; starting the workers, but for the first time, and writing are in it"
    )
    return compared("2 processes against 1, stored", times, "2", "1", 1.8, "at least", note)


def filled_with_noise(folder: Path, files: int) -> int:
    """Peak memory (KiB) of this process after filling a store from `files` files of a minute."""
    import soundfile

    torch.set_num_threads(1)
    rng, items = np.random.default_rng(0), []
    for number in range(files):
        path = folder / f"{number}.wav"
        soundfile.write(path, rng.uniform(-0.5, 0.5, 60 * RATE), RATE)
        items.append((look(path).digest, path))
    fill(FeatureStore(folder / "store"), STREAMS, items)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def printed_by(program: str, *arguments: object) -> str:
    command = [sys.executable, "-c", program, str(Path(__file__).parent), *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def memory(folder: Path) -> Bar:
    """Whether memory follows the corpus's size: in processes of their own, whose peaks are told."""
    peaks = {}
    for files in (120, 360):
        own = folder / f"noise-{files}"
        own.mkdir()
        peaks[files] = int(printed_by(GROWTH, own, files))
    note = f"peaks of {peaks[120] / 1024:.0f} and {peaks[360] / 1024:.0f} MiB"
    return Bar("memory, 6 hours of audio against 2", peaks[360] / peaks[120], 1.1, note=note)


def bars() -> Iterator[Bar]:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        yield memory(Path(folder))
        if not SPEECH.is_dir():
            yield Bar("features against librosa and openSMILE", None, None, note="needs EMO-DB in ../shared/data")
            return
        items = scanned(sorted(SPEECH.iterdir()))
        folders = (Path(folder) / str(number) for number in itertools.count())
        # librosa's products are NumPy's, which would take all cores.
        with threadpool_limits(1):
            yield from against_others(items, folders)
        yield processes(Path(folder) / "processes")


if __name__ == "__main__":
    report(bars())
