"""Readers of observation files: what others have written, as reports.

A format is a module that meets `Reader`, and a row of `FORMATS`. The order of its rows counts where a file's first
bytes fit several.
"""

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import pandas as pd

from lara.observations import reports
from lara.observations.readers import bufr, igra, ioda, ncep_dump, nnja, odb, prepbufr, tables
from lara.observations.readers.settings import Ledger, Reading, Settings
from lara.observations.status import without_twice

HEAD = 65536  # bytes looked at


class Reader(Protocol):
    """What reads one format."""

    def recognises(self, head: bytes, path: Path) -> bool:
        """Whether a file is of this format, by its first bytes, decompressed, and perhaps by more of it."""

    def read(self, path: Path, settings: Settings) -> Reading:
        """The reports of a file and the counts of what it held. ValueError says what is wrong with it, and where."""


FORMATS: dict[str, Reader] = {
    "ncep_dump": ncep_dump,
    "prepbufr": prepbufr,
    "bufr": bufr,
    "ioda": ioda,
    "odb": odb,
    "igra": igra,
    "nnja": nnja,
    "table": tables,
}
OTHERS = {  # first bytes of what is not read, and what to do about it
    b"GRIB": "GRIB holds fields, no observations",
    b"CDF": "NetCDF-3, as MADIS has it, is not read: convert it to IODA",
    b"TOTAL =": "WRFDA's text is not read: convert it to a table",
    b"\x01\r\r\n": "bulletins of text are not read: convert them to BUFR or a table",
    b"ZCZC": "bulletins of text are not read: convert them to BUFR or a table",
}


def read(path: Path, settings: Settings | None = None, form: str | None = None) -> Reading:
    """The reports of a file, of the format named or found. FileNotFoundError, or ValueError naming the file."""
    if form is not None and form not in FORMATS:
        raise ValueError(f"format '{form}' is unknown: it is one of {list(FORMATS)}")
    if not path.exists():
        raise FileNotFoundError(f"no observation file {path}")
    return FORMATS[form or recognised(path)].read(path, settings or Settings())


def read_all(
    paths: Sequence[Path], settings: Settings | None = None, form: str | None = None
) -> tuple[pd.DataFrame, list[Ledger]]:
    """The reports of several files, numbered on, no aircraft used twice among them; and the counts of each file."""
    settings = settings or Settings()
    readings = [read(path, settings, form) for path in paths]
    if not readings:
        return reports.make({}, 0), []
    table = reports.join([reading.reports for reading in readings])
    return without_twice(table, settings.aircraft), [reading.ledger for reading in readings]


def recognised(path: Path) -> str:
    """The format of a file by what it holds. ValueError for one that is of none, with the reason."""
    head = _head(path)
    if _blocked(head):
        raise ValueError(f"{path}: byte 0: BUFR within records of Fortran: take these away, as NCEP's cwordsh does")
    found = next((name for name, reader in FORMATS.items() if reader.recognises(head, path)), None)
    if found is not None:
        return found
    known = next((words for first, words in OTHERS.items() if head.startswith(first)), None)
    if known is None:
        known = f"its first bytes, {head[:8].hex(' ') or 'of which there are none'}, are of no format that is read"
    raise ValueError(f"{path}: byte 0: {known}; formats are {list(FORMATS)}")


def _blocked(head: bytes) -> bool:
    """Whether a file begins with the length of a record of Fortran that holds a message of BUFR."""
    record, length = int.from_bytes(head[:4], "big"), int.from_bytes(head[8:11], "big")
    return head[4:8] == b"BUFR" and length <= record <= length + 8


def _head(path: Path) -> bytes:
    """First bytes of a file, decompressed where it is gzip."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head.startswith(igra.GZIP):
        return head
    try:
        with gzip.open(path) as file:
            return file.read(HEAD)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: no whole gzip ({error}): fetch the file again") from error
