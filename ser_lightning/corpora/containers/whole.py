"""Which container a file is, and what it has to give; FLAC, and what libsndfile says of rarer ones."""

import re
from pathlib import Path

import soundfile

from ser_lightning.corpora.containers import chunks, mpeg, ogg
from ser_lightning.corpora.containers.part import BrokenAudioError, Part, after_id3

FLAC = b"fLaC"
STREAMINFO = (b"\x00\x00\x00\x22", b"\x80\x00\x00\x22")
"""Headers of the block of 34 bytes that comes first; the second, where it is the only one."""
LOGGED = {
    "AVR": r"Frames +: (\d+)",
    "MPC2K": r"Frames +: (\d+)",
    "MAT4": r"Cols +: (\d+)",
    "MAT5": r"Cols : (\d+)",
    "WVE": r"Data length (\d+)",
    "SDS": r"Frames +: (\d+)",
}
"""How libsndfile's log tells the number of frames; the last one counts. The logs of these formats are short."""
NIST_COUNT = re.compile(rb"sample_count -i (\d+)")
UNKNOWN = 1 << 62
"""Frames from which on libsndfile means that it does not know."""


def parts(path: Path) -> list[Part]:
    """What of the file is to be read; of a container that isn't known, all that libsndfile reads of it.

    Raises:
        BrokenAudioError: the file holds less than it declares, or more than would be read.
        OSError: it cannot be read.
    """
    with path.open("rb") as source:
        end = source.seek(0, 2)
        source.seek(0)
        start = after_id3(source.read(10))
        source.seek(start)
        magic = source.read(4)
        if magic in chunks.LAYOUTS:
            return chunks.parts(source, start, end, magic)
        if magic in (b".snd", b"dns."):
            return chunks.au(source, start, end, magic)
        if magic == b"NIST":
            count = NIST_COUNT.search(source.read(4096))
            return [Part(int(count[1]) if count else 0)]
        reader = {FLAC: _flac, ogg.MAGIC: ogg.parts}.get(magic)
        if reader is None and (start > 0 or magic[:1] == b"\xff"):
            reader = mpeg.parts
        source.seek(0)
        return reader(source.read()) if reader else [Part()]


def declared(sound: soundfile.SoundFile) -> int:
    """Frames that libsndfile expects of an open file, or 0 where it only guesses.

    Raises:
        BrokenAudioError: its log says that the file is cut short.
    """
    if "MPEG" in sound.subtype:
        return 0
    expected = sound.frames if 0 <= sound.frames < UNKNOWN else 0
    found = re.findall(LOGGED[sound.format], sound.extra_info) if sound.format in LOGGED else []
    logged = int(found[-1]) if found else expected
    if sound.format == "SDS":  # counts whole blocks that are there, and makes up the others' samples
        if logged < expected:
            raise BrokenAudioError(f"cut short: {logged} of {expected} frames")
        return expected
    if sound.format == "VOC" and "truncated file" in sound.extra_info:
        raise BrokenAudioError(f"cut short: {expected} frames, and not all that it declares")
    return max(expected, logged)


def _flac(data: bytes) -> list[Part]:
    """A part for each file that was joined to the first."""
    starts, at = [], data.find(FLAC)
    while at >= 0:
        if data[at + 4 : at + 8] in STREAMINFO:
            starts.append(at)
        at = data.find(FLAC, at + 4)
    whole = len(starts) == 1
    return [
        # 36 bits; 0 where the writer could not know.
        Part(int.from_bytes(data[start + 21 : start + 26], "big") & 0xFFFFFFFFF, None if whole else data[start:end])
        for start, end in zip(starts, [*starts[1:], len(data)], strict=True)
    ] or [Part()]
