"""The Zarr v3 layer: float32 fields over a time axis, created once, written by many, lengthened in place.

One chunk is one time. A field of shards keeps one whole day in a file, so writers of different days never share one; of
any other a chunk is a file.
Every chunk carries a CRC-32C (Castagnoli et al. 1993, doi:10.1109/26.231911), checked on each read. Each
change of a file is a rename, so a reader sees the old or the new one.
"""

import errno
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import zarr
from jaxtyping import Float32, Int
from zarr.storage import LocalStore

from lara import receipts
from lara.locks import NO_LINKS

RERUN = "rerun the rule that makes it"
_BROKEN = (ValueError, KeyError, TypeError, AttributeError, RuntimeError, OSError)  # what zarr raises of broken files


class StoreError(ValueError):
    """A store is absent, incomplete, damaged, or not the one asked for."""


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
    return dict(open_group(path).attrs)


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


def open_group(path: Path) -> zarr.Group:
    """The store itself. Raises StoreError when there is none, or its description is damaged."""
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
