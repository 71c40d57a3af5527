"""The reanalysis as others open it: CF variables on (time, level, latitude, longitude), WeatherBench 2 names.

`<name>` is the analysis, `<name>_background` the forecast it started from and, of an ensemble, `<name>_spread` the
standard deviation of its analyses, whose mean the analysis is. `analysis_flag` tells the times at which the background
stands for an analysis that failed, and is there where one did (CF flags). Variables are float32, one file per variable
and time, without shards: xarray carries shards along when it writes what it has read, and then refuses parts of days.
Names and values of attributes are such as NetCDF can hold, classic or not. The archive is sealed as a whole: its
receipt lists size and digest of every file, and is withdrawn before anything is written again. One that is assembled
from parts is never written again: another assembly is another version (`lara.store.versions`).
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float32

from lara import receipts
from lara.grid import Grid
from lara.state import Channels
from lara.store import arrays, template, versions
from lara.store import attributes as attributes_of
from lara.store.arrays import RERUN, StoreError
from lara.store.rounding import bitround, worst_error
from lara.store.sealing import require_finite
from lara.store.versions import receipt_of
from lara.variables import VARIABLES

OWN = ("grid_kind", "channels", "kinds")  # attributes that this module reads back
KEEPBITS = "keepbits"  # attribute: bits of the mantissa by variable; absent where nothing is rounded
FLAG = "analysis_flag"
_FLAGGED = {
    "standard_name": "quality_flag",
    "long_name": "whether the analysis failed and its background stands for it",
    "flag_values": [0, 1],
    "flag_meanings": "analysis background",
}
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

    spread: whether an ensemble's is kept too. Attribute `keepbits`, where given, has bits of the mantissa by variable,
    to which what is written is rounded. Like `create`, it keeps or lengthens the same archive. Raises StoreError when
    another one exists or `path` stands for a version, ValueError when upper-air variables do not share their levels.
    """
    if path.is_symlink():
        raise StoreError(f"{path} stands for a sealed version, which is not written again: discard the name first")
    template.ensure(path, _template(grid, channels, times, attributes or {}, spread))


def restore_archive(
    path: Path, grid: Grid, channels: Channels, times: np.ndarray, attributes: Mapping[str, Any], spread: bool = False
) -> None:
    """Write all of an archive that `create_archive` made but the values of its variables again; it is open then.

    Raises StoreError where there is none.
    """
    receipt_of(path).unlink(missing_ok=True)
    if path.is_symlink() or not path.is_dir():
        raise StoreError(f"{path} is missing: {RERUN}")
    template.restore(path, _template(grid, channels, times, attributes, spread))


def _template(
    grid: Grid, channels: Channels, times: np.ndarray, attributes: Mapping[str, Any], spread: bool
) -> template.Template:
    """An archive before it holds data."""
    coordinates = channels.coordinates(times, grid)
    coordinates.pop("time")
    kinds = [what for what in _KINDS if spread or what != "spread"]
    keepbits = attributes.get(KEEPBITS, {})
    fields = {
        VARIABLES[name].archive_name + _KINDS[what]: _field(name, what, channels, grid, keepbits.get(name))
        for what in kinds
        for name in channels.variables
    }
    known = dict(zip(OWN, (grid.kind, " ".join(channels.names), " ".join(kinds)), strict=True))
    return template.Template(times, fields, coordinates, {**attributes_of.all_portable(attributes), **known})


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
    receipt_of(path).unlink(missing_ok=True)
    receipts.sync(path.parent)
    keepbits = json.loads(arrays.read_attributes(path).get(KEEPBITS, "{}"))
    for kind, part in states.items():
        for name in channels.variables:
            positions = channels.select(name) if VARIABLES[name].upper_air else channels.index(name)
            values = bitround(part[:, positions], keepbits[name]) if name in keepbits else part[:, positions]
            arrays.write_rows(path, VARIABLES[name].archive_name + _KINDS[kind], first, values)


def require_written(path: Path, count: int) -> None:
    """Read the first `count` times back. Raises StoreError naming a file that is damaged or was never written."""
    for name in variables_of(path) if count else []:
        arrays.read_back(path, name, 0, count)


def discard_archive(path: Path) -> None:
    """Remove an archive, its receipt first, and what a killed process left beside it; of a version just the name."""
    receipt_of(path).unlink(missing_ok=True)
    if path.is_symlink():
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)
    for leftover in path.parent.glob(f".{path.name}.*"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def seal_archive(path: Path, failed: np.ndarray | None = None, added: Mapping[str, Any] | None = None) -> None:
    """Read all back, then write `<path>.receipt.json`. Raises StoreError naming a damaged or absent file.

    failed: times (datetime64[ns]) at which the background stands for the analysis. added: attributes (JSON-able) that
    tell nothing of what the archive is, such as whose it is or what it was made with. They take the place of those
    added before; None keeps these.
    """
    times = arrays.read_times(path)
    if failed is not None and failed.size:
        flag_failed(path, failed)
    if added is not None:
        receipt_of(path).unlink(missing_ok=True)
        attributes_of.add(path, added)
    for name in variables_of(path):
        arrays.read_back(path, name, 0, len(times))
    for leftover in path.rglob("*.partial"):  # of a process that was killed while writing
        leftover.unlink()
    receipts.write(receipt_of(path), **described(path))


def described(path: Path) -> dict[str, Any]:
    """Content of the receipt of an archive as it is."""
    times = arrays.read_times(path)
    files = receipts.describe(_files(path), path)
    return {**_span(path, times), "files": files, "digest": receipts.digest(files)}


def _span(path: Path, times: np.ndarray) -> dict[str, Any]:
    return {"count": len(times), "begin": str(times[0]), "end": str(times[-1]), "variables": variables_of(path)}


def flag_failed(path: Path, failed: np.ndarray) -> None:
    """Flag the times (datetime64[ns]) of an archive at which the background stands for the analysis."""
    template.write_flags(path, FLAG, np.isin(arrays.read_times(path), failed), _FLAGGED)


def failed_times(path: Path) -> np.ndarray:
    """Times (datetime64[ns]) of an archive at which the background stands for the analysis."""
    times = arrays.read_times(path)
    return times[arrays.read_values(path, FLAG) == 1] if (path / FLAG).exists() else times[:0]


def open_archive(path: Path) -> xr.Dataset:
    """A sealed archive as a lazy dataset in daily blocks. Raises StoreError unless sealed and files fit.

    It stays with the version that `path` stands for now, whatever is published later.
    """
    path = versions.current(path)
    problems = problems_of(path, content=False)
    if problems:
        raise StoreError(f"{problems[0]} ({len(problems)} problems in {path}): {RERUN}")
    daily = int(np.timedelta64(1, "D") // arrays.step_of(arrays.read_times(path)))
    return xr.open_zarr(path, chunks={"time": max(daily, 1)})


def verify_archive(path: Path) -> list[str]:
    """Everything that is wrong with an archive, file by file; empty when it is whole. Reads every byte."""
    version = versions.current(path)
    if version == path:
        return problems_of(path, content=True)
    published, own = (file.read_bytes() if file.exists() else b"" for file in map(receipt_of, (path, version)))
    foreign = [] if published == own else [f"{receipt_of(path)} is not the receipt of version {version}: {RERUN}"]
    return foreign + problems_of(version, content=True)


def problems_of(path: Path, content: bool) -> list[str]:
    """What is wrong with a store and its receipt; with `content` every byte and every time is looked for."""
    receipt = receipt_of(path)
    try:
        found = receipts.read(receipt)
        files, digest = found["files"], found["digest"]
    except receipts.ReceiptError as error:
        return [f"{path} is not sealed: {error}"]
    except KeyError as lost:
        return [f"{receipt} is no receipt of an archive: it has no {lost}"]
    if receipts.digest(files) != digest:
        return [f"{receipt} has been edited: its digest is not that of the files it lists"]
    strangers = sorted({file.relative_to(path).as_posix() for file in _files(path)} - set(files))
    damaged = receipts.problems(files, path, content) + [f"{path / name} is in no receipt" for name in strangers]
    return damaged if damaged or not content else _left_out(path, found)


def _left_out(path: Path, receipt: Mapping[str, Any]) -> list[str]:
    """What a receipt should list and does not, of an archive whose files are as it says."""
    times = arrays.read_times(path)
    different = [key for key, value in _span(path, times).items() if receipt.get(key) != value]
    wrong = [f"{receipt_of(path)} has another {key} than the archive" for key in different]
    fields = [arrays.open_field(path, name) for name in variables_of(path)]
    wanted = [file for field in fields for file in arrays.shards(field, np.arange(len(times)))]
    return wrong + [f"{file} is missing" for file in wanted if not file.exists()]


def _field(name: str, what: str, channels: Channels, grid: Grid, keepbits: int | None) -> template.Field:
    variable, packed = VARIABLES[name], keepbits is not None
    attributes: dict[str, Any] = {**variable.attributes, "long_name": f"{variable.long_name}, {what}"}
    if keepbits is not None:
        attributes |= {"quantization": "BitRound", "quantization_nsb": keepbits}
        attributes |= {"quantization_maximum_relative_error": worst_error(keepbits)}
    if variable.upper_air:
        shape = (len(channels.common_levels()), *grid.shape)
        return template.Field(("level", "latitude", "longitude"), shape, attributes, packed)
    return template.Field(("latitude", "longitude"), grid.shape, attributes, packed)


def _channels(path: Path) -> Channels:
    return Channels.parse(arrays.read_attributes(path)["channels"].split())


def _kinds(path: Path) -> list[str]:
    return list(arrays.read_attributes(path)["kinds"].split())


def variables_of(path: Path) -> list[str]:
    """Names of the variables of an archive that hold states."""
    names = [VARIABLES[name].archive_name for name in _channels(path).variables]
    return [name + _KINDS[kind] for kind in _kinds(path) for name in names]


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file())
