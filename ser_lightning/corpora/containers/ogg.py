"""Ogg: pages, counted and chained. Source: RFC 3533.

libsndfile reads the first link of a chain, and takes the last page that is there for the last. Its length, which the
granule positions of these pages say, is compared with what was decoded as that of any other file.
"""

import struct
from dataclasses import dataclass

from ser_lightning.corpora.containers.part import BrokenAudioError, Part

MAGIC = b"OggS"
HEADER = 27
FIRST, LAST = 2, 4
"""Flags of a logical stream's first and last page."""


@dataclass
class LogicalStream:
    """One logical stream: the number of its last page so far, and what is known of its ends."""

    page: int
    begun: bool = False
    ended: bool = False


def parts(data: bytes) -> list[Part]:
    """A part for each link of the chain, as files joined together are one.

    Raises:
        BrokenAudioError: a page is missing or cut short, or a stream lacks its last page.
    """
    links: list[int] = []
    streams: dict[int, LogicalStream] = {}
    at = data.find(MAGIC)
    while at >= 0:
        flags, serial, page, size = _page(data, at)
        if flags & FIRST:
            if not links or all(stream.begun for stream in streams.values()):
                _check_ended(streams)
                links.append(at)
                streams = {}
            streams[serial] = LogicalStream(page)
        else:
            _follow(streams, serial, page)
        streams[serial].ended = bool(flags & LAST)
        # Damaged bytes between pages are passed over; a page lost among them is found missing.
        at = data.find(MAGIC, at + size)
    _check_ended(streams)
    if len(links) < 2:
        return [Part()]
    return [Part(content=data[start:end]) for start, end in zip(links, [*links[1:], len(data)], strict=True)]


def _page(data: bytes, at: int) -> tuple[int, int, int, int]:
    """Flags, stream, number and size of the page at `at`."""
    header = data[at : at + HEADER]
    lacing = data[at + HEADER : at + HEADER + header[26]] if len(header) == HEADER else b""
    size = HEADER + len(lacing) + sum(lacing)
    if len(header) < HEADER or len(lacing) < header[26] or at + size > len(data):
        raise BrokenAudioError(f"cut short: its last page has {len(data) - at} bytes, and not all that it declares")
    _, flags, _, serial, page = struct.unpack("<BBqII", header[4:22])
    return flags, serial, page, size


def _follow(streams: dict[int, LogicalStream], serial: int, page: int) -> None:
    if serial not in streams:
        raise BrokenAudioError("cut short: the first page of a stream is missing")
    stream = streams[serial]
    missing = (page - stream.page - 1) % (1 << 32)
    if missing:
        raise BrokenAudioError(f"pages are missing: page {page} follows page {stream.page}")
    stream.page, stream.begun = page, True


def _check_ended(streams: dict[int, LogicalStream]) -> None:
    for stream in streams.values():
        if not stream.ended:
            raise BrokenAudioError(f"cut short: page {stream.page}, where it ends, is not marked as the last")
