"""Scores of a run: cycled experiments and forecasts from them against the truth and the observations."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import xarray as xr

from lara import store
from lara.observations import table as tables
from lara.stages import parallel
from lara.stages.experiments import evaluation_begin
from lara.stages.run import Run
from lara.stages.states import RunWithStates, states_of
from lara.stages.writing import write_csv, write_dataset
from lara.store import StateStore
from lara.variables import VARIABLES
from lara.verification import aggregation, innovations, regions, scores

KINDS = {"analysis": "", "background": "_background"}  # suffixes of an archive's variables


def write_scores(run: RunWithStates, name: str) -> None:
    """Write the sums of an experiment, what is finished from them, and its departure statistics."""
    sums = score_experiment(run, name)
    write_dataset(sums, run.layout.scores(name))
    write_csv(finish_scores(run, name, sums), run.layout.finished_scores(name))
    write_csv(score_local_times(run, name), run.layout.local_time_scores(name))
    write_csv(score_innovations(run, name), run.layout.innovations(name))


def score_experiment(run: RunWithStates, name: str) -> xr.Dataset:
    """Sums for the scores of analyses and backgrounds (kind, region, time, channel) against the truth."""
    archive = store.open_archive(run.layout.archive(name))
    truth = run.store(run.config.experiments[name].dataset)
    with parallel.client(run.config.dask):
        score = partial(_score_month, run, archive, truth)
        return xr.concat(parallel.each(score, parallel.months(archive["time"].values)), "time")


def finish_scores(run: Run, name: str, sums: xr.Dataset) -> pd.DataFrame:
    """Scores (SI; acc 1) by period, kind, region and channel over n times after an experiment's spin-up.

    Periods are all of these times together, and calendar months such as "2001-02".
    """
    months = aggregation.by_month(sums.sel(time=slice(evaluation_begin(run, name), None)))
    months = months.assign_coords(month=months["month"].dt.strftime("%Y-%m")).rename(month="period")
    periods = xr.concat([months.sum("period").expand_dims(period=["all"]), months], "period")
    return _table(run, periods, ["period", "kind", "region", "channel"])


def score_local_times(run: RunWithStates, name: str) -> pd.DataFrame:
    """Scores at the surface by kind, quarter of the local day and channel, over n times after the spin-up.

    There the sun makes a difference: an error of the daily cycle cancels in means over the globe.
    """
    archive = store.open_archive(run.layout.archive(name)).sel(time=slice(evaluation_begin(run, name), None))
    truth = run.store(run.config.experiments[name].dataset)
    surface = [channel.name for channel in run.channels.channels if channel.level is None]
    hours_of_day = np.unique(archive["time"].dt.hour.values)
    parts = []
    for times in parallel.months(archive["time"].values):
        month = archive.sel(time=times)
        for hour in hours_of_day[np.isin(hours_of_day, month["time"].dt.hour)]:
            share = regions.local_times(run.grid.longitude, run.grid.area_weights, float(hour))
            chosen = month.isel(time=month["time"].dt.hour.values == hour)
            kinds = [_score(run, truth, chosen, suffix, share).sum("time") for suffix in KINDS.values()]
            parts.append(xr.concat(kinds, pd.Index(list(KINDS), name="kind")).sel(channel=surface))
    return _table(run, aggregation.merged(parts).rename(region="local_time"), ["kind", "local_time", "channel"])


def _table(run: Run, sums: xr.Dataset, dims: list[str]) -> pd.DataFrame:
    """Finished scores with units and n, a row for each of the dimensions' labels."""
    found = scores.finish(sums).assign(n=sums["count"].astype(int))
    table = found.to_dataframe(dim_order=dims).reset_index()
    units = {channel.name: VARIABLES[channel.variable].units for channel in run.channels.channels}
    table.insert(len(dims), "units", table["channel"].map(units))
    return table


def score_innovations(run: Run, name: str) -> pd.DataFrame:
    """Departure statistics of an experiment after its spin-up, by variable, level and use."""
    begin, parts = evaluation_begin(run, name), tables.feedback_parts(run.layout.feedback(name))
    return innovations.by_level(part[part[tables.TIME] >= begin] for part in parts)


def _score_month(run: RunWithStates, archive: xr.Dataset, truth: StateStore, times: np.ndarray) -> xr.Dataset:
    """Sums (kind, region, time, channel) at the times of a month, of which a day is held at once."""
    share = regions.shares(run.grid.latitude, run.grid.area_weights)
    days = [archive.sel(time=day) for day in parallel.days(times)]
    kinds = [xr.concat([_score(run, truth, day, suffix, share) for day in days], "time") for suffix in KINDS.values()]
    return xr.concat(kinds, pd.Index(list(KINDS), name="kind"))


def _score(run: RunWithStates, truth: StateStore, archive: xr.Dataset, suffix: str, share: xr.DataArray) -> xr.Dataset:
    times = archive["time"].values
    climate = run.statistics.climatology_at(times)
    return scores.sums(states_of(run, archive, suffix), truth.at(times), climate, share, times, run.channels.names)
