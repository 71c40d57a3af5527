"""Means by calendar month in one NetCDF file: CF variables on (time, level, latitude, longitude), WeatherBench 2 names.

Months are written as they come, so that memory does not grow with the length of the archive. `time` is the first
instant of a month, `time_bounds` its begin and end, and `count` the number of times in its mean. float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from jaxtyping import Float32

from lara import receipts
from lara.grid import Grid
from lara.state import Channels
from lara.variables import VARIABLES

_UNITS = "days since 1970-01-01"


@dataclass(frozen=True)
class MonthMean:
    """Mean state (channel, latitude, longitude), SI, of `count` times of the month that begins at `month`."""

    month: np.datetime64
    state: Float32[np.ndarray, "channel latitude longitude"]
    count: int


def write_means(
    path: Path, grid: Grid, channels: Channels, means: Iterable[MonthMean], attributes: Mapping[str, Any]
) -> None:
    """Write monthly means in the order they come; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with netCDF4.Dataset(part, "w") as file:
        _lay_out(file, grid, channels)
        file.setncatts({"Conventions": "CF-1.11", **attributes})
        for position, mean in enumerate(means):
            _write(file, channels, position, mean)
    receipts.sync(part)
    part.replace(path)
    receipts.sync(path.parent)


def _lay_out(file: netCDF4.Dataset, grid: Grid, channels: Channels) -> None:
    """Dimensions, coordinates and empty variables."""
    file.createDimension("time", None)
    file.createDimension("bounds", 2)
    coordinates = channels.coordinates(np.empty(0, "datetime64[ns]"), grid)
    for name, variable in coordinates.items():
        if name in ("level", "latitude", "longitude"):
            file.createDimension(name, variable.size)
    for name, variable in coordinates.items():
        if name != "time":
            file.createVariable(name, variable.dtype, [str(d) for d in variable.dims])[:] = variable.values
            file[name].setncatts(variable.attrs)
    attributes = {"standard_name": "time", "units": _UNITS, "calendar": "proleptic_gregorian", "bounds": "time_bounds"}
    file.createVariable("time", "f8", "time").setncatts(attributes)
    file.createVariable("time_bounds", "f8", ("time", "bounds"))
    file.createVariable("count", "i4", "time").long_name = "number of times in the mean"
    for name in channels.variables:
        upper = ("level",) if VARIABLES[name].upper_air else ()
        dimensions = ("time", *upper, "latitude", "longitude")
        field = file.createVariable(VARIABLES[name].archive_name, "f4", dimensions)
        field.setncatts({**VARIABLES[name].attributes, "cell_methods": "time: mean"})


def _write(file: netCDF4.Dataset, channels: Channels, position: int, mean: MonthMean) -> None:
    month = mean.month.astype("M8[M]")
    bounds = [float(end.astype("M8[D]").astype(int)) for end in (month, month + 1)]
    file["time"][position], file["time_bounds"][position], file["count"][position] = bounds[0], bounds, mean.count
    for name in channels.variables:
        rows = channels.select(name) if VARIABLES[name].upper_air else channels.index(name)
        file[VARIABLES[name].archive_name][position] = mean.state[rows]
