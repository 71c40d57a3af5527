"""What may be compared in a run: experiments over identical times, from their saved scores alone.

The configuration gives all experiments one period of one dataset, hence the same truth and the same times.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from lara.experiment.run import Run, hours, time
from lara.verification import scores
from lara.verification.significance import rmse_difference

DAYS_PER_BLOCK = 5


def evaluation_begin(run: Run) -> np.datetime64:
    """First time after the spin-up, the same for every experiment."""
    begin, _ = run.config.period(run.config.verification.reference)
    return time(begin) + hours(24 * run.config.verification.spin_up_days)


def controls(run: Run, name: str, method: str) -> list[str]:
    """Experiments other than `name` that use a method."""
    return [other for other, chosen in run.config.experiments.items() if chosen.method == method and other != name]


def shown_autoencoder(run: Run) -> str:
    """The autoencoder of the reference experiment."""
    return run.config.experiments[run.config.verification.reference].autoencoder or ""


def all_sums(run: Run) -> xr.Dataset:
    """Sums (experiment, kind, time, channel) of every experiment; ValueError when their times differ."""
    parts = [xr.load_dataset(run.layout.scores(name)) for name in run.config.experiments]
    return xr.concat(parts, pd.Index(list(run.config.experiments), name="experiment"), join="exact")


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
