"""Comparisons within a run: experiments of one suite over identical times, from their saved scores alone.

The configuration gives all experiments of a suite one period of one dataset, hence the same truth and the same times.
"""

from __future__ import annotations

import pandas as pd
import xarray as xr

from lara.stages.experiments import evaluation_begin
from lara.stages.reading import read_dataset
from lara.stages.run import Run
from lara.verification import scores
from lara.verification.significance import rmse_difference

DAYS_PER_BLOCK = 5


def all_sums(run: Run) -> xr.Dataset:
    """Sums (experiment, kind, time, channel) of every experiment of the default suite; ValueError when times differ."""
    names = run.config.suite("reanalysis")
    parts = [read_dataset(run.layout.scores(name)).sel(region="globe", drop=True) for name in names]
    return xr.concat(parts, pd.Index(names, name="experiment"), join="exact")


def scored_sums(run: Run) -> xr.Dataset:
    """`all_sums` after the spin-up."""
    return all_sums(run).sel(time=slice(evaluation_begin(run), None))


def block_length(count: int, interval_hours: int) -> int:
    """Length of bootstrap blocks of `count` values `interval_hours` apart: five days, or half of all where less."""
    return max(1, min(DAYS_PER_BLOCK * 24 // interval_hours, count // 2))


def difference(run: Run, sums: xr.Dataset, name: str, other: str) -> xr.Dataset:
    """RMSE of the analyses of `name` less that of `other` with its interval (channel), over the times of `sums`."""
    squares = scores.finish(sums.sel(kind="analysis", drop=True))["rmse"] ** 2
    one, another = (squares.sel(experiment=chosen, drop=True) for chosen in (name, other))
    block = block_length(squares.sizes["time"], run.config.step_hours)
    return rmse_difference(one, another, block, run.generator("bootstrap"))
