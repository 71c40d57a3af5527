"""The model of an experiment: step from slot to slot, encoder and decoder."""

from __future__ import annotations

from functools import partial

from lara.assimilation.cycle import Model, identity
from lara.assimilation.trajectory import Step
from lara.config import Experiment
from lara.stages.networks import RunWithNetworks


def slot_step(run: RunWithNetworks, chosen: Experiment) -> Step:
    """The forecast from slot to slot of an experiment on states (b, c, y, x) in physical units, valid at times (b,)."""
    return partial(run.forecast, steps=chosen.slot_hours // run.config.step_hours)


def model(run: RunWithNetworks, chosen: Experiment) -> Model:
    """Step, encoder and decoder of an experiment; reads the autoencoder's weights."""
    encode, decode = (identity, identity) if chosen.autoencoder is None else run.encoding(chosen.autoencoder)
    return Model(slot_step(run, chosen), encode, decode)
