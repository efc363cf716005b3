"""Whether an IEMOCAP release is complete: the four-class set of the literature, by class and by session."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ser_lightning.corpora.iemocap_files import Turn
from ser_lightning.corpora.utterance import Kind, Problem

CLASSES = {"ang": 1103, "exc": 1041, "hap": 595, "neu": 1708, "sad": 1084}
"""Utterances by emotion code, in all 5531; happy and excited, 1636 together, are one class of the set."""
SESSIONS = {"Session1": 1085, "Session2": 1023, "Session3": 1151, "Session4": 1031, "Session5": 1241}
"""Utterances of these codes by session."""
NAMED = 3
"""Ids without audio that a line names."""


def complete(root: Path, turns: Sequence[Turn], allowed: bool) -> Iterator[Problem]:
    """Yield a summary, then a line for each class and session whose total is another and for audio that is not there.

    Totals count what has audio. Too many is as wrong as too few; where `allowed`, all lines are warnings.
    """
    kind: Kind = "incomplete" if allowed else "missing"
    of_set = [turn for turn in turns if turn.code in CLASSES]
    there = [turn for turn in of_set if turn.there]
    lines = [*_classes(root, there), *_sessions(root, there), *_silent(root, of_set)]
    if lines:
        yield Problem(kind, root, _summary(len(there), allowed))
    for path, text in lines:
        yield Problem(kind, path, text)


def _classes(root: Path, there: Sequence[Turn]) -> Iterator[tuple[Path, str]]:
    found = Counter(turn.code for turn in there)
    for code, expected in CLASSES.items():
        if found[code] != expected:
            yield root, f"{code}: {found[code]} of {expected} utterances"


def _sessions(root: Path, there: Sequence[Turn]) -> Iterator[tuple[Path, str]]:
    found = Counter(_session(turn) for turn in there)
    for name, expected in SESSIONS.items():
        if found[name] != expected:
            yield root / name, f"{found[name]} of {expected} utterances"


def _silent(root: Path, of_set: Sequence[Turn]) -> Iterator[tuple[Path, str]]:
    for name in SESSIONS:
        ids = [turn.id for turn in of_set if _session(turn) == name and not turn.there]
        more = ", ..." if len(ids) > NAMED else ""
        if ids:
            yield root / name, f"{len(ids)} labelled but without audio: {', '.join(ids[:NAMED])}{more}"


def _session(turn: Turn) -> str:
    return f"Session{int(turn.session)}"


def _summary(there: int, allowed: bool) -> str:
    remedy = "" if allowed else "; mend what the next lines name, or set corpus.allow_incomplete=true to go on as it is"
    return f"{there} of the {sum(CLASSES.values())} utterances of the four-class set are there{remedy}"
