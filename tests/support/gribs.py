"""Real GRIB, editions 1 and 2, made by eccodes as ECMWF's archive would deliver it, faults included."""

import functools
from dataclasses import dataclass

import eccodes
import numpy as np

from lara.grid import Grid
from lara.state import Channel, Channels

PARAMETERS = {"z": 129, "t": 130, "u": 131, "v": 132, "q": 133, "msl": 151, "u10": 165, "v10": 166, "t2m": 167}
MISSING = 9999.0


@dataclass(frozen=True)
class Encoding:
    """How a field becomes a message.

    `scan` holds the four flags (i negative, j positive, j consecutive, alternating rows), `west` the number of
    columns that the first one is moved to the east, `declared` the grid that the message claims to be on.
    """

    edition: int = 1
    bits: int = 16
    expver: str = "0001"
    scan: tuple[int, int, int, int] = (0, 0, 0, 0)
    west: int = 0
    increments: bool = True
    declared: Grid | None = None
    keys: tuple[tuple[str, object], ...] = ()


USUAL = Encoding()


def message(channel: Channel, time, values, grid: Grid, encoding=USUAL) -> bytes:
    """One field (rows north to south, NaN where missing) as a GRIB message."""
    place = "sfc" if channel.level is None else "pl"
    kind = "gg" if grid.kind == "gaussian" else "ll"
    handle = eccodes.codes_grib_new_from_samples(f"regular_{kind}_{place}_grib{encoding.edition}")
    try:
        _identify(handle, channel, np.datetime64(time, "m"), encoding)
        _place(handle, encoding.declared or grid, encoding)
        _fill(handle, np.asarray(values, float), encoding)
        for key, value in encoding.keys:
            eccodes.codes_set(handle, key, value)
        return eccodes.codes_get_message(handle)
    finally:
        eccodes.codes_release(handle)


def delivery(channels: Channels, times, states, grid: Grid, encoding=USUAL) -> list[bytes]:
    """Messages of `states` (time, channel, latitude, longitude), time by time."""
    return [
        message(channel, time, field, grid, encoding)
        for time, state in zip(times, states, strict=True)
        for channel, field in zip(channels.channels, state, strict=True)
    ]


def truth(channels: Channels, times, grid: Grid, seed=0):
    """Smooth fields of the right size and sign, different for each time and channel; float64."""
    middle = {"t": 260.0, "u": 5.0, "v": 0.0, "q": 5e-3, "msl": 1.01e5, "u10": 3.0, "v10": 0.0, "t2m": 285.0}
    spread = {"z": 3e3, "t": 20.0, "u": 20.0, "v": 9.0, "q": 5e-3, "msl": 2e3, "u10": 8.0, "v10": 8.0, "t2m": 20.0}
    latitude, longitude = np.deg2rad(grid.latitude)[:, None], np.deg2rad(grid.longitude)
    phases = np.random.default_rng(seed).uniform(0, 6, (len(times), len(channels), 1, 1))
    waves = np.sin(latitude) * 0.5 + 0.5 * np.cos(latitude) * np.cos(2 * longitude + phases)
    scale = np.array([spread[channel.variable] for channel in channels.channels])
    offset = np.array([height(c.level) if c.variable == "z" else middle[c.variable] for c in channels.channels])
    return offset[:, None, None] + scale[:, None, None] * waves


def height(level):
    """Geopotential of a pressure in an atmosphere of 250 K [m² s⁻²]."""
    return 287.05 * 250.0 * np.log(1013.25 / level)


def _identify(handle, channel, time, encoding):
    eccodes.codes_set(handle, "setLocalDefinition", 1)
    eccodes.codes_set(handle, "localDefinitionNumber", 1)
    for key, value in {"marsClass": "ea", "marsStream": "oper", "marsType": "an"}.items():
        eccodes.codes_set(handle, key, value)
    eccodes.codes_set(handle, "experimentVersionNumber", encoding.expver)
    eccodes.codes_set(handle, "paramId", PARAMETERS[channel.variable])
    if channel.level is not None:
        eccodes.codes_set(handle, "level", channel.level)
    day, minutes = time.astype("M8[D]"), int((time - time.astype("M8[D]")) / np.timedelta64(1, "m"))
    eccodes.codes_set(handle, "dataDate", int(str(day).replace("-", "")))
    eccodes.codes_set(handle, "dataTime", minutes // 60 * 100 + minutes % 60)


def _place(handle, grid, encoding):
    unit = 1000 if encoding.edition == 1 else 1_000_000
    i_negative, j_positive = encoding.scan[:2]
    eccodes.codes_set(handle, "Ni", grid.shape[1])
    eccodes.codes_set(handle, "Nj", grid.shape[0])
    rows, columns = grid.latitude, np.roll(grid.longitude, -encoding.west)
    north_south = rows[[-1, 0] if j_positive else [0, -1]]
    west_east = columns[[-1, 0] if i_negative else [0, -1]]
    for name, values in {"latitude": north_south, "longitude": west_east}.items():
        for end, value in zip(("First", "Last"), values, strict=True):
            degrees = np.mod(value, 360) if name == "longitude" and encoding.edition == 2 else value
            eccodes.codes_set(handle, f"{name}Of{end}GridPoint", round(degrees * unit))
    eccodes.codes_set(handle, "scanningMode", int(np.dot(encoding.scan, (128, 64, 32, 16))))
    if grid.kind == "gaussian":
        eccodes.codes_set(handle, "N", grid.shape[0] // 2)
    _space(handle, grid, unit if encoding.increments else None)


def _space(handle, grid, unit):
    eccodes.codes_set(handle, "ijDirectionIncrementGiven", int(unit is not None))
    steps = {"i": 360.0 / grid.shape[1], "j": grid.latitude[0] - grid.latitude[1]}
    for axis, step in steps.items():
        if axis == "j" and grid.kind == "gaussian":
            continue
        if unit is None:
            eccodes.codes_set_missing(handle, f"{axis}DirectionIncrement")
        else:
            eccodes.codes_set(handle, f"{axis}DirectionIncrement", round(step * unit))


def _fill(handle, values, encoding):
    rows, columns = _walk(values.shape, encoding.scan)
    flat = values[rows, (columns + encoding.west) % values.shape[1]]
    eccodes.codes_set(handle, "bitsPerValue", encoding.bits)
    if np.isnan(flat).any():
        eccodes.codes_set(handle, "bitmapPresent", 1)
        eccodes.codes_set(handle, "missingValue", MISSING)
    eccodes.codes_set_values(handle, np.where(np.isnan(flat), MISSING, flat))


@functools.cache
def _walk(shape, scan):
    """Rows and columns in the order in which WMO's flag table 3.4 visits the points."""
    i_negative, j_positive, j_consecutive, alternating = scan
    rows = range(shape[0])[:: -1 if j_positive else 1]
    columns = range(shape[1])[:: -1 if i_negative else 1]
    outer, inner = (columns, rows) if j_consecutive else (rows, columns)
    visited = np.array(
        [
            (second, first) if j_consecutive else (first, second)
            for count, first in enumerate(outer)
            for second in inner[:: -1 if alternating and count % 2 else 1]
        ]
    )
    return visited.T
