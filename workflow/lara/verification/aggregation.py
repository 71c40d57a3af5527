"""Aggregation: statistics are kept as sums, so that parts add up to the whole, whatever the parts.

A statistic is a module that meets `Statistic`. For example `spectra.sums` gives the power of every time alone, merging
is adding, and `spectra.finish` makes of added sums the mean power and its ratio to that of the truth. Several
statistics of the same states share one dataset, in which `prefixed` sets them apart and `of` takes one out again.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Protocol

import pandas as pd
import xarray as xr


class Statistic(Protocol):
    """A statistic of states, each statistic of its own arguments.

    PREFIX stands before the names of its sums where statistics share a dataset, and no two have the same. `sums` gives
    a dataset over `time` with `count`, the number of states in each sum (1); `finish` turns sums that were added over
    any dimensions into scores.
    """

    @property
    def PREFIX(self) -> str:
        """Name of the statistic, such as "tails"."""

    @property
    def sums(self) -> Callable[..., xr.Dataset]:
        """Function that gives the sums of every time alone."""

    @property
    def finish(self) -> Callable[[xr.Dataset], xr.Dataset]:
        """Function that gives scores of added sums."""


def prefixed(statistic: Statistic, sums: xr.Dataset) -> xr.Dataset:
    """Sums of a statistic under names of its own, such as "tails_hits"."""
    return sums.rename({name: f"{statistic.PREFIX}_{name}" for name in sums.data_vars})


def of(statistic: Statistic, shared: xr.Dataset) -> xr.Dataset:
    """Sums of one statistic from a dataset that several share. KeyError where it is not among them."""
    start = f"{statistic.PREFIX}_"
    own = {name: str(name).removeprefix(start) for name in shared.data_vars if str(name).startswith(start)}
    if not own:
        raise KeyError(f"no sums of '{statistic.PREFIX}' among {list(shared.data_vars)}: measure the structure again")
    return shared[list(own)].rename(own)


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
