"""Errors of a run's networks on the states of the validation period, which the R of an analysis holds.

Scores of the networks are of the test period, and no analysis knows them (`network_scores`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from lara.stages.models.train import spread_states
from lara.stages.networks import RunWithNetworks
from lara.stages.run import Run
from lara.stages.writing import write_dataset
from lara.store import StateStore
from lara.training import Sequences, spread

MEASURED_STATES = 240
MEASURED_FORECASTS = 120


def write_autoencoder_errors(run: RunWithNetworks, name: str) -> None:
    """Write the reconstruction error of an autoencoder."""
    write_dataset(measure_autoencoder(run, name), run.layout.errors(name))


def write_forecaster_errors(run: RunWithNetworks) -> None:
    """Write the forecast error by step of a window."""
    write_dataset(measure_forecaster(run), run.layout.errors("forecaster"))


def measure_autoencoder(run: RunWithNetworks, name: str) -> xr.Dataset:
    """`representation_error` (channel): RMSE of a state once through the autoencoder, in physical units."""
    encode, decode = run.encoding(name)
    error, count = reconstruction_rmse(run, run.stores("validation"), lambda state: decode(encode(state)))
    return xr.Dataset({"representation_error": ("channel", error)}, {"channel": run.channels.names}, {"samples": count})


def measure_forecaster(run: RunWithNetworks) -> xr.Dataset:
    """`model_error` (step, channel): RMSE of forecasts over the steps of a window, in physical units."""
    steps = longest_window(run)
    error, _, count = errors_by_lead(run, run.stores("validation"), steps)
    coordinates = {"step": np.arange(steps + 1), "channel": run.channels.names}
    return xr.Dataset({"model_error": (("step", "channel"), error)}, coordinates, {"samples": count})


def longest_window(run: Run) -> int:
    """Steps from the first to the last slot of the longest window of any experiment."""
    return max(chosen.span_hours for chosen in run.config.experiments.values()) // run.config.step_hours


@torch.no_grad()
def reconstruction_rmse(
    run: Run, stores: list[StateStore], reconstruct: Callable[[Tensor], Tensor]
) -> tuple[np.ndarray, int]:
    """RMSE (c,) of states that are encoded and decoded, and the number of states it is over."""
    total, count, area = torch.zeros(len(run.channels)).double(), 0, run.area_weights().cpu()
    for states in spread_states(stores, MEASURED_STATES):
        error = reconstruct(states.to(run.device)).cpu() - states
        total += (area * error.double() ** 2).mean((2, 3)).sum(0)
        count += len(states)
    return np.asarray((total / count).sqrt(), dtype=np.float64), count


@torch.no_grad()
def errors_by_lead(
    run: RunWithNetworks, stores: list[StateStore], lead_steps: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """RMSE (lead, c) of forecasts and of persistence, and the number of forecasts they are over."""
    area, count = run.area_weights().cpu(), 0
    total = torch.zeros(2, lead_steps + 1, len(run.channels)).double()
    for begins, batch in spread(Sequences(stores, lead_steps + 1), MEASURED_FORECASTS, batch=16):
        state, count = batch[:, 0], count + len(batch)
        for k in range(1, lead_steps + 1):
            state = run.forecast_step(state, begins + (k - 1) * run.step)
            for i, forecast in enumerate((state, batch[:, 0])):
                total[i, k] += (area * (forecast.cpu() - batch[:, k]).double() ** 2).mean((2, 3)).sum(0)
    error, persistence = (total / count).sqrt().numpy()
    return error, persistence, count
