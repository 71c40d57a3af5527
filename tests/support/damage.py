"""Ways in which files of a store get lost or broken."""

from pathlib import Path


def shard(path: Path, day: int = 1, field: str = "state") -> Path:
    """File of a field that holds one day, or, of an archive, one time."""
    return next(file for file in (path / field).iterdir() if file.name.startswith(f"c.{day}."))


def flip(file: Path, position: int) -> None:
    """Flip one bit of the byte at `position`."""
    raw = bytearray(file.read_bytes())
    raw[position] ^= 1
    file.write_bytes(raw)


def _zeroed(raw: bytes, size: int = 64) -> bytes:
    """A block about the middle that is not zero becomes so."""
    begin = next(position for position in [*range(len(raw) // 2, len(raw)), 0] if raw[position])
    return raw[:begin] + bytes(len(raw[begin : begin + size])) + raw[begin + size :]


DAMAGES = {  # kinds of damage, each a function of a file's bytes; None for a file that is gone
    "missing": lambda raw: None,
    "empty": lambda raw: b"",
    "halved": lambda raw: raw[: len(raw) // 2],
    "cut by a byte": lambda raw: raw[:-1],
    "text": lambda raw: b"<html>no</html>\n",
    "zeroed": lambda raw: bytes(len(raw)),
    "a zeroed block": _zeroed,
    "a zeroed tail": lambda raw: raw[: -len(raw) // 4] + bytes(len(raw) - len(raw[: -len(raw) // 4])),
    "a flipped bit": lambda raw: raw[: len(raw) // 2] + bytes([raw[len(raw) // 2] ^ 1]) + raw[len(raw) // 2 + 1 :],
}


def spoil(file: Path, damage: str) -> None:
    """Do a kind of damage to a file; links to the same content stay as they are. ValueError where it does none."""
    raw = file.read_bytes()
    spoilt = DAMAGES[damage](raw)
    if spoilt == raw:
        raise ValueError(f"{damage} leaves {file} as it was")
    file.unlink()
    if spoilt is not None:
        file.write_bytes(spoilt)
