"""Frames of a BUFR file, walked before any decoder sees it: decoders skip what they cannot place, without a word.

A message is `BUFR`, its length (3 bytes), its edition, sections 1, 3, 4, perhaps 2, and `7777`; the lengths of sections
add up to that of the message (WMO Manual on Codes, I.2, FM 94). Between messages lie at most 8 bytes of padding or a
heading of the telecommunication network. NCEP's messages give each subset's length in bytes, too (NCEPLIBS-bufr,
BYTCNT), so that these chains are walked within section 4.

A flipped bit of a value breaks no frame: BUFR has no checksum. The receipt beside a fetched file finds that one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

PADDING = 8  # bytes between messages, of any value
HEADING = 128  # bytes of text between messages
EDITIONS = (2, 3, 4)  # older ones have no length
DICTIONARY = 11  # data category of NCEP's tables
BYTE_COUNT = "063000"  # descriptor with which NCEP's subsets begin
COMPRESSED = 64  # flag of section 3
LONG_SUBSET = 65535  # what NCEP writes as the length of a subset that is longer


@dataclass(frozen=True)
class Frame:
    """A BUFR message: where it lies (bytes), and what its sections 1 and 3 say."""

    offset: int
    length: int
    edition: int
    category: int
    centre: int
    subsets: int
    compressed: bool
    descriptors: tuple[str, ...]

    @property
    def end(self) -> int:
        """Byte after the last."""
        return self.offset + self.length


def walk(raw: bytes) -> list[Frame]:
    """All messages of a file in their order. ValueError that begins with the byte from which it is none."""
    frames: list[Frame] = []
    position = 0
    while (begin := raw.find(b"BUFR", position)) >= 0:
        _require_gap(raw[position:begin], position)
        frames.append(_frame(raw, begin))
        position = frames[-1].end
    _require_gap(raw[position:], position)
    if not frames:
        raise ValueError(f"byte 0: {len(raw)} bytes hold no BUFR message: fetch the file again")
    return frames


def data(frames: list[Frame]) -> list[Frame]:
    """The messages that hold reports: those that are no NCEP table and have subsets."""
    return [frame for frame in frames if frame.category != DICTIONARY and frame.subsets]


def is_ncep(frames: list[Frame]) -> bool:
    """Whether the file brings NCEP's tables with it (PrepBUFR and dumps)."""
    return any(frame.category == DICTIONARY for frame in frames)


def begins_with_dictionary(raw: bytes) -> bool:
    """Whether the message at the beginning of some bytes, which need not be whole, is a table of NCEP's."""
    return len(raw) > 18 and raw[7] in EDITIONS and raw[18 if raw[7] == 4 else 16] == DICTIONARY


def _require_gap(gap: bytes, position: int) -> None:
    if len(gap) <= PADDING or (len(gap) <= HEADING and _is_text(gap)):
        return
    raise ValueError(
        f"byte {position}: {len(gap)} bytes that are no BUFR message and no padding, {gap[:8].hex(' ')} at first: "
        "the file is cut, overwritten or of another format; fetch it again"
    )


def _is_text(gap: bytes) -> bool:
    return all(byte in b"\x00\x01\x03\t\n\r" or 32 <= byte < 127 for byte in gap) and any(byte > 32 for byte in gap)


def _frame(raw: bytes, begin: int) -> Frame:
    """The message at `begin`, its lengths compared with each other."""
    length, edition = _integer(raw, begin + 4, 3), raw[begin + 7] if begin + 7 < len(raw) else -1
    if edition not in EDITIONS:
        raise ValueError(f"byte {begin + 7}: BUFR edition {edition}, where one of {EDITIONS} is read")
    end = begin + length
    if end > len(raw):
        raise ValueError(
            f"byte {len(raw)}: the file ends within the message of {length} bytes at byte {begin}: fetch it again"
        )
    if length < 12 or raw[end - 4 : end] != b"7777":
        raise ValueError(f"byte {max(end - 4, begin)}: no 7777 at the end of the message at byte {begin}")
    sections = list(_sections(raw, begin, end, edition))
    frame = _described(raw, begin, length, edition, sections)
    _require_chain(raw, frame, sections[-1])
    return frame


def _sections(raw: bytes, begin: int, end: int, edition: int) -> Iterator[int]:
    """First byte of sections 1, 3, 4; ValueError unless they fill the message. The last is that of section 4."""
    first = begin + 8
    with_second = raw[first + (9 if edition == 4 else 7)] & 128
    position = first
    for number in (1, 2, 3, 4) if with_second else (1, 3, 4):
        size = _integer(raw, position, 3)
        if size < 4 or position + size > end - 4:
            raise ValueError(f"byte {position}: section {number} of {size} bytes exceeds the message at byte {begin}")
        if number != 2:
            yield position
        position += size
    if position != end - 4:
        raise ValueError(f"byte {position}: the sections of the message at byte {begin} end before it does")


def _described(raw: bytes, begin: int, length: int, edition: int, sections: list[int]) -> Frame:
    first, third, fourth = sections
    if raw[third + 6] & 0b00111111 or raw[third + 3]:
        raise ValueError(f"byte {third + 3}: reserved bits of section 3 of the message at byte {begin} are set")
    return Frame(
        offset=begin,
        length=length,
        edition=edition,
        category=raw[first + (10 if edition == 4 else 8)],
        centre=_integer(raw, first + 4, 2) if edition == 4 else raw[first + 5],
        subsets=_integer(raw, third + 4, 2),
        compressed=bool(raw[third + 6] & COMPRESSED),
        descriptors=tuple(_descriptor(raw[at], raw[at + 1]) for at in range(third + 7, fourth - 1, 2)),
    )


def _descriptor(high: int, low: int) -> str:
    return f"{high >> 6}{high & 63:02d}{low:03d}"


def _require_chain(raw: bytes, frame: Frame, section: int) -> None:
    """Subsets that say their length must fill section 4 of their message; ValueError with the first that does not."""
    if frame.compressed or frame.descriptors[:1] != (BYTE_COUNT,):
        return
    position, end = section + 4, frame.end - 4
    for number in range(frame.subsets):
        size = _integer(raw, position, 2)
        if size == LONG_SUBSET:
            return
        if size < 3 or position + size > end:
            raise ValueError(f"byte {position}: subset {number + 1} of {size} bytes does not fit its message")
        position += size
    if end - position > 1:
        raise ValueError(f"byte {position}: {end - position} bytes after the last subset of the message")


def _integer(raw: bytes, position: int, size: int) -> int:
    return int.from_bytes(raw[position : position + size], "big")
