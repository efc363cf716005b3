"""A folder tree in IEMOCAP's layout with the published class and session totals: `python iemocap_tree.py FOLDER`."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

CLASSES = {"ang": 1103, "exc": 1041, "hap": 595, "neu": 1708, "sad": 1084}
SESSIONS = (1085, 1023, 1151, 1031, 1241)
HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
VOTES = "C-E2:\tNeutral;\t()\nC-F1:\tSadness;\t()\nA-E3:\tval 3; act 2; dom  2;\t()\n\n"
RATE = 16_000
"""Samples a second."""


def table() -> dict[str, list[int]]:
    """Return utterances by class and session: both margins are IEMOCAP's, the cells between them are made up.

    Cells are in proportion to their margins, rounded down; what is left goes in by the northwest-corner rule.
    """
    cells = {code: [total * column // sum(SESSIONS) for column in SESSIONS] for code, total in CLASSES.items()}
    lacking = [column - sum(row[i] for row in cells.values()) for i, column in enumerate(SESSIONS)]
    for code, row in cells.items():
        for i, missing in enumerate(lacking):
            more = min(CLASSES[code] - sum(row), missing)
            row[i] += more
            lacking[i] -= more
    return cells


def build(root: Path, audio: Callable[[Path], object]) -> None:
    """Write 5,531 labelled turns: in each session one improvised and one scripted dialog, F and M taking turns."""
    for i in range(len(SESSIONS)):
        codes = [code for code, row in table().items() for _ in range(row[i])]
        for start, name in enumerate(("impro01", "script01_1b")):
            turns = {f"{'FM'[j % 2]}{j // 2:03}": code for j, code in enumerate(codes[start::2])}
            dialog(root / f"Session{i + 1}", f"Ses0{i + 1}F_{name}", turns, audio=audio)


def dialog(
    session: Path,
    name: str,
    codes: dict[str, str],
    text: bool = True,
    audio: Callable[[Path], object] | None = Path.touch,
) -> None:
    """Write the label file of one dialog (turn -> code), its transcription and, by `audio`, its wav files."""
    labels, wavs = session / "dialog/EmoEvaluation", session / "sentences/wav" / name
    for folder in (labels, wavs, session / "dialog/transcriptions"):
        folder.mkdir(parents=True, exist_ok=True)
    lines = [
        f"[6.2901 - 8.2357]\t{name}_{turn}\t{code}\t[2.5000, 2.5000, 2.5000]\n{VOTES}" for turn, code in codes.items()
    ]
    (labels / f"{name}.txt").write_text(HEADER + "".join(lines))
    if text:
        said = "".join(f"{name}_{turn} [006.2901-008.2357]: Said by {turn}.\n" for turn in codes)
        (session / f"dialog/transcriptions/{name}.txt").write_text(f"{said}F: (laughs)\n")
    if audio:
        for turn in codes:
            audio(wavs / f"{name}_{turn}.wav")


def sound(path: Path) -> None:
    """Write 0.3 to 0.6 s of a tone in noise, which the file's name decides."""
    random = np.random.default_rng(list(path.stem.encode()))
    seconds = np.arange(random.integers(3 * RATE // 10, 6 * RATE // 10)) / RATE
    tone = np.sin(2 * np.pi * random.uniform(100, 1000) * seconds)
    soundfile.write(path, 0.3 * tone + random.uniform(-0.2, 0.2, len(seconds)), RATE, subtype="PCM_16")


if __name__ == "__main__":
    build(Path(sys.argv[1]), sound)
