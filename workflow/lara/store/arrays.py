"""The Zarr v3 layer: float32 fields over a time axis, created once, written by many, lengthened in place.

One chunk is one time. A field of shards keeps one whole day in a file, so writers of different days never share one; of
any other a chunk is a file.
Every chunk carries a CRC-32C (Castagnoli et al. 1993, doi:10.1109/26.231911), checked on each read. Each
change of a file is a rename, so a reader sees the old or the new one.
"""

import errno
import json
import shutil
import uuid
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import xarray as xr
import zarr
from jaxtyping import Float32, Int
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.errors import ZarrUserWarning
from zarr.storage import LocalStore

from lara import receipts
from lara.locks import NO_LINKS

RERUN = "rerun the rule that makes it"
_DAY = np.timedelta64(1, "D")
_TIME = {"standard_name": "time", "units": "seconds since 1970-01-01", "calendar": "proleptic_gregorian"}
_TIME_CHUNK = 16384  # fixed: a longer time axis rewrites the same file, starting with the same values
_SMALL = 1 << 20  # bytes; compressing smaller chunks costs more reading time than it saves
_BROKEN = (ValueError, KeyError, TypeError, AttributeError, RuntimeError, OSError)  # what zarr raises of broken files
_FLAT: Any = {"name": "default", "separator": "."}  # one flat folder of shards: c.0.0.0.0, c.1.0.0.0, …


class StoreError(ValueError):
    """A store is absent, incomplete, damaged, or not the one asked for."""


@dataclass(frozen=True)
class Field:
    """A float32 variable: `dimensions` and `shape` without the leading time, and CF `attributes`.

    packed: whether it is compressed however small its chunks are; sharded: whether a file is a whole day, not one time.
    """

    dimensions: Sequence[str]
    shape: Sequence[int]
    attributes: Mapping[str, Any]
    packed: bool = False
    sharded: bool = False


@dataclass(frozen=True)
class Template:
    """A store before it holds data.

    `times` (n,) datetime64 in equal steps; `fields` by name; `coordinates`, which do not depend on time;
    JSON-able `attributes`.
    """

    times: np.ndarray
    fields: Mapping[str, Field]
    coordinates: Mapping[str, xr.Variable]
    attributes: Mapping[str, Any]


def ensure(path: Path, template: Template) -> None:
    """Make the store at `path` what `template` says: create it, keep it (be it longer), or lengthen it.

    Safe when several processes call it at once. Raises StoreError when the store is another, or times are
    irregular.
    """
    step_of(template.times)
    if not (path / "zarr.json").exists():
        _publish(_build(path, template), path)
    _require_same(path, template)
    lengths = [len(read_times(path)), *(open_field(path, name).shape[0] for name in template.fields)]
    if min(lengths) < len(template.times):
        _lengthen(path, template, min(lengths))


def restore(path: Path, template: Template) -> None:
    """Write metadata and coordinates of the store at `path` again, whatever became of them; fields keep their values.

    What `template` does not know goes. One process has the store to itself.
    """
    fresh = _build(path, template)
    for stranger in {folder.name for folder in path.iterdir() if folder.is_dir()} - {"time", *template.coordinates}:
        if stranger not in template.fields:
            shutil.rmtree(path / stranger)
    for file in (file for file in fresh.rglob("*") if file.is_file()):
        target = path / file.relative_to(fresh)
        target.parent.mkdir(exist_ok=True)
        file.replace(target)
        receipts.sync(target.parent)
    shutil.rmtree(fresh)


def write_flags(path: Path, name: str, flags: Int[np.ndarray, " time"], attributes: Mapping[str, Any]) -> None:
    """Add a variable of small numbers on time to a store; it replaces another of its name, and zeros take no file."""
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    group.create_array(
        name,
        data=flags.astype(np.int8),
        chunks=(1,),
        fill_value=0,
        compressors=[Crc32cCodec()],
        chunk_key_encoding=_FLAT,
        dimension_names=["time"],
        attributes=dict(attributes),
        overwrite=True,
    )
    _consolidate(path)
    for file in (path / "zarr.json", *(path / name).iterdir()):
        receipts.sync(file)


def write_rows(
    path: Path, name: str, first: int, values: Float32[np.ndarray, "n ..."], held: Int[np.ndarray, " m"] | None = None
) -> None:
    """Write n times of field `name` from position `first` and flush them. Each shard has one writer.

    Of the values those at the positions `held` are written (default: all); the rest is as if never written.
    """
    array = open_field(path, name, "r+")
    held = np.arange(len(values)) if held is None else held
    if len(held) < len(values):
        sparse = np.full_like(values, np.nan)  # the fill value, of which nothing is stored
        sparse[held] = values[held]
        values = sparse
    with receipts.naming(path / name):
        array[first : first + len(values)] = values
    for file in shards(array, first + held):
        receipts.sync(file)
    receipts.sync(path / name)


def read_rows(array: zarr.Array, rows: slice) -> Float32[np.ndarray, "n ..."]:
    """Consecutive times of a field. Raises StoreError naming the file when damaged or never written."""
    return checked(lambda: array[rows], array, rows)


def checked(read: Callable[[], Any], array: zarr.Array, rows: slice) -> Float32[np.ndarray, "n ..."]:
    """What `read` gives for these rows. Raises StoreError naming their file when it cannot, or gives no numbers."""
    try:
        values = np.asarray(read())
    except (ValueError, RuntimeError, OSError) as error:
        raise StoreError(f"{files_of(array, rows)} is damaged ({error}): {RERUN}") from error
    if not np.isfinite(values).all():
        raise StoreError(f"{files_of(array, rows)} is missing or not all written: {RERUN}")
    return values


def read_back(path: Path, name: str, first: int, count: int, held: Int[np.ndarray, " m"] | None = None) -> list[Path]:
    """Files that hold `count` times of a field from `first`, or those of them at the positions `held`, all read.

    Raises StoreError like `read_rows`.
    """
    array, rows = open_field(path, name), first + (np.arange(count) if held is None else held)
    for day in np.split(rows, np.flatnonzero(np.diff(rows // shard_times(array))) + 1):
        for run in np.split(day, np.flatnonzero(np.diff(day) != 1) + 1):
            if run.size:
                read_rows(array, slice(int(run[0]), int(run[-1]) + 1))
    return shards(array, rows)


def shards(array: zarr.Array, rows: Int[np.ndarray, " n"]) -> list[Path]:
    """Files of a field that hold these positions, present or not."""
    days = np.unique(rows // shard_times(array)).tolist()
    keys = [array.metadata.encode_chunk_key((day, *(0,) * (array.ndim - 1))) for day in days]
    return [cast(LocalStore, array.store).root / key for key in keys]


def link_files(source: Path, target: Path, name: str, first: int) -> None:
    """Link every file of field `name`, which has no shards, into another store, from its position `first` on.

    Copies them where the two are on file systems between which, or on which, there are no links.
    """
    here, there = open_field(source, name), open_field(target, name)
    rows = np.arange(here.shape[0])
    for old, new in zip(shards(here, rows), shards(there, first + rows), strict=True):
        if not linked(old, new):
            _copy(old, new)


def linked(source: Path, target: Path) -> bool:
    """Whether `target` has become a link to `source`; False where file systems have no such links."""
    try:
        target.hardlink_to(source)
    except OSError as fault:
        if fault.errno not in (errno.EXDEV, *NO_LINKS):
            raise
        return False
    return True


def _copy(source: Path, target: Path) -> None:
    """Copy a file to the disk, and compare what is there."""
    with receipts.naming(target):
        shutil.copyfile(source, target)
        receipts.sync(target)
    if receipts.digest(target) != receipts.digest(source):
        raise StoreError(f"{target} is no true copy of {source}: the disk is at fault, check it and {RERUN}")


def shard_times(array: zarr.Array) -> int:
    """Times in a file."""
    return (array.shards or array.chunks)[0]


def open_field(path: Path, name: str, mode: Literal["r", "r+"] = "r") -> zarr.Array:
    """The Zarr array `name`. Raises StoreError when there is none, or its description is damaged."""
    try:
        return zarr.open_array(path / name, mode=mode)
    except FileNotFoundError:
        raise StoreError(f"{path} is not a store with {name!r}: {RERUN}") from None
    except _BROKEN as fault:
        raise StoreError(f"{path / name / 'zarr.json'} is damaged ({fault}): {RERUN}") from fault


def read_values(path: Path, name: str) -> np.ndarray:
    """All of a coordinate. Raises StoreError when there is none, or it is damaged."""
    array = open_field(path, name)
    try:
        return np.asarray(array[:])
    except _BROKEN as fault:
        raise StoreError(f"{path / name} is damaged ({fault}): {RERUN}") from fault


def read_times(path: Path) -> np.ndarray:
    """Time axis (datetime64[ns]) of a store. Raises StoreError when there is no store."""
    return read_values(path, "time").astype("datetime64[s]").astype("datetime64[ns]")


def read_attributes(path: Path) -> dict[str, Any]:
    """Root attributes of a store. Raises StoreError when there is no store."""
    return dict(_group(path).attrs)


def write_attributes(path: Path, attributes: Mapping[str, Any]) -> None:
    """Replace the root attributes of a store, JSON-able; the file is the old one or the new one."""
    file = path / "zarr.json"
    content = {**json.loads(file.read_bytes()), "attributes": dict(attributes)}
    receipts.write_bytes(file, json.dumps(content, indent=2).encode())


def step_of(times: np.ndarray) -> np.timedelta64:
    """Step of a time axis. Raises StoreError unless it has two or more times in equal positive steps."""
    steps = np.unique(np.diff(times))
    if steps.size != 1 or steps[0] <= np.timedelta64(0):
        raise StoreError(f"a store needs two or more times in equal steps; these {len(times)} have steps {steps[:5]}")
    return steps[0]


def _group(path: Path) -> zarr.Group:
    try:
        return zarr.open_group(path, mode="r", use_consolidated=False)
    except FileNotFoundError:
        raise StoreError(f"{path} is not a store: {RERUN}") from None
    except _BROKEN as fault:
        raise StoreError(f"{path / 'zarr.json'} is damaged ({fault}): {RERUN}") from fault


def files_of(array: zarr.Array, rows: slice) -> str:
    """The file, or the first and last of the files, that hold consecutive rows, in words."""
    files = shards(array, np.arange(rows.start, rows.stop))
    return str(files[0]) if len(files) == 1 else f"one of {files[0]} to {files[-1].name}"


def _build(path: Path, template: Template) -> Path:
    """A new store under a temporary name beside `path`: metadata and coordinates, flushed to disk."""
    fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    group = zarr.create_group(fresh, attributes=_root_attributes(template))
    times = xr.Variable("time", template.times.astype("datetime64[s]").astype(np.int64), _TIME)
    for name, variable in {"time": times, **template.coordinates}.items():
        _add_coordinate(group, name, variable)
    days = max(int(_DAY // step_of(template.times)), 1)
    for name, field in template.fields.items():
        _add_field(group, name, field, len(template.times), days)
    _consolidate(fresh)
    for file in fresh.rglob("*"):
        receipts.sync(file)
    return fresh


def _consolidate(path: Path) -> None:
    with warnings.catch_warnings():  # Zarr v3 has not standardised this yet; without it xarray warns and reads slowly
        warnings.simplefilter("ignore", ZarrUserWarning)
        zarr.consolidate_metadata(path)


def _add_coordinate(group: zarr.Group, name: str, variable: xr.Variable) -> None:
    group.create_array(
        name,
        data=variable.values,
        chunks=(_TIME_CHUNK,) if name == "time" else variable.shape,
        chunk_key_encoding=_FLAT,
        dimension_names=[str(dimension) for dimension in variable.dims],
        attributes=variable.attrs,
    )


def _add_field(group: zarr.Group, name: str, field: Field, length: int, days: int) -> None:
    group.create_array(
        name,
        shape=(length, *field.shape),
        dtype="float32",
        chunks=(1, *field.shape),
        shards=(days, *field.shape) if field.sharded else None,
        compressors=_codecs(field),
        fill_value=float("nan"),
        chunk_key_encoding=_FLAT,
        dimension_names=["time", *field.dimensions],
        attributes=dict(field.attributes),
    )


def _codecs(field: Field) -> list[Any]:
    packed = BloscCodec(cname="zstd", clevel=3, shuffle="shuffle", typesize=4)
    return [packed, Crc32cCodec()] if field.packed or 4 * np.prod(field.shape) >= _SMALL else [Crc32cCodec()]


def _root_attributes(template: Template) -> dict[str, Any]:
    """Attributes as they read back from JSON; `coordinates` tells xarray what is not a data variable."""
    auxiliary = " ".join(name for name, variable in template.coordinates.items() if variable.dims != (name,))
    return json.loads(json.dumps({"Conventions": "CF-1.11", **template.attributes, "coordinates": auxiliary}))


def _publish(fresh: Path, path: Path) -> None:
    """Rename the new store to `path`, unless another process has been faster."""
    try:
        fresh.rename(path)
    except OSError as error:
        shutil.rmtree(fresh)
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    receipts.sync(path.parent)


def _require_same(path: Path, template: Template) -> None:
    group = _group(path)
    found, wanted = dict(group.attrs), _root_attributes(template)
    different = [key for key in {**found, **wanted} if found.get(key) != wanted.get(key)]
    different += sorted(set(group.array_keys()) ^ {"time", *template.coordinates, *template.fields})
    for name, variable in template.coordinates.items():
        if name in group and not np.array_equal(read_values(path, name), variable.values):
            different.append(name)
    times = read_times(path)
    common = min(len(times), len(template.times))
    if not np.array_equal(times[:common], template.times[:common]):
        different.append("time")
    if different:
        raise StoreError(f"{path} exists with other {', '.join(different)}: delete it or choose another path")


def _lengthen(path: Path, template: Template, length: int) -> None:
    """Replace the metadata by those of a longer store, file by file: first the times, last the root."""
    whole = shard_times(open_field(path, next(iter(template.fields))))
    if length % whole:
        raise StoreError(f"{path} ends within a shard of {whole} times and cannot be lengthened: delete it and {RERUN}")
    fresh = _build(path, template)
    for file in (*sorted(fresh.glob("time/c*")), *sorted(fresh.glob("*/zarr.json")), fresh / "zarr.json"):
        target = path / file.relative_to(fresh)
        file.replace(target)
        receipts.sync(target.parent)
    shutil.rmtree(fresh)
