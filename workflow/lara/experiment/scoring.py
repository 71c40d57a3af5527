"""Scores of a run: cycled experiments and forecasts from them against the truth and the observations."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from lara import store
from lara.assimilation.trajectory import integrate
from lara.experiment import computing
from lara.experiment.comparing import block_length, controls, evaluation_begin, last_slots
from lara.experiment.run import Run, hours
from lara.observations import table as tables
from lara.store import StateStore
from lara.variables import VARIABLES
from lara.verification import aggregation, ensemble, innovations, regions, scores
from lara.verification.significance import rmse_interval

Source = Callable[[np.datetime64, np.ndarray], Tensor]
KINDS = {"analysis": "", "background": "_background"}  # suffixes of an archive's variables
STARTS = "forecasts start at the last slot of a window: no analysis has seen an observation later than its init_time"


def score_experiment(run: Run, name: str) -> xr.Dataset:
    """Sums for the scores of analyses and backgrounds (kind, region, time, channel) against the truth."""
    archive = store.open_archive(run.layout.archive(name))
    truth = run.store(run.config.experiments[name].dataset)
    with computing.client(run.config.dask):
        score = partial(_score_month, run, archive, truth)
        return xr.concat(computing.each(score, computing.months(archive["time"].values)), "time")


def finish_scores(run: Run, name: str, sums: xr.Dataset) -> pd.DataFrame:
    """Scores (SI; acc 1) by period, kind, region and channel over n times after an experiment's spin-up.

    Periods are all of these times together, and calendar months such as "2001-02".
    """
    months = aggregation.by_month(sums.sel(time=slice(evaluation_begin(run, name), None)))
    months = months.assign_coords(month=months["month"].dt.strftime("%Y-%m")).rename(month="period")
    periods = xr.concat([months.sum("period").expand_dims(period=["all"]), months], "period")
    return _table(run, periods, ["period", "kind", "region", "channel"])


def score_local_times(run: Run, name: str) -> pd.DataFrame:
    """Scores at the surface by kind, quarter of the local day and channel, over n times after the spin-up.

    There the sun makes a difference: an error of the daily cycle cancels in means over the globe.
    """
    archive = store.open_archive(run.layout.archive(name)).sel(time=slice(evaluation_begin(run, name), None))
    truth = run.store(run.config.experiments[name].dataset)
    surface = [channel.name for channel in run.channels.channels if channel.level is None]
    hours_of_day = np.unique(archive["time"].dt.hour.values)
    parts = []
    for times in computing.months(archive["time"].values):
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


def score_forecasts(run: Run, name: str) -> xr.Dataset:
    """RMSE with interval (region, source, lead_time, channel) of forecasts from analyses after the spin-up.

    Sources: the experiment's analyses, the free runs, persistence of the analysis, climatology, and the truth as a
    start (the best the forecaster can do).
    """
    inits = forecast_inits(run, name)
    starts = [forecast_errors(run, other, inits) for other in (name, *controls(run, name, "free"))]
    fields = xr.concat([*starts, *_baselines(run, name, inits)], "source")
    every = round(run.config.verification.forecast_every_days * 24)
    result = rmse_interval(fields, block_length(len(inits), every), run.generator("bootstrap"), "init")
    return result.assign_attrs(starts=STARTS, first_init=str(inits[0])[:16], hours_between_inits=every)


def score_forecasts_of(run: Run, name: str) -> xr.Dataset:
    """Squared errors (region, init, lead_time, channel) of forecasts from analyses, at the inits of the suite."""
    suite = run.config.experiments[name].suite
    inits = forecast_inits(run, getattr(run.config, suite).reference or name)
    return forecast_errors(run, name, inits).isel(source=0, drop=True).rename("squared_error").to_dataset()


def forecast_inits(run: Run, name: str) -> np.ndarray:
    """Last slots of an experiment's windows after the spin-up, `forecast_every_days` apart (datetime64[ns]).

    An analysis at an earlier slot has seen observations later than itself. The truth covers every forecast.
    """
    settings, chosen = run.config.verification, run.config.experiments[name]
    every = round(settings.forecast_every_days * 24 / chosen.window_hours)
    last = last_slots(run, name)
    inits = last[last >= evaluation_begin(run, name)][::every]
    end = run.store(chosen.dataset).times[-1] - hours(round(settings.lead_days * 24))
    return inits[inits <= end]


@torch.no_grad()
def forecast_errors(run: Run, name: str, inits: np.ndarray) -> xr.DataArray:
    """Mean squared errors (region, source, init, lead_time, channel) of forecasts from an experiment's analyses."""
    archive = store.open_archive(run.layout.archive(name))

    def forecasts(init: np.datetime64, leads: np.ndarray) -> Tensor:
        start = torch.from_numpy(states_of(run, archive.sel(time=[init]), ""))
        return trajectory(run, start.to(run.device), init + leads).cpu()

    return _errors(run, name, {name: forecasts}, inits)


def _baselines(run: Run, name: str, inits: np.ndarray) -> list[xr.DataArray]:
    """The same of persistence of the analysis, climatology and forecasts from the truth."""
    archive, truth = store.open_archive(run.layout.archive(name)), run.store(run.config.experiments[name].dataset)

    def persistence(init: np.datetime64, leads: np.ndarray) -> Tensor:
        start = torch.from_numpy(states_of(run, archive.sel(time=[init]), ""))
        return start.expand(len(leads), -1, -1, -1)

    def climatology(init: np.datetime64, leads: np.ndarray) -> Tensor:
        return torch.from_numpy(run.statistics.climatology_at(init + leads)).float()

    def perfect(init: np.datetime64, leads: np.ndarray) -> Tensor:
        return trajectory(run, run.tensor(truth.at(np.array([init]))), init + leads).cpu()

    sources: dict[str, Source] = {"perfect start": perfect, "persistence": persistence, "climatology": climatology}
    return [_errors(run, name, sources, inits)]


def _errors(run: Run, name: str, sources: dict[str, Source], inits: np.ndarray) -> xr.DataArray:
    leads = run.lead_times(round(run.config.verification.lead_days * 24 / run.config.step_hours))
    truth, share = (
        run.store(run.config.experiments[name].dataset),
        regions.shares(run.grid.latitude, run.grid.area_weights),
    )
    errors = np.empty((share.sizes["region"], len(sources), len(inits), len(leads), len(run.channels)))
    for i, init in enumerate(inits):
        target = torch.from_numpy(truth.at(init + leads))
        for j, forecast in enumerate(sources.values()):
            square = (forecast(init, leads) - target).numpy() ** 2
            errors[:, j, i] = np.einsum("lcyx,ryx->rlc", square, share)
    labels = {"source": list(sources), "init": inits, "lead_time": leads, "channel": run.channels.names}
    return xr.DataArray(errors, {"region": share["region"].values, **labels}, ("region", *labels))


@torch.no_grad()
def trajectory(run: Run, state: Tensor, times: np.ndarray) -> Tensor:
    """Forecast at `times` (k, c, y, x), the first of which is that of `state` (1, c, y, x)."""
    return integrate(run.forecast_step, state, times[None])[0]


def states_of(run: Run, archive: xr.Dataset, suffix: str) -> np.ndarray:
    """States (time, channel, y, x) of an opened archive; suffix "" for analyses, "_background" for backgrounds.

    They are read in the thread that asks, which may be one of many.
    """
    short = {f"{channel.meta.archive_name}{suffix}": channel.variable for channel in run.channels.channels}
    return run.channels.from_dataset(archive[list(short)].rename(short).load(scheduler="synchronous"))


def _score_month(run: Run, archive: xr.Dataset, truth: StateStore, times: np.ndarray) -> xr.Dataset:
    """Sums (kind, region, time, channel) at the times of a month, of which a day is held at once."""
    share = regions.shares(run.grid.latitude, run.grid.area_weights)
    days = [archive.sel(time=day) for day in computing.days(times)]
    kinds = [xr.concat([_score(run, truth, day, suffix, share) for day in days], "time") for suffix in KINDS.values()]
    return xr.concat(kinds, pd.Index(list(KINDS), name="kind"))


def _score(run: Run, truth: StateStore, archive: xr.Dataset, suffix: str, share: xr.DataArray) -> xr.Dataset:
    times = archive["time"].values
    climate = run.statistics.climatology_at(times)
    return scores.score_sums(
        states_of(run, archive, suffix), truth.at(times), climate, share, times, run.channels.names
    )


def score_ensemble(run: Run, name: str) -> xr.Dataset:
    """Sums for the scores of an ensemble's members by region and time, at the headline channels."""
    members = xr.load_dataset(run.layout.members(name))["analysis"]
    times = members["time"].values
    positions = [run.channels.position(str(channel)) for channel in members["channel"].values]
    truth = run.store(run.config.experiments[name].dataset).at(times)[:, positions]
    return ensemble.ensemble_sums(
        members.values,
        truth,
        regions.shares(run.grid.latitude, run.grid.area_weights),
        times,
        members["channel"].values.tolist(),
        lambda stamp: run.generator("ranks", name, stamp),
    )


def finish_ensemble(run: Run, name: str, sums: xr.Dataset) -> pd.DataFrame:
    """Spread, RMSE of the mean, CRPS (SI), their ratio and indices of the ranks (1) by region and channel, and n.

    A column per rank of the truth has its share of the area.
    """
    scored = sums.sel(time=slice(evaluation_begin(run, name), None))
    found = ensemble.finish(scored.sum("time"))
    table = found.drop_vars(["frequency", "rank"]).to_dataframe(dim_order=["region", "channel"])
    ranks = found["frequency"].to_series().unstack("rank").add_prefix("rank_")
    return table.join(ranks).reset_index().assign(n=scored.sizes["time"])
