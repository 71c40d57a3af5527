"""Sealing: each part of a store, say a month, is written, read back, and marked complete by a receipt file.

The receipt is written last, with the size and digest of each file of the part; rewriting any of it withdraws that
receipt first. It may name times that the source lacks: gaps.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int

from lara import receipts
from lara.state import Channels
from lara.store import arrays
from lara.store.arrays import RERUN, StoreError


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
    require_finite(states[held] if gaps else states, times[held], channels_of(path).names)
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


def discard(path: Path) -> None:
    """Remove a store and what sealed it; receipts go first, so that a cut leaves nothing that looks whole.

    Of a store that is a link to another (`link`) the link goes, and the other stays.
    """
    for folder in (_seal_folder(path), path):
        if folder.is_symlink():
            folder.unlink()
        shutil.rmtree(folder, ignore_errors=True)


def link(store: Path, path: Path) -> None:
    """Let `path` stand for another store and what sealed it. StoreError where a store of its own lies at `path`."""
    if path.exists() and not path.is_symlink():
        raise StoreError(f"{path} is a store of its own, which is kept: move it elsewhere to have {store} in its place")
    discard(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for own, other in ((_seal_folder(path), _seal_folder(store)), (path, store)):
        own.symlink_to(os.path.relpath(other.resolve(), own.parent.resolve()))


def content_digest(path: Path, begin: np.datetime64 | None = None, end: np.datetime64 | None = None) -> str:
    """Digest of what is sealed in the store at `path`, or of the days alone that hold begin ≤ time < end.

    It does not depend on the parts in which it was sealed. StoreError where not all of these days is sealed.
    """
    files = {name: entry for _, content in _seals(path) for name, entry in content["files"].items()}
    if begin is None or end is None:
        return receipts.digest(files)
    rows = np.flatnonzero((begin <= (times := arrays.read_times(path))) & (times < end))
    wanted = [str(file.relative_to(path)) for file in arrays.shards(arrays.open_field(path, "state"), rows)]
    if lacking := [name for name in wanted if name not in files]:
        raise StoreError(f"{path}: {lacking[0]} has no receipt: {RERUN}")
    return receipts.digest({name: files[name] for name in wanted})


def require_finite(
    states: Float32[np.ndarray, "n channel latitude longitude"], times: np.ndarray, names: Sequence[str]
) -> None:
    """Raise StoreError naming the first time and channel with NaN or infinity."""
    bad = np.argwhere(~np.isfinite(states).all(axis=(2, 3)))
    if bad.size:
        time, channel = bad[0]
        raise StoreError(f"channel {names[channel]} at {times[time]} holds NaN or infinity: nothing was written")


def sealed_rows(path: Path, times: np.ndarray, wanted: slice, verify: bool) -> Int[np.ndarray, " n"]:
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


def channels_of(path: Path) -> Channels:
    """Channels of a store."""
    return Channels.parse([str(name) for name in arrays.read_values(path, "channel")])


def _require_whole_shards(path: Path, first: int, count: int) -> None:
    array, end = arrays.open_field(path, "state"), first + count
    if not 0 <= first < end <= array.shape[0]:
        raise StoreError(f"{path} has {array.shape[0]} times, not {first} to {end - 1}: create a longer one")
    whole = arrays.shard_times(array)
    if first % whole or (end % whole and end != array.shape[0]):
        raise StoreError(f"{path}: times {first} to {end - 1} are not whole days; cut at multiples of {whole}")


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
