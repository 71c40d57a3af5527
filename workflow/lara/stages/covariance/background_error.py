"""Background error of a run, in latent spaces and in model space."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lara import receipts, store
from lara.assimilation.control import BlockControl, Control, DiagonalControl, HorizontalControl
from lara.config import Experiment, Factors
from lara.config.experiments import MODEL_SPACE
from lara.covariance import latent, nmc, spectral
from lara.stages.networks import RunWithNetworks
from lara.stages.run import Run


def forecast_pairs(run: RunWithNetworks) -> Iterator[nmc.Pairs]:
    """Forecasts of two lead times over the training period, valid at the same times."""
    settings = run.config.background_error
    short, long = (hours // run.config.step_hours for hours in settings.lead_hours)
    return nmc.forecast_pairs(run.stores("training"), run.forecast, (short, long), settings.samples)


def estimate_background_error(run: RunWithNetworks, space: str) -> None:
    """Write B of a space: an autoencoder's, or `model`."""
    if space == MODEL_SPACE:
        found = spectral.estimate(forecast_pairs(run), run.grid, run.channels)
        save(run.layout.background_error(space), found.arrays())
    else:
        encode, _ = run.encoding(space)
        save(run.layout.background_error(space), vars(latent.estimate(forecast_pairs(run), encode)))


def save(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays to an .npz file that exists completely or not at all."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    receipts.write_bytes(path, buffer.getvalue())


def load(run: Run, space: str) -> dict[str, np.ndarray]:
    """Arrays of B of a space. FileNotFoundError naming the remedy when absent."""
    path = run.layout.background_error(space)
    if not path.exists():
        raise FileNotFoundError(f"background error {path} does not exist: run `snakemake covariance`")
    return store.read_arrays(path)


def control(run: Run, chosen: Experiment, trials: Sequence[Factors], share: float = 1.0) -> Control:
    """B^½ of an experiment's space, one member per trial of factors; share: another factor on every variance."""
    arrays = load(run, chosen.space)
    scale = run.tensor(np.array([share * trial.background for trial in trials], dtype=np.float32))
    if chosen.autoencoder is None:
        length = run.tensor(np.array([trial.length for trial in trials], dtype=np.float32))
        root = spectral.SpectralCovariance.from_arrays(arrays).control().to(run.device)
        return root.with_factors(scale, length)
    variance = scale[:, None, None, None] * run.tensor(arrays["variance"]).float()
    found = latent.LatentVariance(**arrays)
    if chosen.latent_covariance == "horizontal":
        return HorizontalControl(variance, run.tensor(found.wave_factor).to(torch.complex64))
    if chosen.latent_covariance == "block":
        return BlockControl(variance, run.tensor(found.factor).float())
    return DiagonalControl(variance)
