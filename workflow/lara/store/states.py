"""Datasets of states: one array state(time, channel, latitude, longitude), float32, SI units.

What no receipt covers (see `sealing`) is not data: opening it is an error, never NaN. At a time that the source lacks
is a gap: no state is there to be read, and the states around one do not follow each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from jaxtyping import Float32, Int

from lara import receipts
from lara.grid import Grid
from lara.state import Channels, grid_coordinates
from lara.store import arrays, template
from lara.store.arrays import RERUN, StoreError
from lara.store.reading import Rows, StoredRows, stage
from lara.store.sealing import channels_of, content_digest, sealed_rows


def create(
    path: Path, grid: Grid, channels: Channels, times: np.ndarray, attributes: Mapping[str, Any] | None = None
) -> None:
    """Empty dataset for states at `times` (datetime64[ns], equal steps), with cell bounds and area weights.

    Keeps what is there when the same dataset exists, be it longer; lengthens one whose times are the first of
    `times`. Safe when several processes call it at once. Raises StoreError when another dataset exists or
    times are irregular.
    """
    names = np.array(channels.names, dtype=np.dtypes.StringDType())
    labels = xr.Variable("channel", names, {"long_name": "variable, pressure level in hPa"})
    field = template.Field(
        ("channel", "latitude", "longitude"),
        (len(channels), *grid.shape),
        {"long_name": "atmospheric state in SI units"},
        sharded=True,
    )
    coordinates = {"channel": labels, **grid_coordinates(grid)}
    empty = template.Template(times, {"state": field}, coordinates, {**(attributes or {}), "grid_kind": grid.kind})
    template.ensure(path, empty)


def open_state(
    path: Path,
    begin: np.datetime64 | str | None = None,
    end: np.datetime64 | str | None = None,
    verify: bool = False,
) -> "StateStore":
    """Sealed states with begin ≤ time < end (default: all) but gaps; `verify` compares the digest of every file.

    Raises StoreError when there is no store, when receipts do not cover the range, or when a file is
    missing, truncated or (with `verify`) changed.
    """
    times = arrays.read_times(path)
    step = arrays.step_of(times)
    held = np.array([times[0], times[-1] + step])
    span = np.array([held[0] if begin is None else begin, held[1] if end is None else end], "datetime64[ns]")
    if not held[0] <= span[0] < span[1] <= held[1]:
        raise StoreError(f"{path} is for {held}, not {span}: change the period or {RERUN}")
    first, last = np.searchsorted(times, span).tolist()
    rows = sealed_rows(path, times, slice(first, last), verify)
    return StateStore(path, times[rows], _grid(path), channels_of(path), step, rows, StoredRows.open(path, "state"))


@dataclass(frozen=True, eq=False)
class StateStore:
    """Sealed states x (time, channel, latitude, longitude), float32 in SI units, at `times` every `step` but for gaps.

    `rows` are the positions of `times` on the axis of `array`.
    """

    path: Path
    times: np.ndarray
    grid: Grid
    channels: Channels
    step: np.timedelta64
    rows: Int[np.ndarray, " n"]
    array: Rows

    def __len__(self) -> int:
        return len(self.times)

    def read(
        self, indices: Sequence[int] | Int[np.ndarray, " n"] | slice
    ) -> Float32[np.ndarray, "n channel latitude longitude"]:
        """States at positions in `times`. Raises IndexError out of range, StoreError when damaged."""
        rows = np.atleast_1d(self.rows[indices])
        states = np.empty((rows.size, *self.array.shape[1:]), np.float32)
        runs = [run for run in np.split(np.arange(rows.size), np.flatnonzero(np.diff(rows) != 1) + 1) if run.size]
        spans = [slice(int(rows[run[0]]), int(rows[run[-1]]) + 1) for run in runs]
        for run, values in zip(runs, self.array.read(spans), strict=True):
            states[run] = values
        return states

    def at(self, times: np.ndarray) -> Float32[np.ndarray, "n channel latitude longitude"]:
        """States at `times` (datetime64). Raises StoreError naming a time that is not there."""
        return self.read(self.index_of(times))

    def index_of(self, times: np.ndarray) -> Int[np.ndarray, " n"]:
        """Positions of `times` (datetime64). Raises StoreError naming the first that is not there."""
        wanted = np.atleast_1d(np.asarray(times, "datetime64[ns]"))
        missing = wanted[~np.isin(wanted, self.times)]
        if not missing.size:
            return np.searchsorted(self.times, wanted)
        if any(gap == missing[0] for gap in self.gaps):
            raise StoreError(f"{self.path} has a gap at {missing[0]}, for which its source has no data: avoid it")
        raise StoreError(f"{self.path} is not open at {missing[0]}: open a range that holds it or {RERUN}")

    @property
    def gaps(self) -> np.ndarray:
        """Times (datetime64[ns]) between the first and the last that are not there."""
        whole = np.arange(self.times[0], self.times[-1], self.step) if len(self) else self.times
        return np.setdiff1d(whole, self.times)

    def stretches(self) -> "list[StateStore]":
        """The states between gaps, each stretch a store without any; this one where there is no gap."""
        cuts = np.flatnonzero(np.diff(self.rows) != 1) + 1
        if not cuts.size:
            return [self]
        parts = zip(np.split(self.times, cuts), np.split(self.rows, cuts), strict=True)
        return [replace(self, times=times, rows=rows) for times, rows in parts]

    def staged(self, folder: Path) -> "StateStore":
        """The same states read from a memory map in `folder`, made there unless it holds them already."""
        target = folder / f"{receipts.digest([str(self.path.absolute()), self.times[[0, -1]].tolist()])[:16]}.f4"
        return replace(self, array=stage(self.array, self.rows, content_digest(self.path), target))

    def dask(self) -> da.Array:
        """The states as a lazy array, one block per shard (day)."""
        shard = self.rows // self.array.shard
        days = tuple(np.unique(shard, return_counts=True)[1].tolist())
        chunks = (days, *((size,) for size in self.array.shape[1:]))
        return da.map_blocks(self._block, chunks=chunks, dtype=np.float32, meta=np.empty((0,) * 4, np.float32))

    def _block(self, block_info: Mapping[Any, Any]) -> np.ndarray:
        return self.read(slice(*block_info[None]["array-location"][0]))


def _grid(path: Path) -> Grid:
    kind = arrays.read_attributes(path)["grid_kind"]
    return Grid(kind, arrays.read_values(path, "latitude"), arrays.read_values(path, "longitude"))
