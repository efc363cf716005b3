"""From matplotlib's current figure to SVG that may stand many times in one page."""

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import matplotlib
from markupsafe import Markup, escape
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.category import StrCategoryLocator
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

ROOM = 12
"""Characters of labels below an axis, an inch of its figure, from which they are turned."""
MOST_LABELS = 12
"""Of one axis."""
WIDTH, HEIGHT = 6.0, 4.2
"""Inches, of which the page makes what it has room for."""
WIDER = 1.5
"""Inches for each axis of parallel coordinates."""

STYLE: dict[str, Any] = {"svg.fonttype": "none", "svg.hashsalt": "ser-lightning", "figure.figsize": (WIDTH, HEIGHT)}
"""Text stays text; ids are the same each time."""


def svg(draw: Callable[[], object], label: str, prefix: str) -> Markup:
    """What `draw` leaves in matplotlib's current figure.

    Args:
        label: what it shows, for those who do not see it.
        prefix: put before every id.
    """
    with _apart(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the plots are experimental, and how importances take their target
        draw()
        figure = pyplot.gcf()
        try:
            _mend(figure)
            out = StringIO()
            figure.savefig(out, format="svg", bbox_inches="tight", metadata={"Date": None})
        finally:
            pyplot.close(figure)
    return _inline(out.getvalue(), label, prefix)


@contextmanager
def _apart() -> Iterator[None]:
    """Neither the style that Optuna sets nor our backend outlives this."""
    before = matplotlib.get_backend(auto_select=False)
    pyplot.switch_backend("agg")
    try:
        with pyplot.style.context(STYLE):
            yield
    finally:
        if before:
            pyplot.switch_backend(before)


def _mend(figure: Figure) -> None:
    """What a page needs: no titles beside its own captions, labels that don't overlap, no raster pictures."""
    parallel = sum(axes.yaxis.get_ticks_position() == "right" for axes in figure.axes) - 1
    if parallel > 1:
        figure.set_size_inches(WIDTH + WIDER * (parallel - 1), HEIGHT)
    for axes in figure.axes:
        for place in ("left", "center", "right"):
            axes.set_title("", loc=place)
        for drawn in axes.collections:
            drawn.set_rasterized(False)
            if isinstance(drawn, QuadMesh):  # a colour bar, between whose steps the ground would shine through
                drawn.set_edgecolor("face")
        if (legend := axes.get_legend()) and len(legend.get_texts()) == 1:
            legend.remove()
        _mend_labels(axes)


def _mend_labels(axes: Axes) -> None:
    for axis in (axes.xaxis, axes.yaxis):
        if not isinstance(axis.get_major_locator(), FixedLocator | StrCategoryLocator):
            continue
        texts = [label.get_text() for label in axis.get_ticklabels()]
        # A number that some trials do not have gets a label for each of its values.
        every = -(-len(texts) // MOST_LABELS) if axis.get_ticks_position() == "right" else 1
        axis.set_ticks(axis.get_ticklocs()[::every], [_lines(text) for text in texts[::every]])
    below = [label.get_text() for label in axes.get_xticklabels()]
    if sum(max(map(len, text.split("\n"))) for text in below) > ROOM * WIDTH:
        axes.tick_params(axis="x", rotation=30)
        for label in axes.get_xticklabels():
            label.set_horizontalalignment("right")


def _lines(text: str) -> str:
    """A choice as Optuna writes it, without quotes; of a whole object a line for each key."""
    return text.strip("'").replace(", ", "\n")


def _inline(text: str, label: str, prefix: str) -> Markup:
    """Without what only a file has, and with ids of its own."""
    text = text[text.index("<svg") :]
    # A style sheet inside would hold for the whole page.
    text = re.sub(r"\s*<metadata>.*?</metadata>|\s*<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'\bid="', f'id="{prefix}', text)
    text = re.sub(r'href="#', f'href="#{prefix}', text)
    text = text.replace("url(#", f"url(#{prefix}")
    return Markup(text.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1))
