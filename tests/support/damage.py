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
