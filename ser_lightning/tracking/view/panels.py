"""The panels, which the workspace and the report share."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import wandb_workspaces.reports.v2.interface as wr

from ser_lightning.tracking.view.contents import Sweep

P = TypeVar("P", bound=wr.Panel)

CURVES = ("validation/uar", "validation/loss", "train/uar", "train/loss", "learning_rate", "gradient_norm")
"""Keys of the history, against `epoch`."""
MATRICES = ("test/confusion_matrix", "validation/confusion_matrix")
"""Keys of pictures."""
UAR, LOW, HIGH = "final/test/uar", "final/test/uar_low", "final/test/uar_high"
"""Keys of the summary of cross-validations: pooled, and the ends of the 95 % interval over speakers."""
MOST = 100
"""Runs that a panel shows."""
ACROSS, HEIGHT = 24, 8
"""Columns of a report's grid, and lines that a panel takes."""


def uar_by_model() -> Sequence[wr.BarPlot]:
    """Bars of the estimate and of both ends of its interval: W&B's bars have no whiskers from given numbers."""
    ends = wr.BarPlot(
        title="Test UAR: estimate between the ends of its 95 % interval over speakers",
        metrics=[LOW, UAR, HIGH],
        range_x=(0.0, 1.0),
        max_runs_to_show=MOST,
        max_bars_to_show=MOST,
    )
    models = wr.BarPlot(
        title="Test UAR by model: mean and range over its cross-validations",
        metrics=[UAR],
        range_x=(0.0, 1.0),
        groupby=wr.Config("model.name"),
        groupby_aggfunc="mean",
        groupby_rangefunc="minmax",
        max_runs_to_show=MOST,
        max_bars_to_show=MOST,
    )
    return placed([ends, models], 2)


def curves_by_group() -> Sequence[wr.LinePlot]:
    """Mean and standard deviation over the runs of a group, against epochs."""
    return placed([_curve(key) for key in CURVES], 2)


def _curve(key: str) -> wr.LinePlot:
    return wr.LinePlot(
        title=f"{key} by group: mean and standard deviation",
        x="epoch",
        y=[key],
        title_x="epoch",
        groupby="Group",
        groupby_aggfunc="mean",
        groupby_rangefunc="stddev",
        max_runs_to_show=MOST,
    )


def coordinates(sweep: Sweep) -> Sequence[wr.ParallelCoordinatesPlot]:
    """Parameters, then the objectives; what is minimised hangs upside down, so that up is better everywhere."""
    return placed([wr.ParallelCoordinatesPlot(title=f"Trials of {sweep.group}", columns=list(_columns(sweep)))], 1)


def _columns(sweep: Sweep) -> Iterator[wr.ParallelCoordinatesPlotColumn]:
    for axis in sweep.axes:
        yield wr.ParallelCoordinatesPlotColumn(wr.Config(axis.key), display_name=axis.key, log=axis.log)
    for key, direction in sweep.objectives.items():
        yield wr.ParallelCoordinatesPlotColumn(wr.SummaryMetric(key), inverted=direction == "minimize")


def confusion_matrices() -> Sequence[wr.MediaBrowser]:
    """Pictures, those of different runs side by side."""
    return placed([_pictures(key) for key in MATRICES], 1)


def _pictures(key: str) -> wr.MediaBrowser:
    return wr.MediaBrowser(title=key, media_keys=[key], num_columns=3, mode="gallery", gallery_axis="run")


def placed(panels: Sequence[P], columns: int) -> Sequence[P]:
    """The same panels, laid out in rows of a report's grid."""
    width = ACROSS // columns
    for i, panel in enumerate(panels):
        row, column = divmod(i, columns)
        panel.layout = wr.Layout(x=column * width, y=row * HEIGHT, w=width, h=HEIGHT)
    return panels
