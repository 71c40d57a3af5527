"""Background error of a run."""

from __future__ import annotations

import numpy as np

from lara.assimilation.control import DiagonalControl
from lara.covariance import latent, nmc
from lara.experiment.run import Run


def estimate_background_error(run: Run, autoencoder: str) -> latent.LatentVariance:
    """B_z of an autoencoder from forecasts over the training period."""
    settings = run.config.background_error
    leads = [hours // run.config.step_hours for hours in settings.lead_hours]
    encode, _ = run.encoding(autoencoder)
    pairs = nmc.forecast_pairs(run.stores("training"), run.forecast_step, (leads[0], leads[1]), settings.samples)
    return latent.estimate(pairs, encode)


def save(run: Run, autoencoder: str, found: latent.LatentVariance) -> None:
    """Write B_z with the valid times of its samples."""
    path = run.layout.background_error(autoencoder)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez(
            file,
            variance=found.variance,
            channel_correlation=found.channel_correlation,
            neighbour_correlation=found.neighbour_correlation,
            valid_time=found.valid,
        )


def control(run: Run, autoencoder: str) -> DiagonalControl:
    """The control transform of an autoencoder's latent space, with the configured scale."""
    path = run.layout.background_error(autoencoder)
    if not path.exists():
        raise FileNotFoundError(f"background error {path} does not exist: run `snakemake covariance`")
    with np.load(path) as file:
        variance = run.tensor(file["variance"]).float()
    return DiagonalControl(variance * run.config.background_error.scale)
