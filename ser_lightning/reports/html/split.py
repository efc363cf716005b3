"""Who trained, validated and tested, and what parts share, as the runs' proofs have it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ser_lightning.files import read_json
from ser_lightning.reports.html.subject import Subject

KINDS = {"shared_speakers": "speakers", "shared_sessions": "sessions", "shared_digests": "recordings"}


@dataclass
class SplitRow:
    """One proof, and every place at which it stands: seeds and systems repeat a fold's split."""

    fold: int
    proof: Mapping[str, Any]
    seeds: set[int] = field(default_factory=set)
    keys: list[str] = field(default_factory=list)

    @property
    def shared(self) -> dict[str, list[str]]:
        """Kind -> names that stand in two parts; a kind that the proof does not know is absent."""
        return {
            name: sorted({one for names in self.proof[kind].values() for one in names})
            for kind, name in KINDS.items()
            if kind in self.proof
        }


@dataclass(frozen=True)
class Splits:
    rows: list[SplitRow]
    without: list[str]
    """Runs whose proof is not there."""

    @property
    def worst(self) -> dict[str, tuple[int, int, int]]:
        """Kind -> (most names shared within one split, its fold, how many of the splits share any)."""
        found = {}
        for name in KINDS.values():
            counts = [(len(row.shared[name]), row.fold) for row in self.rows if name in row.shared]
            if counts:
                most, fold = max(counts, key=lambda count: (count[0], -count[1]))
                found[name] = (most, fold, sum(count > 0 for count, _ in counts))
        return found

    @property
    def several(self) -> bool:
        """Whether the systems do not all have the same splits."""
        return len({tuple(row.keys) for row in self.rows}) > 1


def splits(subjects: Sequence[Subject]) -> Splits:
    rows: dict[tuple[int, str], SplitRow] = {}
    without: set[str] = set()
    for one in subjects:
        for (fold, seed), runs in sorted(one.system.runs.items()):
            for run in runs:
                if not run.proof.exists():
                    without.add(f"{one.key}: fold {fold}, seed {seed}")
                    continue
                proof = read_json(run.proof)
                row = rows.setdefault((fold, json.dumps(proof, sort_keys=True)), SplitRow(fold, proof))
                row.seeds.add(seed)
                if one.key not in row.keys:
                    row.keys.append(one.key)
    return Splits([row for _, row in sorted(rows.items(), key=lambda item: item[0][0])], sorted(without))
