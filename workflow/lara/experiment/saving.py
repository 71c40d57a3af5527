"""Results on disk: NetCDF whole or not at all, and beside every figure the arrays it shows."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from lara.stages.run import Run
from lara.stages.writing import write_dataset


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
