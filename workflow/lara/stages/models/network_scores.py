"""Scores of a run's networks on the states of the test period, beside the PCA and persistence."""

from __future__ import annotations

import xarray as xr
from torch import Tensor

from lara.autoencoder import Autoencoder
from lara.stages.models.network_errors import errors_by_lead, reconstruction_rmse
from lara.stages.models.train import channel_weights, fit_linear_path, training_states
from lara.stages.networks import RunWithNetworks
from lara.stages.writing import write_dataset


def write_autoencoder_scores(run: RunWithNetworks, name: str) -> None:
    """Write the scores of an autoencoder."""
    write_dataset(score_autoencoder(run, name), run.layout.network_scores(name))


def write_forecaster_scores(run: RunWithNetworks) -> None:
    """Write the scores of the forecaster by lead time."""
    write_dataset(score_forecaster(run), run.layout.network_scores("forecaster"))


def score_autoencoder(run: RunWithNetworks, name: str) -> xr.Dataset:
    """Error `rmse` of states and that of the PCA of the same latent size, `pca_rmse` (channel), in physical units."""
    encode, decode = run.encoding(name)
    module, scale, stores = run.autoencoder(name), run.normaliser, run.stores("test")
    linear = Autoencoder(module.shape, module.latent_channels, (0, 0))
    weights = channel_weights(run, run.config.autoencoders[name].training)
    fit_linear_path(run, linear.to(run.device), weights, training_states(run, name))

    def through_pca(state: Tensor) -> Tensor:
        return scale.denormalise(linear(scale.normalise(state)))

    error, count = reconstruction_rmse(run, stores, lambda state: decode(encode(state)))
    pca, _ = reconstruction_rmse(run, stores, through_pca)
    data = {
        "rmse": ("channel", error),
        "pca_rmse": ("channel", pca),
        "change_std": ("channel", run.statistics.change_std),
    }
    return xr.Dataset(data, {"channel": run.channels.names}, {"compression": module.compression, "samples": count})


def score_forecaster(run: RunWithNetworks, lead_steps: int = 20) -> xr.Dataset:
    """Forecast error `rmse` and that of persistence, `persistence_rmse` (lead_time, channel), in physical units."""
    error, persistence, count = errors_by_lead(run, run.stores("test"), lead_steps)
    by_lead = ("lead_time", "channel")
    coordinates = {"lead_time": run.lead_times(lead_steps), "channel": run.channels.names}
    return xr.Dataset(
        {"rmse": (by_lead, error), "persistence_rmse": (by_lead, persistence)}, coordinates, {"samples": count}
    )
