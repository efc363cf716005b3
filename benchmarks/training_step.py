"""A training step of the paper's fused system against its layers written straight away; what each part of it gives.

`python benchmarks/training_step.py`, about four minutes on two cores. Model and sizes are those of paper_fused.yaml:
spectrograms of 230 x 128 and 120 x 256, 450 frames of MFCCs, batches of 32. A step is forward, both losses, backward
and Adam. Both sides begin from the same weights, and their losses are compared before anything is timed.
"""

import multiprocessing
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Literal, cast

import torch
import yaml
from measure import Bar, compared, interleaved, matmul_peak, report
from plain_fused import PlainFused, plain_block
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from ser_lightning.models.frontend import ConvBlock, FrontEnd
from ser_lightning.models.fused import Fused
from ser_lightning.models.stream import StreamShape

BATCH, SEED = 32, 0
FINE, COARSE = StreamShape(128, 256 / 16000, 230, True), StreamShape(256, 512 / 16000, 120, True)
STREAMS = {"mfcc": StreamShape(39, 0.01, None), "fine": FINE, "coarse": COARSE}
MFCC_FRAMES = 450
BF16 = torch.bfloat16
Features = dict[str, Tensor]
Rival = Literal["ours", "plain", "ours bf16"]


def models() -> tuple[Fused, PlainFused]:
    """Ours and the plain one, equal in every weight."""
    torch.manual_seed(SEED)
    path = Path(__file__).parents[1] / "conf" / "model" / "paper_fused.yaml"
    options = yaml.safe_load(path.read_text(encoding="utf-8"))
    del options["name"]
    ours = Fused(STREAMS, 4, **options)
    return ours, PlainFused(ours)


def batch() -> tuple[Features, Features, Tensor]:
    """Levels in dB as the paper's features have them, nothing normalised."""
    generator = torch.Generator().manual_seed(SEED)
    frames = {name: shape.frames or MFCC_FRAMES for name, shape in STREAMS.items()}
    features = {n: 60 + 20 * torch.randn(BATCH, frames[n], s.dim, generator=generator) for n, s in STREAMS.items()}
    features["mfcc"] = (features["mfcc"] - 60) / 20
    lengths = {name: torch.full((BATCH,), count) for name, count in frames.items()}
    return features, lengths, torch.arange(BATCH) % 4


def heads(model: Fused | PlainFused, features: Features, lengths: Features) -> list[Tensor]:
    if isinstance(model, PlainFused):
        return cast(list[Tensor], model(features, lengths))
    return [logits for _, logits in model(features, lengths).heads]


def stepper(model: Fused | PlainFused, bf16: bool = False) -> Callable[[], float]:
    """One training step after another; its loss. bf16 as Lightning's bf16-mixed: autocast of the forward pass."""
    adam = torch.optim.Adam(model.parameters())
    features, lengths, labels = batch()

    def step() -> float:
        adam.zero_grad()
        with torch.autocast("cpu", BF16) if bf16 else nullcontext():
            outputs = heads(model, features, lengths)
        loss = torch.stack([0.5 * functional.cross_entropy(logits.float(), labels) for logits in outputs]).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        return loss.item()

    return step


def check_agreement() -> None:
    losses = [stepper(model)() for model in models()]
    if abs(losses[0] - losses[1]) > 1e-4:
        raise SystemExit(f"the two sides do not compute the same: first losses {losses}")


def work() -> float:
    """Floating-point operations of a step, by shapes: what the plain side does, its LSTM's by hand."""
    _, plain = models()
    with FlopCounterMode(display=False) as counter:
        stepper(plain)()
    lstm = plain.lstm
    widths = [lstm.input_size] + [lstm.hidden_size] * lstm.num_layers
    recurrent = sum(2 * 4 * b * (a + b) for a, b in pairwise(widths)) * MFCC_FRAMES * BATCH
    return float(counter.get_total_flops() + 3 * recurrent)


def whole_step(threads: int, rounds: int) -> Iterator[Bar]:
    torch.set_num_threads(threads)
    bf16 = torch.cpu._is_avx512_bf16_supported()
    ours, plain = models()
    rivals = {"ours": stepper(ours), "plain": stepper(plain)}
    if bf16:
        rivals["ours bf16"] = stepper(models()[0], bf16=True)
    times = interleaved(rivals, rounds)
    peak, operations = matmul_peak(threads), work()
    shares = [f"{operations / min(times[name]) / peak:.0%}" for name in ("plain", "ours")]
    note = f"of the matmul peak ({peak / 1e9:.0f} GFLOP/s) {shares[0]} before, {shares[1]} now"
    name = f"fused paper step, B={BATCH}, {threads} thread{'s' * (threads > 1)}"
    yield compared(f"{name}, float32", times, "ours", "plain", 1.3, "at least", note)
    if bf16:
        share = f"bf16 product at {matmul_peak(threads, BF16) / peak:.2g} of float32's peak"
        yield compared(f"{name}, bf16-mixed", times, "ours bf16", "plain", 2.2, "at least", share)
    else:
        yield Bar(f"{name}, bf16-mixed", None, 2.2, "at least", note="needs a CPU with avx512_bf16")


def grown(rival: Rival) -> int:
    """MiB that this process grows by in a step; in a process of its own."""
    torch.set_num_threads(1)
    ours, plain = models()
    step = stepper(plain if rival == "plain" else ours, bf16=rival == "ours bf16")
    before = held()
    step()
    return (held() - before) // 1024


def held() -> int:
    """KiB that this process held at the most; getrusage would begin with what its parent held."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def memory() -> Bar:
    name = f"peak memory of a step, B={BATCH}, float32"
    if not Path("/proc/self/status").exists():
        return Bar(name, None, None, note="needs Linux")
    rivals: list[Rival] = ["ours", "plain"]
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        ours, plain = pool.map(grown, rivals, chunksize=1)
    return Bar(name, ours / plain, None, note=f"{ours} against {plain} MiB")


def forward_backward(layers: Callable[[Tensor], Tensor], spectrogram: Tensor) -> None:
    layers(spectrogram).float().square().mean().backward()  # type: ignore[no-untyped-call]


def first_blocks() -> Iterator[Bar]:
    """What each change gives to the dearest block: 64 channels on the finer spectrogram."""
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    image, lengths = 60 + 20 * torch.randn(BATCH, 1, 230, 128), torch.full((BATCH,), 230)
    block = ConvBlock(1, 64, (2, 4), fixed=True)
    plain = plain_block(block)
    conv, norm, relu, pool = plain
    last = nn.Sequential(nn.Conv2d(1, 64, (2, 4), padding=(0, 1)), nn.BatchNorm2d(64), nn.MaxPool2d(2), nn.ReLU())
    last = last.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    # one channel is both orders at once, and only the strides say which is meant
    strides = (230 * 128, 1, 128, 1)
    layers: Mapping[str, Callable[[Tensor], Tensor]] = {
        "plain": plain,
        "pooling before ReLU": lambda x: relu(pool(norm(conv(x)))),
        "that and channels_last": lambda x: last(x.as_strided(x.shape, strides)),
        "ours: norm folded, tiles in cache": lambda x: block(x, lengths)[0],
    }
    times = interleaved({name: partial(forward_backward, call, image) for name, call in layers.items()}, 3)
    for name in list(layers)[1:]:
        yield compared(f"first block, {name}, 1 thread", times, name, "plain", None, "at least")


def lengths_vary() -> Bar:
    """A front end whose utterances are 115 to 230 frames; the plain blocks there know no mask and do less."""
    torch.manual_seed(SEED)
    front = FrontEnd(StreamShape(128, 0.016, None), [64, 16], [4, 2])
    plain = nn.Sequential(*(plain_block(block) for block in front.blocks if isinstance(block, ConvBlock)))
    lengths = torch.linspace(115, 230, BATCH).long()
    spectrogram = (60 + 20 * torch.randn(BATCH, 230, 128)) * (torch.arange(230) < lengths[:, None])[..., None]
    rivals = {
        "ours": partial(forward_backward, lambda x: front(x, lengths)[0], spectrogram),
        "plain": partial(forward_backward, lambda x: plain(x[:, None]), spectrogram),
    }
    return compared(
        "front end, lengths vary, against no masks", interleaved(rivals, 3), "ours", "plain", None, "at least"
    )


def compiled() -> Bar:
    """torch.compile of the fused system's spectral front ends, which then leave the fusing to it."""
    name = "torch.compile of a front end, 1 thread"
    if not shutil.which("c++") and not shutil.which("g++"):
        return Bar(name, None, None, note="needs a C++ compiler")
    torch.manual_seed(SEED)
    front = FrontEnd(FINE, [64, 16], [4, 2])
    lengths, spectrogram = torch.full((BATCH,), 230), 60 + 20 * torch.randn(BATCH, 230, 128)
    program = torch.compile(front)
    start = time.perf_counter()
    forward_backward(lambda x: program(x, lengths)[0], spectrogram)
    note = f"first step {time.perf_counter() - start:.0f} s"
    rivals = {
        "compiled": partial(forward_backward, lambda x: program(x, lengths)[0], spectrogram),
        "as it is": partial(forward_backward, lambda x: front(x, lengths)[0], spectrogram),
    }
    return compared(name, interleaved(rivals, 5), "compiled", "as it is", None, "at least", note)


def bars() -> Iterator[Bar]:
    check_agreement()
    yield from whole_step(1, rounds=5)
    yield from whole_step(2, rounds=5)
    yield memory()
    yield from first_blocks()
    yield lengths_vary()
    yield compiled()


if __name__ == "__main__":
    report(bars())
