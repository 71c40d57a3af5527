"""Results that other stages left, read whole or refused by name.

What was written with a receipt beside it (`lara.stages.writing`) is compared with that receipt first, so that a block
of zeros, a flipped bit or the file of another run is found, where formats themselves have no checksum.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from lara import receipts

if TYPE_CHECKING:
    import xarray as xr

_UNREADABLE = (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError)


class DamagedError(ValueError):
    """A result that cannot be read."""


def read_dataset(path: Path) -> xr.Dataset:
    """NetCDF, in memory, without the encoding it came in, which another file may have no use for.

    FileNotFoundError, or ValueError naming the file and the remedy; so for all below.
    """
    import xarray as xr  # rules import what draws figures, and that this module

    with _whole(path):
        return xr.load_dataset(path).drop_encoding()


def read_table(path: Path) -> pd.DataFrame:
    """Parquet."""
    with _whole(path):
        return pd.read_parquet(path)


def read_csv(path: Path) -> pd.DataFrame:
    """A table as text."""
    with _whole(path):
        return pd.read_csv(path)


def read_record(path: Path) -> dict[str, Any]:
    """JSON."""
    with _whole(path):
        return dict(json.loads(path.read_bytes()))


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Compares a file with its receipt, and names it in what reading it raises."""
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    receipts.require_whole(path)
    try:
        yield
    except _UNREADABLE as fault:
        raise DamagedError(f"{path} is damaged ({fault}): delete it and rerun the rule that makes it") from fault
