"""The report's charts. Colours are classes, which the style sheet gives for light, dark and print.

Strips stand in tables beside their numbers and stretch with them (positions in percent); plots have axes of their own.
"""

from collections.abc import Sequence

from markupsafe import Markup

from ser_lightning.evaluation.calibration import Bin
from ser_lightning.reports.html.curves import Curve, Point, mean
from ser_lightning.reports.html.figures import FigureRow
from ser_lightning.reports.html.plot import Plot, end_labels, path
from ser_lightning.reports.html.svg import Scale, around, tag, title

MOST_POINTS = 8000
"""Of all thin lines of a plot together, so that hundreds of folds stay a small file."""


def forest_scale(rows: Sequence[FigureRow], metric: str) -> Scale:
    """An axis in percent that holds every value and interval of the metric."""
    ends = [end for row in rows for end in row.intervals.get(metric) or ()]
    found = [100 * value for value in [*ends, *(row.point(metric) for row in rows)] if value is not None]
    low, high = around(min(found), max(found), least=10)
    return Scale(max(low, 0), min(high, 100), 2, 98)


def forest_row(row: FigureRow, metric: str, scale: Scale) -> Markup:
    """The value as a mark whose shape says how the weights were chosen, on its interval."""
    value, interval = row.point(metric), row.intervals.get(metric)
    parts = [_line(scale(tick), 0, 34, "grid") for tick in scale.ticks()]
    if interval is not None:
        low, high = (f"{scale(100 * end)}%" for end in interval)
        parts.append(tag("line", x1=low, x2=high, y1=17, y2=17, class_="interval"))
    if value is not None:
        parts.append(tag("svg", _mark(row.choice), x=f"{scale(100 * value)}%", y=17, overflow="visible"))
    return tag("svg", *parts, class_="strip", height=34, aria_hidden="true")


def forest_axis(scale: Scale) -> Markup:
    """The numbers under a column of forest rows."""
    texts = [tag("text", f"{tick:g}", x=f"{scale(tick)}%", y=14, text_anchor="middle") for tick in scale.ticks()]
    return tag("svg", *texts, class_="strip", height=20, aria_hidden="true")


def _mark(choice: str) -> Markup:
    if choice == "chosen on validation":
        return tag("circle", r=5.5, class_="mark")
    if choice == "last epoch":
        return tag("circle", r=5, class_="mark hollow")
    return tag("path", d="M0 -6L6 5H-6Z", class_="mark suspect")


def strip(values: Sequence[float | None]) -> Markup:
    """Fractions on a line from 0 to 1: a disc for the first, a diamond for the second."""
    scale = Scale(0, 1, 4, 96)
    parts = [tag("line", x1="4%", x2="96%", y1=9, y2=9, class_="rail")]
    parts += [_line(scale(tick), 4, 14, "grid") for tick in (0, 0.5, 1)]
    marks = (tag("path", d="M0 -6L6 0L0 6L-6 0Z", class_="mark hollow"), tag("circle", r=3.5, class_="mark"))
    for value, mark in zip(reversed(values), marks[2 - len(values) :], strict=True):
        if value is not None:
            parts.append(tag("svg", mark, x=f"{scale(value)}%", y=9, overflow="visible"))
    return tag("svg", *parts, class_="strip", height=18, aria_hidden="true")


def _line(x: float, top: float, bottom: float, kind: str) -> Markup:
    return tag("line", x1=f"{x}%", x2=f"{x}%", y1=top, y2=bottom, class_=kind)


def learning(curves: Sequence[Curve], metric: str, name: str, unit: float = 1.0) -> Markup:
    """A metric over epochs in training and validation: each fold thin, their mean thick, kept epochs as dots."""
    parts = {part: [curve.metrics.get(f"{part}/{metric}", []) for curve in curves] for part in ("train", "validation")}
    parts = {part: lines for part, lines in parts.items() if any(lines)}
    if not parts:
        return tag("p", f"No {name} in metrics.csv.", class_="note")
    values = [unit * value for lines in parts.values() for line in lines for _, value in line]
    last = max(epoch for lines in parts.values() for line in lines for epoch, _ in line)
    low, high = (0.0, 100.0) if metric == "uar" else around(min(values), max(values), least=0.1)
    plot = Plot(430, 260, Scale(0, max(last, 1), 44, 350), Scale(max(low, 0.0), high, 222, 14))
    drawn = [plot.axes("epoch", name)]
    for part, lines in parts.items():
        drawn.append(_thin(plot, [[(x, unit * y) for x, y in line] for line in lines if line], part))
    kept = [point for curve in curves if (point := curve.kept_point(f"validation/{metric}"))]
    means = {part: [(x, unit * y) for x, y in mean(lines)] for part, lines in parts.items()}
    if len(curves) > 1:
        for kind in ("halo", "mean"):
            drawn += [tag("path", d=path(plot, line), class_=f"curve {kind} {part}") for part, line in means.items()]
    drawn += [tag("circle", cx=plot.x(x), cy=plot.y(unit * y), r=2.2, class_="kept") for x, y in kept]
    drawn += end_labels(plot, means)
    return plot.drawn(drawn, f"{name} over {last + 1} epochs, {len(curves)} trainings; {_ends(means)}")


def _thin(plot: Plot, lines: Sequence[Sequence[Point]], part: str) -> Markup:
    """The more lines, the fainter each, and the fewer of its points."""
    every = 1 + sum(map(len, lines)) // MOST_POINTS
    paths = [tag("path", d=path(plot, [*line[:-1:every], line[-1]])) for line in lines]
    opacity = 1 if len(lines) == 1 else max(0.07, min(0.35, 5 / len(lines)))
    return tag("g", *paths, class_=f"curve thin {part}", stroke_opacity=round(opacity, 2))


def _ends(means: dict[str, list[Point]]) -> str:
    return ", ".join(f"{part} ends at {line[-1][1]:.3g}" for part, line in means.items())


def reliability_plot(bins: Sequence[Bin]) -> Markup:
    """Accuracy against confidence by bin, with the gap to the diagonal, and how many rows each bin holds."""
    plot = Plot(340, 380, Scale(0, 100, 48, 328), Scale(0, 100, 266, 14))
    most = max(found.count for found in bins)
    parts = [plot.axes("confidence (%)", "accuracy (%)", labels_at=352)]
    parts.append(tag("path", d=path(plot, [(0, 0), (100, 100)]), class_="diagonal"))
    parts += [_bin(plot, found, most) for found in bins]
    parts.append(tag("line", x1=48, x2=328, y1=334, y2=334, class_="axis"))
    parts.append(tag("text", f"{most:,}", x=42, y=290, text_anchor="end"))
    parts.append(tag("text", "rows", x=42, y=334, text_anchor="end"))
    total = sum(found.count for found in bins)
    return plot.drawn(parts, f"Reliability diagram of {total} rows; the table below has its numbers")


def _bin(plot: Plot, found: Bin, most: int) -> Markup:
    x, y = plot.x(100 * found.confidence), plot.y(100 * found.accuracy)
    left, right = plot.x(100 * found.lower), plot.x(100 * found.upper)
    height = round(52 * found.count / most, 1)
    label = f"confidence {found.confidence:.1%}, accuracy {found.accuracy:.1%}, {found.count} rows"
    return tag(
        "g",
        title(label),
        tag("line", x1=x, x2=x, y1=plot.y(100 * found.confidence), y2=y, class_="gap"),
        tag("circle", cx=x, cy=y, r=4.5, class_="mark"),
        tag("rect", x=left + 1, y=334 - height, width=round(right - left - 2, 1), height=height, class_="count"),
    )
