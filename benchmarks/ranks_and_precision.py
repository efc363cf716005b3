"""Utterances a second by ranks, precision and accumulation: what scales on this machine, and what doesn't.

`python benchmarks/ranks_and_precision.py`, about two minutes on two cores. Every rank is a process of one thread that
trains the product's own models on made-up batches: forward, loss, backward, Adam; ranks share gradients over gloo by
DistributedDataParallel, as Lightning's do. The small model is MFCC-LSTM with 64 units, the large one a CNN-LSTM on
spectrograms of 230 x 128. Each pair of ranks follows a process alone, so that a busy machine shows in the spread.
"""

import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Literal

import torch
from measure import Bar, compared, interleaved, report
from torch import Tensor, distributed, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from ser_lightning.models.cnn_lstm import CNNLSTM
from ser_lightning.models.lstm import has_bfloat16
from ser_lightning.models.mfcc_lstm import MFCCLSTM
from ser_lightning.models.stream import StreamShape

Size = Literal["small", "large"]
BATCH = {"small": 32, "large": 8}
SECONDS = 2.0
"""How long a rank trains before its count is taken."""

ROUNDS = 5


def model_of(size: Size) -> tuple[nn.Module, dict[str, Tensor], dict[str, Tensor]]:
    """A model, and features and lengths of one batch."""
    torch.manual_seed(0)
    if size == "small":
        features = {"mfcc": torch.randn(BATCH[size], 300, 39)}
        lengths = {"mfcc": torch.full((BATCH[size],), 300)}
        return MFCCLSTM({"mfcc": StreamShape(39, 0.01, None)}, 4), features, lengths
    streams = {"fine": StreamShape(128, 0.016, 230, True)}
    model = CNNLSTM(streams, 4, spectrograms=["fine"], channels=[64, 16], kernels=[4, 2], hidden_dim=200)
    return model, {"fine": torch.randn(BATCH[size], 230, 128)}, {"fine": torch.full((BATCH[size],), 230)}


def stepper(size: Size, ranks: int = 1, bf16: bool = False, accumulate: int = 1) -> Callable[[], None]:
    """One optimiser step after another, of `accumulate` batches each."""
    model, features, lengths = model_of(size)
    trained = DistributedDataParallel(model) if ranks > 1 else model
    adam = torch.optim.Adam(model.parameters())
    labels = torch.arange(BATCH[size]) % 4

    def step() -> None:
        adam.zero_grad()
        for part in range(accumulate):
            silent = isinstance(trained, DistributedDataParallel) and part < accumulate - 1
            with trained.no_sync() if silent else nullcontext():  # type: ignore[operator]
                with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                    logits = trained(features, lengths).logits
                (functional.cross_entropy(logits.float(), labels) / accumulate).backward()  # type: ignore[no-untyped-call]
        adam.step()

    return step


def rank(number: int, ranks: int, size: Size, accumulate: int, meeting: str) -> float:
    """Utterances a second of all ranks, by one that trains with the others: as many steps as each can do."""
    torch.set_num_threads(1)
    if ranks > 1:
        distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=number, world_size=ranks)
    step = stepper(size, ranks, accumulate=accumulate)
    start = time.perf_counter()
    step()
    # a number that all ranks agree on, from how long one step took the slowest of them
    took = torch.tensor(time.perf_counter() - start)
    if ranks > 1:
        distributed.all_reduce(took, distributed.ReduceOp.MAX)
    steps = max(2, int(SECONDS / float(took)))
    start = time.perf_counter()
    for _ in range(steps):
        step()
    took = torch.tensor(time.perf_counter() - start)
    if ranks > 1:
        # The group stays until the process ends: without it DDP's own end was seen to wait for ever.
        distributed.all_reduce(took, distributed.ReduceOp.MAX)
    return ranks * steps * accumulate * BATCH[size] / float(took)


def throughput(ranks: int, size: Size, accumulate: int = 1) -> float:
    """Utterances a second of `ranks` fresh processes."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [(number, ranks, size, accumulate, str(Path(folder) / "meeting")) for number in range(ranks)]
        with multiprocessing.get_context("spawn").Pool(ranks) as pool:
            return min(pool.starmap(rank, arguments, chunksize=1))


def ranks_scale(size: Size, accumulate: int) -> Bar:
    pairs = [(throughput(1, size, accumulate), throughput(2, size, accumulate)) for _ in range(3)]
    low, middle, high = statistics.quantiles([two / one for one, two in pairs], n=4, method="inclusive")
    one, two = (statistics.median(values) for values in zip(*pairs, strict=True))
    note = f"{two:.0f} against {one:.0f} utterances/s"
    name = f"2 gloo ranks against 1 process, {size} model, accumulation {accumulate}"
    return Bar(name, middle, None, "at least", low, high, note)


def precision_and_accumulation(size: Size) -> Iterator[Bar]:
    torch.set_num_threads(1)
    rivals = {"32": stepper(size), "bf16-mixed": stepper(size, bf16=True)}
    rivals |= {f"accumulation {n}": stepper(size, accumulate=n) for n in (2, 4)}
    times = interleaved(rivals, ROUNDS)
    speed = BATCH[size] / statistics.median(times["32"])
    note = f"32: {speed:.0f} utterances/s" + ("" if has_bfloat16() else "; LSTM in float32, there is none in bfloat16")
    yield compared(f"bf16-mixed against 32, {size} model", times, "bf16-mixed", "32", None, "at least", note)
    for n in (2, 4):
        alike = {"32": times["32"], "n": [seconds / n for seconds in times[f"accumulation {n}"]]}
        yield compared(f"accumulation {n} against 1, a batch, {size} model", alike, "n", "32", None, "at least")


def bars() -> Iterator[Bar]:
    sizes: tuple[Size, ...] = ("small", "large")
    for size in sizes:
        yield from precision_and_accumulation(size)
    enough = len(os.sched_getaffinity(0)) > 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) > 1
    if enough:
        yield from (ranks_scale(size, accumulate) for size in sizes for accumulate in (1, 4))
    else:
        yield Bar("2 gloo ranks against 1 process", None, None, note="needs two cores")
    yield Bar("16-mixed against 32", None, None, note="needs a GPU: python benchmarks/ranks_and_precision.py")


if __name__ == "__main__":
    report(bars())
