"""The reanalysis as others open it: CF variables on (time, level, latitude, longitude), WeatherBench 2 names.

`<name>` is the analysis, `<name>_background` the forecast it started from and, of an ensemble, `<name>_spread` the
standard deviation of its analyses, whose mean the analysis is; float32, one shard per day. The archive is sealed as a
whole: its receipt lists size and digest of every file, and is withdrawn before anything is written again.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float32

from lara import receipts
from lara.grid import Grid
from lara.state import Channels
from lara.store import arrays
from lara.store.arrays import RERUN, StoreError
from lara.store.sealing import require_finite
from lara.variables import VARIABLES

_OWN = ("grid_kind", "channels", "kinds")  # attributes that this module reads back
_KINDS = {"analysis": "", "background": "_background", "spread": "_spread"}  # what: suffix of its variables


def create_archive(
    path: Path,
    grid: Grid,
    channels: Channels,
    times: np.ndarray,
    attributes: Mapping[str, Any] | None = None,
    spread: bool = False,
) -> None:
    """Empty archive for `times` (datetime64[ns], equal steps) with provenance `attributes` (JSON-able).

    spread: whether an ensemble's is kept too. Like `create`, it keeps or lengthens the same archive. Raises StoreError
    when another one exists, ValueError when upper-air variables do not share their levels.
    """
    coordinates = channels.coordinates(times, grid)
    coordinates.pop("time")
    kinds = [what for what in _KINDS if spread or what != "spread"]
    fields = {
        VARIABLES[name].archive_name + _KINDS[what]: _field(name, what, channels, grid)
        for what in kinds
        for name in channels.variables
    }
    known = dict(zip(_OWN, (grid.kind, channels.names, kinds), strict=True))
    arrays.ensure(path, arrays.Template(times, fields, coordinates, {**(attributes or {}), **known}))


def write_archive(path: Path, first: int, **states: Float32[np.ndarray, "n channel latitude longitude"]) -> None:
    """Withdraw the receipt, write `analysis`, `background` (and `spread`) from position `first` on, and flush them.

    One process writes an archive; blocks may begin and end within a day. Raises StoreError for times outside
    the axis, for other kinds than the archive has, and for NaN or infinity (naming channel and time), before anything
    is written.
    """
    channels, times, kinds = _channels(path), arrays.read_times(path), _kinds(path)
    if sorted(states) != sorted(kinds):
        raise StoreError(f"{path} keeps {kinds}, not {list(states)}: write each of them")
    shapes = {part.shape for part in states.values()}
    count = next(iter(shapes))[0]
    if len(shapes) > 1 or not 0 <= first < first + count <= len(times):
        raise StoreError(f"{path} has {len(times)} times; {sorted(shapes)} from {first} do not fit")
    for part in states.values():
        require_finite(part, times[first:], channels.names)
    _receipt(path).unlink(missing_ok=True)
    receipts.sync(path.parent)
    for kind, part in states.items():
        for name in channels.variables:
            positions = channels.select(name) if VARIABLES[name].upper_air else channels.index(name)
            arrays.write_rows(path, VARIABLES[name].archive_name + _KINDS[kind], first, part[:, positions])


def require_written(path: Path, count: int) -> None:
    """Read the first `count` times back. Raises StoreError naming a file that is damaged or was never written."""
    for name in _variables(path) if count else []:
        arrays.read_back(path, name, 0, count)


def discard_archive(path: Path) -> None:
    """Remove an archive, its receipt first, and what a killed process left beside it."""
    _receipt(path).unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)
    for leftover in path.parent.glob(f".{path.name}.*"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def seal_archive(path: Path) -> None:
    """Read all back, then write `<path>.receipt.json`. Raises StoreError naming a damaged or absent file."""
    times = arrays.read_times(path)
    for name in _variables(path):
        arrays.read_back(path, name, 0, len(times))
    for leftover in path.rglob("*.partial"):  # of a process that was killed while writing
        leftover.unlink()
    _describe(path)


def _describe(path: Path) -> None:
    times = arrays.read_times(path)
    files = receipts.describe(_files(path), path)
    span = {"count": len(times), "begin": str(times[0]), "end": str(times[-1]), "variables": _variables(path)}
    receipts.write(_receipt(path), **span, files=files, digest=receipts.digest(files))


def assemble_archive(path: Path, parts: Sequence[Path], grid: Grid, channels: Channels, times: np.ndarray) -> None:
    """Make the archive of `times` from sealed ones of stretches of it, and seal it.

    Shards are linked, not copied: they are whole days of both, and no writer changes a file in place. The archive is
    made beside and put in its place whole, so that nothing of two versions mixes. Raises StoreError naming every part
    that is damaged, not sealed, or of other attributes than the first, and the first time that no part holds.
    """
    attributes = _shared_attributes(parts)
    fresh = path.with_name(f".{path.name}.fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    own = {key: value for key, value in attributes.items() if key not in ("coordinates", *_OWN)}
    create_archive(fresh, grid, channels, times, own, spread="spread" in attributes["kinds"])
    held = [_link_shards(part, fresh, times) for part in parts]
    missing = np.setdiff1d(times, np.concatenate(held))
    if missing.size:
        raise StoreError(f"{path}: no part holds {missing[0]} ({missing.size} times are missing): cycle its chunk")
    _receipt(path).unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)
    fresh.rename(path)
    receipts.sync(path.parent)
    _describe(path)


def _shared_attributes(parts: Sequence[Path]) -> dict[str, Any]:
    """Attributes of all parts. StoreError naming each part that is damaged or made from something else."""
    problems = [problem for part in parts for problem in _problems(part, content=True)]
    if not problems:
        wanted = arrays.read_attributes(parts[0])
        different = [part for part in parts if arrays.read_attributes(part) != wanted]
        problems = [f"{part} is made from other inputs or settings than {parts[0]}" for part in different]
    if problems:
        raise StoreError("; ".join(problems) + f": {RERUN}")
    return wanted


def _link_shards(part: Path, path: Path, times: np.ndarray) -> np.ndarray:
    """Link all shards of a part into an archive; returns the times it holds."""
    held = arrays.read_times(part)
    first = int(np.searchsorted(times, held[0]))
    if not np.array_equal(times[first : first + len(held)], held):
        raise StoreError(f"{part} is from {held[0]} to {held[-1]}, which are no times of {path}: {RERUN}")
    for name in _variables(part):
        arrays.link_shards(part, path, name, first)
    return held


def open_archive(path: Path) -> xr.Dataset:
    """A sealed archive as a lazy dataset in daily blocks. Raises StoreError unless sealed and files fit."""
    problems = _problems(path, content=False)
    if problems:
        raise StoreError(f"{problems[0]} ({len(problems)} problems in {path}): {RERUN}")
    daily = arrays.shard_times(arrays.open_field(path, _variables(path)[0]))
    return xr.open_zarr(path, chunks={"time": daily})


def verify_archive(path: Path) -> list[str]:
    """Everything that is wrong with an archive, file by file; empty when it is whole. Reads every byte."""
    return _problems(path, content=True)


def _problems(path: Path, content: bool) -> list[str]:
    try:
        files = receipts.read(_receipt(path))["files"]
    except receipts.ReceiptError as error:
        return [f"{path} is not sealed: {error}"]
    if receipts.digest(files) != receipts.read(_receipt(path))["digest"]:
        return [f"{_receipt(path)} has been edited: its digest is not that of the files it lists"]
    strangers = sorted({file.relative_to(path).as_posix() for file in _files(path)} - set(files))
    return receipts.problems(files, path, content) + [f"{path / name} is in no receipt" for name in strangers]


def _field(name: str, what: str, channels: Channels, grid: Grid) -> arrays.Field:
    variable = VARIABLES[name]
    attributes = {**variable.attributes, "long_name": f"{variable.long_name}, {what}"}
    if variable.upper_air:
        shape = (len(channels.common_levels()), *grid.shape)
        return arrays.Field(("level", "latitude", "longitude"), shape, attributes)
    return arrays.Field(("latitude", "longitude"), grid.shape, attributes)


def _channels(path: Path) -> Channels:
    return Channels.parse(arrays.read_attributes(path)["channels"])


def _kinds(path: Path) -> list[str]:
    return list(arrays.read_attributes(path)["kinds"])


def _variables(path: Path) -> list[str]:
    names = [VARIABLES[name].archive_name for name in _channels(path).variables]
    return [name + _KINDS[kind] for kind in _kinds(path) for name in names]


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file())


def _receipt(path: Path) -> Path:
    return path.with_name(f"{path.name}.receipt.json")
