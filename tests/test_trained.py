"""The contracts of assimilation on networks that were really trained: those of the tiny run, with its B_z and data."""

from functools import cache

import numpy as np
import pytest
import torch

from contracts import adjoint_gap, kalman_gap, taylor_order
from lara.assimilation.control import DiagonalControl
from lara.assimilation.cost import CostFunction
from lara.assimilation.window import windows
from lara.experiment import covariance, cycling
from lara.experiment.run import Run, time
from lara.observations import table as tables
from toys import normal

pytestmark = pytest.mark.slow

EXPERIMENTS = {"main": "l4dvar", "pca": "pca"}  # by autoencoder
DATA = 20


@pytest.fixture(scope="module")
def problem(finished):
    """Function: J of an autoencoder's first window, in float64, with twenty of its observations."""

    @cache
    def make(autoencoder):
        run, name = Run.open(finished), EXPERIMENTS[autoencoder]
        chosen = run.config.experiments[name]
        begin, end = (time(moment) for moment in run.config.period(name))
        window = windows(begin, end, chosen.slots, run.step)[0]
        background = cycling.first_background(run, name)[None].double()
        encoder, forecaster = run.autoencoder(autoencoder).double(), run.forecaster.double()
        mean, scale = run.normaliser.mean.double(), run.normaliser.scale.double()
        return CostFunction(
            encoder.encode((background - mean) / scale)[0],
            DiagonalControl(covariance.control(run, autoencoder).variance.double()),
            lambda z: mean + scale * encoder.decode(z[None])[0],
            lambda x: mean + scale * forecaster(((x - mean) / scale)[None])[0],
            chosen.slots,
            observed(run, name, window),
        )

    return make


def observed(run, name, window):
    """Twenty real data of a window, spread over sites, variables and slots, with the error the run gives them."""
    table = tables.read(run.layout.observations(run.config.experiments[name].dataset))
    rows = tables.between(table[~table["withheld"]], window.begin, window.end)
    few = rows.iloc[np.linspace(0, len(rows) - 1, DATA).round().astype(int)]
    return cycling.ObservationReader(run, name, few)(window)


def test_the_networks_are_trained(finished):
    """Both last layers that start at zero have left it, so that what is tested is nonlinear."""
    run = Run.open(finished)
    for residual in (run.autoencoder("main").encoder, run.autoencoder("main").decoder, run.forecaster):
        assert residual.leave.weight.abs().max() > 1e-4


@pytest.mark.parametrize("autoencoder", EXPERIMENTS)
def test_data_of_every_slot_are_used(problem, autoencoder):
    """Twenty data, none missing, over the four slots."""
    cost = problem(autoencoder)
    assert torch.isfinite(cost.observations.error_std).sum() == DATA
    assert cost.observations.slot.unique().tolist() == list(range(cost.slots))


@pytest.mark.parametrize("autoencoder", EXPERIMENTS)
def test_the_gradient_through_trained_networks_passes_the_taylor_test(problem, autoencoder):
    """Slope 2 of the remainder, h = 1e-1 … 1e-4 in float64; third-order terms bend it by less than 0.1."""
    cost = problem(autoencoder)
    shape = cost.background.shape
    steps = [10.0**-k for k in (1, 2, 3, 4)]
    assert taylor_order(cost, normal(*shape, seed=2), normal(*shape, seed=3), steps) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("autoencoder", EXPERIMENTS)
def test_the_gradient_through_trained_networks_is_the_adjoint_of_their_tangent_linear(problem, autoencoder):
    """⟨G′δχ, δy⟩ = ⟨δχ, G′ᵀδy⟩ through decoder, three forecast steps and H, to float64 rounding of sums of 10⁵."""
    cost = problem(autoencoder)
    shape = cost.background.shape
    gap = adjoint_gap(cost, normal(*shape, seed=4), normal(*shape, seed=5), normal(DATA, seed=6))
    assert gap < 1e-11


@pytest.mark.parametrize("autoencoder", EXPERIMENTS)
def test_trained_networks_approach_the_kalman_solution_as_innovations_shrink(problem, autoencoder):
    """|∇J(χ_a)| / |∇J(0)| is the networks' second derivative times the increment: a tenth of the innovation, a tenth of
    the gap (30 %), down to a thousandth of the error, where the linear solution is right to 1 %."""
    cost = problem(autoencoder)
    innovation = cost.observations.error_std * normal(DATA, seed=7)
    large, small = kalman_gap(cost, 1e-2 * innovation), kalman_gap(cost, 1e-3 * innovation)
    assert small < 1e-2
    assert large / small == pytest.approx(10, rel=0.3)
