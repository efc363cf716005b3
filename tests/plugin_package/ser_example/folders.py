"""A corpus of folders: SPEAKER/LABEL/anything.wav."""

from collections.abc import Iterator
from dataclasses import dataclass

from ser_lightning.corpora.adapter import audio_files, existing
from ser_lightning.corpora.utterance import Entry, Problem


@dataclass
class Folders:
    """`SPEAKER/LABEL/NAME.wav`."""

    root: str
    """Folder of the corpus."""
    classes: list[str]
    """Classes to use, in the order of the logits."""
    labels: dict[str, str]
    """Folder's name -> class."""

    def entries(self) -> Iterator[Entry | Problem]:
        for path in audio_files(existing(self.root)):
            speaker, label = path.parts[-3:-1]
            name = f"{speaker}_{label}_{path.stem}"
            yield Entry(name, path, speaker, "", self.labels.get(label, label), "")
