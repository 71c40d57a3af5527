"""How results are kept: NetCDF whole or not at all, and beside every figure the arrays it shows."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import xarray as xr

from lara import receipts
from lara.experiment.run import Run


def write_dataset(dataset: xr.Dataset, path: Path) -> None:
    """Write NetCDF that exists completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    dataset.to_netcdf(part)
    part.replace(path)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write parquet that exists completely or not at all."""
    receipts.write_bytes(path, table.to_parquet(index=False))


def keep_fields(run: Run, name: str, arrays: xr.Dataset) -> xr.Dataset:
    """Keep the arrays of a figure and return them as they read back."""
    path = run.layout.figure_fields(name)
    write_dataset(arrays, path)
    return xr.load_dataset(path)


def keep_table(run: Run, name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Keep the table of a figure and return it as it reads back."""
    path = run.layout.figure_table(name)
    table.to_csv(path, index=False)
    return pd.read_csv(path)
