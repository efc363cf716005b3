"""The demo corpus: made on this machine on first use, then a folder of WAVs like any other corpus."""

import io
import json
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ser_lightning.console import track
from ser_lightning.corpora.adapter import audio_files
from ser_lightning.corpora.utterance import Entry, Problem
from ser_lightning.errors import UserError
from ser_lightning.files import write_json

NAME = re.compile(r"(?P<speaker>s\d\d)_(?P<emotion>[a-z]{3})_(?P<take>\d\d)")
RECORD = "corpus.json"
VERSION = 1
"""Raised when the same seed no longer gives the same audio."""
MOST = 99
"""Speakers and takes have two digits in a file's name."""


@dataclass
class Demo:
    """Names like `s03_ang_07.wav`: speaker, emotion, take (kept as the text: equal takes say the same)."""

    root: str = "demo_corpus"
    """Folder of the corpus; where it does not exist, the corpus is made there."""
    classes: list[str] = field(default_factory=lambda: ["anger", "happiness", "neutral", "sadness"])
    """Classes to use, in the order of the logits."""
    labels: dict[str, str] = field(
        default_factory=lambda: {"ang": "anger", "hap": "happiness", "neu": "neutral", "sad": "sadness"}
    )
    """Emotion code in a file's name -> class."""
    seed: int = 0
    """Which speakers, sentences and takes are made."""
    speakers: int = 8
    """Number of speakers."""
    utterances: int = 12
    """Number of utterances a speaker speaks in each class."""

    def entries(self) -> Iterator[Entry | Problem]:
        """Make the corpus if it is not there; raises UserError if something else is."""
        root = Path(self.root).absolute()
        if not root.exists():
            self._make(root)
        self._check(root)
        for path in audio_files(root):
            match = NAME.fullmatch(path.stem)
            if match is None:
                yield Problem("misnamed", path, "not a name such as s03_ang_07")
            elif match["emotion"] not in self.labels:
                yield Problem("misnamed", path, f"emotion {match['emotion']} is not in corpus.labels")
            else:
                label = self.labels[match["emotion"]]
                yield Entry(path.stem, path, match["speaker"], "", label, match["take"])

    def _record(self) -> dict[str, int]:
        return {
            "version": VERSION,
            "seed": self.seed,
            "speakers": self.speakers,
            "utterances": self.utterances,
        }

    def _check(self, root: Path) -> None:
        try:
            record = json.loads((root / RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(
                f"{root} is not a demo corpus (no readable {RECORD}); set corpus.root=... to a new folder"
            ) from error
        if record != self._record():
            raise UserError(
                f"{root} holds the demo corpus {record}, the configuration asks for {self._record()}; "
                "set corpus.root=... to a new folder, or remove this one"
            )

    def _make(self, root: Path) -> None:
        """Write under a temporary name and rename the folder, so that no reader sees a part of it."""
        if not (0 < self.speakers <= MOST and 0 < self.utterances <= MOST) or self.seed < 0:
            raise UserError(f"corpus.speakers and .utterances must be 1 to {MOST}, corpus.seed 0 or above")
        root.parent.mkdir(parents=True, exist_ok=True)
        temporary = root.with_name(f".{root.name}-{secrets.token_hex(4)}")
        temporary.mkdir()
        try:
            self._write(temporary)
            temporary.rename(root)
        except OSError:
            if not (root / RECORD).exists():  # else another process made it meanwhile, and `_check` compares
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _write(self, folder: Path) -> None:
        # Reading a corpus that exists needs neither.
        import soundfile

        from ser_lightning.corpora.demo_synthesis import EMOTIONS, RATE, synthesise

        takes = [
            (speaker, emotion, take)
            for speaker in range(1, self.speakers + 1)
            for emotion in EMOTIONS
            for take in range(1, self.utterances + 1)
        ]
        for speaker, emotion, take in track(takes, "making the demo corpus", len(takes)):
            samples = synthesise(self.seed, speaker, emotion, take)
            path = folder / f"s{speaker:02}_{emotion}_{take:02}.wav"
            wav = io.BytesIO()  # libsndfile says of a disk that is full no more than "System error"
            soundfile.write(wav, samples, RATE, format="WAV", subtype="PCM_16")
            path.write_bytes(wav.getvalue())
        write_json(folder / RECORD, self._record())
