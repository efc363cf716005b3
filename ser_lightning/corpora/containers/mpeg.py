"""MPEG audio (MP3, MP2, MP1): frames counted by their headers. Source: ISO/IEC 11172-3 and 13818-3, 2.4.

A file may begin with a frame that says how many follow (Xing, Info or VBRI). Without it the length of a variable bit
rate is guessed, and libsndfile reads no further than the guess.
"""

import struct
from dataclasses import dataclass, field

from ser_lightning.corpora.containers.part import BrokenAudioError, Part, after_id3

VERSIONS = {3: 1, 2: 2, 0: 4}
"""Of the header's bits, by what the sample rates of MPEG 1 are divided: MPEG 1, 2 and 2.5."""
RATES = (44100, 48000, 32000)
V1 = {
    1: (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
V2 = {
    1: (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    3: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates (kbit/s) by layer and the header's index from 1: of MPEG 1, and of 2 and 2.5."""
DECODER_DELAY = 529
"""Samples that the decoder leaves out at the start where the number of frames is told."""


@dataclass(frozen=True)
class Frame:
    """What a header says: what all frames of a recording share, the bit rate, the length in bytes and in samples."""

    form: tuple[int, int, int, bool]
    bitrate: int
    length: int
    samples: int

    @property
    def side(self) -> int:
        """Where in the frame a tag stands."""
        version, _, _, mono = self.form
        return 4 + ((17 if mono else 32) if version == 1 else (9 if mono else 17))


@dataclass(frozen=True)
class Tag:
    """What the frame before the first says: frames and bytes (0: nothing), and the samples that the encoder added.

    libsndfile does not look at those that aren't `read`.
    """

    frames: int
    size: int
    added: int = 0
    read: bool = True


@dataclass
class Run:
    """One recording: frames after a tag, after the file's beginning, or after frames of another form."""

    first: Frame
    tag: Tag | None
    head: bytes
    """The tag's frame, or nothing."""
    frames: int = 0
    bitrates: set[int] = field(default_factory=set)
    pieces: list[bytearray] = field(default_factory=list)
    """The frames; in several pieces where other bytes stand among them."""

    def add(self, frame: Frame, content: bytes, follows: bool) -> None:
        """Take a frame in, which stands right behind the one before or doesn't."""
        self.frames += 1
        self.bitrates.add(frame.bitrate)
        if not (follows and self.pieces):
            self.pieces.append(bytearray())
        self.pieces[-1] += content

    @property
    def size(self) -> int:
        return len(self.head) + sum(map(len, self.pieces))


def parts(data: bytes) -> list[Part]:
    """A part for each recording in the file.

    Raises:
        BrokenAudioError: the last frame is cut short, or there are fewer frames than the file says.
    """
    runs = _runs(data)
    return [_part(run, alone=len(runs) == 1) for run in runs] or [Part()]


def header(data: bytes, at: int) -> Frame | None:
    """The frame that begins at `at`; none where there is none, or where its length isn't told (free format)."""
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] < 0xE0:
        return None
    second, third, fourth = data[at + 1 : at + 4]
    version, layer = VERSIONS.get(second >> 3 & 3, 0), 4 - (second >> 1 & 3)
    bitrate, rate, padding = third >> 4, third >> 2 & 3, third >> 1 & 1
    if not version or layer == 4 or bitrate in (0, 15) or rate == 3:
        return None
    kbps, hertz = (V1 if version == 1 else V2)[layer][bitrate - 1], RATES[rate] // version
    samples = 384 if layer == 1 else 576 if layer == 3 and version > 1 else 1152
    # A slot, by which padded frames are longer, is four bytes in layer I.
    length = (12000 * kbps // hertz + padding) * 4 if layer == 1 else samples * 125 * kbps // hertz + padding
    return Frame((version, layer, hertz, fourth >> 6 == 3), kbps, length, samples)


def _runs(data: bytes) -> list[Run]:
    """All frames; tags of other kinds, and bytes of no meaning, are passed over."""
    runs: list[Run] = []
    at = end = after_id3(data)
    while at < len(data):
        frame, run = header(data, at), runs[-1] if runs else None
        alike = frame is not None and run is not None and frame.form == run.first.form
        follows = run is not None and at == end
        if frame is None or not ((alike and follows) or _confirmed(data, at, frame)):
            if follows and data[at] == 0xFF and len(data) - at < 4:
                raise BrokenAudioError(f"cut short: its last frame has {len(data) - at} bytes")
            at = _next(data, at)
            continue
        content = data[at : at + frame.length]
        if len(content) < frame.length:
            raise BrokenAudioError(f"cut short: its last frame has {len(content)} of {frame.length} bytes")
        tag = _tag(content, frame)
        if tag or run is None or not alike:
            run = Run(frame, tag, content if tag else b"")
            runs.append(run)
        if not tag:
            run.add(frame, content, follows)
        at = end = at + frame.length
    return [run for run in runs if run.frames]


def _confirmed(data: bytes, at: int, frame: Frame) -> bool:
    """Whether what looks like a header is one: another follows, or nothing does, or a tag."""
    after = at + frame.length
    following = header(data, after)
    if following:
        return following.form == frame.form
    return after == len(data) or data[after : after + 3] in (b"TAG", b"ID3", b"APE", b"LYR")


def _next(data: bytes, at: int) -> int:
    """Where the next frame may begin: behind a tag, or at a byte of all bits."""
    behind = after_id3(data, at)
    if behind > at:
        return behind
    found = data.find(b"\xff", at + 1)
    return found if found >= 0 else len(data)


def _tag(frame: bytes, form: Frame) -> Tag | None:
    # Behind a checksum, if there is one, of two bytes.
    for at in (form.side, form.side + 2):
        if frame[at : at + 4] in (b"Xing", b"Info") and form.form[1] == 3:
            return _xing(frame[at:])
    if frame[36:40] == b"VBRI":
        size, frames = struct.unpack(">2I", frame[46:54])
        return Tag(frames, size, read=False)
    return None


def _xing(tag: bytes) -> Tag:
    (flags,) = struct.unpack(">I", tag[4:8])
    values, at = [], 8
    for flag, length in ((1, 4), (2, 4), (4, 100), (8, 4)):
        values.append(int.from_bytes(tag[at : at + 4], "big") if flags & flag else 0)
        at += length if flags & flag else 0
    delays = int.from_bytes(tag[at + 21 : at + 24], "big")  # LAME's: twelve bits at the beginning, twelve at the end
    return Tag(values[0], values[1], (delays >> 12) + (delays & 0xFFF))


def _part(run: Run, alone: bool) -> Part:
    """What to read of a recording: as it is, or behind a tag that says how many frames there are."""
    tag, samples = run.tag, run.frames * run.first.samples
    if tag and run.frames < tag.frames and not 0 < tag.size <= run.size:
        raise BrokenAudioError(f"cut short: {run.frames} of {tag.frames} frames")
    as_it_is = tag.read and run.frames <= tag.frames if tag else len(run.bitrates) == 1 or run.first.form[1] != 3
    if as_it_is and len(run.pieces) == 1:
        least = samples - max(tag.added, DECODER_DELAY) if tag else samples
        return Part(least, None if alone else b"".join([run.head, *run.pieces]))
    return Part(samples - DECODER_DELAY, b"".join([_own_tag(run), *run.pieces]))


def _own_tag(run: Run) -> bytes:
    """A frame of silence with the number of those that follow."""
    first = run.head or run.pieces[0][:4]
    # Of middling bit rate, which is long enough, and without checksum and padding.
    head = bytes([0xFF, first[1] | 1, 0x80 | first[2] & 0x0C, first[3]])
    frame = header(head, 0)
    if frame is None or frame.form[1] != 3:
        return b""
    tag = b"Xing" + struct.pack(">2I", 1, run.frames)
    return (head + bytes(frame.side - 4) + tag).ljust(frame.length, b"\0")
