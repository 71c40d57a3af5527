"""Aggregation: what is kept of statistics is sums, so that parts add up to the whole, whatever the parts.

Every statistic of this package (scores, spectra, tails, lags, ensembles) leaves a dataset of sums with `count`, the
number of states in them. Adding such datasets is all that merging is; `finish` of the statistic turns sums to scores.
"""

from collections.abc import Sequence
from functools import reduce

import pandas as pd
import xarray as xr


def by_month(sums: xr.Dataset) -> xr.Dataset:
    """Sums over (time) added up within calendar months: dimension `month`, the first day of each."""
    months = pd.DatetimeIndex(sums["time"].values).to_period("M").to_timestamp()
    added = sums.assign_coords(month=("time", months)).groupby("month").sum("time")
    return added.transpose("month", ...)


def merged(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Sums of all parts together. ValueError for no part, and where their labels differ."""
    if not parts:
        raise ValueError("there is nothing to merge: give sums of at least one part")
    with xr.set_options(arithmetic_join="exact"):
        return reduce(lambda a, b: a + b, parts)
