"""Observation error: the instrument's, the autoencoder's and the forecaster's."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from lara.config import Experiment
from lara.stages.run import Run


def error_std(run: Run) -> dict[str, float]:
    """Standard error by channel name, SI."""
    return dict(zip(run.channels.names, run.per_channel(run.config.observations.error_std).tolist(), strict=True))


def extra_error(run: Run, chosen: Experiment) -> Tensor:
    """Error beyond the instrument's, (slot, channel), SI: the autoencoder's, and the forecaster's in later slots."""
    errors = xr.load_dataset(run.layout.errors("forecaster"))["model_error"]
    leads = np.arange(chosen.slots) * (chosen.slot_hours // run.config.step_hours)
    grown = errors.values[leads]
    if chosen.autoencoder is None:
        return torch.from_numpy(grown)
    representation = xr.load_dataset(run.layout.errors(chosen.autoencoder))["representation_error"].values
    return torch.from_numpy(np.sqrt(grown**2 + representation**2))
