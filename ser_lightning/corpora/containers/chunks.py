"""Containers that name the sizes of their chunks: RIFF, RIFX, RF64, Wave64, AIFF, 8SVX, CAF; and AU with its header."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ser_lightning.corpora.containers import mpeg
from ser_lightning.corpora.containers.part import BrokenAudioError, Part

SAMPLES = (b"data", b"SSND", b"BODY")
STARTS = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b"caff", b".snd", b"dns.")
LEFT_OVER = 4096
"""Bytes behind the samples that may be anything; more have to be chunks, tags or zeros."""
PLAIN = (1, 3, 6, 7)
"""WAVE formats with a fixed number of bytes a sample: integers, floats, A-law and mu-law."""
BLOCKS = (0x02, 0x11, 0x31)
"""WAVE formats whose header says how many samples a block holds: two ADPCMs, GSM 6.10."""
MP3 = 0x55
AU_BYTES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}


@dataclass(frozen=True)
class Layout:
    """How chunks follow one another; `size` is a struct format, `total` whether it counts the chunk's own header."""

    first: int
    name: int
    size: str
    align: int
    total: bool = False


LAYOUTS = {
    b"RIFF": Layout(12, 4, "<I", 2),
    b"RIFX": Layout(12, 4, ">I", 2),
    b"RF64": Layout(12, 4, "<I", 2),
    b"FORM": Layout(12, 4, ">I", 2),
    b"caff": Layout(8, 4, ">q", 1),
    b"riff": Layout(40, 16, "<Q", 8, total=True),
}


@dataclass(frozen=True)
class Chunk:
    """`start` and `size` of what it holds (bytes); the size is `declared` in the file, as `form` at `field`."""

    name: bytes
    start: int
    size: int
    field: int
    form: str


def parts(source: BinaryIO, start: int, end: int, magic: bytes) -> list[Part]:
    """The part that a file of chunks is, whose container begins at `start` and ends at `end`.

    Raises:
        BrokenAudioError: it holds less than it declares, or more samples than would be read.
    """
    layout = LAYOUTS[magic]
    head: dict[bytes, Chunk] = {}
    for chunk in _chunks(source, start + layout.first, end, layout):
        if chunk.name in SAMPLES:
            return _samples(source, head, chunk, end, magic)
        head[chunk.name] = chunk
    return [Part()]


def au(source: BinaryIO, start: int, end: int, magic: bytes) -> list[Part]:
    """The same of Sun's format, whose one header is no chunk."""
    order = ">" if magic == b".snd" else "<"
    header = _read(source, start, 24)
    if len(header) < 24:
        return [Part()]
    offset, size, encoding, _, channels = struct.unpack(f"{order}5I", header[4:])
    data = Chunk(b"data", start + offset, size, start + 8, f"{order}I")
    there = _there(source, data, end, None)
    frames = there // (AU_BYTES[encoding] * channels) if encoding in AU_BYTES and channels else 0
    return [Part(frames, _patched(source, data, there) if size not in (there, 0xFFFFFFFF) else None)]


def _chunks(source: BinaryIO, at: int, end: int, layout: Layout) -> Iterator[Chunk]:
    """Chunks as far as they can be told; what stands behind the samples is looked at elsewhere."""
    length = layout.name + struct.calcsize(layout.size)
    while at + length <= end:
        header = _read(source, at, length)
        name = header[:4]
        if not _printable(name):  # an odd chunk without its padding, or a wrong size: libsndfile searches, too
            found = _read(source, at - 1, 1 << 20).find(b"data")
            if found < 0:
                return
            at += found - 1
            continue
        (size,) = struct.unpack(layout.size, header[layout.name :])
        size -= length if layout.total else 0
        yield Chunk(name, at + length, size, at + layout.name, layout.size)
        at += length + max(size, 0)
        at += -at % layout.align if layout.align <= 2 else -(size + length) % layout.align


def _samples(source: BinaryIO, head: dict[bytes, Chunk], data: Chunk, end: int, magic: bytes) -> list[Part]:
    if magic == b"RF64" and b"ds64" in head and data.size == 0xFFFFFFFF:
        place = head[b"ds64"].start + 8
        (size,) = struct.unpack("<Q", _read(source, place, 8))
        data = Chunk(data.name, data.start, size, place, "<Q")
    there = _there(source, data, end, LAYOUTS[magic])
    format_of = _common if magic == b"FORM" else _described if magic == b"caff" else _format
    tag, frames = format_of(source, head, there, LAYOUTS[magic].size[0])
    if tag == MP3:
        return mpeg.parts(_read(source, data.start, there))
    return [Part(frames, _patched(source, data, there) if _misread(data, magic) and there else None)]


def _there(source: BinaryIO, data: Chunk, end: int, layout: Layout | None) -> int:
    """Bytes of samples, of which a stream's header may not know the number."""
    rest = max(end - data.start, 0)
    size = data.size
    if _unknown(size) and not 0 < size <= rest:
        follows = _chunks(source, data.start, end, layout) if layout else iter(())
        empty = size == 0 and rest > 0 and _ends_at(follows, end)
        return 0 if empty else rest
    if size > rest:
        raise BrokenAudioError(f"cut short: {rest} of {size} bytes of samples")
    _check_behind(source, data.start + size, end)
    return size


def _unknown(size: int) -> bool:
    """Whether a writer that could not go back would have written this: 0, about 2 or 4 GB, or all bits set."""
    return size <= 0 or 0x7F000000 <= size <= 0x80000100 or 0xFFFF0000 <= size <= 0xFFFFFFFF or size >= 1 << 62


def _misread(data: Chunk, magic: bytes) -> bool:
    """Whether libsndfile takes this unknown size for a length, or refuses it."""
    return data.size == 0 if magic in (b"RIFF", b"RIFX") else magic in (b"RF64", b"caff") and _unknown(data.size)


def _ends_at(chunks: Iterator[Chunk], end: int) -> bool:
    """Whether there are chunks, and nothing else, up to the end."""
    found = list(chunks)
    return bool(found) and end - 1 <= found[-1].start + found[-1].size <= end


def _check_behind(source: BinaryIO, at: int, end: int) -> None:
    """Raise where behind the samples there is more that may be samples."""
    head = _read(source, at, 9)
    # Behind an odd number of bytes stands one more, but not with every writer.
    if any(head[i : i + 4] in (*STARTS, *SAMPLES) for i in (0, 1)):
        raise BrokenAudioError(
            f"another recording begins {end - at} bytes before the end, behind the samples that the header declares; "
            "keep each in a file of its own"
        )
    if end - at <= LEFT_OVER or any(_printable(head[i : i + 4]) or head[i : i + 3] == b"ID3" for i in (0, 1)):
        return
    rest = _read(source, at, end - at)
    if rest.strip(b"\0"):
        raise BrokenAudioError(
            f"the header declares less than the file holds: {len(rest)} bytes behind the samples would not be read"
        )


def _format(source: BinaryIO, head: dict[bytes, Chunk], size: int, order: str) -> tuple[int, int]:
    """The WAVE format's number, and frames in `size` bytes, or 0 where that can't be told."""
    chunk = head.get(b"fmt ")
    body = _read(source, chunk.start, 40) if chunk else b""
    if len(body) < 16:
        return 0, 0
    tag, channels, _, _, align, bits = struct.unpack(f"{order}HHIIHH", body[:16])
    if tag == 0xFFFE and len(body) >= 26:
        (tag,) = struct.unpack(f"{order}H", body[24:26])
    align = max(align, channels * -(-bits // 8)) if tag in PLAIN else align
    if not align or (tag in BLOCKS and len(body) < 20):
        return tag, 0
    if tag in BLOCKS:
        return tag, size // align * int(struct.unpack(f"{order}H", body[18:20])[0])
    return tag, size // align if tag in PLAIN else 0


def _common(source: BinaryIO, head: dict[bytes, Chunk], size: int, order: str) -> tuple[int, int]:
    """AIFF counts frames, where one is a packet in some compressions, which then give more."""
    chunk = head.get(b"COMM")
    if chunk is None or chunk.size < 18:
        return 0, 0
    (frames,) = struct.unpack(">I", _read(source, chunk.start + 2, 4))
    return 0, 0 if _unknown(frames) else frames


def _described(source: BinaryIO, head: dict[bytes, Chunk], size: int, order: str) -> tuple[int, int]:
    chunk = head.get(b"desc")
    if chunk is None or chunk.size < 32:
        return 0, 0
    of_packet, frames = struct.unpack(">2I", _read(source, chunk.start + 16, 8))
    return 0, max(size - 4, 0) // of_packet * frames if of_packet else 0


def _patched(source: BinaryIO, data: Chunk, size: int) -> bytes:
    """The whole file with the number of bytes that are there in place of what its writer left."""
    content = bytearray(_read(source, 0, -1))
    struct.pack_into(data.form, content, data.field, size)
    return bytes(content)


def _printable(name: bytes) -> bool:
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)


def _read(source: BinaryIO, at: int, size: int) -> bytes:
    source.seek(max(at, 0))
    return source.read(size)
