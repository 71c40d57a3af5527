"""BUFR messages of no meaning, put together byte by byte, as their frames are walked."""


def size(number: int, width: int = 3) -> bytes:
    return number.to_bytes(width, "big")


def message(body: bytes = bytes(40), subsets: int = 1, category: int = 0, descriptors=((0, 1),), edition: int = 4):
    """One message: `body` is section 4 after its length, `descriptors` are the two bytes of each."""
    first = bytes([0, 0, 7, 0, 0, 0, 0, category, 0, 0, 0, 0, 7, 208, 1, 1, 0, 0, 0]) if edition == 4 else bytes(15)
    if edition < 4:
        first = first[:2] + bytes([7, 0, 0, category]) + first[6:]
    listed = b"".join(bytes(pair) for pair in descriptors)
    sections = size(3 + len(first)) + first
    sections += size(7 + len(listed)) + b"\0" + size(subsets, 2) + b"\x80" + listed
    sections += size(4 + len(body)) + b"\0" + body
    return b"BUFR" + size(12 + len(sections)) + bytes([edition]) + sections + b"7777"


def counted(*lengths: int) -> bytes:
    """A message of NCEP's form, whose subsets say how many bytes they have."""
    body = b"".join(size(length, 2) + b"\x55" * (length - 2) for length in lengths)
    return message(body, len(lengths), category=102, descriptors=((63, 0),), edition=3)
