"""A scanned corpus: its utterances, what is wrong with it, and the digest that identifies its content."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ser_lightning.corpora.utterance import Problem, Utterance
from ser_lightning.errors import UserError, listed


class CorpusError(UserError):
    """The corpus cannot be used; the message lists every reason."""


@dataclass(frozen=True)
class Corpus:
    """`utterances` sorted by id; `left_out` counts files by label that are no class of this corpus."""

    root: Path
    utterances: tuple[Utterance, ...]
    classes: tuple[str, ...]
    problems: tuple[Problem, ...]
    left_out: Counter[str]

    @cached_property
    def manifest_digest(self) -> str:
        """SHA-256 of what can change a result: classes and rows, but no path."""
        rows = [(u.id, u.digest, u.speaker, u.session, u.label, u.text) for u in self.utterances]
        return hashlib.sha256(json.dumps([self.classes, rows]).encode()).hexdigest()

    @property
    def missing_classes(self) -> list[str]:
        """Classes that no utterance has."""
        return [label for label in self.classes if label not in self.counts]

    @property
    def counts(self) -> Counter[str]:
        """Utterances by class."""
        return Counter(utterance.label for utterance in self.utterances)

    def check(self) -> None:
        """Raise CorpusError naming all fatal problems and all classes without files at once."""
        fatal = [problem for problem in self.problems if problem.fatal]
        lines = listed([str(problem) for problem in fatal])
        if fatal:
            kinds = Counter(problem.kind for problem in fatal)
            lines.append("in all " + ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items())))
        if self.missing_classes:
            present = ",".join(label for label in self.classes if label in self.counts)
            absent = ", ".join(self.missing_classes)
            lines.append(f"no file of class {absent}; set corpus.classes=[{present}]")
        if lines:
            raise CorpusError("\n  ".join([f"the corpus in {self.root} cannot be used:", *lines]))
