"""Symptoms: each fault of a reanalysis by the one diagnostic that responds to that fault only.

biased      the mean error of some channel is a large share of its RMSE
smoothed    the highest third of the wavenumbers has lost more power than the reconstruction's smoothing explains
shifted     the states are nearer to the truth of another time than to that of their own
drifting    the global mean error has a trend, by which it changes in the period by a fair share of its RMSE
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from lara.verification import aggregation, lags, physics, spectra

BIAS_SHARE = 0.5  # of the RMSE
POWER_LOST = 0.5  # ratio to the truth's
DRIFT_SHARE = 0.25  # of the RMSE, over the period; and beyond three standard errors
LAG_GAIN = 0.9  # squared error left at another lag, over that at none
DIAGNOSTICS = {
    "biased": "mean error beyond half of the RMSE",
    "smoothed": "power of the highest third of the wavenumbers below half of the reconstruction's",
    "shifted": "least squared error at another time",
    "drifting": "significant trend of the global mean error, over the period a quarter of the RMSE",
}


def found(sums: xr.Dataset, measured: xr.Dataset, floor: xr.Dataset) -> dict[str, list[str]]:
    """Symptoms of analyses by name, and where each shows: channels, or the time shift. Those absent are left out.

    `sums` are score sums (time, channel) of the globe; `measured` and `floor` sums of spectra and lags by month, as
    `experiment.structure` leaves them, of the analyses and of the truth's reconstruction.
    """
    of_both = (aggregation.of(spectra, one).sum("month") for one in (measured, floor))
    power, least = (spectra.finish(one)["ratio"] for one in of_both)
    steps = shifted(aggregation.of(lags, measured).sum("month"))
    verdict = {
        "biased": biased(sums["error"], sums["squared_error"]),
        "smoothed": smoothed(power.isel(wavenumber=slice(1, None)), least.isel(wavenumber=slice(1, None))),
        "shifted": [f"{steps:+d} steps"] if steps else [],
        "drifting": drifting(sums["error"], sums["squared_error"]),
    }
    return {name: places for name, places in verdict.items() if places}


def biased(error: xr.DataArray, squared_error: xr.DataArray) -> list[str]:
    """Channels whose area-mean error (time, channel) has a mean of more than half their RMSE."""
    mean = error.mean("time")
    return [
        name for name, rmse in _rmse(squared_error).items() if abs(float(mean.sel(channel=name))) > BIAS_SHARE * rmse
    ]


def smoothed(ratio: xr.DataArray, floor: xr.DataArray | None = None) -> list[str]:
    """Channels whose power over the truth's (channel, wavenumber), mean over the highest third, is below one half.

    Where `floor`, the ratio of the reconstruction, is below one too, it is the measure instead of 1.
    """
    high = ratio["wavenumber"] >= 2 * (int(ratio["wavenumber"].max()) + 1) // 3
    found = ratio.where(high, drop=True).mean("wavenumber")
    expected = xr.ones_like(found) if floor is None else floor.where(high, drop=True).mean("wavenumber").clip(max=1.0)
    return [str(name) for name in found["channel"].values[(found < POWER_LOST * expected).values]]


def shifted(sums: xr.Dataset) -> int:
    """Steps by which times are off, 0 where they are right, of summed `lags.sums`.

    A lag counts where it leaves clearly less error than none: a series that knows nothing of the truth is as far from
    it at any time.
    """
    best, error = lags.best_lag(sums), sums["squared_error"]
    left = float((error.sel(lag=best) / error.sel(lag=0)).mean("channel"))
    return best if left < LAG_GAIN else 0


def drifting(error: xr.DataArray, squared_error: xr.DataArray) -> list[str]:
    """Channels whose area-mean error (time, channel) has a trend of more than three of its standard errors.

    It must also add up over the period to a quarter of the RMSE: of many channels one is significant by chance.
    """
    days = float((error["time"].values[-1] - error["time"].values[0]) / np.timedelta64(1, "D"))
    least = {name: DRIFT_SHARE * rmse for name, rmse in _rmse(squared_error).items()}
    trends = {name: physics.drift(error.sel(channel=name)) for name in least}
    return [n for n, (slope, spread) in trends.items() if abs(slope) > 3 * spread and abs(slope) * days > least[n]]


def _rmse(squared_error: xr.DataArray) -> dict[str, float]:
    rmse = squared_error.mean("time") ** 0.5
    return {str(name): float(rmse.sel(channel=name)) for name in rmse["channel"].values}
