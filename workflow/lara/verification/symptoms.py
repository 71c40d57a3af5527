"""Symptoms: which fault of a reanalysis its diagnostics show, each by the one diagnostic that only it moves.

biased      the mean error of some channel is beyond chance (trend and noise of its series), and a share of its RMSE
smoothed    the highest third of the wavenumbers has lost more power than the reconstruction's smoothing explains
shifted     the states are nearest to the truth of another time than their own
drifting    the global mean error has a trend beyond three standard errors
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from lara.verification import lags, physics

BIAS_SHARE = 0.5  # of the RMSE
POWER_LOST = 0.5  # ratio to the truth's


def biased(error: xr.DataArray, squared_error: xr.DataArray) -> list[str]:
    """Channels whose area-mean error (time, channel) has a mean of more than half their RMSE."""
    mean, rmse = error.mean("time"), squared_error.mean("time") ** 0.5
    return [str(name) for name in mean["channel"].values[np.abs(mean.values) > BIAS_SHARE * rmse.values]]


def smoothed(ratio: xr.DataArray, floor: xr.DataArray | None = None) -> list[str]:
    """Channels whose power over the truth's (channel, wavenumber), mean over the highest third, is below one half.

    Where `floor`, the ratio of the reconstruction, is below one too, it is the measure instead of 1.
    """
    high = ratio["wavenumber"] >= 2 * ratio.sizes["wavenumber"] // 3
    found = ratio.where(high, drop=True).mean("wavenumber")
    expected = xr.ones_like(found) if floor is None else floor.where(high, drop=True).mean("wavenumber").clip(max=1.0)
    return [str(name) for name in found["channel"].values[(found < POWER_LOST * expected).values]]


def shifted(sums: xr.Dataset) -> int:
    """Steps by which times are off, 0 where they are right, of summed `lags.lag_sums`."""
    return lags.best_lag(sums)


def drifting(error: xr.DataArray) -> list[str]:
    """Channels whose area-mean error (time, channel) has a trend of more than three of its standard errors."""
    trends = {str(name): physics.drift(error.sel(channel=name)) for name in error["channel"].values}
    return [name for name, (slope, spread) in trends.items() if abs(slope) > 3 * spread]
