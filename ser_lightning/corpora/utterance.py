"""What a corpus is made of: entries named by an adapter, utterances once their audio is known, problems."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal[
    "alike",
    "broken",
    "cancelling",
    "duplicate",
    "empty",
    "incomplete",
    "length",
    "loud",
    "misnamed",
    "missing",
    "near_silent",
    "offset",
    "row",
    "scale",
    "short",
    "twice",
    "two_labels",
    "unused",
]
"""`missing` is what a table or label file names and is not there, `incomplete` the same where that is allowed,
`row` a line that cannot be used, `alike` two names that may be meant as one, `two_labels` one recording under several,
`unused` columns that are passed over; `cancelling`, `loud`, `near_silent`, `offset` and `scale` are levels; `length` is
far from the others' and `short` too short for the features."""

WARNINGS: frozenset[Kind] = frozenset(
    {"alike", "cancelling", "duplicate", "incomplete", "length", "loud", "near_silent", "offset", "short"}
)
NOTES: frozenset[Kind] = frozenset({"unused"})
"""What is told and need not be mended."""


@dataclass(frozen=True)
class Segment:
    """What a row names of its file: from `start` to `end` in seconds, None for its end."""

    start: float
    end: float | None
    place: str
    """The row, such as `line 3`."""

    @property
    def refusal(self) -> str:
        end = "its end" if self.end is None else f"{self.end:g} s"
        return (
            f"start and end name a part of the file ({self.start:g} s to {end}), and an utterance is a whole file: cut "
            "the part out into a file of its own"
        )


@dataclass(frozen=True)
class Entry:
    """What names alone say about one file; `label` is the class name, the audio has not been looked at."""

    id: str
    path: Path
    speaker: str
    session: str
    label: str
    text: str
    part: Segment | None = None


@dataclass(frozen=True)
class Utterance:
    """One usable utterance; `digest` (hexadecimal SHA-256) is of the decoded audio, `seconds` its length."""

    id: str
    path: Path
    digest: str
    speaker: str
    session: str
    label: str
    text: str
    seconds: float
    sample_rate: int
    channels: int


@dataclass(frozen=True)
class Problem:
    """Something wrong with one path; a fatal one keeps the corpus from being used."""

    kind: Kind
    path: Path
    detail: str

    @property
    def fatal(self) -> bool:
        return self.kind not in WARNINGS | NOTES

    def __str__(self) -> str:
        return f"{self.kind}: {self.path}: {self.detail}"
