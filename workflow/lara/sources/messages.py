"""GRIB messages, editions 1 and 2, one at a time by eccodes: what each holds, and its field.

World Meteorological Organization, Manual on Codes 306, FM 92 GRIB.

What is slow to ask (names, units of levels, forecast step, grid) is asked once per kind of message of a file: of
messages whose sections before the data differ in nothing but the time.
"""

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import eccodes
import numpy as np
from jaxtyping import Float32

from lara.sources.mesh import GribError, Mesh
from lara.sources.plausible import ABSENT, fault_of
from lara.variables import VARIABLES

# ECMWF's parameter numbers; 260074 is the name other centres' sea level pressure goes by
_NAMES = {129: "z", 130: "t", 131: "u", 132: "v", 133: "q", 151: "msl", 165: "u10", 166: "v10", 167: "t2m"}
_NAMES |= {260074: "msl"}
_GRIDS = {"regular_ll": "equiangular", "regular_gg": "gaussian"}
_SURFACES = ("surface", "meanSea", "heightAboveGround")
_PRESSURES = {"isobaricInhPa": 1, "isobaricInPa": 100}

_DECIMALS = {1: 3, 2: 6}
_LONG = 0x800000  # from here on a length in edition 1 means something else


@dataclass(frozen=True)
class Product:
    """What a message holds: our variable name (None: not one of ours), level (hPa), and why it is of no use.

    `expver` "0001" is ERA5, "0005" ERA5T; `member` is 0 where there is no ensemble.
    """

    title: str
    name: str | None = None
    level: int | None = None
    expver: str = "none"
    member: int = 0
    problem: str | None = None


@dataclass(frozen=True, eq=False)
class Kind:
    """What messages of a kind have in common; one is equal to none but itself."""

    product: Product
    mesh: Mesh


@dataclass(slots=True)
class Message:
    """One message of a file, usable until the next is taken.

    `number` counts from 1; `date` and `clock` are the analysis time as YYYYMMDD and HHMM.
    """

    number: int
    handle: int
    kind: Kind
    date: int
    clock: int

    def __str__(self) -> str:
        day = f"{self.date // 10000}-{self.date // 100 % 100:02d}-{self.date % 100:02d}"
        clock = f"{self.clock // 100:02d}:{self.clock % 100:02d}"
        return f"message {self.number} ({self.kind.product.title}, {day}T{clock})"

    def values(self) -> Float32[np.ndarray, "latitude longitude"]:
        """The field, rows north to south, west to east. Raises GribError for a missing or implausible value."""
        try:
            size = eccodes.codes_get_size(self.handle, "values")
            if size != self.kind.mesh.size:  # before memory is taken for them
                raise GribError(f"has {size} values for a grid of {self.kind.mesh}")
            eccodes.codes_set_double(self.handle, "missingValue", ABSENT)
            values = _values(self.handle)
        except eccodes.CodesInternalError as error:
            raise GribError(f"cannot be decoded ({error})") from error
        require_sound(values, self.kind.product)
        return self.kind.mesh.field(values)


def _values(handle: int) -> Float32[np.ndarray, " points"]:
    """The values of a message, from what eccodes gives as double where its packing (plain floats, say) has no other."""
    try:
        return eccodes.codes_get_float_array(handle, "values")
    except eccodes.CodesInternalError:
        return eccodes.codes_get_double_array(handle, "values").astype(np.float32)


def require_sound(values: np.ndarray, product: Product) -> None:
    """Raise GribError where a value of a field is missing, not finite, or implausible."""
    if fault := fault_of(values, product.name, product.level):
        raise GribError(fault)


def messages(path: Path) -> Iterator[Message]:
    """The messages of a file in order, one in memory at a time.

    Raises GribError where the file holds anything but GRIB and zeros, at a message that is cut off or does not end
    in "7777", and at one that is not on a regular grid; FileNotFoundError for an absent file.
    """
    kinds: dict[bytes, Kind] = {}
    with path.open("rb") as stream, _mapped(stream) as data:
        for number, place in enumerate(_frames(data), start=1):
            try:
                handle = _handle(data, place)
                try:
                    common = _common(data, place)
                    if common not in kinds:
                        kinds[common] = Kind(_product(handle), _mesh(handle))
                    date, clock = eccodes.codes_get_long(handle, "dataDate"), eccodes.codes_get_long(handle, "dataTime")
                    yield Message(number, handle, kinds[common], date, clock)
                finally:
                    eccodes.codes_release(handle)
            except (GribError, eccodes.CodesInternalError) as error:
                raise GribError(f"message {number} cannot be understood: {error}") from error


def decode_all(path: Path) -> int:
    """Decode every message as eccodes would alone and throw it away: what ingestion is measured against."""
    count = 0
    with path.open("rb") as stream:
        while (handle := eccodes.codes_grib_new_from_file(stream)) is not None:
            eccodes.codes_get_double_array(handle, "values")
            eccodes.codes_release(handle)
            count += 1
    return count


def _mapped(stream: BinaryIO) -> mmap.mmap:
    """The content of a file. Raises GribError for an empty one."""
    if not os.fstat(stream.fileno()).st_size:
        raise GribError("the file is empty")
    return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)


def _frames(data: mmap.mmap) -> Iterator[slice]:
    """Where whole messages are; archives pad them with zeros."""
    position, number = 0, 1
    while position < len(data):
        start = data.find(b"GRIB", position)
        between = data[position : start if start >= 0 else len(data)].strip(b"\0")
        if between:
            raise GribError(f"no GRIB message where number {number} should begin, but {between[:16]!r}")
        if start < 0:
            return
        end = start + _length(data[start : start + 16])
        if end > len(data) or data[max(end - 4, start + 8) : end] != b"7777":
            where = f"message {number}, from byte {start} of {len(data)},"
            raise GribError(f'{where} is cut off: it has no "7777" where it should end')
        yield slice(start, end)
        position, number = end, number + 1


def _handle(data: mmap.mmap, place: slice) -> int:
    """What eccodes knows a message by; it keeps the only copy of it."""
    with memoryview(data) as whole, whole[place] as message:
        return int(eccodes.codes_new_from_message(message))


def _length(start: bytes) -> int:
    """Length of a message by its first 16 bytes."""
    edition = start[7] if len(start) == 16 else 0
    length = int.from_bytes(start[4:7] if edition == 1 else start[8:16])
    if edition not in _DECIMALS or (edition == 1 and length >= _LONG):
        raise GribError(f"a message of edition {edition}, {length} bytes, cannot be read (known: 1 up to 8 MiB, and 2)")
    return length


def _common(data: mmap.mmap, place: slice) -> bytes:
    """All sections before the data, without the time: equal for messages that differ in time and values alone."""
    begin, stop = place.start, place.stop
    if data[begin + 7] == 1:
        end = begin + 8 + int.from_bytes(data[begin + 8 : begin + 11])
        one, length = data[begin + 8 : min(end, stop)], int.from_bytes(data[end : end + 3])
        return one[:12] + one[17:24] + one[25:] + data[end : min(end + length, stop)]
    end = begin + 16
    while end + 5 < stop and data[end + 4] < 5:
        end += max(int.from_bytes(data[end : end + 4]), 5)
    return data[begin + 6 : begin + 8] + data[begin + 16 : begin + 28] + data[begin + 35 : min(end, stop)]


def _product(handle: int) -> Product:
    expver, member = _string(handle, "experimentVersionNumber"), _long(handle, "perturbationNumber", 0)
    name, level, problem = _NAMES.get(_long(handle, "paramId")), _pressure(handle), None
    if step := _long(handle, "endStep", 0):
        problem = f"is a forecast of {step} h, not an analysis"
    upper_air = VARIABLES[name].upper_air if name else None
    if upper_air is True and level is not None:
        return Product(f"{name}{level}", name, level, expver, member, problem)
    if upper_air is False and _string(handle, "typeOfLevel") in _SURFACES:
        return Product(f"{name}", name, None, expver, member, problem)
    title = "{}, paramId {}, level {} of {}".format(
        *(_string(handle, key) for key in ("shortName", "paramId", "level", "typeOfLevel"))
    )
    return Product(title, None, None, expver, member, problem or "was not asked for")


def _pressure(handle: int) -> int | None:
    """Pressure level in hPa; None for another kind of level, or one between two of ours."""
    unit, level = _PRESSURES.get(_string(handle, "typeOfLevel")), _long(handle, "level")
    return level // unit if unit and level % unit == 0 else None


def _mesh(handle: int) -> Mesh:
    kind, scan = _string(handle, "gridType"), _long(handle, "scanningMode", 0)
    if kind not in _GRIDS:
        raise GribError(f"it is on a grid of type {kind}; ask for a regular one, as in 'grid': '1.40625/1.40625'")
    first, last = (
        [eccodes.codes_get_double(handle, f"{axis}Of{end}GridPointInDegrees") for axis in ("latitude", "longitude")]
        for end in ("First", "Last")
    )
    north_south = (last[0], first[0]) if scan & 64 else (first[0], last[0])
    west_east = (last[1], first[1]) if scan & 128 else (first[1], last[1])
    shape = _long(handle, "Nj", 0), _long(handle, "Ni", 0)
    return Mesh(_GRIDS[kind], shape, north_south, west_east, _DECIMALS[_long(handle, "editionNumber", 0)], scan)


def _long(handle: int, key: str, absent: int = -1) -> int:
    try:
        return int(eccodes.codes_get_long(handle, key))
    except eccodes.KeyValueNotFoundError:
        return absent


def _string(handle: int, key: str) -> str:
    try:
        return str(eccodes.codes_get_string(handle, key))
    except eccodes.KeyValueNotFoundError:
        return "none"
