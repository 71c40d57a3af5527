"""Observation error R of an analysis, put together here and nowhere else.

    R = f (σ_o² + s_rep² + s_mod²),    diagonal

σ_o     instrument: the error of the table's row, for simulated observations `observations.error_std`
s_rep   representation: what the autoencoder of a latent space loses of held-out states, none in model space
s_mod   model: the forecaster's error after the steps from a window's first slot to the slot of the datum
f       factor on R of the experiment, configured or tuned

A datum that must not be used has an infinite σ_o, and keeps it. s_rep and s_mod are known by channel of the state; the
operator of each datum says what they amount to in its units (`lara.observations.operators.Operator.spread`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lara.config import Experiment
from lara.observations.batches import ObservationBatch
from lara.stages.reading import read_dataset
from lara.stages.run import Run


def instrument(run: Run) -> dict[str, float]:
    """σ_o of simulated observations by channel name, SI."""
    return dict(zip(run.channels.names, run.per_channel(run.config.observations.error_std).tolist(), strict=True))


def representation(run: Run, chosen: Experiment) -> Float[np.ndarray, " channel"]:
    """s_rep, SI."""
    if chosen.autoencoder is None:
        return np.zeros(len(run.channels))
    return read_dataset(run.layout.errors(chosen.autoencoder))["representation_error"].values


def model_error(run: Run, chosen: Experiment) -> Float[np.ndarray, "slot channel"]:
    """s_mod, SI, zero at the first slot."""
    leads = np.arange(chosen.slots) * (chosen.slot_hours // run.config.step_hours)
    return read_dataset(run.layout.errors("forecaster"))["model_error"].values[leads]


def beyond_instrument(run: Run, chosen: Experiment) -> Float[Tensor, "slot channel"]:
    """(s_rep² + s_mod²)^½, SI."""
    return torch.from_numpy(np.sqrt(model_error(run, chosen) ** 2 + representation(run, chosen) ** 2))


def with_error(
    data: ObservationBatch, beyond: Float[Tensor, "slot channel"], factors: Sequence[float]
) -> ObservationBatch:
    """The data of one window, whose errors are σ_o, with R^½; one member of the batch per factor."""
    members = data.inflate(beyond).repeat(len(factors))
    factor = torch.tensor(factors, dtype=torch.float64)[:, None]
    return replace(members, error_std=members.error_std * factor.sqrt())
