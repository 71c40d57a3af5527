"""A month of ERA5 in GRIB (or NetCDF), checked message by message and read as states in our names and units.

ECMWF's fields are in SI units already. A delivery is right when it holds each channel asked for at each time
asked for exactly once, on the grid asked for, without missing values. Only such a delivery is ever used.

Packing rounds, so specific humidity may arrive a trifle below zero; variables that cannot be negative are set to
zero there.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32

from lara.grid import Grid
from lara.sources.mesh import GribError
from lara.sources.messages import Kind, Message, messages
from lara.sources.netcdf import NETCDF, slabs
from lara.sources.regrid import Regridding
from lara.sources.unzip import unzipped
from lara.state import Channels

__all__ = ["Delivery", "Expected", "Field", "GribError", "PreliminaryError", "check", "fields", "read"]

FINAL, PRELIMINARY = "0001", "0005"  # experiment versions of ERA5 and of ERA5T, its first release
_NAMED = 3  # faults that an error lists
_REMEDY = "Compare the request with what is expected, delete the file and download it again"


class PreliminaryError(GribError):
    """A delivery holds ERA5T, and that was not to be taken."""


@dataclass(frozen=True)
class Expected:
    """What was asked for.

    `channels`, `times` (datetime64, to the minute) and `grid`; `preliminary` accepts ERA5T, which ECMWF may still
    replace; `member` picks one member of an ensemble (None: there is no ensemble); `exactly` refuses a file that holds
    more than was asked for, of which else nothing but what was asked for is looked at.
    """

    channels: Channels
    times: np.ndarray
    grid: Grid
    preliminary: bool = False
    member: int | None = None
    exactly: bool = True

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(time, channel, latitude, longitude)."""
        return len(self.times), len(self.channels), *self.grid.shape


class Field(NamedTuple):
    """One field: positions of its time and its channel, values (latitude, longitude) in SI units, ERA5T or not."""

    time: int
    channel: int
    values: Float32[np.ndarray, "latitude longitude"]
    preliminary: bool


@dataclass(frozen=True)
class Delivery:
    """States (time, channel, latitude, longitude) in SI units, and which times hold ERA5T."""

    states: Float32[np.ndarray, "time channel latitude longitude"]
    preliminary: Bool[np.ndarray, " time"]


def check(path: Path, expected: Expected) -> Bool[np.ndarray, " time"]:
    """Decode every message of `path`; which of the times hold ERA5T.

    Raises GribError with the first faults and what to do unless the file is exactly what was asked for;
    FileNotFoundError for an absent file.
    """
    preliminary = np.zeros(len(expected.times), dtype=bool)
    for found in fields(path, expected):
        preliminary[found.time] |= found.preliminary
    return preliminary


def read(
    path: Path,
    expected: Expected,
    regrid: Regridding | None = None,
    into: Float32[np.ndarray, "time channel latitude longitude"] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Delivery:
    """States of the delivery at `path`, on the grid asked for or, with `regrid`, on its target.

    Holds one message at a time besides the states, which go to the array `into` where it is given (a part of a
    larger one, say). `progress` receives fields done and their total. Raises GribError as `check` does, then
    with `into` filled in part; ValueError when `regrid` or `into` do not fit.
    """
    if regrid is not None and regrid.source != expected.grid:
        raise ValueError(f"regridding starts from {regrid.source.shape}, but the delivery has {expected.grid.shape}")
    shape = *expected.shape[:2], *(regrid.target if regrid else expected.grid).shape
    states = np.empty(shape, np.float32) if into is None else into
    if states.shape != shape:
        raise ValueError(f"states of shape {shape} do not fit into an array of shape {states.shape}")
    preliminary = np.zeros(len(expected.times), dtype=bool)
    for done, found in enumerate(fields(path, expected), start=1):
        if regrid is None:
            states[found.time, found.channel] = found.values
        else:
            regrid.fill(states[found.time, found.channel], found.values)
        preliminary[found.time] |= found.preliminary
        progress(done, shape[0] * shape[1])
    return Delivery(states, preliminary)


def fields(path: Path, expected: Expected) -> Iterator[Field]:
    """Fields of the delivery at `path` in the order of the file.

    Raises GribError as `check` does, at the latest at the end: what was yielded before is to be thrown away then.
    """
    audit = _Audit(expected)
    try:
        for message in _messages(path):
            if expected.member not in (None, message.kind.product.member):
                continue
            try:
                if expected.exactly or audit.wants(message):
                    yield audit.admit(message)
            except PreliminaryError as fault:
                raise PreliminaryError(f"{path} cannot be used: {message} {fault}") from None
            except GribError as fault:
                audit.faults.append(f"{message} {fault}")
            if len(audit.faults) == _NAMED:
                break
        else:
            audit.faults += audit.missing()
    except PreliminaryError:
        raise
    except GribError as broken:
        audit.faults.append(str(broken))
    if audit.faults:
        raise GribError(f"{path} cannot be used: {'; '.join(audit.faults)}. {_REMEDY}")


def _messages(path: Path) -> Iterator[Message]:
    """Messages of GRIB, or of NetCDF in their place, by the first bytes of the file or of each file of a ZIP."""
    number = 0
    for file in unzipped(path):
        with file.open("rb") as stream:
            start = stream.read(4)
        for message in slabs(file) if start in NETCDF else messages(file):
            number += 1
            message.number = number
            yield message


class _Place(NamedTuple):
    """Where the messages of a kind belong, and what is to be done to them."""

    channel: int
    preliminary: bool
    columns_east: int
    non_negative: bool


class _Audit:
    """Compares messages with what was asked for and keeps account of what came."""

    def __init__(self, expected: Expected) -> None:
        self.expected = expected
        self.faults: list[str] = []
        self.seen = np.zeros(expected.shape[:2], dtype=int)  # number of the message, 0 before it came
        self.times = {_clock(time): position for position, time in enumerate(expected.times)}
        channels = enumerate(expected.channels.channels)
        self.channels = {(channel.variable, channel.level): position for position, channel in channels}
        self.places: dict[Kind, _Place] = {}

    def admit(self, message: Message) -> Field:
        """The field of a message. Raises GribError for one that was not asked for or is of no use."""
        place = self.places.get(message.kind)
        if place is None:
            place = self.places[message.kind] = self._place(message.kind)
        time = self._time(message, place.channel)
        values = message.values()
        if place.columns_east:
            values = np.roll(values, place.columns_east, axis=1)
        if place.non_negative and values.min() < 0.0:
            np.maximum(values, 0.0, out=values)
        return Field(time, place.channel, values, place.preliminary)

    def wants(self, message: Message) -> bool:
        """Whether a message is of a time and channel that were asked for."""
        product = message.kind.product
        asked = not product.problem and (product.name or "", product.level) in self.channels
        return asked and (message.date, message.clock) in self.times

    def missing(self) -> list[str]:
        """A fault for fields that did not come, if any."""
        absent = np.argwhere(self.seen == 0)
        if not len(absent):
            return []
        time, channel = absent[0]
        first = f"{self.expected.channels.names[channel]} at {self.expected.times[time].astype('datetime64[m]')}"
        return [f"{len(absent)} of {self.seen.size} fields are missing, the first is {first}"]

    def _time(self, message: Message, channel: int) -> int:
        """Position of the time of a message, noted as seen."""
        time = self.times.get((message.date, message.clock))
        if time is None:
            raise GribError("was not asked for")
        if first := self.seen[time, channel]:
            member = message.kind.product.member
            raise GribError(f"repeats message {first}{f' (it is of ensemble member {member})' if member else ''}")
        self.seen[time, channel] = message.number
        return time

    def _place(self, kind: Kind) -> _Place:
        product = kind.product
        channel = self.channels.get((product.name or "", product.level))
        if product.problem or channel is None:
            raise GribError(product.problem or "was not asked for")
        non_negative = self.expected.channels.channels[channel].meta.non_negative
        columns = kind.mesh.columns_east(self.expected.grid)
        return _Place(channel, self._preliminary(product.expver), columns, non_negative)

    def _preliminary(self, expver: str) -> bool:
        if expver == PRELIMINARY and not self.expected.preliminary:
            raise PreliminaryError(
                "is ERA5T (expver 0005), which may still be replaced: wait for ERA5, about three months, and "
                "download it again, or take it by `source.preliminary: mark`"
            )
        if expver not in (FINAL, PRELIMINARY):
            raise GribError(f"is of experiment {expver}, not ERA5 ({FINAL}) or ERA5T ({PRELIMINARY})")
        return expver == PRELIMINARY


def _clock(time: np.datetime64) -> tuple[int, int]:
    """YYYYMMDD and HHMM."""
    day, clock = str(time.astype("datetime64[m]")).split("T")
    return int(day.replace("-", "")), int(clock.replace(":", ""))
