"""ERA5 from a Zarr store, in the cloud or on disk, read without an account.

ARCO-ERA5 (Carver and Merose 2023, 22nd AMS Conference on AI for Environmental Science, 4A.1) is hourly, on an
axis from 1900 to 2050; its attributes `valid_time_start`, `valid_time_stop` (final ERA5) and
`valid_time_stop_era5t` (preliminary) tell which days of it hold data. WeatherBench 2 (Rasp et al. 2024,
doi:10.1029/2023MS004019) is 6-hourly; its coarse grids are (time, level, longitude, latitude), south first.

A field that was never written reads as NaN everywhere, or as one constant where the store has another fill
value. A step with such a field, and one that the axis lacks, is missing: it is left out and named, and nothing
takes its place. NaN in part of a field is damage, and refused.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import dask
import numpy as np
import xarray as xr
from jaxtyping import Bool, Float32, Int

from lara.grid import Grid
from lara.sources.cloud_access import access, patiently
from lara.sources.layouts import Field, Order, find_fields, find_grid, listed, rename_coordinates
from lara.sources.plausible import fault_of, require_gregorian
from lara.state import Channels

States = Float32[np.ndarray, "n channel latitude longitude"]

_BLOCK = 2**29  # bytes of states on the store's grid read at a time; held twice while they are put in order
_READERS = 8  # chunks on their way at once
_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True, eq=False)
class CloudStore:
    """An open store, of which only coordinates have been read.

    `data` holds the store's variables under our names of the coordinates; `rows` and `columns` bring its fields
    into the order of `grid`. Of `times` (datetime64[ns], increasing), [`begin`, `last`] may be asked for.
    """

    url: str
    data: xr.Dataset
    grid: Grid
    rows: Order
    columns: Order
    times: np.ndarray
    begin: np.datetime64
    last: np.datetime64


class Month(NamedTuple):
    """States (n, channel, latitude, longitude), SI, at `times` (n,); `missing` says why for each time left out."""

    times: np.ndarray
    states: States
    missing: dict[np.datetime64, str]


def open_store(url: str, preliminary: bool = False) -> CloudStore:
    """Open the store at a path or URL (gs, s3, https); `preliminary` accepts ERA5T, which may still be replaced.

    Raises RuntimeError naming the package that the URL needs, OSError when there is no store or it does not
    answer, ValueError when it is not on global latitudes and longitudes or its times do not increase.
    """
    options = access(url)
    raw = patiently(lambda: xr.open_zarr(url, chunks=None, storage_options=options), url, "opening it")
    data = rename_coordinates(raw, url)
    require_gregorian(str(data["time"].encoding.get("calendar", "standard")), url)
    if data["time"].dtype.kind != "M":
        raise ValueError(
            f"{url}: its times are no dates ({data['time'].dtype}): give them units such as 'hours since …'"
        )
    times = data["time"].values.astype("datetime64[ns]")
    if not (times.size and np.all(np.diff(times) > np.timedelta64(0))):
        raise ValueError(f"{url}: its {times.size} times do not increase; the store is damaged, take another")
    return CloudStore(url, data, *find_grid(data, url), times, *_held(data, times, preliminary))


def months(
    store: CloudStore,
    channels: Channels,
    times: np.ndarray,
    regrid: Callable[[States], States] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Month]:
    """The states at `times` (datetime64, increasing): one `Month` for each calendar month that they touch.

    `regrid` brings states from `store.grid` to another. It receives some times at once (or none), so memory
    holds a month on the target grid and about 1 GiB on the source grid. `progress` receives the times done and
    their total. Raises KeyError naming a variable or level that the store lacks and ValueError for units that
    are not understood or times it cannot hold, both before any field is read; then ValueError naming the first
    place with NaN or infinity, and OSError when the store stops to answer.
    """
    times = np.asarray(times, "datetime64[ns]")
    reader = _Reader(store, channels, find_fields(store.data, channels, store.url), regrid)
    positions = _positions(store, times)
    cuts = np.flatnonzero(np.diff(times.astype("M8[M]")) != np.timedelta64(0)) + 1
    return _months(reader, np.split(times, cuts), np.split(positions, cuts), progress or (lambda done, total: None))


@dataclass(frozen=True)
class _Reader:
    """Reads blocks of at most `steps` times."""

    store: CloudStore
    channels: Channels
    fields: list[Field]
    regrid: Callable[[States], States] | None

    @property
    def steps(self) -> int:
        return max(1, _BLOCK // (4 * len(self.channels) * int(np.prod(self.store.grid.shape))))

    def read(self, times: np.ndarray, positions: Int[np.ndarray, " n"]) -> Month:
        held = positions >= 0
        missing = dict.fromkeys(times[~held], "not on the time axis")
        times = times[held]
        states = patiently(lambda: self.load(positions[held]), self.store.url, f"reading {_span(times)}")
        unwritten = _unwritten(states)
        for step in np.flatnonzero(unwritten.any(axis=1)):
            names = [self.channels.names[channel] for channel in np.flatnonzero(unwritten[step])]
            missing[times[step]] = f"no data for {listed(names)}"
        whole = ~unwritten.any(axis=1)
        times, states = times[whole], states if whole.all() else states[whole]
        self.require_sound(times, states)
        if self.regrid is not None:  # a view of the source would keep all of it
            states = np.ascontiguousarray(self.regrid(states), np.float32)
        return Month(times, states, dict(sorted(missing.items())))

    def load(self, positions: Int[np.ndarray, " n"]) -> States:
        """States at these positions of the time axis, in our order and units; chunks are read side by side."""
        lazy = [_lazy(field, positions) for field in self.fields] if len(positions) else []
        computed = dask.compute(*lazy, scheduler="threads", num_workers=_READERS)
        states = np.empty((len(positions), len(self.channels), *self.store.grid.shape), np.float32)
        for field, array in zip(self.fields if lazy else [], computed, strict=True):
            values = field.to_si(array.values[..., self.store.rows, :][..., self.store.columns])
            states[:, field.channels] = values.reshape(len(positions), -1, *self.store.grid.shape)
        return states

    def require_sound(self, times: np.ndarray, states: States) -> None:
        bad = ~np.isfinite(states).all(axis=(2, 3))
        if bad.any():
            step, channel = np.argwhere(bad)[0]
            row, column = np.argwhere(~np.isfinite(states[step, channel]))[0]
            place = f"{self.store.grid.latitude[row]}° N, {self.store.grid.longitude[column]}° E"
            what = f"{self.channels.names[channel]} at {_iso(times[step])}"
            raise ValueError(f"{self.store.url}: {what} is not finite at {place}; take another period or store")
        for step, channel in np.ndindex(states.shape[:2]):
            own = self.channels.channels[channel]
            if fault := fault_of(states[step, channel], own.variable, own.level):
                what = f"{self.channels.names[channel]} at {_iso(times[step])}"
                raise ValueError(f"{self.store.url}: {what} {fault}; take another period or store, or mend its units")


def _months(
    reader: _Reader, times: list[np.ndarray], positions: list[np.ndarray], progress: Callable[[int, int], None]
) -> Iterator[Month]:
    done, total = 0, sum(map(len, times))
    for wanted, held in zip(times, positions, strict=True):
        blocks = []
        for first in range(0, len(wanted), reader.steps):
            block = slice(first, first + reader.steps)
            blocks.append(reader.read(wanted[block], held[block]))
            done += len(wanted[block])
            progress(done, total)
        yield _joined(blocks)


def _joined(blocks: list[Month]) -> Month:
    """One month of its blocks, which are given up one by one: memory never holds the month twice."""
    if len(blocks) == 1:
        return blocks[0]
    times = np.concatenate([block.times for block in blocks])
    missing = {moment: why for block in blocks for moment, why in block.missing.items()}
    states = np.empty((len(times), *blocks[0].states.shape[1:]), np.float32)
    end = len(times)
    while blocks:
        block = blocks.pop()
        states[end - len(block.times) : end] = block.states
        end -= len(block.times)
    return Month(times, states, missing)


def _lazy(field: Field, positions: Int[np.ndarray, " n"]) -> xr.DataArray:
    """The field (n[, level], latitude, longitude) at `positions`, in dask blocks as long as the store's chunks.

    Levels and order are dealt with block by block: xarray and zarr would take each point of a chunk by itself.
    """
    chunk = field.data.encoding.get("preferred_chunks", {}).get("time", 1)
    strides = np.unique(np.diff(positions))
    if strides.size == 1:
        step = int(strides[0])
        steps = field.data.isel(time=slice(int(positions[0]), int(positions[-1]) + 1, step))
        blocks = steps.chunk({"time": -(-chunk // step)})
    else:
        blocks = field.data.isel(time=positions).chunk({"time": chunk})
    chosen = blocks if field.levels is None else blocks.isel(level=field.levels)
    return chosen.transpose("time", ..., "latitude", "longitude")


def _unwritten(states: States) -> Bool[np.ndarray, "n channel"]:
    """Which fields are NaN everywhere or constant; no field of the atmosphere is."""
    low, high = states.min(axis=(2, 3)), states.max(axis=(2, 3))  # NaN where there is one
    empty: np.ndarray = low == high
    for step, channel in np.argwhere(np.isnan(low)):
        empty[step, channel] = np.isnan(states[step, channel]).all()
    return empty


def _held(data: xr.Dataset, times: np.ndarray, preliminary: bool) -> tuple[np.datetime64, np.datetime64]:
    """First and last time with data on the axis, which may be longer."""
    stop = _stop(data, preliminary)
    first = np.datetime64(data.attrs.get("valid_time_start", times[0]), "ns")
    return max(first, times[0]), times[-1] if stop is None else min(stop, times[-1])


def _stop(data: xr.Dataset, preliminary: bool) -> np.datetime64 | None:
    """End of the last day with data, where the store says so."""
    names = ("valid_time_stop_era5t", "valid_time_stop") if preliminary else ("valid_time_stop",)
    day = next((data.attrs[name] for name in names if name in data.attrs), None)
    return None if day is None else (np.datetime64(day, "D") + _DAY).astype("M8[ns]") - np.timedelta64(1, "ns")


def _positions(store: CloudStore, times: np.ndarray) -> Int[np.ndarray, " n"]:
    """Position of each time on the store's axis, −1 where it is not there."""
    if not times.size or np.any(np.diff(times) <= np.timedelta64(0)):
        raise ValueError(f"times to read must be one or more and increase, not {times}")
    if times[0] < store.begin or times[-1] > store.last:
        held = f"{store.url} holds {_span(np.array([store.begin, store.last]))}"
        stop = _stop(store.data, preliminary=True)
        early = "" if stop is None or times[-1] > stop else ", or accept preliminary ones (ERA5T)"
        raise ValueError(f"{held}, not {_span(times)}: change the period{early}")
    index = np.searchsorted(store.times, times)
    positions = np.where(store.times[index] == times, index, -1)
    if np.all(positions < 0):
        raise ValueError(f"{store.url} has none of the times {_span(times)}: change their step or first hour")
    return positions


def _span(times: np.ndarray) -> str:
    return f"{_iso(times[0])} to {_iso(times[-1])}" if len(times) else "nothing"


def _iso(moment: np.datetime64) -> str:
    return str(moment.astype("M8[m]"))
