"""Rows of a stored field at random, as training reads them: by TensorStore, or from a memory map on a near disk.

TensorStore reads the chunks of a batch at once, outside Python's lock, and checks the CRC-32C of each as zarr-python
does. A memory map, made once and bound to the content it was made from, costs no decoding at all; it serves where the
store lies on a shared file system and a node has a disk of its own.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorstore
from jaxtyping import Float32

from lara import receipts
from lara.store.arrays import StoreError, checked, open_field, shard_times

_BLOCK = 64  # rows copied at once while staging


class Rows(Protocol):
    """A field along its first axis, float32."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(time, …)."""

    @property
    def shard(self) -> int:
        """Rows that are stored together."""

    def read(self, spans: Sequence[slice]) -> list[Float32[np.ndarray, "n ..."]]:
        """The rows of each span. StoreError where one is damaged or was never written."""


@dataclass(frozen=True)
class StoredRows:
    """Rows of a Zarr array, read by TensorStore."""

    array: Any  # as zarr-python knows it
    handle: Any  # as TensorStore does

    @classmethod
    def open(cls, path: Path, name: str) -> StoredRows:
        """The field `name` of a store. StoreError when there is none."""
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path.absolute() / name)}}
        return cls(open_field(path, name), tensorstore.open(spec, open=True, read=True).result())

    @property
    def shape(self) -> tuple[int, ...]:
        """(time, …)."""
        return tuple(self.array.shape)

    @property
    def shard(self) -> int:
        """Rows in a file."""
        return shard_times(self.array)

    def read(self, spans: Sequence[slice]) -> list[Float32[np.ndarray, "n ..."]]:
        """All chunks at once."""
        pending = [self.handle[span.start : span.stop].read() for span in spans]
        return [checked(part.result, self.array, span) for part, span in zip(pending, spans, strict=True)]


@dataclass(frozen=True)
class MappedRows:
    """Rows of a memory map."""

    values: Float32[np.memmap, "n ..."]
    shard: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(time, …)."""
        return self.values.shape

    def read(self, spans: Sequence[slice]) -> list[Float32[np.ndarray, "n ..."]]:
        """Views, which the caller copies."""
        return [self.values[span] for span in spans]


def stage(rows: Rows, used: np.ndarray, content: str, path: Path) -> MappedRows:
    """The rows at positions `used` in a memory map at `path`, made unless one of this `content` (a digest) is there.

    Positions stay as they are; what is not used stays empty and takes no space. Raises StoreError when the disk is too
    small, before anything is written.
    """
    described = {"content": content, "shape": list(rows.shape), "used": receipts.digest(used.tolist())}
    record = path.with_name(f"{path.name}.json")
    if not _staged(path, record, described):
        _copy(rows, used, path, record)
        receipts.write_bytes(record, json.dumps(described).encode())
    return MappedRows(np.memmap(path, np.float32, "r", shape=rows.shape), rows.shard)


def _staged(path: Path, record: Path, described: dict[str, Any]) -> bool:
    """Whether a memory map of this description is there, and as long as it should be."""
    try:
        said = json.loads(record.read_text())
    except (FileNotFoundError, ValueError):
        return False
    return said == described and path.exists() and path.stat().st_size == 4 * int(np.prod(described["shape"]))


def _copy(rows: Rows, used: np.ndarray, path: Path, record: Path) -> None:
    record.unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    size, free = 4 * used.size * int(np.prod(rows.shape[1:])), shutil.disk_usage(path.parent).free
    if size > free:
        raise StoreError(f"{path.parent} has {free / 2**30:.1f} GiB for {size / 2**30:.1f}: free some or stage nothing")
    part = path.with_name(f"{path.name}.part")
    values = np.memmap(part, np.float32, "w+", shape=rows.shape)
    for block in np.split(used, np.flatnonzero(np.diff(used // _BLOCK)) + 1):
        for run in np.split(block, np.flatnonzero(np.diff(block) != 1) + 1):
            span = slice(int(run[0]), int(run[-1]) + 1)
            (values[span],) = rows.read([span])
    values.flush()
    part.replace(path)
