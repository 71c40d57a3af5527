"""Variational analysis of a window: model, covariances, minimiser and checks, from configuration and files."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lara.assimilation.control import Control
from lara.assimilation.cycle import Model, Scheme, Start
from lara.assimilation.gaussnewton import GaussNewton
from lara.assimilation.lbfgs import LBFGS
from lara.assimilation.quality import GAUSSIAN, BackgroundDraws, Huber
from lara.assimilation.search import Descent, Tolerance
from lara.assimilation.trajectory import StrongConstraint
from lara.assimilation.window import Window, times_of
from lara.config import Experiment, Factors
from lara.stages.covariance import background_error
from lara.stages.covariance.factors import factors
from lara.stages.networks import RunWithNetworks
from lara.stages.reanalysis.analyst import Analyst
from lara.stages.reanalysis.ensemble import Ensemble
from lara.stages.reanalysis.model import model, slot_step
from lara.stages.reanalysis.posterior import Diagnosed
from lara.stages.run import Run

DRAWS, TURNS = 24, 4  # of B, for the standard deviation that the background check assumes


def make(run: RunWithNetworks, name: str, background: Float[Tensor, "1 c y x"], first: Window) -> Analyst:
    """The analyst of a single analysis or of an ensemble; B's draws are made around the background and window."""
    chosen = run.config.experiments[name]
    own, step = scheme(run, name, [factors(run, name)], background, first), slot_step(run, chosen)
    if chosen.members == 1:
        return Analyst(Diagnosed(run, name, own), step, Start(background))
    members = Ensemble(run, name, own)
    return Analyst(members, step, members.start(background, first), members.disturb)


def scheme(
    run: RunWithNetworks, name: str, trials: Sequence[Factors], background: Float[Tensor, "b c y x"], window: Window
) -> Scheme:
    """The variational scheme of an experiment; ValueError for a method that is not variational.

    background, window: state and window around which the spread of B is measured.
    """
    chosen, quality = run.config.experiments[name], run.config.quality_control
    if not chosen.variational:
        raise ValueError(f"experiment '{name}' has method {chosen.method}, which assimilates nothing")
    own, control = model(run, chosen), background_error.control(run, chosen, trials)
    forcing = None if chosen.model_error is None else background_error.control(run, chosen, trials, chosen.model_error)
    every = [control.select(torch.tensor([i])) for i in range(len(trials))]
    draws = [_draws(run, chosen, own, trial, background, window) for trial in every]
    return Scheme(
        model=own,
        control=control,
        minimiser=minimiser(run),
        norm=GAUSSIAN if quality.huber is None else Huber(quality.huber),
        check_threshold=quality.background_check,
        background_draws=BackgroundDraws.of(torch.stack(draws), TURNS),
        increment_form=chosen.increment_form,
        forcing=forcing,
        recompute=run.config.minimiser.recompute,
    )


def minimiser(run: Run) -> Descent:
    """The minimiser as configured."""
    wanted = run.config.minimiser
    tolerance = Tolerance(wanted.gradient_tolerance, wanted.decrease_tolerance)
    if wanted.method == "lbfgs":
        return LBFGS(wanted.history, wanted.evaluations, tolerance, wanted.carry)
    return GaussNewton(wanted.evaluations, wanted.inner, wanted.inner_tolerance, tolerance)


@torch.no_grad()
def _draws(
    run: Run, chosen: Experiment, own: Model, control: Control, background: Float[Tensor, "b c y x"], window: Window
) -> Float[Tensor, "n k c y x"]:
    """Trajectories from draws of B around a first state, of the same random numbers for every trial."""
    generator = run.generator("draws of B", chosen.method, chosen.space)
    chi = run.tensor(generator.standard_normal(control.zeros(DRAWS).shape)).to(background)
    latent = own.encode(background[:1])
    latent = latent.expand(DRAWS, *latent.shape[1:])
    return StrongConstraint(latent, control, own.decode, own.step, times_of([window] * DRAWS))(chi)
