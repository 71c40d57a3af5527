"""What may be compared in a run: experiments of one suite over identical times, from their saved scores alone.

The configuration gives all experiments of a suite one period of one dataset, hence the same truth and the same times.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from lara.assimilation.window import Window, windows
from lara.config import Experiment
from lara.experiment.run import Run, hours, time
from lara.verification import scores
from lara.verification.significance import rmse_difference

DAYS_PER_BLOCK = 5
CONTROLS = ("truth", "reconstruction")  # measured and drawn beside experiments, which have other names


def evaluation_begin(run: Run, name: str | None = None) -> np.datetime64:
    """First time after the spin-up, the same for every experiment of a suite: that of `name`, or the default one."""
    chosen = name or run.config.verification.reference
    begin, _ = run.config.period(chosen)
    return time(begin) + hours(24 * run.config.spin_up_days(chosen))


def last_slots(run: Run, name: str) -> np.ndarray:
    """Times of the last slots of an experiment's windows: no analysis has seen a later observation (datetime64[ns])."""
    chosen = run.config.experiments[name]
    period = windows_of(chosen, *(time(moment) for moment in run.config.period(name)))
    return np.array([window.slots[-1] for window in period])


def windows_of(chosen: Experiment, begin: np.datetime64, end: np.datetime64) -> list[Window]:
    """The windows of an experiment that tile a period."""
    return windows(begin, end, chosen.slots, hours(chosen.slot_hours), chosen.overlap)


def middle_window(run: Run, name: str) -> Window:
    """The window in the middle of an experiment's scored period."""
    period = windows_of(run.config.experiments[name], *(time(moment) for moment in run.config.period(name)))
    scored = [window for window in period if window.fresh[0] >= evaluation_begin(run, name)]
    return scored[len(scored) // 2]


def controls(run: Run, name: str, method: str) -> list[str]:
    """Experiments of the suite of `name`, other than itself, that use a method."""
    suite = run.config.suite(run.config.experiments[name].suite)
    return [other for other in suite if run.config.experiments[other].method == method and other != name]


def shown_autoencoder(run: Run) -> str:
    """The autoencoder of the reference experiment."""
    return run.config.experiments[run.config.verification.reference].autoencoder or ""


def all_sums(run: Run) -> xr.Dataset:
    """Sums (experiment, kind, time, channel) of every experiment of the default suite; ValueError when times differ."""
    names = run.config.suite("reanalysis")
    parts = [xr.load_dataset(run.layout.scores(name)).sel(region="globe", drop=True) for name in names]
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
