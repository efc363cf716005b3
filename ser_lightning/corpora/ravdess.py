"""RAVDESS: Livingstone and Russo, PLoS ONE 13(5): e0196391, 2018; the audio-only speech part."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ser_lightning.corpora.adapter import audio_files, existing
from ser_lightning.corpora.utterance import Entry, Problem

NAME = re.compile(
    r"(?P<modality>\d\d)-(?P<channel>\d\d)-(?P<emotion>\d\d)-(?P<intensity>0[12])-(?P<statement>0[12])"
    r"-(?P<repetition>0[12])-(?P<actor>\d\d)"
)
AUDIO_ONLY, SONG = "03", "02"
ACTORS = 24


@dataclass
class RAVDESS:
    """Names like `Actor_07/03-01-05-02-01-01-07.wav`; the statement's number is kept as the text.

    Sung files (vocal channel 02) are left out, counted as `song`; a soundtrack of the video part (modality 01
    or 02) says the same as its audio-only twin and is a misnamed file.
    """

    root: str
    """Folder that holds the folders Actor_01 to Actor_24."""
    classes: list[str]
    """Classes to use, in the order of the logits."""
    labels: dict[str, str]
    """Emotion number in a file's name -> class."""

    def entries(self) -> Iterator[Entry | Problem]:
        for path in audio_files(existing(self.root)):
            match = NAME.fullmatch(path.stem)
            wrong = self._wrong(path, match)
            if match is None or wrong:
                yield Problem("misnamed", path, wrong)
            else:
                label = "song" if match["channel"] == SONG else self.labels[match["emotion"]]
                yield Entry(path.stem, path, match["actor"], "", label, match["statement"])

    def _wrong(self, path: Path, match: re.Match[str] | None) -> str:
        """Return what is wrong with the name, or nothing."""
        if match is None:
            return "not a RAVDESS name such as 03-01-05-02-01-01-07"
        if not 1 <= int(match["actor"]) <= ACTORS:
            return f"there is no actor {match['actor']}, only 01 to {ACTORS}"
        folder = path.parent.name
        if folder.startswith("Actor_") and folder != f"Actor_{match['actor']}":
            return f"the name says actor {match['actor']}, the folder {folder}"
        if match["modality"] != AUDIO_ONLY:
            return f"modality {match['modality']} is not audio-only (03)"
        if match["channel"] not in ("01", SONG):
            return f"vocal channel {match['channel']} is neither speech (01) nor song (02)"
        if match["emotion"] not in self.labels:
            return f"emotion {match['emotion']} is not in corpus.labels"
        return ""
