"""Datasets of states: one array state(time, channel, latitude, longitude), float32, SI units.

A part (say a month) is sealed by a receipt, written last, with the size and digest of each of its files;
rewriting any of it withdraws that receipt first. What no receipt covers is not data: opening it is an error,
never NaN.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from jaxtyping import Float32, Int

from lara import receipts
from lara.grid import Grid
from lara.state import Channels, grid_coordinates
from lara.store import arrays
from lara.store.arrays import RERUN, StoreError


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
    field = arrays.Field(
        ("channel", "latitude", "longitude"),
        (len(channels), *grid.shape),
        {"long_name": "atmospheric state in SI units"},
    )
    coordinates = {"channel": labels, **grid_coordinates(grid)}
    template = arrays.Template(times, {"state": field}, coordinates, {**(attributes or {}), "grid_kind": grid.kind})
    arrays.ensure(path, template)


def write_block(path: Path, first: int, states: Float32[np.ndarray, "n channel latitude longitude"]) -> None:
    """Withdraw receipts of these times, write states from time position `first` on, and flush them.

    A block is made of whole shards (days), so several processes may write different blocks. Raises StoreError
    for one that is not, for a wrong shape, and for NaN or infinity (naming channel and time).
    """
    _require_whole_shards(path, first, len(states))
    shape = arrays.open_field(path, "state").shape[1:]
    if states.shape[1:] != shape:
        raise StoreError(f"{path} holds states of shape {shape}, not {states.shape[1:]}")
    require_finite(states, arrays.read_times(path)[first:], _channels(path).names)
    for file, content in _seals(path):
        if _overlaps(content, first, first + len(states)):
            file.unlink(missing_ok=True)
            receipts.sync(file.parent)
    arrays.write_rows(path, "state", first, states)


def seal(path: Path, part: str, first: int, count: int, provenance: Mapping[str, Any] | None = None) -> None:
    """Read `count` times from `first` back, then write `<path>.receipts/<part>.receipt.json`.

    `provenance` (JSON-able) goes into it. Raises StoreError naming the file when a time was never written or
    cannot be read.
    """
    _require_whole_shards(path, first, count)
    times = arrays.read_times(path)[first : first + count]
    files = receipts.describe(arrays.read_back(path, "state", first, count), path)
    span = {"part": part, "first": first, "count": count, "begin": str(times[0]), "end": str(times[-1])}
    content = {"provenance": dict(provenance or {}), "files": files, "digest": receipts.digest(files)}
    receipts.write(_seal_folder(path) / f"{part}.receipt.json", **span, **content)


def open_state(
    path: Path,
    begin: np.datetime64 | str | None = None,
    end: np.datetime64 | str | None = None,
    verify: bool = False,
) -> "StateStore":
    """Sealed states with begin ≤ time < end (default: all); `verify` compares the digest of every file.

    Raises StoreError when there is no store, when receipts leave a gap in the range, or when a file is
    missing, truncated or (with `verify`) changed.
    """
    times = arrays.read_times(path)
    step = arrays.step_of(times)
    held = np.array([times[0], times[-1] + step])
    span = np.array([held[0] if begin is None else begin, held[1] if end is None else end], "datetime64[ns]")
    if not held[0] <= span[0] < span[1] <= held[1]:
        raise StoreError(f"{path} is for {held}, not {span}: change the period or {RERUN}")
    first, last = np.searchsorted(times, span).tolist()
    _require_sealed(path, times, slice(first, last), verify)
    array = arrays.open_field(path, "state")
    return StateStore(path, times[first:last], _grid(path), _channels(path), step, first, array)


@dataclass(frozen=True, eq=False)
class StateStore:
    """Sealed states x (time, channel, latitude, longitude), float32 in SI units, at `times` every `step`."""

    path: Path
    times: np.ndarray
    grid: Grid
    channels: Channels
    step: np.timedelta64
    first: int  # position of times[0] in the array
    array: Any

    def __len__(self) -> int:
        return len(self.times)

    def read(
        self, indices: Sequence[int] | Int[np.ndarray, " n"] | slice
    ) -> Float32[np.ndarray, "n channel latitude longitude"]:
        """States at positions in `times`. Raises IndexError out of range, StoreError when damaged."""
        positions = np.atleast_1d(np.arange(len(self))[indices])
        states = np.empty((positions.size, *self.array.shape[1:]), np.float32)
        for run in np.split(np.arange(positions.size), np.flatnonzero(np.diff(positions) != 1) + 1):
            if run.size:
                first = self.first + int(positions[run[0]])
                states[run] = arrays.read_rows(self.array, slice(first, first + run.size))
        return states

    def at(self, times: np.ndarray) -> Float32[np.ndarray, "n channel latitude longitude"]:
        """States at `times` (datetime64). Raises StoreError naming a time that is not there."""
        return self.read(self.index_of(times))

    def index_of(self, times: np.ndarray) -> Int[np.ndarray, " n"]:
        """Positions of `times` (datetime64). Raises StoreError naming the first that is not there."""
        wanted = np.atleast_1d(np.asarray(times, "datetime64[ns]"))
        index = np.searchsorted(self.times, wanted).clip(max=len(self) - 1)
        missing = wanted[self.times[index] != wanted]
        if missing.size:
            raise StoreError(f"{self.path} is not open at {missing[0]}: open a range that holds it or {RERUN}")
        return index

    def dask(self) -> da.Array:
        """The states as a lazy array, one block per shard (day)."""
        whole = arrays.shard_times(self.array)
        cuts = range(-self.first % whole, len(self), whole)
        days = tuple(np.diff(np.unique([0, *cuts, len(self)])).tolist())
        chunks = (days, *((size,) for size in self.array.shape[1:]))
        return da.map_blocks(self._block, chunks=chunks, dtype=np.float32, meta=np.empty((0,) * 4, np.float32))

    def _block(self, block_info: Mapping[Any, Any]) -> np.ndarray:
        return self.read(slice(*block_info[None]["array-location"][0]))


def discard(path: Path) -> None:
    """Remove a store and what sealed it; receipts go first, so that a cut leaves nothing that looks whole."""
    shutil.rmtree(_seal_folder(path), ignore_errors=True)
    shutil.rmtree(path, ignore_errors=True)


def content_digest(path: Path) -> str:
    """Digest of everything sealed in the store at `path`, whatever the parts it was sealed in."""
    files = {name: entry for _, content in _seals(path) for name, entry in content["files"].items()}
    return receipts.digest(files)


def require_finite(
    states: Float32[np.ndarray, "n channel latitude longitude"], times: np.ndarray, names: Sequence[str]
) -> None:
    """Raise StoreError naming the first time and channel with NaN or infinity."""
    bad = np.argwhere(~np.isfinite(states).all(axis=(2, 3)))
    if bad.size:
        time, channel = bad[0]
        raise StoreError(f"channel {names[channel]} at {times[time]} holds NaN or infinity: nothing was written")


def _grid(path: Path) -> Grid:
    kind = arrays.read_attributes(path)["grid_kind"]
    return Grid(kind, arrays.read_values(path, "latitude"), arrays.read_values(path, "longitude"))


def _channels(path: Path) -> Channels:
    return Channels.parse([str(name) for name in arrays.read_values(path, "channel")])


def _require_whole_shards(path: Path, first: int, count: int) -> None:
    array, end = arrays.open_field(path, "state"), first + count
    if not 0 <= first < end <= array.shape[0]:
        raise StoreError(f"{path} has {array.shape[0]} times, not {first} to {end - 1}: create a longer one")
    whole = arrays.shard_times(array)
    if first % whole or (end % whole and end != array.shape[0]):
        raise StoreError(f"{path}: times {first} to {end - 1} are not whole days; cut at multiples of {whole}")


def _require_sealed(path: Path, times: np.ndarray, wanted: slice, verify: bool) -> None:
    sealed, problems = np.zeros(len(times), bool), []
    for _, content in _seals(path):
        if _overlaps(content, wanted.start, wanted.stop):
            sealed[content["first"] : content["first"] + content["count"]] = True
            problems += receipts.problems(content["files"], path, verify)
    gap = times[wanted][~sealed[wanted]]
    if gap.size:
        raise StoreError(f"{path}: {gap.size} times from {gap[0]} have no receipt: {RERUN}")
    if problems:
        raise StoreError(f"{problems[0]} ({len(problems)} damaged files in {path}): {RERUN}")


def _seal_folder(path: Path) -> Path:
    return path.with_name(f"{path.name}.receipts")


def _seals(path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for file in sorted(_seal_folder(path).glob("*.receipt.json")):
        try:
            content = receipts.read(file)
        except receipts.ReceiptError:
            if file.exists():  # otherwise another writer has just withdrawn its own
                raise
        else:
            yield file, content


def _overlaps(content: Mapping[str, Any], first: int, last: int) -> bool:
    return bool(content["first"] < last and first < content["first"] + content["count"])
