"""What a container comes down to: parts that libsndfile reads one after another, and the frames each has to give."""

from dataclasses import dataclass


class BrokenAudioError(Exception):
    """The file cannot be decoded to its end into finite samples; the message says why."""


@dataclass(frozen=True)
class Part:
    """Something that libsndfile reads to its end."""

    frames: int = 0
    """At least so many must come out of it; 0 where the container does not say."""
    content: bytes | None = None
    """What to read in place of the whole file."""


def after_id3(data: bytes, start: int = 0) -> int:
    """Where ID3v2 tags that begin at `start` end; needs the first ten bytes of each."""
    while data[start : start + 3] == b"ID3" and len(data) >= start + 10:
        # Seven bits a byte, so that no tag holds what looks like the start of a frame.
        size = sum((data[start + 6 + i] & 0x7F) << 7 * (3 - i) for i in range(4))
        footer = 10 if data[start + 5] & 0x10 else 0
        start += 10 + size + footer
    return start
