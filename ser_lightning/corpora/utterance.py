"""What a corpus is made of: entries named by an adapter, utterances once their audio is known, problems."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal[
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
]
"""`missing` is what a table or label file names and is not there, `incomplete` the same where that is allowed,
`row` a line that cannot be used; `cancelling`, `loud`, `near_silent`, `offset` and `scale` are levels; `length` is far
from the others' and `short` too short for the features."""

WARNINGS: frozenset[Kind] = frozenset(
    {"cancelling", "duplicate", "incomplete", "length", "loud", "near_silent", "offset", "short"}
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
        return self.kind not in WARNINGS

    def __str__(self) -> str:
        return f"{self.kind}: {self.path}: {self.detail}"
