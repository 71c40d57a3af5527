"""Layouts of ERA5 elsewhere: the names of variables and coordinates, their units, the order of rows and columns.

Variables go by the long names of CDS, WeatherBench 2 and ARCO-ERA5 (`lara.variables`), by our short ones or by
those of GRIB; units by CF (Eaton et al. 2024, CF-1.12) or by ECMWF's spelling, "m**2 s**-2".
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Int

from lara.grid import Grid
from lara.state import Channels
from lara.variables import VARIABLES

Order = slice | Int[np.ndarray, " n"]

_NAMES = {  # what others call our coordinates
    "time": ("time", "valid_time"),
    "level": ("level", "pressure_level", "isobaricInhPa"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon"),
}
_GRIB_NAMES = {"u10": "10u", "v10": "10v", "t2m": "2t"}
_SPELLINGS = {
    "m/s": "m s-1",
    "m2/s2": "m2 s-2",
    "j kg-1": "m2 s-2",
    "gpm": "m",
    "kg/kg": "kg kg-1",
    "g/kg": "g kg-1",
    "k": "K",
    "kelvin": "K",
    "celsius": "degC",
    "pa": "Pa",
    "mb": "hPa",
    "mbar": "hPa",
    "millibars": "hPa",
}
_CONVERSIONS = {  # (theirs, ours): x ↦ factor x + offset
    ("m", "m2 s-2"): (9.80665, 0.0),
    ("g kg-1", "kg kg-1"): (1e-3, 0.0),
    ("degC", "K"): (1.0, 273.15),
    ("hPa", "Pa"): (100.0, 0.0),
    ("Pa", "hPa"): (0.01, 0.0),
}
_TOLERANCE = 1e-3  # degrees, for coordinates kept as float32


class Field(NamedTuple):
    """A variable as stored, on time[, level], latitude, longitude in any order; x ↦ factor x + offset is SI.

    `levels` are the positions of the levels that become `channels`, None near the surface.
    """

    data: xr.DataArray
    levels: list[int] | None
    channels: list[int]
    factor: float
    offset: float

    def to_si(self, values: np.ndarray) -> np.ndarray:
        """Values of the variable in our units; themselves where they are."""
        if (self.factor, self.offset) == (1.0, 0.0):
            return values
        return np.float32(self.factor) * values + np.float32(self.offset)


def rename_coordinates(data: xr.Dataset, where: str) -> xr.Dataset:
    """`data` with our names of time, level, latitude and longitude; only the level may be absent.

    Raises ValueError, saying `where`, when another is.
    """
    return data.rename({theirs: ours for theirs, ours in _coordinates(data, where) if theirs != ours})


def find_grid(data: xr.Dataset, where: str) -> tuple[Grid, Order, Order]:
    """The grid, north to south and eastwards from 0°, and the order of rows and columns that leads to it.

    Coordinates within 0.001° of an equiangular or Gaussian grid stand for it exactly. Raises ValueError, saying
    `where`, for a grid that is not global or not regular in longitude.
    """
    latitude, longitude = (data[name].values.astype(np.float64) for name in ("latitude", "longitude"))
    east = np.mod(longitude.round(6), 360.0)
    rows, columns = np.argsort(-latitude), np.argsort(east)
    return _exact(latitude[rows], east[columns], where), _order(rows), _order(columns)


def find_fields(data: xr.Dataset, channels: Channels, where: str) -> list[Field]:
    """A `Field` for each variable of the channels.

    Raises, saying `where`, KeyError for a variable or level that `data` lacks and ValueError for other
    dimensions or units that are not understood.
    """
    return [_field(data, name, channels, where) for name in channels.variables]


def _coordinates(data: xr.Dataset, where: str) -> Iterator[tuple[str, str]]:
    """(their name, our name) of each coordinate."""
    for ours, names in _NAMES.items():
        found = [name for name in names if name in data.variables and data[name].dims == (name,)]
        if found:
            yield found[0], ours
        elif ours != "level":
            raise ValueError(f"{where} has no coordinate {' or '.join(names)}, only {listed(list(data.coords))}")


def _exact(latitude: np.ndarray, longitude: np.ndarray, where: str) -> Grid:
    shape = latitude.size, longitude.size
    if shape[0] < 2 or max(90 - latitude[0], 90 + latitude[-1]) > 1.01 * np.abs(np.diff(latitude)).max():
        raise ValueError(f"{where} covers latitudes {latitude[-1]}° to {latitude[0]}° only; a state is global")
    for grid in (Grid.equiangular(*shape), Grid.equiangular(*shape, poles=True), Grid.gaussian(*shape)):
        apart = np.concatenate([grid.latitude - latitude, grid.longitude - longitude])
        if np.abs(apart).max() < _TOLERANCE:
            return grid
    return Grid("equiangular", latitude, longitude)


def _order(index: Int[np.ndarray, " n"]) -> Order:
    """`index` as a slice where that is the same, so that no copy is made."""
    for whole in (slice(None), slice(None, None, -1)):
        if np.array_equal(index, np.arange(index.size)[whole]):
            return whole
    return index


def _field(data: xr.Dataset, name: str, channels: Channels, where: str) -> Field:
    variable = VARIABLES[name]
    found = [n for n in (variable.archive_name, name, _GRIB_NAMES.get(name)) if n in data.data_vars]
    if not found:
        known = listed(sorted(map(str, data.data_vars)))
        raise KeyError(f"{where} has no variable {variable.archive_name} or {name}, only {known}")
    field, what = data[found[0]], f"{where}: {found[0]}"
    order = ("time", *(["level"] if variable.upper_air else []), "latitude", "longitude")
    if set(field.dims) != set(order):
        raise ValueError(f"{what} has dimensions {listed(list(field.dims))}, not {listed(list(order))}")
    # a long name alone means the units of CDS, which are SI; a short one may be anybody's
    units = field.attrs.get("units", variable.units if found[0] == variable.archive_name else "none")
    factor, offset = conversion(units, variable.units, what)
    levels = _level_positions(data["level"], channels.levels(name), where) if variable.upper_air else None
    return Field(field, levels, channels.select(name), factor, offset)


def _level_positions(coordinate: xr.DataArray, levels: list[int], where: str) -> list[int]:
    factor, _ = conversion(coordinate.attrs.get("units", "hPa"), "hPa", f"{where}: level")
    held = (factor * coordinate.values.astype(np.float64)).round(6).tolist()
    absent = [level for level in levels if level not in held]
    if absent:
        raise KeyError(f"{where} has no level {listed(absent)} hPa, only {listed(held)}")
    return [held.index(level) for level in levels]


def conversion(theirs: str, ours: str, what: str) -> tuple[float, float]:
    """(factor, offset) of x ↦ factor x + offset, from their units to ours. ValueError for units not understood."""
    plain = str(theirs).replace("**", "").replace("^", "").strip()
    plain = _SPELLINGS.get(plain.lower(), plain)
    if plain == ours:
        return 1.0, 0.0
    if (plain, ours) not in _CONVERSIONS:
        raise ValueError(f"{what} has units {theirs!r}, which cannot be turned into {ours}")
    return _CONVERSIONS[plain, ours]


def listed(values: list[Any]) -> str:
    """Values in a line, at most 40 of them."""
    shown = ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values[:40])
    return shown + (f" and {len(values) - 40} more" if len(values) > 40 else "")
