"""Results written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import xarray as xr

from lara import receipts


def write_dataset(dataset: xr.Dataset, path: Path) -> None:
    """Write NetCDF that exists completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    dataset.to_netcdf(part)
    part.replace(path)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write parquet that exists completely or not at all."""
    receipts.write_bytes(path, table.to_parquet(index=False))


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)
