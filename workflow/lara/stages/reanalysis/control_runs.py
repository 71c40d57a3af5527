"""Control runs: experiments that assimilate nothing."""

from __future__ import annotations

from functools import partial

from lara.assimilation.cycle import Method, autoencoder_only, free
from lara.config import Experiment
from lara.stages.networks import RunWithNetworks
from lara.stages.reanalysis.model import model


def control_run(run: RunWithNetworks, chosen: Experiment) -> Method:
    """How an experiment that uses no observation makes its trajectories."""
    way = free if chosen.method == "free" else autoencoder_only
    return partial(way, model=model(run, chosen))
