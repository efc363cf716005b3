"""Speakers that a split must keep together."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


class Recorded(Protocol):
    """Who speaks in which recording."""

    @property
    def speaker(self) -> str: ...
    @property
    def digest(self) -> str: ...


def groups(rows: Sequence[Recorded]) -> list[frozenset[str]]:
    """Speakers joined wherever they share a recording (equal audio digest), sorted by name.

    A file copied under another speaker's name would otherwise stand on both sides of a split.
    """
    names = sorted({row.speaker for row in rows})
    number = {name: i for i, name in enumerate(names)}
    first: dict[str, int] = {}
    edges = [(first.setdefault(row.digest, number[row.speaker]), number[row.speaker]) for row in rows]
    left, right = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(edges)), (left, right)), shape=(len(names), len(names)))
    members = defaultdict(set)
    for name, component in zip(names, connected_components(graph, directed=False)[1], strict=True):
        members[component].add(name)
    return sorted((frozenset(group) for group in members.values()), key=sorted)
