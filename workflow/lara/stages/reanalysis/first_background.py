"""The first background of an experiment: a forecast from the truth."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lara.stages.networks import RunWithNetworks
from lara.stages.run import hours as time_of
from lara.stages.run import time


def first_background(run: RunWithNetworks, dataset: str, hours: int) -> Float[Tensor, "1 c y x"]:
    """Forecast of so many hours from a dataset's first state."""
    return background_at(run, dataset, time(run.config.datasets[dataset].begin) + time_of(hours), hours)


def background_at(run: RunWithNetworks, dataset: str, begin: np.datetime64, hours: int) -> Float[Tensor, "1 c y x"]:
    """Forecast of so many hours from a dataset, valid at `begin`."""
    first = np.array([begin - time_of(hours)])
    truth = run.store(dataset, first[0], first[0] + run.step)
    with torch.no_grad():
        return run.forecast(run.tensor(truth.at(first)), first, hours // run.config.step_hours)
