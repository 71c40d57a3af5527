"""Templates: what a store is before it holds data, and stores made, kept, restored and lengthened by one."""

import errno
import json
import shutil
import uuid
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from jaxtyping import Int
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.errors import ZarrUserWarning

from lara import receipts
from lara.store.arrays import RERUN, StoreError, open_field, open_group, read_times, read_values, shard_times, step_of

_DAY = np.timedelta64(1, "D")
_TIME = {"standard_name": "time", "units": "seconds since 1970-01-01", "calendar": "proleptic_gregorian"}
_TIME_CHUNK = 16384  # fixed: a longer time axis rewrites the same file, starting with the same values
_SMALL = 1 << 20  # bytes; compressing smaller chunks costs more reading time than it saves
_FLAT: Any = {"name": "default", "separator": "."}  # one flat folder of shards: c.0.0.0.0, c.1.0.0.0, …


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
    group = open_group(path)
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
