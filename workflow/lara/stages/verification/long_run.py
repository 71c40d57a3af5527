"""Report of a long reanalysis: does it drift, did a cycle fail, how fast was it, and can one see where streams join?

Global means of analyses are those of the truth plus the analyses' mean errors, which the scores hold by time; the truth
is read once, a day at a time, so that memory does not grow with the length of the run.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from lara import receipts
from lara.assimilation import FAILED
from lara.stages import parallel
from lara.stages.experiments import all_windows, evaluation_begin
from lara.stages.reading import read_dataset, read_table
from lara.stages.run import Run
from lara.stages.states import RunWithStates
from lara.stages.verification.stream_joins import measure_seams
from lara.stages.writing import write_csv, write_dataset
from lara.store import StateStore
from lara.variables import VARIABLES
from lara.verification import trends

MIDDLE = 500  # hPa


def report_production(run: RunWithStates) -> None:
    """Write the series, the trends, the seams and the report of the suite `production`."""
    suite, layout = run.config.suite("production"), run.layout
    found = xr.concat([series(run, name) for name in suite], pd.Index(suite, name="experiment"), join="outer")
    write_dataset(found, layout.production("series.nc"))
    table = pd.concat([drifts(run, name, found.sel(experiment=name)) for name in suite], ignore_index=True)
    write_csv(table, layout.production("trends.csv"))
    seams, ranks = measure_seams(run)
    write_dataset(seams, layout.production("seams.nc"))
    write_csv(ranks, layout.production("seams.csv"))
    content = {"experiments": {name: cycles(run, name) for name in suite}}
    records = {key: json.loads(one.to_json(orient="records")) for key, one in (("trends", table), ("seams", ranks))}
    receipts.write(layout.production("report.json"), **content, **records)


def series(run: RunWithStates, name: str) -> xr.Dataset:
    """Daily means of an experiment: `rmse` (time, channel), and `mean`, `truth` (time, quantity) of the globe, SI."""
    sums = read_dataset(run.layout.scores(name)).sel(region="globe", kind="analysis", drop=True)
    weights = quantities(run)
    truth = global_means(run, run.config.experiments[name].dataset, sums["time"].values) @ weights.values.T
    error = (sums["error"] / sums["count"]).transpose("time", "channel") @ weights
    square = (sums["squared_error"] / sums["count"]).sel(channel=list(run.config.verification.headline))
    fields = {"truth": error.copy(data=truth), "square": square.transpose("time", "channel")}
    daily = xr.Dataset({**fields, "mean": fields["truth"] + error}).resample(time="1D").mean()
    return daily.assign(rmse=daily["square"] ** 0.5).drop_vars("square")


def quantities(run: Run) -> xr.DataArray:
    """Weights (quantity, channel): mid-level geopotential, and temperature as its mean over pressure by trapezia."""
    channels, rows = run.channels, {}
    if "z" in channels.variables:
        level = min(channels.levels("z"), key=lambda one: abs(one - MIDDLE))
        rows[f"z{level}"] = {channels.index("z", level): 1.0}
    if "t" in channels.variables:
        edges = np.array(channels.levels("t"), float)
        depth = np.trapezoid(np.eye(len(edges)), edges) if len(edges) > 1 else np.ones(1)
        rows["t"] = dict(zip(channels.select("t"), depth / depth.sum(), strict=True))
    table = np.zeros((len(rows), len(channels)))
    for row, by_position in zip(table, rows.values(), strict=True):
        row[list(by_position)] = list(by_position.values())
    return xr.DataArray(table, {"quantity": list(rows), "channel": channels.names}, ("quantity", "channel"))


def global_means(run: RunWithStates, dataset: str, times: np.ndarray) -> np.ndarray:
    """Area means of the truth (time, channel), SI."""
    with parallel.client(run.config.dask):
        means = parallel.each(partial(_means, run.store(dataset), run.grid.area_shares), parallel.months(times))
    return np.concatenate(means)


def _means(truth: StateStore, share: np.ndarray, times: np.ndarray) -> np.ndarray:
    parts = [np.einsum("tcyx,yx->tc", truth.at(day), share, dtype=np.float64) for day in parallel.days(times)]
    return np.concatenate(parts)


def drifts(run: Run, name: str, daily: xr.Dataset) -> pd.DataFrame:
    """Trends per year with their 95 % intervals, of days after the spin-up: of global means and of RMSE."""
    scored = daily.sel(time=slice(evaluation_begin(run, name), None))
    rows = []
    for quantity in scored["quantity"].values:
        analysis, truth = (scored[which].sel(quantity=quantity) for which in ("mean", "truth"))
        kinds = {"analysis": analysis, "truth": truth, "analysis less truth": analysis - truth}
        rows += [_drift(f"global mean {quantity}", kind, one) for kind, one in kinds.items()]
    for channel in scored["channel"].values:
        rows.append(_drift(f"rmse {channel}", "analysis less truth", scored["rmse"].sel(channel=channel)))
    table = pd.DataFrame(rows)
    table.insert(0, "experiment", name)
    known = {channel.name: VARIABLES[channel.variable].units for channel in run.channels.channels}
    units = {**known, "t": VARIABLES["t"].units}
    table.insert(3, "units", [units[quantity.split()[-1]] for quantity in table["quantity"]])
    return table


def _drift(quantity: str, of: str, daily: xr.DataArray) -> dict[str, Any]:
    daily = daily.dropna("time")
    found = trends.trend(daily)
    low, high = (trends.YEAR * end for end in found.interval())
    days, seasonal = daily.sizes["time"], daily["time"].values[-1] - daily["time"].values[0]
    return {
        "quantity": quantity,
        "of": of,
        "mean": float(daily.mean()),
        "trend_per_year": trends.YEAR * found.slope,
        "low": low,
        "high": high,
        "drifts": not low <= 0 <= high,
        "days": days,
        "degrees_of_freedom": found.free,
        "cycle_of_year_fitted": bool(seasonal / np.timedelta64(1, "D") >= trends.SPAN),
    }


def cycles(run: Run, name: str) -> dict[str, Any]:
    """Windows asked for and analysed, those that failed, why minimisations stopped, and the speed of one job.

    Of those that failed, the ones whose background was published, by their begins.
    """
    ledger = read_table(run.layout.health(name))
    asked = len(all_windows(run, name))
    seconds = read_table(run.layout.timings(name))["seconds"]
    forgiven = ledger["reason"] == FAILED
    finite = np.isfinite(ledger["J_end"]) & (ledger["J_end"] <= ledger["J_start"]) & ~forgiven
    done = ledger["begin"].nunique()
    return {
        "windows": asked,
        "failed": int(asked - done + ledger.loc[~finite, "begin"].nunique()),
        "backgrounds_published": ledger.loc[forgiven, "begin"].astype(str).unique().tolist(),
        "stop_reasons": ledger["reason"].value_counts().to_dict(),
        "cycles_per_hour": float(3600 / seconds.mean()),
        "hours_of_one_chain": float(seconds.sum() / 3600),
        "streams": len(run.config.production.streams.get(name, {})) or 1,
    }
