"""The dual-sequence layer against torch.nn.LSTM, and against a cell that is stepped through in Python.

python benchmarks/recurrence.py    one line a bar; the GPU's bars where there is one
"""

from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import NamedTuple

import torch
from measure import Bar, compared, interleaved, report
from torch import Tensor, nn

from ser_lightning.models.ds_lstm.cell import DualSequenceLSTM, GateNormName

Call = Callable[[], object]


class Size(NamedTuple):
    """Steps, utterances, widths of the two sequences and of the state."""

    T: int
    B: int
    Dx: int
    Dy: int
    H: int

    def flop(self) -> float:
        """Of one layer's forward matrix products; backward has twice as many."""
        return 2 * self.T * self.B * self.H * (5 * self.Dx + 5 * self.Dy + 6 * self.H)

    def __str__(self) -> str:
        return f"T={self.T} B={self.B} D={self.Dx}+{self.Dy} H={self.H}"


# size, bar of forward + backward, bar of forward
SIZES = [
    (Size(27, 128, 496, 1008, 200), 1.10, 1.25),
    (Size(60, 64, 480, 480, 200), 1.10, 1.25),
    (Size(120, 32, 200, 200, 128), 1.40, 1.50),
]
PAPER = SIZES[0][0]
WIDE = Size(60, 64, 480, 480, 512)
ROUNDS = 15
PEAK_SIZE = 1024
PEAK_FLOP = 2 * PEAK_SIZE**3


class StepwiseCell(nn.Module):
    """The cell as one writes it down: inputs joined to the state, three linear maps, every step in Python."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.hidden = size.H
        self.gates = nn.Linear(size.Dx + size.Dy + size.H, 4 * size.H)
        self.candidate_x = nn.Linear(size.Dx + size.H, size.H)
        self.candidate_y = nn.Linear(size.Dy + size.H, size.H)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """x (T, B, Dx), y (T, B, Dy) -> (T, B, H)."""
        h = c = x.new_zeros(x.shape[1], self.hidden)
        outputs = []
        for now_x, now_y in zip(x, y, strict=True):
            forget, in_x, out, in_y = self.gates(torch.cat([now_x, now_y, h], 1)).sigmoid().chunk(4, 1)
            candidate_x = self.candidate_x(torch.cat([now_x, h], 1)).tanh()
            candidate_y = self.candidate_y(torch.cat([now_y, h], 1)).tanh()
            c = forget * c + in_x * candidate_x + in_y * candidate_y
            h = out * c.tanh()
            outputs.append(h)
        return torch.stack(outputs)


def bars() -> Iterator[Bar]:
    """Every bar; inputs lie time first in memory on both sides, their concatenation is outside the timing."""
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for size, both, alone in SIZES:
            yield from against_lstm(size, threads, both, alone)
        yield from told(threads)
    torch.set_num_threads(before)
    yield from gpu_bars()


def against_lstm(size: Size, threads: int, both: float, alone: float) -> Iterator[Bar]:
    rivals = {"ours": ours(size), "nn.LSTM": lstm(size)}
    square = torch.rand(PEAK_SIZE, PEAK_SIZE)
    product = partial(torch.mm, square, square)
    for name, make, passes, bar in (("forward+backward", training, 3, both), ("forward", inference, 1, alone)):
        times = interleaved({rival: make(*call) for rival, call in rivals.items()} | {"product": product}, ROUNDS)
        paired = zip(times["ours"], times["product"], strict=True)
        shares = [passes * size.flop() / own / (PEAK_FLOP / peak) for own, peak in paired]
        title = f"{name}, {size}, {counted(threads)}"
        yield compared(title, times, "ours", "nn.LSTM", bar, note=f"{median(shares):.0%} of a large product's speed")


def told(threads: int) -> Iterator[Bar]:
    """What nothing is asked of: other ways to the same numbers, the authors' norm, the authors' two layers."""
    own = training(*ours(PAPER))
    for name, call in (
        ("a cell stepped in Python", stepwise(PAPER)),
        ("our reference", ours(PAPER, recurrence="reference")),
    ):
        times = interleaved({"ours": own, "other": training(*call)}, ROUNDS // 3)
        yield compared(f"against {name}, {PAPER}, {counted(threads)}", times, "ours", "other", None, "at least")
    normed = [training(*ours(PAPER, gate_norm="post_sigmoid_bn", recurrence=way)) for way in ("fused", "reference")]
    times = interleaved(dict(zip(("ours", "other"), normed, strict=True)), ROUNDS // 3)
    title = f"post_sigmoid_bn against our reference, {PAPER}, {counted(threads)}"
    yield compared(title, times, "ours", "other", None, "at least")
    times = interleaved({"ours": training(*ours(PAPER, 2)), "nn.LSTM": training(*lstm(PAPER, 2))}, ROUNDS // 3)
    yield compared(f"two layers, {PAPER}, {counted(threads)}", times, "ours", "nn.LSTM", None)


def gpu_bars() -> Iterator[Bar]:
    asked = [(size, 1.2) for size, *_ in SIZES] + [(WIDE, 1.5)]
    for size, bar in asked:
        for dtype in (torch.float32, torch.bfloat16):
            title = f"GPU forward+backward, {size}, {str(dtype).removeprefix('torch.')}"
            if not torch.cuda.is_available():
                yield unmeasured(title, bar, "at most")
            else:
                yield against_cudnn(title, size, dtype, bar)
    title = f"GPU against a cell stepped in Python, {PAPER}"
    if not torch.cuda.is_available():
        yield unmeasured(title, 30, "at least")
        return
    rivals = {"ours": ours(PAPER, device="cuda"), "stepped": stepwise(PAPER, "cuda")}
    times = interleaved({name: waited(training(*call)) for name, call in rivals.items()}, ROUNDS, warm_up=3)
    yield compared(title, times, "ours", "stepped", 30, "at least")


def against_cudnn(title: str, size: Size, dtype: torch.dtype, bar: float) -> Bar:
    """TF32 off for both."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    rivals = {"ours": ours(size, device="cuda", dtype=dtype), "cuDNN": lstm(size, device="cuda", dtype=dtype)}
    times = interleaved({name: waited(training(*call)) for name, call in rivals.items()}, ROUNDS * 2, warm_up=3)
    return compared(title, times, "ours", "cuDNN", bar)


def unmeasured(title: str, bar: float, sense: str) -> Bar:
    note = "needs a GPU: python benchmarks/recurrence.py"
    return Bar(title, None, bar, "at most" if sense == "at most" else "at least", note=note)


Rival = tuple[nn.Module, list[Tensor], Callable[[], Tensor]]


def ours(
    size: Size,
    layers: int = 1,
    gate_norm: GateNormName = "none",
    recurrence: str = "fused",
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Rival:
    model = DualSequenceLSTM(
        size.Dx,
        size.Dy,
        size.H,
        num_layers=layers,
        dropout=0.0,
        gate_norm=gate_norm,
        out_norm="none",
        steps=size.T,
        recurrence="fused" if recurrence == "fused" else "reference",
    ).to(device, dtype)
    x, y = inputs(size, device, dtype)
    lengths = torch.full((size.B,), size.T, device=device)
    return model, [x, y], lambda: model(x.transpose(0, 1), y.transpose(0, 1), lengths)


def lstm(size: Size, layers: int = 1, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Rival:
    model = nn.LSTM(size.Dx + size.Dy, size.H, layers).to(device, dtype)
    joined = torch.cat(inputs(size, device, dtype), 2).detach().requires_grad_()
    return model, [joined], lambda: model(joined)[0]


def stepwise(size: Size, device: str = "cpu") -> Rival:
    model = StepwiseCell(size).to(device)
    x, y = inputs(size, device, torch.float32)
    return model, [x, y], lambda: model(x, y)


def inputs(size: Size, device: str, dtype: torch.dtype) -> list[Tensor]:
    shapes = [(size.T, size.B, size.Dx), (size.T, size.B, size.Dy)]
    return [torch.randn(shape, device=device, dtype=dtype).requires_grad_() for shape in shapes]


def training(model: nn.Module, leaves: list[Tensor], forward: Callable[[], Tensor]) -> Call:
    """Forward and backward, to the inputs as well."""
    upstream = torch.randn_like(forward())
    wanted = [*leaves, *model.parameters()]
    return lambda: torch.autograd.grad(forward(), wanted, upstream)


def inference(_model: nn.Module, _leaves: list[Tensor], forward: Callable[[], Tensor]) -> Call:
    return torch.no_grad()(forward)


def waited(call: Call) -> Call:
    """The call and what it left running on the GPU."""

    def both() -> None:
        call()
        torch.cuda.synchronize()

    return both


def counted(threads: int) -> str:
    return f"{threads} thread{'s' if threads > 1 else ''}"


if __name__ == "__main__":
    report(bars())
