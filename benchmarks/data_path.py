"""What stands between the feature store and the model: an epoch's time, padding, and a store of 55,310 utterances.

`python benchmarks/data_path.py`, about three minutes on two cores. All features are noise, of lengths as speech has
them (1 to 6 s), in stores made by the store's own means in a temporary folder.
"""

import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

import torch
import yaml
from measure import Bar, Seconds, compared, interleaved, report

from ser_lightning.config.schema import Training
from ser_lightning.data.batching import Batch
from ser_lightning.data.datamodule import PartRows, SERData, Stream
from ser_lightning.features.extract import SEGMENT_UTTERANCES
from ser_lightning.features.extractor import Extractor
from ser_lightning.features.log_mel import LogMel
from ser_lightning.features.mfcc import MFCC
from ser_lightning.features.store import FeatureStore, Reader, segments
from ser_lightning.models.fused import Fused
from ser_lightning.models.stream import StreamShape

CLASSES, BATCH = 4, 32
SMALL, LARGE = 5_531, 55_310
STREAMS = {"mfcc": MFCC(), "fine": LogMel(n_mels=40), "coarse": LogMel(n_fft=1024, hop=512, n_mels=64)}
"""Those of conf/features/small.yaml."""
NARROW = LogMel(n_mels=8)
READERS = (1, 2, 4, 8)

READ = """
import hashlib, sys
from pathlib import Path
from ser_lightning.features.store import Reader
reader = Reader(Path(sys.argv[1]))
names = (hashlib.sha256(str(number).encode()).hexdigest() for number in range(int(sys.argv[2])))
print(sum(float(reader[name].sum()) for name in names), flush=True)
sys.stdin.read()
"""
"""A process that has read everything, and stays until its standard input is closed."""


def digests(count: int) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest() for number in range(count)]


def fill(store: FeatureStore, extractor: Extractor, seconds: Iterable[float]) -> None:
    lengths = [max(1, round(one / extractor.hop_seconds)) for one in seconds]
    names = digests(len(lengths))
    for at in range(0, len(names), SEGMENT_UTTERANCES):
        part = slice(at, at + SEGMENT_UTTERANCES)
        made = {d: torch.randn(n, extractor.dim) for d, n in zip(names[part], lengths[part], strict=True)}
        store.add(extractor, made)


def speech(count: int) -> list[float]:
    """Seconds of each utterance."""
    return (1 + 5 * torch.rand(count, generator=torch.Generator().manual_seed(0)).square()).tolist()  # type: ignore[no-any-return]


def data(readers: Mapping[str, Reader], dims: Mapping[str, int], count: int, keep: str, workers: int = 0) -> SERData:
    names = digests(count)
    rows = PartRows(names, names, [n % CLASSES for n in range(count)], ["s"] * count, [0] * count)
    streams = {name: Stream([reader], dims[name], None) for name, reader in readers.items()}
    settings = Training(batch_size=BATCH, keep_on_device=keep, num_workers=workers)  # type: ignore[arg-type]
    return SERData({"train": rows}, streams, settings, 0, torch.device("cpu"))


def stepper() -> Callable[[Batch], None]:
    """A training step of conf/model/fused.yaml."""
    torch.manual_seed(0)
    options = yaml.safe_load((Path(__file__).parents[1] / "conf" / "model" / "fused.yaml").read_text(encoding="utf-8"))
    del options["name"]
    shapes = {n: StreamShape(e.dim, e.hop_seconds, None, e.spectrogram) for n, e in STREAMS.items()}
    model = Fused(shapes, CLASSES, **options)
    adam = torch.optim.Adam(model.parameters())

    def step(batch: Batch) -> None:
        adam.zero_grad()
        heads = model(batch.features, batch.lengths).heads
        losses = [w * torch.nn.functional.cross_entropy(logits, batch.labels) for w, logits in heads]
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        adam.step()

    return step


def epochs(folder: Path, utterances: int = 384, rounds: int = 7) -> Iterator[Bar]:
    """The same epoch from each place and from a list of its batches; and its padding."""
    store, seconds = FeatureStore(folder), speech(utterances)
    for extractor in STREAMS.values():
        fill(store, extractor, seconds)
    readers, dims = {n: store.reader(e) for n, e in STREAMS.items()}, {n: e.dim for n, e in STREAMS.items()}
    made = {
        "resident": data(readers, dims, utterances, "yes"),
        "mapped": data(readers, dims, utterances, "no"),
        "mapped, 2 workers": data(readers, dims, utterances, "no", 2),
    }
    loaders = {name: one.train_dataloader() for name, one in made.items()}
    ready, step = list(loaders["resident"]), stepper()

    def epoch(batches: Iterable[Batch]) -> None:
        for batch in batches:
            step(batch)

    rivals = {name: (lambda batches=batches: epoch(batches)) for name, batches in loaders.items()}
    times = interleaved({**rivals, "a list": lambda: epoch(ready)}, rounds)
    alone = interleaved({name: (lambda b=batches: sum(1 for _ in b)) for name, batches in loaders.items()}, rounds)
    for name in loaders:
        note = f"batches alone {median(alone[name]) / median(times['a list']):.2%} of the epoch"
        bar = None if "workers" in name else 1.03
        yield compared(f"epoch, {name}, against a list of its batches", times, name, "a list", bar, note=note)
    yield padding(made["resident"], seconds)


def padding(made: SERData, seconds: Sequence[float]) -> Bar:
    shuffled = torch.tensor(seconds)[torch.randperm(len(seconds), generator=torch.Generator().manual_seed(1))]
    waste = 1 - sum(seconds) / sum(len(part) * float(part.max()) for part in torch.split(shuffled, BATCH))
    note = f"of a batch's frames {made.padding:.1%} are padding, shuffled {waste:.1%}"
    return Bar("padding, similar lengths against shuffled", made.padding / waste, None, note=note)


def large(folder: Path) -> Iterator[Bar]:
    """Opening, readers, epochs against those of a tenth."""
    sizes = {SMALL: FeatureStore(folder / "small"), LARGE: FeatureStore(folder / "large")}
    for count, store in sizes.items():
        fill(store, NARROW, speech(count))
    opening = interleaved({"open": lambda: sizes[LARGE].reader(NARROW)}, rounds=7)["open"]
    shares = sorted(opening)
    quarter = len(shares) // 4
    note = f"seconds, not a ratio; {segment_bytes(sizes[LARGE]) / 2**20:.0f} MiB"
    spread = {"low": shares[quarter], "high": shares[-1 - quarter]}
    yield Bar(f"opening {LARGE:,} utterances (s)", median(shares), 1.0, **spread, note=note)
    # Before this process has maps of its own, which would take their share.
    yield from shared(sizes[LARGE])
    readers = {count: store.reader(NARROW) for count, store in sizes.items()}
    for keep, name in (("yes", "resident"), ("no", "mapped")):
        yield linear(readers, keep, name)


def linear(readers: Mapping[int, Reader], keep: str, name: str) -> Bar:
    """Time an utterance, of the batches alone: a model would hide what they cost."""
    loaders = {count: data({"x": r}, {"x": NARROW.dim}, count, keep).train_dataloader() for count, r in readers.items()}
    times = interleaved({str(count): (lambda b=b: sum(1 for _ in b)) for count, b in loaders.items()}, rounds=7)
    each: Seconds = {str(count): [one / count for one in times[str(count)]] for count in loaders}
    what = f"batches alone, {name}, an utterance of {LARGE:,} against of {SMALL:,}"
    return compared(what, each, str(LARGE), str(SMALL), 1.25)


def segment_bytes(store: FeatureStore) -> int:
    return sum(path.stat().st_size for path in segments(store.folder_of(NARROW)))


def shared(store: FeatureStore) -> Iterator[Bar]:
    """What N processes that have read everything hold of the store together, against one copy of it."""
    if not Path("/proc/self/smaps_rollup").exists():
        yield Bar("memory of the store in 8 readers", None, 1.05, note="needs Linux's /proc/PID/smaps_rollup")
        return
    command = [sys.executable, "-c", READ, str(store.folder_of(NARROW)), str(LARGE)]
    running: list[subprocess.Popen[str]] = []
    try:
        for count in READERS:
            fresh = [
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                for _ in range(count - len(running))
            ]
            running += fresh
            for process in fresh:
                assert process.stdout and process.stdout.readline(), "a reader failed"
            maps, whole = (sum(pss(process.pid, name) for process in running) for name in ("smaps", "smaps_rollup"))
            note = f"PSS of their maps {maps / 2**20:.0f} MiB, of all they hold {whole / 2**20:.0f} MiB"
            copies = maps / segment_bytes(store)
            yield Bar(f"memory of the store in {count} readers, of one copy", copies, 1.05, note=note)
    finally:
        for process in running:
            process.communicate()


def pss(pid: int, name: str) -> int:
    """Proportional share (bytes) of a process in the store's maps (`smaps`) or in all memory (`smaps_rollup`)."""
    text = Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", text, flags=re.MULTILINE)
    wanted = [block for block in blocks if name == "smaps_rollup" or ".safetensors" in block.split("\n", 1)[0]]
    return 1024 * sum(int(kib) for block in wanted for kib in re.findall(r"^Pss:\s+(\d+) kB", block, re.MULTILINE))


def bars() -> Iterator[Bar]:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        yield from epochs(Path(folder) / "epochs")
        yield from large(Path(folder))


if __name__ == "__main__":
    report(bars())
