"""The reproduced rows beside the published ones, as Markdown that also reads well in a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from ser_lightning.evaluation.summary import CHOSEN, LAST, ON_TEST, selection
from ser_lightning.reproduce.recipe import Found

NONE = "-"

FOOT = (
    "Ours: WA / UA in percent. `folds`: mean ± standard deviation over folds and seeds, as the paper averages; "
    "`pooled`: all test rows in one table, with the 95 % interval of resampled speakers. "
    "`selected on test`: the best test epoch of each fold, WA and UA each from its own; it is not a fair figure. "
    "`logged`: the authors' committed logs, counted in the same way; `published`: the paper's abstract, whose figures "
    "are in no committed log. Both are on IEMOCAP's 5,531 utterances of four classes under the random 5-fold split, "
    "with no validation part."
)


def markdown(found: Sequence[Found]) -> str:
    """A table a protocol, with what its columns mean below."""
    parts = []
    for protocol in dict.fromkeys(one.protocol for one in found):
        rows = [one for one in found if one.protocol == protocol]
        table = _with_published(rows) if protocol.selected_on_test else _honest(rows)
        labels = f"Labels: {', '.join(_shared_labels(rows)) or 'none'}."
        parts.append(f"## {protocol.title}\n\n{protocol.note} {labels}\n\n{table}\n")
    return "\n".join([*parts, FOOT, ""])


def _shared_labels(found: Sequence[Found]) -> list[str]:
    """What all figures of a protocol have to be read with."""
    each = [one.result["labels"] for one in found if one.result]
    return [label for label in each[0] if all(label in labels for labels in each)] if each else []


def _titles(found: Sequence[Found]) -> list[str]:
    """Rows' titles, with what only some of them have to be read with."""
    shared = _shared_labels(found)
    return [" - ".join([one.row.title, *_own(one.result, shared)]) for one in found]


def _own(result: Mapping[str, Any] | None, shared: Sequence[str]) -> list[str]:
    if result is None:
        return []
    labels = [label for label in result["labels"] if label not in shared]
    told = {name: found.get("notes", {}) for name, found in result["figures"].items()}
    epoch = [f"{LAST} {told[LAST]['epoch']}"] if "epoch" in told.get(LAST, {}) else []
    folds = [told[CHOSEN]["over_folds_and_seeds"]] if "over_folds_and_seeds" in told[CHOSEN] else []
    return labels + ([how] if (how := selection(result)) != CHOSEN else []) + epoch + folds


def _with_published(found: Sequence[Found]) -> str:
    head = ("row", "last epoch, folds", "logged", "selected on test, folds", "logged", "published", CHOSEN + ", folds")
    rows = []
    for title, one in zip(_titles(found), found, strict=True):
        logged, figures = one.row.logged or {}, _figures(one)
        rows.append((
            title,
            _folds(figures, LAST),
            _pair(logged.get("last")),
            _folds(figures, ON_TEST),
            _pair(logged.get("best")),
            _pair(one.row.published),
            _folds(figures, CHOSEN),
        ))  # fmt: skip
    return _table(head, rows)


def _honest(found: Sequence[Found]) -> str:
    head = ("row", f"{CHOSEN}, pooled WA", "pooled UA", "folds", "last epoch, folds")
    rows = []
    for title, one in zip(_titles(found), found, strict=True):
        figures = _figures(one)
        pooled = [_interval(figures[CHOSEN], key) for key in ("wa", "uar")] if figures else ["failed", ""]
        rows.append((title, *pooled, _folds(figures, CHOSEN), _folds(figures, LAST)))
    return _table(head, rows)


def _figures(one: Found) -> Mapping[str, Any]:
    return one.result["figures"] if one.result else {}


def _folds(figures: Mapping[str, Any], chosen: str) -> str:
    if chosen not in figures:
        return NONE
    found = figures[chosen]
    spread = found if chosen == ON_TEST else found["over_folds_and_seeds"]
    return " / ".join(_spread(spread[key]) for key in ("wa", "uar"))


def _spread(found: Mapping[str, float | None]) -> str:
    deviation = f" ± {100 * found['std']:.1f}" if found["std"] is not None else ""
    return f"{100 * (found['mean'] or 0.0):.1f}{deviation}"


def _interval(found: Mapping[str, Any], key: str) -> str:
    ends = found["interval"][key]
    return f"{100 * found[key]:.1f}" + (f" [{100 * ends[0]:.1f}, {100 * ends[1]:.1f}]" if ends else "")


def _pair(found: Sequence[float] | None) -> str:
    return f"{found[0]:.1f} / {found[1]:.1f}" if found else NONE


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def as_dict(one: Found) -> dict[str, Any]:
    """Plain containers: our figures as fractions, published and logged ones in percent (WA, UA)."""
    return {
        "protocol": one.protocol.name,
        "row": one.row.name,
        "title": one.row.title,
        "id": one.result["id"] if one.result else None,
        "labels": one.result["labels"] if one.result else [],
        "figures": dict(_figures(one)),
        "published": one.row.published,
        "logged": dict(one.row.logged or {}),
        "why": one.why,
    }
