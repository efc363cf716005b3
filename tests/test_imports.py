"""Rooms stand one above the other: none imports what is above it, and no modules import each other in a circle."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "ser_lightning"
FLOORS = (
    ("__main__",),
    ("cli",),
    ("cluster", "reproduce"),
    ("reports", "inference"),
    ("sweeps",),
    ("crossval",),
    ("runs",),
    ("training",),
    ("models", "tracking", "data"),
    ("evaluation", "features"),
    ("corpora",),
    ("processes",),
    ("config",),
)
"""From the top; the modules beside the rooms (files, console, errors, ...) are below all of them."""
FLOOR: Mapping[str, int] = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


@cache
def imports() -> Mapping[str, set[str]]:
    """Of every module those of the package that it imports, wherever in it.

    The package's own `__init__` is left out: what it names is imported by whoever uses it, at the first use.
    """
    files = {_name(path): path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"}
    return {name: set(_imported(path, files)) - {name} for name, path in files.items()}


def _name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def _imported(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports by a relative name, which is not seen here"
            names = [
                f"{node.module}.{name}" if f"{node.module}.{name}" in known else str(node.module) for name in names
            ]
        yield from (name for name in names if name in known)


def room(module: str) -> str:
    """The room that a module is in, or its own name where it is beside the rooms."""
    return module.split(".")[1] if "." in module else ""


def test_every_room_has_a_floor() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} <= set(FLOOR)


def test_none_points_upward() -> None:
    lowest = len(FLOORS)
    wrong = [
        f"{above} imports {below}"
        for above, found in imports().items()
        for below in found
        if room(above) != room(below) and room(below) in FLOOR and FLOOR.get(room(above), lowest) >= FLOOR[room(below)]
    ]
    assert not wrong, "\n".join(sorted(wrong))


def test_no_circle() -> None:
    try:
        TopologicalSorter(imports()).prepare()
    except CycleError as error:
        raise AssertionError(" imports ".join(reversed(error.args[1]))) from None
