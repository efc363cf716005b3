"""A comparison for people, in the terminal and as Markdown: figures in percent, differences in points."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.table import Table
from rich.text import Text

from ser_lightning.console import answer
from ser_lightning.reports.comparison import Compared, Comparison, Difference, TestOutcome
from ser_lightning.reports.pair import SUITED, Metric
from ser_lightning.reports.wording import between, p_value, percent

TITLES: dict[Metric, str] = {"uar": "UAR", "wa": "WA"}


@dataclass(frozen=True)
class Sheet:
    """One table; the first column is left-aligned text, the others are figures."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def show(comparison: Comparison) -> None:
    """Print to the terminal."""
    for caveat in comparison.caveats:
        answer(Text(caveat, style="bold yellow"))
    for line in legend(comparison):
        answer(Text(line))
    for sheet in sheets(comparison):
        table = Table(title=Text(sheet.title), title_justify="left")
        for i, column in enumerate(sheet.columns):
            table.add_column(Text(column), justify="right" if i else "left")
        for row in sheet.rows:
            table.add_row(*map(Text, row))
        answer(table)
    for note in notes(comparison):
        answer(Text(note))


def markdown(comparison: Comparison) -> str:
    """A document of its own: caveats, tables, notes."""
    names = ", ".join(system.name for system in comparison.systems)
    blocks = [f"# Comparison of {names}", *(f"**{caveat}**" for caveat in comparison.caveats)]
    blocks.append(_list(legend(comparison)))
    for sheet in sheets(comparison):
        rule = [":---", *("---:" for _ in sheet.columns[1:])]
        lines = [_line(row) for row in (sheet.columns, rule, *sheet.rows)]
        blocks += [f"## {sheet.title}", "\n".join(lines)]
    return "\n\n".join([*blocks, _list(notes(comparison))]) + "\n"


def legend(comparison: Comparison) -> list[str]:
    """What each letter stands for, with what its figures have to be read with."""
    return [", ".join([f"{s.letter}: {s.kind} {s.name}", *s.labels]) for s in comparison.systems]


def sheets(comparison: Comparison) -> list[Sheet]:
    """What each system scores; then, a metric each, how the pairs differ."""
    seeds = f", {comparison.seeds} seeds" if comparison.seeds > 1 else ""
    of = f"{comparison.utterances} utterances of {comparison.speakers} speakers{seeds}"
    interval = f"{comparison.level:.0%} interval"
    columns = ["system", *(f"{m} {what}" for m in TITLES.values() for what in ("%", interval, "mean ± std"))]
    rows = [_system(system) for system in comparison.systems]
    found = [Sheet(f"Test figures: {of}", columns, rows)]
    for metric, group in groupby(comparison.differences, key=lambda one: one.metric):
        head = ["pair", "points", interval, *(f"{name}, p" for name in SUITED[metric])]
        found.append(Sheet(f"Difference in {TITLES[metric]}", head, [_difference(one) for one in group]))
    return found


def notes(comparison: Comparison) -> list[str]:
    """How to read the tables, and what the tests assume or why one gives no p."""
    found = ["intervals: bootstrap over speakers, paired in differences; mean ± std: over folds and seeds"]
    for system in comparison.systems:
        if said := system.figures["notes"].get("over_folds_and_seeds"):
            found.append(f"{system.letter}, mean ± std: {said}")
    families = {f"{o.test}, {TITLES[d.metric]}": o.m for d in comparison.differences for o in d.tests}
    for m in sorted(set(families.values()) - {0, 1}):
        of = "; ".join(family for family, size in families.items() if size == m)
        found.append(f"p in brackets: adjusted by Holm over m = {m} pairs in each of: {of}")
    reasons: dict[str, list[str]] = {}
    for one in comparison.differences:
        for outcome in one.tests:
            if outcome.note:
                where = f"{one.a} - {one.b}, {TITLES[one.metric]}"
                reasons.setdefault(f"{outcome.test}: {outcome.note}", []).append(where)
    for note, places in reasons.items():
        found.append(f"{note} ({'; '.join(places)})" if len(places) < len(comparison.differences) else note)
    return found


def _system(system: Compared) -> list[str]:
    figures = system.figures
    cells = [system.letter]
    for metric in TITLES:
        spread = figures["over_folds_and_seeds"][metric]
        cells += [
            percent(figures[metric]),
            between(figures["interval"][metric]),
            "-" if spread["std"] is None else f"{percent(spread['mean'])} ± {percent(spread['std'])}",
        ]
    return cells


def _difference(one: Difference) -> list[str]:
    return [f"{one.a} - {one.b}", f"{100 * one.value:+z.1f}", between(one.interval, "+z.1f"), *map(_p, one.tests)]


def _p(outcome: TestOutcome) -> str:
    if outcome.p is None or outcome.adjusted is None:
        return "-"
    return p_value(outcome.p) + (f" ({p_value(outcome.adjusted)})" if outcome.m > 1 else "")


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
