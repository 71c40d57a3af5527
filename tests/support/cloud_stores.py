"""Small Zarr stores in the layouts of ARCO-ERA5 and WeatherBench 2, and the states they hold.

Zarr format 2 with consolidated metadata, Blosc(lz4) and fill value NaN; int64 hours since 1900 or 1959; long
names, their `units`, and variables that are none of ours, one of them without time.
"""

from dataclasses import dataclass, replace

import dask.array as da
import numpy as np
import xarray as xr
from numcodecs import Blosc

from gribs import height
from lara.grid import Grid
from lara.sources import cloud
from lara.state import Channels

SURFACE, UPPER = ("msl", "u10", "v10", "t2m"), ("z", "q", "u", "v", "t")
LEVELS_37 = (1, 2, 3, 5, 7, 10, 20, 30, 50, 70, *range(100, 251, 25), *range(300, 751, 50), *range(775, 1001, 25))
LEVELS_13 = (50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000)
SCALES = {"msl": (1e5, 1e3), "u10": (1, 8), "v10": (0, 5), "t2m": (280, 20), "z": (0, 2e3), "q": (4e-3, 1e-3)} | {
    "u": (5, 15),
    "v": (0, 9),
    "t": (250, 15),
}
UNITS = {"msl": "Pa", "t2m": "K", "z": "m**2 s**-2", "q": "kg kg**-1", "t": "K"}  # others m s**-1
ARCO_NAMES = {channel.variable: channel.meta.archive_name for channel in Channels.of(SURFACE, UPPER, [500]).channels}
CHANNELS = Channels.of(["msl", "t2m"], ["z", "q", "u"], [850, 50, 500])
HOURLY = np.arange("2020-02-28T00", "2020-03-01T00", dtype="M8[h]")
TIMES = np.arange("2019-12-30T00", "2020-01-03T00", 6, dtype="M8[h]")


@dataclass(frozen=True)
class Layout:
    """How a store lays its states out; dimensions are (time[, level], *horizontal)."""

    grid: Grid
    levels: tuple[int, ...]
    epoch: str
    time_chunk: int
    horizontal: tuple[str, str] = ("latitude", "longitude")
    ascending: bool = False
    coordinate_type: str = "float32"
    level_units: str | None = None
    attributes: tuple[tuple[str, str], ...] = ()


ARCO = Layout(
    grid=Grid.equiangular(7, 12, poles=True),
    levels=LEVELS_37,
    epoch="1900-01-01",
    time_chunk=1,
    level_units="hPa",
    attributes=(
        ("valid_time_start", "1940-01-01"),
        ("valid_time_stop", "2020-02-29"),
        ("valid_time_stop_era5t", "2020-03-10"),
        ("last_updated", "2020-03-15 02:18:01.385142+00:00"),
    ),
)
WB2_COARSE = Layout(
    grid=Grid.equiangular(6, 12),
    levels=LEVELS_13,
    epoch="1959-01-01",
    time_chunk=100,
    horizontal=("longitude", "latitude"),
    ascending=True,
    coordinate_type="float64",
)
WB2_FINE = replace(ARCO, levels=LEVELS_13, epoch="1959-01-01", level_units=None, attributes=())
ARCO_AXIS = np.arange("1900-01-01T00", "2051-01-01T00", dtype="M8[h]")


def field(variable, level, times, grid):
    """(time, latitude, longitude) in which no row, column, hour, level or variable is another's."""
    hours = (np.asarray(times, "M8[h]") - np.datetime64("2000-01-01T00", "h")).astype(float)[:, None, None]
    mean, spread = SCALES[variable]
    mean = height(level) if variable == "z" else mean
    north, east = np.deg2rad(grid.latitude)[:, None], np.deg2rad(grid.longitude)
    wave = np.sin(north) + 0.3 * np.cos(east - hours / 7) + 0.2 * np.sin(2 * east) * np.cos(north)
    return (mean + spread * (wave + (level or 1013) / 4000)).astype(np.float32)


def truth(channels, times, grid):
    """States (time, channel, latitude, longitude) of `field`."""
    return np.stack([field(channel.variable, channel.level, times, grid) for channel in channels.channels], axis=1)


def write(path, layout, times, axis=None, names=ARCO_NAMES, units=UNITS):
    """A store that holds the truth at `times`, on a longer time `axis` where one is given; returns its path."""
    axis = np.asarray(times if axis is None else axis, "M8[h]")
    template = _template(layout, axis, names, units)
    template.to_zarr(path, zarr_format=2, consolidated=True, compute=False, encoding=_encoding(template, layout))
    land = xr.where(template["longitude"] < 180, np.float32(1), np.float32(0)) + 0 * template["latitude"]
    _put(path, {"land_sea_mask": land.transpose(*layout.horizontal).astype(np.float32)}, slice(None))
    for run in np.split(times, np.flatnonzero(np.diff(times) != axis[1] - axis[0]) + 1):
        first = int(np.searchsorted(axis, run[0]))
        values = {theirs: _values(layout, ours, run) for ours, theirs in names.items()}
        _put(path, values, slice(first, first + len(run)))
    return str(path)


def chunks(path, name):
    """Files of the chunks of a variable, by their first index."""
    files = [file for file in (path / name).iterdir() if not file.name.startswith(".")]
    return {int(file.name.split(".")[0]): file for file in files}


def _put(path, fields, times):
    """Fields, by name, written to these positions of the time axis."""
    region = {"time": times} if any("time" in field.dims for field in fields.values()) else None
    xr.Dataset(fields).to_zarr(path, mode="r+", region=region, zarr_format=2, safe_chunks=False)


def _values(layout, variable, times):
    """A variable as the layout has it, without coordinates."""
    levels = layout.levels if variable in UPPER else (None,)
    values = np.stack([field(variable, level, times, layout.grid) for level in levels], axis=1)
    data = xr.DataArray(values, dims=("time", "level", "latitude", "longitude"))
    data = data.isel(latitude=slice(None, None, -1)) if layout.ascending else data
    return (data if variable in UPPER else data.isel(level=0)).transpose("time", ..., *layout.horizontal)


def _template(layout, axis, names, units):
    """Coordinates and empty variables."""
    rows = layout.grid.latitude[::-1] if layout.ascending else layout.grid.latitude
    coordinates = {
        "time": axis.astype("M8[ns]"),
        "level": (
            "level",
            np.array(layout.levels, np.int64),
            {"units": layout.level_units} if layout.level_units else {},
        ),
        "latitude": rows.astype(layout.coordinate_type),
        "longitude": layout.grid.longitude.astype(layout.coordinate_type),
    }
    data = xr.Dataset(coords=coordinates, attrs=dict(layout.attributes))
    for ours, theirs in names.items():
        attributes = {"short_name": ours, "units": units.get(ours, "m s**-1")}
        data[theirs] = _empty(data, ("time", *(["level"] if ours in UPPER else []), *layout.horizontal), attributes)
    data["sea_surface_temperature"] = _empty(data, ("time", *layout.horizontal), {"units": "K"})
    data["land_sea_mask"] = _empty(data, layout.horizontal, {"units": "(0 - 1)"})
    return data


def _empty(data, dimensions, attributes):
    shape = tuple(data.sizes[name] for name in dimensions)
    return xr.DataArray(da.full(shape, np.nan, dtype=np.float32, chunks=-1), dims=dimensions, attrs=attributes)


def _encoding(template, layout):
    coding = {"units": f"hours since {layout.epoch}", "calendar": "proleptic_gregorian", "dtype": "int64"}
    encoding = {"time": {**coding, "chunks": (min(template.sizes["time"], 23386),)}}
    for name, empty in template.data_vars.items():
        sizes = tuple(layout.time_chunk if dim == "time" else size for dim, size in empty.sizes.items())
        encoding[name] = {"chunks": sizes, "compressors": (Blosc(cname="lz4", clevel=5),)}
    return encoding


def read(url, times=TIMES, channels=CHANNELS, **options):
    """(store, months) at `times`."""
    store = cloud.open_store(str(url))
    return store, list(cloud.months(store, channels, times, **options))


def altered(path, change):
    """Another store beside `path`, with `change` made to its dataset."""
    target = path.with_name("altered.zarr")
    with xr.open_zarr(path, chunks=None) as data:
        fresh = change(data.load().drop_encoding())
    fresh.to_zarr(target, zarr_format=2, consolidated=True)
    return target
