"""The OSSE table: error of analyses and of forecasts from them, method by method and paired with a reference.

Analyses are compared at the last slots of windows, those of which every compared experiment has one: at an earlier
slot an analysis knows observations later than itself, and a window of one slot would be set against one of four.
Forecasts are compared from initial times that all share. Squared errors are paired by time and resampled in blocks
(Künsch 1989, doi:10.1214/aos/1176347265).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import numpy as np
import pandas as pd
import xarray as xr

from lara.stages.experiments import evaluation_begin, last_slots
from lara.stages.reading import read_dataset
from lara.stages.run import Run
from lara.stages.verification.comparison import block_length
from lara.stages.writing import write_csv
from lara.state import Channels
from lara.verification import scores
from lara.verification.significance import rmse_difference, rmse_interval

COLUMNS = [
    *("method", "channel", "units", "lead_days", "rmse", "low", "high"),
    *("difference", "difference_low", "difference_high", "reference", "n"),
]
LEADS = (1.0, 3.0, 5.0)


def write_paired_table(run: Run) -> None:
    """Write the comparison of the suite `osse`."""
    write_csv(compare_osse(run), run.layout.osse)


def compare_osse(run: Run) -> pd.DataFrame:
    """The table of a run's suite `osse` at the headline channels, from its saved scores."""
    names = run.config.suite("osse")
    return compare(run, names, run.config.osse.reference or names[0])


def compare(run: Run, names: Sequence[str], reference: str) -> pd.DataFrame:
    """The table of some experiments of one period, the reference among them."""
    leads = [lead for lead in LEADS if lead <= run.config.verification.lead_days]
    errors = analysis_errors(run, names), forecast_errors(run, names)
    return osse_table(*errors, reference, lambda: run.generator("bootstrap"), leads)


def analysis_errors(run: Run, names: Sequence[str]) -> xr.DataArray:
    """Area-mean squared analysis errors (experiment, time, channel) of experiments of one period, headline channels."""
    headline = list(run.config.verification.headline)
    errors = {name: _analysis_errors(run, name).sel(channel=headline) for name in names}
    return shared_errors(errors, {name: last_slots(run, name) for name in names})


def forecast_errors(run: Run, names: Sequence[str]) -> xr.DataArray:
    """The same of forecasts (experiment, init, lead_time, channel)."""
    headline = list(run.config.verification.headline)
    files = {name: read_dataset(run.layout.forecast_scores(name)) for name in names}
    squares = {name: file["squared_error"].sel(region="globe", drop=True) for name, file in files.items()}
    return shared_forecasts({name: one.sel(channel=headline) for name, one in squares.items()})


def analysis_sums(run: Run, name: str) -> xr.Dataset:
    """Sums of the analyses of an experiment over the globe (time, channel)."""
    return read_dataset(run.layout.scores(name)).sel(kind="analysis", region="globe", drop=True)


def _analysis_errors(run: Run, name: str) -> xr.DataArray:
    """Area-mean squared analysis errors (time, channel) after the spin-up."""
    squares: xr.DataArray = scores.finish(analysis_sums(run, name))["rmse"] ** 2
    return squares.sel(time=slice(evaluation_begin(run, name), None))


def osse_table(
    analyses: xr.DataArray,
    forecasts: xr.DataArray,
    reference: str,
    generator: Callable[[], np.random.Generator],
    leads: Sequence[float] = LEADS,
) -> pd.DataFrame:
    """Rows by channel, lead (days, 0 for the analysis) and method, of area-mean squared errors in SI units squared.

    analyses: (experiment, time, channel), as `shared_errors` makes them. forecasts: (experiment, init, lead_time,
    channel), as `shared_forecasts` does. Only channels of both are kept. KeyError for a lead (days) not forecast.
    """
    start = analyses.expand_dims(lead_time=[np.timedelta64(0, "ns")])
    shown = forecasts.sel(lead_time=_durations(forecasts, leads))
    shared = [name for name in start["channel"].values if name in shown["channel"].values]
    parts = [table_of(errors.sel(channel=shared), reference, block_of(errors), generator) for errors in (start, shown)]
    table = pd.concat(parts, ignore_index=True)
    return table.sort_values("channel", key=lambda names: names.map(shared.index), kind="stable", ignore_index=True)


def table_of(
    squared: xr.DataArray, reference: str, block: int, generator: Callable[[], np.random.Generator]
) -> pd.DataFrame:
    """COLUMNS of area-mean squared errors (experiment, time or init, lead_time, channel), SI units squared.

    `difference` is the RMSE of a method less that of `reference`. Every interval is of 95 % and uses the same blocks
    of `block` times: `generator` gives a new stream of one seed at each call. ValueError where the reference is not
    among the experiments, or an error is not finite.
    """
    dim = _sampled(squared)
    _check(squared, reference)
    errors = squared.transpose("experiment", dim, "lead_time", "channel")
    base = errors.sel(experiment=reference, drop=True)
    names = [str(name) for name in errors["experiment"].values]
    parts = []
    for name in names:
        one = errors.sel(experiment=name, drop=True)
        paired = rmse_difference(one, base, block, generator(), dim)
        paired = paired.rename(low="difference_low", high="difference_high")
        parts.append(rmse_interval(one, block, generator(), dim).merge(paired))
    fields = xr.concat(parts, pd.Index(names, name="method"))
    return _rows(fields).assign(reference=reference, n=squared.sizes[dim])[COLUMNS]


def shared_errors(errors: Mapping[str, xr.DataArray], last: Mapping[str, np.ndarray]) -> xr.DataArray:
    """Squared errors (experiment, time, channel) at the times that are a last slot in every experiment.

    errors: area-mean squared errors (time, channel) by experiment, after the spin-up. last: times of the last slots of
    the windows of each, datetime64. ValueError when they share none.
    """
    scored = {name: one.sel(time=np.intersect1d(one["time"].values, last[name])) for name, one in errors.items()}
    return _shared(scored, "time")


def shared_forecasts(errors: Mapping[str, xr.DataArray]) -> xr.DataArray:
    """Squared errors (experiment, init, lead_time, channel) of the forecasts whose initial time all experiments share.

    errors: area-mean squared errors (init, lead_time, channel) by experiment. ValueError when they share no init.
    """
    return _shared(errors, "init")


def block_of(squared: xr.DataArray) -> int:
    """Length of bootstrap blocks for the interval between the times (or inits) of squared errors: five days."""
    times = squared[_sampled(squared)].values
    interval = np.diff(times).min() if len(times) > 1 else np.timedelta64(24, "h")
    return block_length(len(times), max(1, round(interval / np.timedelta64(1, "h"))))


def _shared(errors: Mapping[str, xr.DataArray], dim: str) -> xr.DataArray:
    times = reduce(np.intersect1d, [one[dim].values for one in errors.values()])
    if not len(times):
        ranges = "; ".join(f"{name}: {_range(one[dim].values)}" for name, one in errors.items())
        raise ValueError(f"experiments share no {dim} to be compared at ({ranges}); give windows that end together")
    chosen = [one.sel({dim: times}) for one in errors.values()]
    return xr.concat(chosen, pd.Index(list(errors), name="experiment"), join="exact")


def _range(times: np.ndarray) -> str:
    return f"{str(times[0])[:16]} .. {str(times[-1])[:16]}" if len(times) else "none"


def _sampled(squared: xr.DataArray) -> str:
    found = [str(dim) for dim in squared.dims if dim not in ("experiment", "lead_time", "channel")]
    if len(found) != 1:
        raise ValueError(f"squared errors on {squared.dims} need experiment, lead_time, channel and a time or init")
    return found[0]


def _check(squared: xr.DataArray, reference: str) -> None:
    names = [str(name) for name in squared["experiment"].values]
    if reference not in names:
        raise ValueError(f"reference {reference!r} is none of the experiments compared: {', '.join(names)}")
    broken = [
        str(one["experiment"].item()) for one in squared.transpose("experiment", ...) if not np.isfinite(one).all()
    ]
    if broken:
        raise ValueError(f"squared errors of {', '.join(broken)} are not all finite; leave them out and say so")


def _durations(forecasts: xr.DataArray, leads: Sequence[float]) -> np.ndarray:
    chosen = np.array([round(24 * day) for day in leads]).astype("timedelta64[h]").astype("timedelta64[ns]")
    missing = [day for day, lead in zip(leads, chosen, strict=True) if lead not in forecasts["lead_time"].values]
    if missing:
        longest = forecasts["lead_time"].values.max() / np.timedelta64(1, "D")
        raise KeyError(f"no forecast for {missing} days; leads reach {longest:g} days: ask for others")
    return chosen


def _rows(fields: xr.Dataset) -> pd.DataFrame:
    """A row per channel, lead and method, in the order of each."""
    table = fields.to_dataframe(dim_order=["channel", "lead_time", "method"]).reset_index()
    units = {name: Channels.parse([name]).channels[0].meta.units for name in fields["channel"].values}
    return table.assign(units=table["channel"].map(units), lead_days=table["lead_time"] / np.timedelta64(1, "D"))
