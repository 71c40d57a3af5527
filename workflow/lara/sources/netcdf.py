"""The Climate Data Store's NetCDF, taken apart into the messages it was converted from.

Layout of its converter since 2024: variables by ECMWF's short names on (valid_time, pressure_level, latitude,
longitude), experiment version `expver` by time. Coordinates come from GRIB with three decimals and are checked as
such. GRIB is to be preferred: the store calls this layout unstable.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from jaxtyping import Float32

from lara.sources.layouts import conversion
from lara.sources.mesh import GribError, Mesh
from lara.sources.messages import Kind, Message, Product, require_sound
from lara.sources.plausible import require_gregorian
from lara.variables import VARIABLES

NETCDF = (b"\x89HDF", b"CDF\x01", b"CDF\x02", b"CDF\x05")
_AXES = ("valid_time", "pressure_level", "latitude", "longitude")


@dataclass(slots=True)
class Slab(Message):
    """One field of a NetCDF variable, in the place of a message."""

    variable: Any
    index: tuple[int, ...]

    def values(self) -> Float32[np.ndarray, "latitude longitude"]:
        """The field, rows north to south, west to east. Raises GribError for a missing or implausible value."""
        try:
            values = np.ma.filled(self.variable[self.index].astype(np.float32), np.nan)  # its own missing values, too
        except (OSError, RuntimeError) as error:
            raise GribError(f"cannot be decoded ({error})") from error
        require_sound(values, self.kind.product)
        return self.kind.mesh.field(values.ravel())


def slabs(path: Path) -> Iterator[Slab]:
    """The fields of a NetCDF file, one in memory at a time.

    Raises GribError for a file that is broken or of another layout.
    """
    with _opened(path) as dataset:
        for number, slab in enumerate(_slabs(dataset), start=1):
            slab.number = number
            yield slab


def _opened(file: Path) -> netCDF4.Dataset:
    try:
        dataset = netCDF4.Dataset(file)
    except OSError as error:
        raise GribError(f"it is no whole NetCDF file ({error.strerror})") from error
    return dataset


def _slabs(dataset: netCDF4.Dataset) -> Iterator[Slab]:
    missing = {"valid_time", "latitude", "longitude"} - set(dataset.variables)
    if missing:
        raise GribError(f"it has no {', '.join(sorted(missing))}; ask for 'data_format': 'grib'")
    mesh, times = _mesh(dataset), _times(dataset)
    expvers = _expvers(dataset, len(times))
    for name, variable in dataset.variables.items():
        if "latitude" not in variable.dimensions or name in _AXES:
            continue
        levels = _levels(dataset, name, variable)
        for time, level in product(range(len(times)), range(len(levels))):
            index = (time, level) if "pressure_level" in variable.dimensions else (time,)
            what = _product(name, levels[level], expvers[time], getattr(variable, "units", "none"))
            day, clock = str(times[time]).split("T")
            date = int(day.replace("-", "")), int(clock.replace(":", ""))
            yield Slab(0, 0, Kind(what, mesh), *date, variable, index)


def _mesh(dataset: netCDF4.Dataset) -> Mesh:
    latitude, longitude = (np.asarray(dataset[name][:], dtype=np.float64) for name in ("latitude", "longitude"))
    edges = (latitude.max(), latitude.min()), (longitude[0], longitude[-1])
    scan = 64 if latitude[0] < latitude[-1] else 0
    return Mesh("equiangular", (latitude.size, longitude.size), *edges, 3, scan)


def _times(dataset: netCDF4.Dataset) -> np.ndarray:
    axis = dataset["valid_time"]
    try:
        require_gregorian(getattr(axis, "calendar", "standard"), "it")
    except ValueError as fault:
        raise GribError(str(fault)) from fault
    dates = netCDF4.num2date(np.atleast_1d(axis[:]), axis.units, getattr(axis, "calendar", "standard"))
    return np.array([date.isoformat() for date in np.asarray(dates)], "datetime64[m]")


def _expvers(dataset: netCDF4.Dataset, times: int) -> list[str]:
    """Experiment version of each time, four characters, or "none"."""
    if "expver" not in dataset.variables:
        return ["none"] * times
    versions = [str(version).zfill(4) for version in np.atleast_1d(dataset["expver"][:])]
    return versions * times if len(versions) == 1 else versions


def _levels(dataset: netCDF4.Dataset, name: str, variable: netCDF4.Variable) -> list[float | None]:
    expected = [axis for axis in _AXES if axis in variable.dimensions]
    if list(variable.dimensions) != expected or variable.dimensions[0] != "valid_time":
        raise GribError(f"{name} is on {variable.dimensions}, not on {_AXES}; ask for 'data_format': 'grib'")
    return [float(level) for level in dataset["pressure_level"][:]] if "pressure_level" in expected else [None]


def _product(name: str, level: float | None, expver: str, units: str) -> Product:
    known = name in VARIABLES and VARIABLES[name].upper_air == (level is not None)
    whole = None if level is None else int(level)
    title = f"{name}{'' if level is None else f'{level:g}'}"
    if not known or whole != level:
        return Product(title, expver=expver, problem="was not asked for")
    return Product(title, name, whole, expver, problem=_other_units(name, units))


def _other_units(name: str, units: str) -> str | None:
    """What is wrong with the units of a variable; None where they are ours."""
    wanted = VARIABLES[name].units
    try:
        same = conversion(units, wanted, "it") == (1.0, 0.0)
    except ValueError:
        same = False
    return None if same else f"has units {units!r}, not {wanted}; ask for 'data_format': 'grib'"
