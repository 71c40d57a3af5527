"""Assembly of an archive from those of stretches of it, each sealed, into another version of the whole."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lara import receipts
from lara.grid import Grid
from lara.state import Channels
from lara.store import arrays, versions
from lara.store import attributes as attributes_of
from lara.store.archive import (
    KEEPBITS,
    OWN,
    create_archive,
    described,
    discard_archive,
    failed_times,
    flag_failed,
    problems_of,
    variables_of,
)
from lara.store.arrays import RERUN, StoreError
from lara.store.versions import receipt_of

OBSERVED = "digest_of_observations"  # begins the names of attributes that may differ from part to part


def assemble_archive(
    path: Path,
    parts: Sequence[Path],
    grid: Grid,
    channels: Channels,
    times: np.ndarray,
    added: Mapping[str, Any] | None = None,
) -> None:
    """Make a version of the archive of `times` from sealed ones of stretches of it, and have `path` stand for it.

    Files are linked where they can be, and copied where not: each is one time of both, and no writer changes a file in
    place. What parts were made with may differ and is stated of all of them; `added` is as for `seal_archive`. Raises
    StoreError naming every part that is damaged, not sealed, or of other attributes than the first, and the first time
    that no part holds; `path` then stands for what it did before.
    """
    attributes = _shared_attributes(parts)
    fresh = versions.folder_of(path) / ".fresh.zarr"
    fresh.parent.mkdir(parents=True, exist_ok=True)
    discard_archive(fresh)
    own = {key: value for key, value in attributes.items() if key not in ("coordinates", *OWN)}
    own |= {KEEPBITS: json.loads(own[KEEPBITS])} if KEEPBITS in own else {}
    create_archive(fresh, grid, channels, times, own, spread="spread" in attributes["kinds"].split())
    held = [_link_files(part, fresh, times) for part in parts]
    missing = np.setdiff1d(times, np.concatenate(held))
    if missing.size:
        raise StoreError(f"{path}: no part holds {missing[0]} ({missing.size} times are missing): cycle its chunk")
    if failed := [one for part in parts for one in failed_times(part)]:
        flag_failed(fresh, np.array(failed))
    attributes_of.add(fresh, {**attributes_of.made_with(parts), **(added or {})})
    _publish(fresh, path)


def _publish(fresh: Path, path: Path) -> None:
    """Make a whole store the current version of `path`; receipts come after what they are of."""
    content = described(fresh)
    version = fresh.with_name(f"{content['digest']}.zarr")
    if problems_of(version, content=True):  # not there, or no longer whole
        versions.share(fresh, content["files"], versions.current(path))
        discard_archive(version)
        fresh.rename(version)
        receipts.sync(version.parent)
        receipts.write(receipt_of(version), **content)
    else:
        discard_archive(fresh)
    receipt_of(path).unlink(missing_ok=True)
    versions.point(path, version)
    receipts.write(receipt_of(path), **content)


def _shared_attributes(parts: Sequence[Path]) -> dict[str, Any]:
    """Attributes of all parts together, but what was added to each.

    StoreError naming each part that is damaged or made from something else.
    Each states what it observed; none may contradict another.
    """
    problems = [problem for part in parts for problem in problems_of(part, content=True)]
    if not problems:
        told = [attributes_of.identifying(part) for part in parts]
        wanted = {**told[0], **{key: value for one in told for key, value in one.items() if key.startswith(OBSERVED)}}
        different = [part for part, one in zip(parts, told, strict=True) if not _agree(one, wanted)]
        problems = [f"{part} is made from other inputs or settings than {parts[0]}" for part in different]
    if problems:
        raise StoreError("; ".join(problems) + f": {RERUN}")
    return wanted


def _agree(attributes: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a part says nothing else, and lacks nothing but what others observed."""
    lacking = wanted.keys() - attributes.keys()
    return all(wanted.get(key) == value for key, value in attributes.items()) and all(
        key.startswith(OBSERVED) for key in lacking
    )


def _link_files(part: Path, path: Path, times: np.ndarray) -> np.ndarray:
    """Link all files of a part into an archive; returns the times it holds."""
    held = arrays.read_times(part)
    first = int(np.searchsorted(times, held[0]))
    if not np.array_equal(times[first : first + len(held)], held):
        raise StoreError(f"{part} is from {held[0]} to {held[-1]}, which are no times of {path}: {RERUN}")
    for name in variables_of(part):
        arrays.link_files(part, path, name, first)
    return held
