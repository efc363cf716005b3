"""SAVEE: Haq & Jackson, "Speaker-dependent audio-visual emotion recognition", AVSP 2009."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ser_lightning.corpora.adapter import audio_files, existing
from ser_lightning.corpora.utterance import Entry, Problem

SPEAKERS = ("DC", "JE", "JK", "KL")
NAME = re.compile(r"((?P<speaker>[A-Z]{2})_)?(?P<emotion>[a-z]{1,2})(?P<sentence>\d\d)")


@dataclass
class SAVEE:
    """Names like `DC/a01.wav`, or `DC_a01.wav` in the flattened copy: speaker, emotion, sentence (the text)."""

    root: str
    """Folder of the corpus, or its `AudioData` folder."""
    classes: list[str]
    """Classes to use, in the order of the logits."""
    labels: dict[str, str]
    """Emotion letters in a file's name -> class."""

    def entries(self) -> Iterator[Entry | Problem]:
        for path in audio_files(existing(self.root)):
            match = NAME.fullmatch(path.stem)
            speaker = (match["speaker"] or path.parent.name) if match else ""
            if match is None or speaker not in SPEAKERS:
                yield Problem("misnamed", path, f"not a SAVEE name such as DC/a01, speakers {', '.join(SPEAKERS)}")
            elif match["emotion"] not in self.labels:
                yield Problem("misnamed", path, f"emotion {match['emotion']} is not in corpus.labels")
            else:
                text = match["emotion"] + match["sentence"]
                yield Entry(f"{speaker}_{text}", path, speaker, "", self.labels[match["emotion"]], text)
