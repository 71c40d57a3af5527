"""Errors of a run's networks on held-out states: what the assimilation must know, and what the summary reports."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from lara.autoencoder import Autoencoder
from lara.stages.models.train import channel_weights, fit_linear_path, spread_states, training_states
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
    """Write the forecast error by lead time."""
    write_dataset(measure_forecaster(run), run.layout.errors("forecaster"))


def measure_autoencoder(run: RunWithNetworks, name: str) -> xr.Dataset:
    """Reconstruction error of held-out states, RMSE per channel in physical units.

    `representation_error` (validation period, for R), `rmse` and `pca_rmse` (test period; PCA of the same latent size).
    """
    encode, decode = run.encoding(name)
    module, scale = run.autoencoder(name), run.normaliser
    linear = Autoencoder(module.shape, module.latent_channels, (0, 0))
    weights = channel_weights(run, run.config.autoencoders[name].training)
    fit_linear_path(run, linear.to(run.device), weights, training_states(run, name))

    def passed(state: Tensor) -> Tensor:
        return decode(encode(state))

    def passed_by_pca(state: Tensor) -> Tensor:
        return scale.denormalise(linear(scale.normalise(state)))

    representation, validated = _rmse(run, run.stores("validation"), passed)
    error, tested = _rmse(run, run.stores("test"), passed)
    fields = {
        "representation_error": representation,
        "rmse": error,
        "pca_rmse": _rmse(run, run.stores("test"), passed_by_pca)[0],
        "change_std": run.statistics.change_std,
    }
    data = {key: ("channel", np.asarray(value, dtype=np.float64)) for key, value in fields.items()}
    counts = {"samples": tested, "validation_samples": validated}
    return xr.Dataset(data, {"channel": run.channels.names}, {"compression": module.compression, **counts})


def measure_forecaster(run: RunWithNetworks, lead_steps: int = 20) -> xr.Dataset:
    """Forecast error by lead time, RMSE per channel in physical units, with that of persistence.

    `model_error` (validation period, for R in later slots of a window), `rmse` and `persistence_rmse` (test period).
    """
    window_steps = longest_window(run)
    model, _, validated = _errors_by_lead(run, run.stores("validation"), window_steps)
    error, persistence, tested = _errors_by_lead(run, run.stores("test"), lead_steps)
    coordinates = {
        "step": np.arange(window_steps + 1),
        "lead_time": run.lead_times(lead_steps),
        "channel": run.channels.names,
    }
    return xr.Dataset(
        {
            "model_error": (("step", "channel"), model),
            "rmse": (("lead_time", "channel"), error),
            "persistence_rmse": (("lead_time", "channel"), persistence),
        },
        coordinates,
        {"samples": tested, "validation_samples": validated},
    )


def longest_window(run: Run) -> int:
    """Steps from the first to the last slot of the longest window of any experiment."""
    return max(chosen.span_hours for chosen in run.config.experiments.values()) // run.config.step_hours


@torch.no_grad()
def _rmse(run: Run, stores: list[StateStore], reconstruct: Callable[[Tensor], Tensor]) -> tuple[np.ndarray, int]:
    """RMSE (c,) and the number of states it is over."""
    total, count, area = torch.zeros(len(run.channels)).double(), 0, run.area_weights().cpu()
    for states in spread_states(stores, MEASURED_STATES):
        error = reconstruct(states.to(run.device)).cpu() - states
        total += (area * error.double() ** 2).mean((2, 3)).sum(0)
        count += len(states)
    return np.asarray((total / count).sqrt()), count


@torch.no_grad()
def _errors_by_lead(
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
