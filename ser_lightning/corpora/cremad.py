"""CREMA-D: Cao et al., "CREMA-D: crowd-sourced emotional multimodal actors dataset", IEEE TAC 5(4), 2014."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ser_lightning.corpora.adapter import audio_files, existing, folder
from ser_lightning.corpora.utterance import Entry, Problem

# One file was published with level X, 1040_ITH_SAD_X, and renamed in 2022.
NAME = re.compile(r"(?P<actor>1\d{3})_(?P<sentence>[A-Z]{3})_(?P<emotion>[A-Z]{3})_(?P<level>LO|MD|HI|XX?)")
FIRST, LAST = 1001, 1091


@dataclass
class CREMAD:
    """Names like `1001_DFA_ANG_XX.wav`: actor, sentence (kept as the text), emotion, level.

    Of a checkout without git-lfs the scan names each file that is a pointer instead of audio.
    """

    root: str
    """Folder of the corpus, or its `AudioWAV` folder."""
    classes: list[str]
    """Classes to use, in the order of the logits."""
    labels: dict[str, str]
    """Emotion code in a file's name -> class."""

    def entries(self) -> Iterator[Entry | Problem]:
        for path in audio_files(folder(existing(self.root), "AudioWAV")):
            match = NAME.fullmatch(path.stem)
            if match is None or not FIRST <= int(match["actor"]) <= LAST:
                yield Problem("misnamed", path, f"not a CREMA-D name such as 1001_DFA_ANG_XX, actors {FIRST} to {LAST}")
            elif match["emotion"] not in self.labels:
                yield Problem("misnamed", path, f"emotion {match['emotion']} is not in corpus.labels")
            else:
                yield Entry(_id(match), path, match["actor"], "", self.labels[match["emotion"]], match["sentence"])


def _id(match: re.Match[str]) -> str:
    """The renamed file's id under both its names, so that both copies are the same corpus."""
    return match[0] if match["level"] != "X" else f"{match[0]}X"
