"""Figures as people read them: fractions in percent, differences in points."""

from collections.abc import Sequence


def percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}"


def between(interval: Sequence[float] | None, form: str = ".1f") -> str:
    """Ends of an interval in percent; a dash where there is none."""
    return "-" if interval is None else f"{100 * interval[0]:{form}} to {100 * interval[1]:{form}}"


def p_value(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"
