"""What `ser config` prints, and the groups and choices that `--help` lists."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from rich.table import Table

from ser_lightning.config.compose import Composed
from ser_lightning.config.shapes import MISSING, missing_keys
from ser_lightning.config.sources import GROUPS, choices, describe, search_path
from ser_lightning.console import answer, say


def show(composed: Composed) -> None:
    """The configuration as YAML on standard output, each value with the file or word it comes from.

    Values still to be given are shown as `???` and listed on standard error.
    """
    lines = list(_lines(asdict(composed.config), composed.origin, "", 0))
    width = min(max(len(text) for text, _ in lines), 60)
    for text, source in lines:
        print(f"{text:<{width}}  # {source}" if source else text)
    if missing := list(missing_keys(asdict(composed.config))):
        words = " ".join(f"{key}=..." for key in missing)
        say(f"still to be given: {words}", style="yellow")


def _lines(tree: Mapping[str, Any], origin: Mapping[str, str], prefix: str, depth: int) -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        indent, name = "  " * depth, f"{prefix}{key}"
        if isinstance(value, dict) and value:
            yield f"{indent}{_scalar(key)}:", ""
            yield from _lines(value, origin, f"{name}.", depth + 1)
        else:
            yield f"{indent}{_scalar(key)}: {_scalar(value)}", origin.get(name, "default")


def _scalar(value: Any) -> str:
    """YAML that reads back as the same value: a bare word where that is safe, else JSON, which YAML includes."""
    if isinstance(value, str) and value.replace("_", "").isalpha() and value.lower() not in RESERVED:
        return value
    if value == MISSING:
        return MISSING
    # JSON writes characters beyond 16 bits as two halves, which YAML doesn't join.
    return json.dumps(value, ensure_ascii=max(map(ord, str(value)), default=0) < 0x10000)


RESERVED = ("yes", "no", "on", "off", "true", "false", "null", "y", "n")


def print_choices(conf: str | None) -> None:
    """Groups and their choices, with what the first comment of each file says."""
    folders = search_path(conf)
    table = Table(
        title="groups and choices (group=choice)",
        title_justify="left",
        show_header=False,
        box=None,
        padding=(0, 2, 0, 0),
    )
    for group in GROUPS:
        for i, (choice, path) in enumerate(choices(group, folders).items()):
            table.add_row(group if i == 0 else "", choice, describe(path))
    answer(table)
