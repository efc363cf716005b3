"""EMO-DB: Burkhardt et al., "A database of German emotional speech", Interspeech 2005."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ser_lightning.corpora.adapter import audio_files, existing, folder
from ser_lightning.corpora.utterance import Entry, Problem

NAME = re.compile(r"(?P<speaker>\d\d)(?P<sentence>[ab]\d\d)(?P<emotion>[A-Z])(?P<take>[a-z])")


@dataclass
class EmoDB:
    """Names like `03a01Fa.wav`: speaker, sentence (kept as the text), emotion letter, take."""

    root: str
    """Folder of the corpus, or its `wav` folder."""
    classes: list[str]
    """Classes to use, in the order of the logits."""
    labels: dict[str, str]
    """Emotion letter in a file's name -> class."""

    def entries(self) -> Iterator[Entry | Problem]:
        for path in audio_files(folder(existing(self.root), "wav")):
            match = NAME.fullmatch(path.stem)
            if match is None:
                yield Problem("misnamed", path, "not an EMO-DB name such as 03a01Fa")
            elif match["emotion"] not in self.labels:
                yield Problem("misnamed", path, f"emotion {match['emotion']} is not in corpus.labels")
            else:
                label = self.labels[match["emotion"]]
                yield Entry(path.stem, path, match["speaker"], "", label, match["sentence"])
