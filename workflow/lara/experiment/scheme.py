"""How an experiment analyses a window: model, covariances, minimiser and checks, from configuration and files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lara.assimilation.control import Control
from lara.assimilation.cycle import Method, Model, Scheme, autoencoder_only, free, identity
from lara.assimilation.gaussnewton import GaussNewton
from lara.assimilation.lbfgs import LBFGS
from lara.assimilation.quality import GAUSSIAN, Huber, background_std
from lara.assimilation.search import Method as Minimiser
from lara.assimilation.search import Tolerance
from lara.assimilation.trajectory import Step, StrongConstraint
from lara.assimilation.window import Window, times_of
from lara.config import Experiment, Factors
from lara.experiment import covariance
from lara.experiment.run import Run
from lara.experiment.run import hours as time_of

DRAWS = 24  # of B, for the standard deviation that the background check assumes


def factors(run: Run, name: str) -> Factors:
    """Factors on B and R of an experiment, as configured or as tuned.

    FileNotFoundError where it is to be tuned and has not been.
    """
    experiment = run.config.experiments[name]
    if not experiment.tuned:
        return experiment.factors or Factors()
    path = run.layout.tuning(name)
    if not path.exists():
        raise FileNotFoundError(f"factors {path} of experiment '{name}' do not exist: run `snakemake {path}`")
    return Factors.model_validate(json.loads(path.read_text()))


def control_run(run: Run, chosen: Experiment) -> Method:
    """How an experiment that uses no observation makes its trajectories."""
    way = free if chosen.method == "free" else autoencoder_only
    return partial(way, model=model(run, chosen))


def scheme(
    run: Run, name: str, trials: Sequence[Factors], background: Float[Tensor, "b c y x"], window: Window
) -> Scheme:
    """The variational scheme of an experiment; ValueError for a method that is not variational.

    background, window: state and window around which the spread of B is measured.
    """
    chosen, quality = run.config.experiments[name], run.config.quality_control
    if not chosen.variational:
        raise ValueError(f"experiment '{name}' has method {chosen.method}, which assimilates nothing")
    own, control = model(run, chosen), covariance.control(run, chosen, trials)
    forcing = None if chosen.model_error is None else covariance.control(run, chosen, trials, chosen.model_error)
    return Scheme(
        model=own,
        control=control,
        minimiser=minimiser(run),
        norm=GAUSSIAN if quality.huber is None else Huber(quality.huber),
        check_threshold=quality.background_check,
        background_std=torch.stack(
            [
                _spread(run, chosen, own, control.select(torch.tensor([i])), background, window)
                for i in range(len(trials))
            ]
        ),
        increment_form=chosen.increment_form,
        forcing=forcing,
        recompute=run.config.minimiser.recompute,
    )


def minimiser(run: Run) -> Minimiser:
    """The minimiser as configured."""
    wanted = run.config.minimiser
    tolerance = Tolerance(wanted.gradient_tolerance, wanted.decrease_tolerance)
    if wanted.method == "lbfgs":
        return LBFGS(wanted.history, wanted.evaluations, tolerance, wanted.carry)
    return GaussNewton(wanted.evaluations, wanted.inner, wanted.inner_tolerance, tolerance)


def slot_step(run: Run, chosen: Experiment) -> Step:
    """The forecast from slot to slot of an experiment on states (b, c, y, x) in physical units, valid at times (b,)."""
    return partial(run.forecast, steps=chosen.slot_hours // run.config.step_hours)


def model(run: Run, chosen: Experiment) -> Model:
    """Step, encoder and decoder of an experiment; reads the autoencoder's weights."""
    encode, decode = (identity, identity) if chosen.autoencoder is None else run.encoding(chosen.autoencoder)
    return Model(slot_step(run, chosen), encode, decode)


@torch.no_grad()
def _spread(
    run: Run, chosen: Experiment, own: Model, control: Control, background: Float[Tensor, "b c y x"], window: Window
) -> Float[Tensor, "k c y 1"]:
    """(HBHᵀ)^½ by slot, channel and latitude: the spread of trajectories from draws of B around a first state."""
    generator = run.generator("draws of B", chosen.method, chosen.space)
    chi = run.tensor(generator.standard_normal(control.zeros(DRAWS).shape)).to(background)
    latent = own.encode(background[:1])
    latent = latent.expand(DRAWS, *latent.shape[1:])
    return background_std(StrongConstraint(latent, control, own.decode, own.step, times_of([window] * DRAWS))(chi))


def first_background(run: Run, dataset: str, hours: int) -> Float[Tensor, "1 c y x"]:
    """Forecast of so many hours from a dataset's first state."""
    return background_at(run, dataset, run.store(dataset).times[0] + time_of(hours), hours)


def background_at(run: Run, dataset: str, begin: np.datetime64, hours: int) -> Float[Tensor, "1 c y x"]:
    """Forecast of so many hours from a dataset, valid at `begin`."""
    first = np.array([begin - time_of(hours)])
    with torch.no_grad():
        return run.forecast(run.tensor(run.store(dataset).at(first)), first, hours // run.config.step_hours)
