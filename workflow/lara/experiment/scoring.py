"""Scores of a run: cycled experiments and forecasts from them against the truth and the observations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from lara import store
from lara.experiment.comparing import block_length, controls, evaluation_begin
from lara.experiment.run import Run, hours, time_range
from lara.observations import table as tables
from lara.variables import VARIABLES
from lara.verification import innovations, scores
from lara.verification.significance import rmse_interval

STARTS = "forecasts start at the last slot of a window: no analysis has seen an observation later than its init_time"


def score_experiment(run: Run, name: str) -> xr.Dataset:
    """Sums for the scores of analyses and backgrounds (kind, time, channel) against the truth."""
    archive = store.open_archive(run.layout.archive(name))
    kinds = {"analysis": "", "background": "_background"}
    parts = [_score(run, name, states_of(run, archive, suffix), archive["time"].values) for suffix in kinds.values()]
    return xr.concat(parts, pd.Index(list(kinds), name="kind"))


def finish_scores(run: Run, sums: xr.Dataset) -> pd.DataFrame:
    """RMSE, bias, MAE (SI) and ACC by kind and channel over the n times after the spin-up."""
    scored = slice(evaluation_begin(run), None)
    table = scores.mean_over(sums, scored)[["rmse", "bias", "mae", "acc"]].to_dataframe().reset_index()
    units = {channel.name: VARIABLES[channel.variable].units for channel in run.channels.channels}
    table.insert(2, "units", table["channel"].map(units))
    return table.assign(n=sums.sel(time=scored).sizes["time"])


def score_innovations(run: Run, name: str) -> pd.DataFrame:
    """Departure statistics of an experiment after its spin-up, by variable, level and use."""
    feedback = tables.read_feedback(run.layout.feedback(name))
    return innovations.by_level(feedback[feedback[tables.TIME] >= evaluation_begin(run)])


def score_forecasts(run: Run, name: str) -> xr.Dataset:
    """RMSE with interval (source, lead_time, channel) of forecasts from an experiment's analyses after its spin-up.

    Sources: the experiment's analyses, the free runs, persistence of the analysis, climatology, and the truth as a
    start (the best the forecaster can do).
    """
    starts = [name, *controls(run, name, "free")]
    archives = {key: store.open_archive(run.layout.archive(key)) for key in starts}
    inits = forecast_inits(run, name)
    fields = xr.concat([_score_forecast(run, name, archives, init) for init in inits], pd.Index(inits, name="init"))
    every = round(run.config.verification.forecast_every_days * 24)
    result = rmse_interval(fields, block_length(len(inits), every), run.generator("bootstrap"), "init")
    return result.assign_attrs(starts=STARTS, first_init=str(inits[0])[:16], hours_between_inits=every)


def forecast_inits(run: Run, name: str) -> np.ndarray:
    """Last slots of an experiment's windows after the spin-up, `forecast_every_days` apart (datetime64[ns]).

    An analysis at an earlier slot has seen observations later than itself. The truth covers every forecast.
    """
    settings, chosen = run.config.verification, run.config.experiments[name]
    slots = time_range(*run.config.period(name), run.step)
    last = slots[chosen.slots - 1 :: chosen.slots]
    every = round(settings.forecast_every_days * 24 / (chosen.slots * run.config.step_hours))
    inits = last[last >= evaluation_begin(run)][::every]
    end = run.store(chosen.dataset).times[-1] - hours(round(settings.lead_days * 24))
    return inits[inits <= end]


@torch.no_grad()
def _score_forecast(run: Run, name: str, archives: dict[str, xr.Dataset], init: np.datetime64) -> xr.DataArray:
    leads = run.lead_times(round(run.config.verification.lead_days * 24 / run.config.step_hours))
    target = torch.from_numpy(run.store(run.config.experiments[name].dataset).at(init + leads))
    analyses = {key: states_of(run, archive.sel(time=[init]), "") for key, archive in archives.items()}
    starts = {key: torch.from_numpy(states)[0] for key, states in analyses.items()} | {"perfect start": target[0]}
    sources = {key: _trajectory(run, start.to(run.device), len(leads)).cpu() for key, start in starts.items()}
    climate = torch.from_numpy(run.statistics.climatology_at(init + leads)).float()
    sources |= {"persistence": starts[name].expand_as(target), "climatology": climate}
    area = run.area_weights().cpu()
    errors = [(area * (source - target) ** 2).mean((2, 3)).numpy() for source in sources.values()]
    coordinates = {"source": list(sources), "lead_time": leads, "channel": run.channels.names}
    return xr.DataArray(np.stack(errors), coordinates, ("source", "lead_time", "channel"))


def _trajectory(run: Run, state: Tensor, count: int) -> Tensor:
    states = [state[None]]
    while len(states) < count:
        states.append(run.forecast_step(states[-1]))
    return torch.cat(states)


def states_of(run: Run, archive: xr.Dataset, suffix: str) -> np.ndarray:
    """States (time, channel, y, x) of an opened archive; suffix "" for analyses, "_background" for backgrounds."""
    short = {f"{channel.meta.archive_name}{suffix}": channel.variable for channel in run.channels.channels}
    return run.channels.from_dataset(archive[list(short)].rename(short).load())


def _score(run: Run, name: str, states: np.ndarray, times: np.ndarray) -> xr.Dataset:
    truth = run.store(run.config.experiments[name].dataset).at(times)
    climate = run.statistics.climatology_at(times)
    return scores.score_sums(states, truth, climate, run.grid.area_weights, times, run.channels.names)
