"""Scores of forecasts from the analyses of experiments against the truth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from lara import store
from lara.stages.experiments import controls, evaluation_begin, last_slots
from lara.stages.networks import RunWithNetworks, trajectory
from lara.stages.run import hours
from lara.stages.states import RunWithStates, states_of
from lara.stages.verification.comparison import block_length
from lara.stages.writing import write_dataset
from lara.verification import regions
from lara.verification.significance import rmse_interval

Source = Callable[[np.datetime64, np.ndarray], Tensor]


STARTS = "forecasts start at the last slot of a window: no analysis has seen an observation later than its init_time"


def write_forecast_scores(run: RunWithNetworks) -> None:
    """Write the scores of forecasts from the analyses of the reference experiment."""
    write_dataset(score_forecasts(run, run.config.verification.reference), run.layout.scores("forecasts"))


def write_squared_errors(run: RunWithNetworks, name: str) -> None:
    """Write the squared errors of forecasts from an experiment's analyses."""
    write_dataset(score_forecasts_of(run, name), run.layout.forecast_scores(name))


def score_forecasts(run: RunWithNetworks, name: str) -> xr.Dataset:
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


def score_forecasts_of(run: RunWithNetworks, name: str) -> xr.Dataset:
    """Squared errors (region, init, lead_time, channel) of forecasts from analyses, at the inits of the suite."""
    suite = run.config.experiments[name].suite
    inits = forecast_inits(run, getattr(run.config, suite).reference or name)
    return forecast_errors(run, name, inits).isel(source=0, drop=True).rename("squared_error").to_dataset()


def forecast_inits(run: RunWithStates, name: str) -> np.ndarray:
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
def forecast_errors(run: RunWithNetworks, name: str, inits: np.ndarray) -> xr.DataArray:
    """Mean squared errors (region, source, init, lead_time, channel) of forecasts from an experiment's analyses."""
    archive = store.open_archive(run.layout.archive(name))

    def forecasts(init: np.datetime64, leads: np.ndarray) -> Tensor:
        start = torch.from_numpy(states_of(run, archive.sel(time=[init]), ""))
        return trajectory(run, start.to(run.device), init + leads).cpu()

    return _errors(run, name, {name: forecasts}, inits)


def _baselines(run: RunWithNetworks, name: str, inits: np.ndarray) -> list[xr.DataArray]:
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


def _errors(run: RunWithStates, name: str, sources: dict[str, Source], inits: np.ndarray) -> xr.DataArray:
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
