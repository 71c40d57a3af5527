"""Datasets of states: one array state(time, channel, latitude, longitude), float32, SI units.

A part (say a month) is sealed by a receipt, written last, with the size and digest of each of its files;
rewriting any of it withdraws that receipt first. What no receipt covers is not data: opening it is an error,
never NaN. A receipt may name times that the source lacks. They are gaps: no state is there to be read, and the
states around one do not follow each other.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
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
from lara.store import arrays
from lara.store.arrays import RERUN, StoreError
from lara.store.reading import Rows, StoredRows, stage


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


def write_block(
    path: Path, first: int, states: Float32[np.ndarray, "n channel latitude longitude"], gaps: Sequence[int] = ()
) -> None:
    """Withdraw receipts of these times, write states from time position `first` on, and flush them.

    A block is made of whole shards (days), so several processes may write different blocks. What it holds at the
    positions `gaps` (counted within the block) is not written. Raises StoreError for a block that is not whole days,
    for a wrong shape, and for NaN or infinity (naming channel and time).
    """
    _require_whole_shards(path, first, len(states))
    shape = arrays.open_field(path, "state").shape[1:]
    if states.shape[1:] != shape:
        raise StoreError(f"{path} holds states of shape {shape}, not {states.shape[1:]}")
    held = np.setdiff1d(np.arange(len(states)), gaps)
    times = arrays.read_times(path)[first : first + len(states)]
    require_finite(states[held] if gaps else states, times[held], _channels(path).names)
    for file, content in _seals(path):
        if _overlaps(content, first, first + len(states)):
            file.unlink(missing_ok=True)
            receipts.sync(file.parent)
    arrays.write_rows(path, "state", first, states, held)


def seal(
    path: Path,
    part: str,
    first: int,
    count: int,
    provenance: Mapping[str, Any] | None = None,
    gaps: Mapping[int, str] | None = None,
) -> None:
    """Read `count` times from `first` back, then write `<path>.receipts/<part>.receipt.json`.

    `provenance` (JSON-able) goes into it, and the reason for each of the `gaps` (positions counted from `first`).
    Raises StoreError naming the file when another time was never written or cannot be read.
    """
    _require_whole_shards(path, first, count)
    times, gaps = arrays.read_times(path)[first : first + count], gaps or {}
    held = np.setdiff1d(np.arange(count), list(gaps))
    files = receipts.describe(arrays.read_back(path, "state", first, count, held), path)
    span = {"part": part, "first": first, "count": count, "begin": str(times[0]), "end": str(times[-1])}
    content: dict[str, Any] = {"provenance": dict(provenance or {}), "files": files, "digest": receipts.digest(files)}
    if gaps:
        content["gaps"] = {str(first + position): f"{times[position]}: {why}" for position, why in gaps.items()}
    receipts.write(_seal_folder(path) / f"{part}.receipt.json", **span, **content)


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
    rows = _sealed_rows(path, times, slice(first, last), verify)
    return StateStore(path, times[rows], _grid(path), _channels(path), step, rows, StoredRows.open(path, "state"))


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


def _sealed_rows(path: Path, times: np.ndarray, wanted: slice, verify: bool) -> Int[np.ndarray, " n"]:
    """Positions in `wanted` that hold a state. StoreError where receipts do not cover it or files are damaged."""
    sealed, held, problems = np.zeros(len(times), bool), np.ones(len(times), bool), []
    for _, content in _seals(path):
        if _overlaps(content, wanted.start, wanted.stop):
            sealed[content["first"] : content["first"] + content["count"]] = True
            held[[int(position) for position in content.get("gaps", {})]] = False
            problems += receipts.problems(content["files"], path, verify)
    open_ = times[wanted][~sealed[wanted]]
    if open_.size:
        raise StoreError(f"{path}: {open_.size} times from {open_[0]} have no receipt: {RERUN}")
    if problems:
        raise StoreError(f"{problems[0]} ({len(problems)} damaged files in {path}): {RERUN}")
    return wanted.start + np.flatnonzero(held[wanted])


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
