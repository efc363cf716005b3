"""A plot with axes in a fixed viewBox, scaled as a whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from ser_lightning.reports.html.curves import Point
from ser_lightning.reports.html.svg import Scale, tag

LINE = 15
"""Least distance of two texts' base lines."""


@dataclass(frozen=True)
class Plot:
    """`y` runs from the bottom (start) to the top (end) of the drawing area."""

    width: int
    height: int
    x: Scale
    y: Scale

    def axes(self, below: str, beside: str, labels_at: float | None = None) -> Markup:
        """Grid lines with their numbers, those of x whole (epochs, percent).

        `labels_at` is where the numbers of x stand, if not right under the axis.
        """
        at = labels_at or self.y.start + 16
        left, right, bottom, top = self.x.start, self.x.end, self.y.start, self.y.end
        parts = []
        for tick in self.y.ticks():
            parts.append(tag("line", x1=left, x2=right, y1=self.y(tick), y2=self.y(tick), class_="grid"))
            parts.append(tag("text", f"{tick:g}", x=left - 7, y=self.y(tick) + 4, text_anchor="end"))
        for tick in (tick for tick in self.x.ticks() if tick.is_integer()):
            parts.append(tag("text", f"{tick:g}", x=self.x(tick), y=at, text_anchor="middle"))
        parts.append(tag("line", x1=left, x2=right, y1=bottom, y2=bottom, class_="axis"))
        parts.append(tag("text", below, x=(left + right) / 2, y=at + 18, text_anchor="middle", class_="name"))
        turned = f"rotate(-90 12 {(bottom + top) / 2})"
        middle = (bottom + top) / 2
        parts.append(tag("text", beside, x=12, y=middle, text_anchor="middle", class_="name", transform=turned))
        return tag("g", *parts)

    def drawn(self, parts: Sequence[Markup], label: str) -> Markup:
        """The picture with what it says in words."""
        box = f"0 0 {self.width} {self.height}"
        return tag(
            "svg",
            *parts,
            class_="plot tall" if self.height > self.width else "plot",
            viewBox=box,
            role="img",
            aria_label=label,
        )


def path(plot: Plot, line: Sequence[tuple[float, float]]) -> str:
    """A line through the points, each relative to the one before, which keeps the text short."""
    places = [(plot.x(x), plot.y(y)) for x, y in line]
    steps = [f"{_number(b[0] - a[0])} {_number(b[1] - a[1])}" for a, b in pairwise(places)]
    return f"M{_number(places[0][0])} {_number(places[0][1])}" + (f"l{' '.join(steps)}" if steps else "h.1")


def _number(value: float) -> str:
    return f"{round(value, 1) + 0.0:g}"


def end_labels(plot: Plot, lines: Mapping[str, Sequence[Point]]) -> list[Markup]:
    """Each line's name to the right of its end, moved apart where two would overlap."""
    ends = sorted((plot.y(line[-1][1]), name) for name, line in lines.items())
    drawn, lowest = [], 0.0
    for y, name in ends:
        lowest = max(y + 4, lowest + LINE)
        drawn.append(tag("text", name, x=plot.x.end + 8, y=round(lowest, 1), class_=f"end {name}"))
    return drawn
