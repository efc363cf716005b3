"""Scales, paths and labels of the report's charts, and whether its colours can be read."""

import re
from pathlib import Path

import pytest

import ser_lightning.reports
from ser_lightning.evaluation.calibration import Bin
from ser_lightning.reports.html import charts
from ser_lightning.reports.html.curves import Curve, mean
from ser_lightning.reports.html.plot import LINE, Plot, end_labels, path
from ser_lightning.reports.html.svg import Scale, around, tag

STYLE = (Path(ser_lightning.reports.__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")


def test_an_element_escapes_text_and_attributes() -> None:
    made = tag("text", "<b>", tag("title", "a & b"), class_="x", stroke_width=2, label='"', none=None)
    assert made == '<text class="x" stroke-width="2" label="&#34;">&lt;b&gt;<title>a &amp; b</title></text>'


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 100, [0, 20, 40, 60, 80, 100]), (0, 1.5, [0, 0.5, 1, 1.5]), (72, 88, [75, 80, 85]), (0, 39, [0, 10, 20, 30])],
)
def test_ticks_are_round_and_within(low: float, high: float, ticks: list[float]) -> None:
    assert Scale(low, high).ticks() == ticks


@pytest.mark.parametrize(("low", "high"), [(71.3, 92.8), (50, 50), (0.01, 0.02), (99, 100)])
def test_a_range_holds_its_values_between_round_ends(low: float, high: float) -> None:
    start, end = around(low, high, least=10)
    assert start <= low <= high <= end
    assert 10 <= end - start <= 2 * max(high - low, 10)
    assert (start, end) == (pytest.approx(round(start)), pytest.approx(round(end)))


def test_a_path_is_relative_and_its_rounding_does_not_add_up() -> None:
    plot = Plot(100, 100, Scale(0, 3, 0, 1), Scale(0, 1, 100, 0))
    drawn = path(plot, [(0, 0), (1, 0.5), (2, 0.5), (3, 1)])
    first, steps = re.fullmatch(r"M(\S+ \S+)l(.*)", drawn).groups()  # type: ignore[union-attr]
    numbers = [float(n) for n in steps.split()]
    assert first == "0 100"
    assert (sum(numbers[::2]), 100 + sum(numbers[1::2])) == (pytest.approx(1), pytest.approx(0))


def test_the_mean_ends_where_less_than_half_of_the_trainings_go_on() -> None:
    lines = [[(0, 1.0), (1, 2.0), (2, 9.0)], [(0, 3.0), (1, 4.0)], [(0, 5.0)]]
    assert mean(lines) == [(0, 3.0), (1, 3.0)]


def test_labels_at_the_ends_of_close_lines_do_not_overlap() -> None:
    plot = Plot(100, 100, Scale(0, 1, 0, 80), Scale(0, 1, 100, 0))
    drawn = end_labels(plot, {"train": [(1, 0.50)], "validation": [(1, 0.51)]})
    places = [float(re.search(r' y="([^"]+)"', label)[1]) for label in drawn]  # type: ignore[index]
    assert abs(places[0] - places[1]) >= LINE


def test_learning_curves_draw_each_training_once_and_mark_the_kept_epoch() -> None:
    made = [Curve((fold, 0), {"validation/uar": [(0, 0.2), (1, 0.4 + fold / 10)]}, kept=1) for fold in range(3)]
    drawn = charts.learning(made, "uar", "UAR (%)", 100)
    assert drawn.count("<path") == 3 + 2  # three thin, the mean and its halo
    assert drawn.count('class="kept"') == 3
    assert ">0.5</text>" not in drawn  # there is no half an epoch
    assert "2 epochs, 3 trainings; validation ends at 50" in drawn
    assert "No loss in metrics.csv" in charts.learning(made, "loss", "loss")


def test_reliability_shows_each_bin_with_its_count() -> None:
    bins = [Bin(0.4, 0.6, 30, 0.5, 0.4), Bin(0.6, 0.8, 10, 0.7, 0.9)]
    drawn = charts.reliability_plot(bins)
    assert "<title>confidence 50.0%, accuracy 40.0%, 30 rows</title>" in drawn
    heights = [float(n) for n in re.findall(r'<rect[^>]* height="([^"]+)"', drawn)]
    assert heights[0] / heights[1] == pytest.approx(3, abs=0.02)


def colours(scheme: int) -> dict[str, tuple[float, ...]]:
    found = {m[1]: m.group(2, 3)[scheme] for m in re.finditer(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", STYLE)}
    return {name: tuple(int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)) for name, text in found.items()}


def contrast(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """WCAG 2.2: ratio of relative luminances of two sRGB colours."""

    def luminance(colour: tuple[float, ...]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_black_on_white() -> None:
    assert contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        *((text, ground) for text in ("text", "muted", "accent", "warning-text") for ground in ("page", "surface")),
        *((text, "page") for text in ("other", "suspect", "good-text")),
        *((text, "warning-ground") for text in ("text", "warning-text")),
        ("good-text", "good-ground"),
        ("text", "shade"),
    ],
)
def test_text_can_be_read_in_both_schemes(scheme: int, text: str, ground: str) -> None:
    found = colours(scheme)
    assert contrast(found[text], found[ground]) >= 4.5


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_text_on_half_shaded_cells_can_be_read(scheme: int, share: float) -> None:
    found = colours(scheme)
    mixed = tuple(share * a + (1 - share) * b for a, b in zip(found["shade"], found["surface"], strict=True))
    assert contrast(found["text"], mixed) >= 4.5
