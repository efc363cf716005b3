"""What packages of users add through entry points, read so that a broken package hides no other."""

import importlib
import sys
import traceback
from functools import lru_cache
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path

PREFIX = "ser_lightning."
PACKAGE = str(Path(__file__).resolve().parents[1])


def entry_points(group: str) -> list[EntryPoint]:
    """Those of every package whose metadata can be read; of two copies of a package, the one that Python imports."""
    return [point for point in _read()[0] if point.group == group]


def unreadable() -> list[str]:
    """Packages whose entry points cannot be read, each with the reason."""
    return _read()[1]


def _read() -> tuple[list[EntryPoint], list[str]]:
    return _read_from(tuple((place, *_state(place)) for place in sys.path))


def _state(place: str) -> tuple[int, int]:
    """What tells a folder of packages from another, and from itself before something was installed there."""
    try:
        found = Path(place or ".").stat()
    except OSError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns


@lru_cache(maxsize=8)  # a configuration asks dozens of times, and all metadata takes 7 ms to read
def _read_from(places: tuple[tuple[str, int, int], ...]) -> tuple[list[EntryPoint], list[str]]:
    points: dict[str, list[EntryPoint]] = {}
    broken: list[str] = []
    # importlib.metadata.entry_points() fails for every package where one is malformed.
    for package in distributions():
        try:
            found = [point for point in package.entry_points if point.group.startswith(PREFIX)]
            if found:
                points.setdefault(package.name, found)
        except Exception as error:
            broken.append(f"{_name(package)} ({type(error).__name__}: {error})")
    return [point for found in points.values() for point in found], broken


def _name(package: Distribution) -> str:
    try:
        return package.name
    except Exception:
        return f"a package in {package.locate_file('')}"


def package_of(point: EntryPoint) -> str:
    """The package that has the entry point, for people."""
    return f"of the package {point.dist.name} {point.dist.version}" if point.dist else "of an unnamed package"


def reason(error: Exception) -> str:
    """What went wrong in a plug-in and, where its own code raised it, in which line."""
    text = " ".join(str(error).split())
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    ours = ("<frozen", PACKAGE, str(importlib.__file__))
    theirs = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(ours)]
    return f"{type(error).__name__}: {text}" + (f" ({theirs[-1].filename}, line {theirs[-1].lineno})" if theirs else "")
