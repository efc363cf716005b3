"""Inline SVG: elements with everything escaped, and the scale of an axis."""

import math
from dataclasses import dataclass

from markupsafe import Markup, escape


def tag(name: str, *children: object, **attributes: object) -> Markup:
    """`<name ...>children</name>`; `class_` and `stroke_width` are written class and stroke-width, None is left out."""
    given = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None}
    text = Markup("").join(Markup(' {}="{}"').format(key, value) for key, value in given.items())
    inside = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(name, text, inside)


def title(text: str) -> Markup:
    """What a pointer resting on the element is shown."""
    return tag("title", text)


@dataclass(frozen=True)
class Scale:
    """Values `low` to `high` onto positions `start` to `end`."""

    low: float
    high: float
    start: float = 0.0
    end: float = 100.0

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, most: int = 6) -> list[float]:
        """Round values within the range, at most `most` of them."""
        step = _step((self.high - self.low) / (most - 1))
        first = math.ceil(self.low / step - 1e-9)
        return [float(round(i * step, 10)) for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def around(low: float, high: float, least: float) -> tuple[float, float]:
    """A range of round ends that holds low to high and is at least `least` wide."""
    middle, half = (low + high) / 2, max(high - low, least) / 2
    step = _step(2 * half / 5)
    return math.floor((middle - half) / step + 1e-9) * step, math.ceil((middle + half) / step - 1e-9) * step


def _step(rough: float) -> float:
    """The least of 1, 2, 5, 10, 20, 50, ... and their tenths that is not smaller."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
