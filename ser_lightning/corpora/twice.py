"""Finding ids that are there twice: a tree unpacked into itself, or two formats side by side."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ser_lightning.corpora.utterance import Entry, Problem

SameRecording = tuple[Path, Path]


def once(entries: Iterable[Entry]) -> tuple[list[Entry], list[Problem]]:
    """Return the first entry of each id, and one problem for each pair of trees that share ids."""
    first: dict[str, Entry] = {}
    pairs: Counter[SameRecording] = Counter()
    example: dict[SameRecording, str] = {}
    for entry in entries:
        kept = first.setdefault(entry.id, entry)
        if kept is not entry:
            pair = _trees(kept.path, entry.path)
            pairs[pair] += 1
            example.setdefault(pair, f"{entry.id}: {kept.path.name} and {entry.path.name}")
    problems = [_problem(pair, number, example[pair]) for pair, number in pairs.items()]
    return list(first.values()), problems


def _trees(a: Path, b: Path) -> SameRecording:
    """Return the two folders from where on both paths read the same: x/Actor_01/f, Actor_01/f -> x, ."""
    a, b = a.parent, b.parent
    while a != b and a.name == b.name and a.name:
        a, b = a.parent, b.parent
    return a, b


def _problem(pair: SameRecording, number: int, example: str) -> Problem:
    a, b = pair
    if a == b:
        detail = f"{number} ids there twice, such as {example}; keep one of them"
    else:
        detail = f"{number} files are also in {b}, such as {example}; remove one of the two trees"
    return Problem("twice", a, detail)
