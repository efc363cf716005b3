"""What the benchmarks share: a bar, rounds in which rivals take turns, the machine's matmul peak, the table."""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from rich.console import Console
from rich.table import Table

Seconds = Mapping[str, Sequence[float]]
"""Times of each rival, round by round."""


@dataclass(frozen=True)
class Bar:
    """One line of the table: a ratio measured in one run, and what it has to be."""

    name: str
    ratio: float | None
    """Median of the rounds' ratios; None where it can't be measured here."""
    bar: float | None
    """What is asked for; None where the figure is told and nothing is asked."""
    sense: Literal["at most", "at least"] = "at most"
    low: float | None = None
    high: float | None = None
    """Quartiles of the rounds' ratios."""
    note: str = ""
    """What has to be known beside it: times, shares of the peak, the command where hardware is missing."""

    @property
    def met(self) -> bool | None:
        """None: it can't be measured here, or nothing is asked."""
        if self.ratio is None or self.bar is None:
            return None
        return self.ratio <= self.bar if self.sense == "at most" else self.ratio >= self.bar


def interleaved(rivals: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 1) -> Seconds:
    """Times of all rivals, who take turns in every round, in turned order every other one.

    What disturbs the machine then disturbs all of them alike; ratios are taken within a round.
    """
    for _ in range(warm_up):
        for call in rivals.values():
            call()
    times: dict[str, list[float]] = {name: [] for name in rivals}
    for number in range(rounds):
        for name in list(rivals)[:: 1 if number % 2 == 0 else -1]:
            start = time.perf_counter()
            rivals[name]()
            times[name].append(time.perf_counter() - start)
    return times


def compared(
    name: str,
    times: Seconds,
    ours: str,
    theirs: str,
    bar: float | None,
    sense: Literal["at most", "at least"] = "at most",
    note: str = "",
) -> Bar:
    """`at most` asks how many times the rival's time is ours; `at least` how many times as fast we are."""
    pairs = list(zip(times[ours], times[theirs], strict=True))
    ratios = [mine / other if sense == "at most" else other / mine for mine, other in pairs]
    low, ratio, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    took = f"{milliseconds(times[ours])} against {milliseconds(times[theirs])}"
    return Bar(name, ratio, bar, sense, low, high, "; ".join(filter(None, [took, note])))


def milliseconds(times: Sequence[float]) -> str:
    """The median, for people."""
    return f"{statistics.median(times) * 1e3:.3g} ms"


def matmul_peak(threads: int, dtype: torch.dtype = torch.float32, size: int = 1536) -> float:
    """FLOP/s of the best of several large matrix products on this machine's CPU."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        a, b = (torch.rand(size, size).to(dtype) for _ in range(2))
        times = interleaved({"product": lambda: a @ b}, rounds=8)["product"]
    finally:
        torch.set_num_threads(before)
    return 2 * size**3 / min(times)


def report(bars: Iterable[Bar]) -> None:
    """Print the bars as they are measured; `--to FILE` appends each as a line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", type=Path)
    to = parser.parse_args().to
    for bar in bars:
        table([bar], header=False)
        sys.stdout.flush()  # what was measured is seen, also where it is redirected and the rest is cut off
        if to:
            with to.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(asdict(bar) | {"met": bar.met}) + "\n")


def table(bars: Iterable[Bar], header: bool = True) -> None:
    """One line a bar."""
    shown = Table(show_header=header, box=None, pad_edge=False)
    shown.add_column("bar", min_width=44, max_width=44)
    for name, width in (("ratio", 22), ("asked", 10), ("", 14)):
        shown.add_column(name, min_width=width, max_width=width)
    shown.add_column("measured")
    for one in bars:
        ratio = "-" if one.ratio is None else f"{one.ratio:.3g}x"
        spread = "" if one.low is None or one.high is None else f" [{one.low:.3g}, {one.high:.3g}]"
        asked = "" if one.bar is None else f"{'<=' if one.sense == 'at most' else '>='} {one.bar:g}x"
        shown.add_row(one.name, ratio + spread, asked, verdict(one), one.note)
    Console(width=200, highlight=False, markup=False).print(shown)


def verdict(bar: Bar) -> str:
    """What became of a bar, in words."""
    if bar.ratio is None:
        return "not measurable"
    return "told" if bar.met is None else "met" if bar.met else "NOT MET"
