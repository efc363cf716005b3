"""The proof that a split leaks nothing: computed from its rows, shown, stored, and fatal when it fails."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from rich.table import Table
from rich.text import Text

from ser_lightning.data.splits import PARTS, Assignment, SplitRow
from ser_lightning.errors import UserError

NAMED = 24
"""Speakers that a refusal names for each pair of parts."""


class LeakError(UserError):
    """Parts share a speaker or a recording, or a part is empty."""


@dataclass(frozen=True)
class Proof:
    """What was counted. `shared_*` hold, for each pair of parts, what stands in both."""

    speaker_dependent: bool
    utterances: dict[str, int]
    speakers: dict[str, list[str]]
    classes: dict[str, dict[str, int]]
    shared_speakers: dict[str, list[str]]
    shared_sessions: dict[str, list[str]]
    shared_digests: dict[str, list[str]]
    transductive: bool = False
    """Features are normalised by statistics of the very speakers they belong to, whom a system in use has not met."""

    def as_dict(self) -> dict[str, Any]:
        """Plain containers; `transductive` stands there only where it holds, so that older proofs stay equal."""
        return {key: value for key, value in asdict(self).items() if key != "transductive" or value}

    @property
    def labels(self) -> list[str]:
        """What every figure of such a split has to be read with."""
        absent = {part: sorted(set(self.classes["train"]) - set(self.classes[part])) for part in PARTS[1:]}
        lacks = [f"{part} lacks {', '.join(names)}" for part, names in absent.items() if names]
        marks = [mark for mark in ("speaker_dependent", "transductive") if getattr(self, mark)]
        return marks + lacks

    def table(self) -> Table:
        """A column a part: utterances, speakers, classes; the caption says what is shared."""
        table = Table("split", *PARTS, caption=Text(self._caption()), caption_justify="left")
        for column in table.columns[1:]:
            column.justify = "right"
        table.add_row("utterances", *(str(self.utterances[part]) for part in PARTS))
        table.add_row("speakers", *(Text(" ".join(self.speakers[part])) for part in PARTS))
        for name in sorted({name for counts in self.classes.values() for name in counts}):
            table.add_row(Text(name), *(str(self.classes[part].get(name, 0)) for part in PARTS))
        return table

    def _caption(self) -> str:
        kinds = {"speakers": self.shared_speakers, "sessions": self.shared_sessions, "recordings": self.shared_digests}
        counts = ", ".join(f"{sum(map(len, shared.values()))} {kind}" for kind, shared in kinds.items())
        notes = "".join(f"\n{label}" for label in self.labels)
        return f"shared by two parts: {counts}{notes}"


def prove(rows: Sequence[SplitRow], parts: Assignment, speaker_dependent: bool, transductive: bool = False) -> Proof:
    """Count what each part holds and what any two parts share.

    Raises:
        LeakError: a part is empty, training lacks a class or validation has only one, two parts share a recording,
            or (unless `speaker_dependent`) a speaker.
    """
    by_part = {part: [row for row in rows if parts[row.id] == part] for part in PARTS}
    proof = Proof(
        speaker_dependent=speaker_dependent,
        transductive=transductive,
        utterances={part: len(found) for part, found in by_part.items()},
        speakers={part: sorted({row.speaker for row in found}) for part, found in by_part.items()},
        classes={part: dict(Counter(row.label for row in found)) for part, found in by_part.items()},
        shared_speakers=_shared({part: {row.speaker for row in found} for part, found in by_part.items()}),
        shared_sessions=_shared({part: {r.session for r in found} - {""} for part, found in by_part.items()}),
        shared_digests=_shared({part: {row.digest for row in found} for part, found in by_part.items()}),
    )
    _check(proof, {row.label for row in rows})
    return proof


def _shared(sets: dict[Any, set[str]]) -> dict[str, list[str]]:
    return {f"{a}+{b}": sorted(sets[a] & sets[b]) for a, b in combinations(PARTS, 2)}


def _check(proof: Proof, classes: set[str]) -> None:
    if empty := [part for part, count in proof.utterances.items() if count == 0]:
        raise LeakError(f"split: no utterance in {' and '.join(empty)}; every part needs speakers (see split.*)")
    if unseen := sorted(classes - set(proof.classes["train"])):
        raise LeakError(f"split: no training utterance of {', '.join(unseen)}; choose other speakers or a seed")
    if len(proof.classes["validation"]) < 2:
        only = ", ".join(proof.classes["validation"])
        raise LeakError(f"split: validation holds only {only}, which no score can choose by; choose other speakers")
    leaks = {pair: names for pair, names in proof.shared_digests.items() if names}
    if leaks:
        raise LeakError(f"split: recordings stand in two parts: {leaks}; put their speakers into one part")
    leaks = {pair: names for pair, names in proof.shared_speakers.items() if names}
    if leaks and not proof.speaker_dependent:
        raise LeakError(
            f"split: speakers stand in two parts: {_told(leaks)}; a published partition that is so is taken with "
            "split=file split.speaker_dependent=true, which marks every figure of it"
        )


def _told(shared: Mapping[str, Sequence[str]]) -> str:
    """`train+test (s1, s2), ...`; of very many names in a pair the first ones and how many there are."""
    return ", ".join(f"{pair} ({', '.join(names[:NAMED])}{_more(names)})" for pair, names in shared.items())


def _more(names: Sequence[str]) -> str:
    return f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
