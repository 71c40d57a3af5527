"""The contracts of assimilation on networks that were really trained: those of the tiny run, with its B and data."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from contracts import adjoint_gap, kalman_gap, taylor_order
from lara.assimilation.control import DiagonalControl
from lara.assimilation.cost import CostFunction
from lara.assimilation.trajectory import StrongConstraint, WeakConstraint
from lara.covariance.spectral import SpectralCovariance
from lara.stages.covariance import background_error
from lara.stages.experiments import windows_of
from lara.stages.networks import RunWithNetworks
from lara.stages.observations.reader import ObservationReader
from lara.stages.reanalysis.first_background import first_background
from lara.stages.run import time
from repository import tiny
from toys import clock, normal

pytestmark = pytest.mark.slow

EXPERIMENTS = {"main": "l4dvar", "pca": "pca", "model": "osse-4dvar"}  # by space
PROBLEMS = [*EXPERIMENTS, "main, weak", "model, weak"]
DATA = 20


@pytest.fixture(scope="module")
def finished():
    """The folder of the tiny run, finished, with B of model space."""
    return tiny("all", "results/tiny/covariance/model.npz")


@pytest.fixture(scope="module")
def problem(finished):
    """Function: J of a space's first window, in float64, with twenty of its observations; after a comma the weak
    constraint."""

    @cache
    def make(kind):
        space, _, weak = kind.partition(", ")
        run, name = RunWithNetworks.open(finished), EXPERIMENTS[space]
        chosen = run.config.experiments[name]
        background = first_background(run, chosen.dataset, chosen.background_hours).double()
        mean, scale = run.normaliser.mean.double(), run.normaliser.scale.double()
        forecaster, (encode, decode) = run.forecaster.double(), maps(run, space, mean, scale)

        def step(x, _):
            return mean + scale * forecaster((x - mean) / scale)

        strong = StrongConstraint(encode(background), control(run, space), decode, step, clock(1, chosen.slots))
        trajectory = WeakConstraint(strong, encode, control(run, space, 0.1)) if weak else strong
        return CostFunction(trajectory, observed(run, name))

    return make


def maps(run, space, mean, scale):
    """Encoder and decoder in float64."""
    if space == "model":
        return (lambda x: x), (lambda z: z)
    module = run.autoencoder(space).double()
    return (lambda x: module.encode((x - mean) / scale)), (lambda z: mean + scale * module.decode(z))


def control(run, space, share=1.0):
    """B^½ in float64, every variance times `share`."""
    arrays, factor = background_error.load(run, space), torch.full((1,), share, dtype=torch.float64)
    if space == "model":
        found = SpectralCovariance.from_arrays(arrays).control(torch.float64)
        return found.with_factors(factor, torch.ones_like(factor))
    return DiagonalControl(share * torch.from_numpy(arrays["variance"])[None])


def observed(run, name):
    """Twenty real data of the first window, spread over sites, variables and slots, with the error the run gives."""
    chosen = run.config.experiments[name]
    window = windows_of(chosen, *(time(moment) for moment in run.config.period(name)))[0]
    everything = ObservationReader(run, name, chosen.dataset)(window).to("cpu")
    used = torch.nonzero(everything.used[0])[:, 0]
    few = used[np.linspace(0, len(used) - 1, DATA).round().astype(int)]
    parts = tuple(part_of(part, few) for part in everything.parts)
    fields = {key: getattr(everything, key)[:, few] for key in ("slot", "value", "error_std")}
    return replace(everything, **fields, parts=parts)


def part_of(part, few):
    """The data of an operator that are in `few`, sorted columns of the batch, in their new columns."""
    kept = torch.nonzero(torch.isin(part.column[0], few))[:, 0]
    chosen = part.each(lambda field: field[:, kept])
    return replace(chosen, column=torch.searchsorted(few, chosen.column))


def test_the_networks_are_trained(finished):
    """Both last layers that start at zero have left it, so that what is tested is nonlinear."""
    run = RunWithNetworks.open(finished)
    for residual in (run.autoencoder("main").encoder, run.autoencoder("main").decoder, run.forecaster):
        assert residual.leave.weight.abs().max() > 1e-4


@pytest.mark.parametrize("kind", PROBLEMS)
def test_data_of_every_slot_are_used(problem, kind):
    """Twenty data, none missing, over the four slots."""
    cost = problem(kind)
    assert torch.isfinite(cost.observations.error_std).sum() == DATA
    assert cost.observations.slot.unique().tolist() == list(range(cost.trajectory.slots))


@pytest.mark.parametrize("kind", PROBLEMS)
def test_the_gradient_through_trained_networks_passes_the_taylor_test(problem, kind):
    """Slope 2 of the remainder, h = 1e-1 … 1e-4 in float64; third-order terms bend it by less than 0.1."""
    cost = problem(kind)
    shape = cost.zeros().shape
    steps = [10.0**-k for k in (1, 2, 3, 4)]
    assert taylor_order(cost, normal(*shape, seed=2), normal(*shape, seed=3), steps) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("kind", PROBLEMS)
def test_the_gradient_through_trained_networks_is_the_adjoint_of_their_tangent_linear(problem, kind):
    """⟨G′δχ, δy⟩ = ⟨δχ, G′ᵀδy⟩ through decoder, three forecast steps and H, to float64 rounding of sums of 10⁵."""
    cost = problem(kind)
    shape = cost.zeros().shape
    gap = adjoint_gap(cost, normal(*shape, seed=4), normal(*shape, seed=5), normal(1, DATA, seed=6))
    assert gap < 1e-11


@pytest.mark.parametrize("kind", PROBLEMS)
def test_trained_networks_approach_the_kalman_solution_as_innovations_shrink(problem, kind):
    """|∇J(χ_a)| / |∇J(0)| is the networks' second derivative times the increment: a tenth of the innovation, a tenth of
    the gap (30 %), down to a thousandth of the error, where the linear solution is right to 1 %."""
    cost = problem(kind)
    innovation = cost.observations.error_std * normal(1, DATA, seed=7)
    large, small = kalman_gap(cost, 1e-2 * innovation), kalman_gap(cost, 1e-3 * innovation)
    assert small < 1e-2
    assert large / small == pytest.approx(10, rel=0.3)
