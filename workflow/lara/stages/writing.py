"""Results written whole or not at all, each with its receipt beside it (`lara.stages.reading` compares them)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from lara import receipts


def write_dataset(dataset: xr.Dataset, path: Path) -> None:
    """Write NetCDF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    dataset.to_netcdf(part)
    receipts.put(part, path)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write parquet."""
    write_raw(table.to_parquet(index=False), path)


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as text."""
    write_raw(table.to_csv(index=False).encode(), path)


def write_record(content: dict[str, Any], path: Path) -> None:
    """Write JSON. ValueError for a figure that is no number."""
    write_raw((json.dumps(content, indent=2, allow_nan=False) + "\n").encode(), path)


def write_raw(raw: bytes, path: Path) -> None:
    """Write bytes as they are."""
    receipts.withdraw(path)
    receipts.write_bytes(path, raw)
    receipts.vouch(path)
