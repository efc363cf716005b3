"""Speakers, or sessions, that a split must keep together."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ser_lightning.errors import UserError

ADVICE = "split.by=session", "split.by=speaker"
"""What asks for sessions in the splits that take either, and what to write where there are none."""


class Recorded(Protocol):
    """Who speaks in which session and recording."""

    @property
    def speaker(self) -> str: ...
    @property
    def session(self) -> str: ...
    @property
    def digest(self) -> str: ...


By = Literal["speaker", "session"]


def groups(rows: Sequence[Recorded], by: By = "speaker", advice: tuple[str, str] = ADVICE) -> list[frozenset[str]]:
    """Speakers joined wherever they share a recording (equal audio digest) or, if asked, a session; sorted by name.

    A file copied under another speaker's name would otherwise stand on both sides of a split. `advice` names, for the
    error, the word that asked for sessions and the one to write instead.

    Raises:
        UserError: by session, and the corpus knows none.
    """
    if by == "session" and any(not row.session for row in rows):
        raise UserError(f"{advice[0]}: utterances of this corpus have no session; use {advice[1]}")
    names = sorted({row.speaker for row in rows})
    number = {name: i for i, name in enumerate(names)}
    first: dict[str, int] = {}
    shared = [(row.digest, row.speaker) for row in rows]
    if by == "session":
        shared += [(f"session {row.session}", row.speaker) for row in rows]
    edges = [(first.setdefault(key, number[speaker]), number[speaker]) for key, speaker in shared]
    left, right = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(edges)), (left, right)), shape=(len(names), len(names)))
    members = defaultdict(set)
    for name, component in zip(names, connected_components(graph, directed=False)[1], strict=True):
        members[component].add(name)
    return sorted((frozenset(group) for group in members.values()), key=sorted)
