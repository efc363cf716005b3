"""IEMOCAP: Busso et al., "IEMOCAP: interactive emotional dyadic motion capture database", LREC 42, 2008."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ser_lightning.corpora.adapter import existing, mode
from ser_lightning.corpora.iemocap_complete import complete
from ser_lightning.corpora.iemocap_files import Turn, turns
from ser_lightning.corpora.utterance import Entry, Kind, Problem
from ser_lightning.errors import UserError


@dataclass
class IEMOCAP:
    """Ids like `Ses01F_impro01_M000`: session 01; markers worn by F; improvised; spoken by M, who is speaker 01M.

    Labels are the agreed ones in `Session1/dialog/EmoEvaluation/*.txt` and so on; the single annotators' votes below
    each are not read. The text comes from `dialog/transcriptions` and is empty where a release lacks it.
    """

    root: str
    """Folder that holds the folders Session1 to Session5."""
    classes: list[str]
    """Classes to use, in the order of the logits."""
    labels: dict[str, str]
    """Emotion code in a label file -> class."""
    dialogs: Literal["both", "improvised", "scripted"] = "both"
    """Which dialogs to use; whether the corpus is complete is checked before this choice."""
    allow_incomplete: bool = False
    """Go on, with warnings, where the 5,531 utterances of the four-class set are not all there."""

    def entries(self) -> Iterator[Entry | Problem]:
        """Yield what the four-class set lacks, then what the label files say.

        Raises:
            UserError: `root` holds no folder Session1 to Session5.
        """
        root = existing(self.root)
        if not any(stat.S_ISDIR(mode(root / f"Session{number}") or 0) for number in range(1, 6)):
            raise UserError(
                f"corpus.root: {root} holds no folder Session1 to Session5; set corpus.root=... to the folder of "
                "the release that does (IEMOCAP_full_release)"
            )
        found = list(turns(root))
        yield from complete(root, [turn for turn in found if isinstance(turn, Turn)], self.allow_incomplete)
        for item in found:
            if isinstance(item, Problem):
                yield item
            elif self.dialogs in ("both", item.dialogs):
                yield from self._entry(item)

    def _entry(self, turn: Turn) -> Iterator[Entry | Problem]:
        label = self.labels.get(turn.code)
        if label is None:
            yield Problem("misnamed", turn.source, f"{turn.id}: emotion {turn.code} is not in corpus.labels")
        elif turn.there:
            yield Entry(turn.id, turn.path, turn.speaker, turn.session, label, turn.text)
        elif label in self.classes:
            kind: Kind = "incomplete" if self.allow_incomplete else "missing"
            yield Problem(kind, turn.path, f"labelled {turn.code} in {turn.source}")
