"""GRIB on disk: which of the files that are there holds what is asked for, and where another one goes.

Beside a file that was proven lies a record of it, `<file>.json`: dataset, request, size and digest. By that a file
that was spoilt since is told from one that holds something else. A file without a record was put there by somebody: it
is used where its messages are right, and never touched.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from lara import receipts
from lara.sources.cds import Order

T = TypeVar("T")

_LOG = logging.getLogger(__name__)


def record_of(file: Path) -> Path:
    """Record of a file."""
    return file.with_name(f"{file.name}.json")


def note(file: Path, order: Order) -> None:
    """Write the record of a file that was proven to be the whole of an order."""
    described = {"bytes": file.stat().st_size, "digest": receipts.digest(file)}
    receipts.write(record_of(file), dataset=order.dataset, request=dict(order.request), **described)


def find(files: Iterable[Path], order: Order, examine: Callable[[Path], T]) -> tuple[Path, T] | None:
    """The first file that holds an order, or more than it, and what `examine` says of it; None where none does.

    `examine` raises ValueError for a file that does not hold what is asked for.
    """
    for file in files:
        held = _record(file)
        if held and not _covers(held, order):
            continue
        if held and is_spoilt(file):
            _LOG.warning("%s: %s has changed since it was proven, and is not used", order.title, file)
            continue
        try:
            return file, examine(file)
        except (OSError, ValueError) as fault:
            _LOG.warning("%s: %s is not used: %s", order.title, file, fault)
    return None


def place(file: Path, order: Order, shared: bool) -> Path:
    """Where an order goes whose usual place is `file`: there, unless that would cost what is there already.

    What is spoilt is replaced, and so is what holds no more than the order, unless it is `shared` with others.
    """
    held = _record(file)
    contained = (
        bool(held) and not shared and held["dataset"] == order.dataset and _within(held["request"], order.request)
    )
    if not file.exists() or contained or (held and is_spoilt(file)):
        return file
    other = file.with_stem(f"{file.stem}-{receipts.digest({'dataset': order.dataset, **order.request})}")
    _LOG.warning("%s: %s holds something else and stays; what is asked for goes to %s", order.title, file, other)
    return other


def candidates(file: Path, root: Path, depth: int) -> Iterator[Path]:
    """`file`, then others of its product and month in folders `depth` below `root`, whose names begin like its own."""
    others = root.glob("*/" * depth + f"{file.parent.name}/{file.stem}*{file.suffix}")
    yield from dict.fromkeys(some for some in (file, *sorted(others)) if some.exists())


def is_spoilt(file: Path) -> bool:
    """Whether a file is not what its record says."""
    held = _record(file)
    return bool(held) and (file.stat().st_size != held["bytes"] or receipts.digest(file) != held["digest"])


def _record(file: Path) -> dict[str, Any]:
    """The record of a file; nothing where there is none that can be read."""
    try:
        content = receipts.read(record_of(file))
    except receipts.ReceiptError:
        return {}
    return content if {"dataset", "request", "bytes", "digest"} <= content.keys() else {}


def _covers(held: Mapping[str, Any], order: Order) -> bool:
    """Whether a recorded file was asked to hold all of an order."""
    return bool(held["dataset"] == order.dataset) and _within(order.request, held["request"])


def _within(less: Mapping[str, Any], more: Mapping[str, Any]) -> bool:
    """Whether one request asks for nothing that another does not."""
    return less.keys() == more.keys() and all(
        set(value) <= set(more[key]) if isinstance(value, list) else value == more[key] for key, value in less.items()
    )
