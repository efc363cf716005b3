"""Learning curves and confusion matrices as PNG files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ser_lightning.evaluation.metrics import Scores
from ser_lightning.files import replacing

TRAIN, VALIDATION, CHOSEN = "#8c8c8c", "#1f5fa8", "#c44e28"


def confusion_png(path: Path, scores: Scores, classes: Sequence[str], title: str) -> None:
    """Counts in cells shaded by recall: rows are true classes, columns predicted ones."""
    counts = np.array(scores.confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 2.6 + 0.62 * len(classes)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    for (i, j), count in np.ndenumerate(counts):
        axes.text(
            j,
            i,
            f"{count}\n{shares[i, j]:.0%}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if shares[i, j] > 0.55 else "black",
        )
    plain: dict[str, Any] = {"parse_math": False}  # a class may have dollar signs
    axes.set_xticks(range(len(classes)), classes, rotation=35, ha="right", rotation_mode="anchor", **plain)
    axes.set_yticks(range(len(classes)), classes, **plain)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title(f"{title}\nUAR {scores.uar:.3f}   WA {scores.wa:.3f}   n = {scores.n}", fontsize=10, **plain)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    _save(figure, path)


def curves_png(path: Path, history: Sequence[Mapping[str, float | None]], chosen: int, title: str) -> None:
    """Loss and UAR of both parts over epochs; a line marks the epoch whose weights were kept."""
    figure = Figure(figsize=(9.0, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _curve(left, history, "loss")
    _curve(right, history, "uar")
    right.set_ylim(0.0, 1.02)
    for axes, name in ((left, "loss"), (right, "UAR")):
        axes.axvline(chosen, color=CHOSEN, linewidth=1.0, linestyle="--", label=f"kept: epoch {chosen}")
        axes.set(xlabel="epoch", ylabel=name)
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.get_major_locator().set_params(integer=True)
    right.legend(frameon=False, loc="lower right")
    figure.suptitle(title, fontsize=10)
    _save(figure, path)


def spectrogram(waveform: NDArray[np.float32], sample_rate: int) -> NDArray[np.uint8]:
    """A picture (height, width, RGBA) of a waveform's (N,) power over time (s) and frequency (kHz).

    Hann windows of 25 ms every 10 ms; the darkest colour is 80 dB below the brightest.
    """
    window, hop = round(0.025 * sample_rate), round(0.010 * sample_rate)
    padded = np.pad(waveform, (0, max(0, window - len(waveform))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop] * np.hanning(window)
    power = 10 * np.log10(np.abs(np.fft.rfft(frames, axis=1)) ** 2 + 1e-10)
    figure = Figure(figsize=(5.0, 2.6), layout="constrained")
    axes = figure.subplots()
    extent = (0.0, len(padded) / sample_rate, 0.0, sample_rate / 2000)
    top = float(power.max())
    axes.imshow(power.T, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=top - 80, vmax=top)
    axes.set(xlabel="s", ylabel="kHz")
    canvas: Any = FigureCanvasAgg(figure)  # of whose methods no type is known
    canvas.draw()
    return np.array(canvas.buffer_rgba())


def _curve(axes: Axes, history: Sequence[Mapping[str, float | None]], metric: str) -> None:
    for part, colour in (("train", TRAIN), ("validation", VALIDATION)):
        rows = [(row["epoch"], row.get(f"{part}/{metric}")) for row in history]
        points = np.array([(x, y) for x, y in rows if x is not None and y is not None]).reshape(-1, 2)
        axes.plot(points[:, 0], points[:, 1], color=colour, label=part, marker="o", markersize=2.5, linewidth=1.5)


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150)
