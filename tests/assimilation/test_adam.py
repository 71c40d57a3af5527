"""Adam as the released code runs it: in z, a fixed number of steps; but the best point is returned."""

from dataclasses import replace

import pytest
import torch

from lara.assimilation.adam import Adam
from lara.assimilation.minimise import minimise
from lara.assimilation.search import Reason
from toys import LinearGaussian, Separate


def latent_adam(problem: LinearGaussian, steps: int, rate: float):
    """z after so many steps of Adam on J(z), algorithm 1 of the paper, with ∇_z J = B⁻¹(z − z_b) + GᵀR⁻¹(Gz − y)."""
    z, g, o = problem.background.clone(), problem.operator(), problem.observations
    m, v = torch.zeros_like(z), torch.zeros_like(z)
    for t in range(1, steps + 1):
        misfit = (problem.hofx(z) - o.value) / o.error_std**2
        gradient = (z - problem.background) / problem.variance + (g.mT @ misfit[..., None])[..., 0]
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        z = z - rate * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
    return z


@pytest.mark.parametrize("steps", [1, 5, 30])
def test_the_steps_are_those_of_adam_on_the_latent_state(steps):
    """Against the algorithm written out for z, two windows at once; the last iterate is the best of these smooth
    descents, and 1e-9 is the rounding of 30 steps in two variables."""
    problem = LinearGaussian.random(members=2)
    problem = replace(problem, variance=problem.variance[:1].repeat(2, 1)).redrawn(5)
    method = Adam(problem.variance[0].sqrt(), rate=0.02, evaluations=steps + 1)
    minima = minimise(problem.cost(), problem.cost().zeros(), method)
    found = problem.strong().latent(torch.stack([minimum.argument for minimum in minima]))
    torch.testing.assert_close(found, latent_adam(problem, steps, rate=0.02), rtol=1e-9, atol=1e-9)
    assert {(m.reason, m.evaluations, m.iterations) for m in minima} == {(Reason.DONE, steps + 1, steps)}


def test_the_best_iterate_is_returned_though_the_last_is_worse():
    """A rate far too large overshoots: J of the answer is the least of the trace, below the last."""
    cost = LinearGaussian.random().cost()
    (minimum,) = minimise(cost, cost.zeros(), Adam(torch.ones(8).double(), rate=3.0, evaluations=12))
    values = [record.value for record in minimum.trace]
    assert minimum.value == min(values) < values[-1]
    assert float(cost.value_and_gradient(minimum.argument[None])[0]) == pytest.approx(minimum.value, rel=1e-14)


def test_it_minimises_when_given_the_steps():
    """Five hundred steps of 0.05 reach the BLUE's J to 1e-3."""
    problem = LinearGaussian.random()
    best = (problem.blue() - problem.background) / problem.variance.sqrt()
    method = Adam(problem.variance[0].sqrt(), rate=0.05, evaluations=500)
    (minimum,) = minimise(problem.cost(), problem.cost().zeros(), method)
    assert minimum.value == pytest.approx(float(problem.cost().value_and_gradient(best)[0]), rel=1e-3)


def test_a_step_into_nowhere_leaves_the_best_point_found():
    """J = ∞ beyond a wall that the first step jumps over: the start is the answer, finite."""

    def walled(x):
        return (0.5 * float(x @ x), x) if float(x.abs().max()) < 2 else (torch.nan, x * torch.nan)

    start = torch.full((1, 3), 1.5, dtype=torch.float64)
    (minimum,) = minimise(Separate((walled,)), start, Adam(torch.ones(3).double(), rate=9.0, evaluations=5))
    assert torch.equal(minimum.argument, start[0])
    assert minimum.evaluations == 5


def test_no_evaluations_are_refused_with_a_remedy():
    """Validated where it is made; the limit counts the background."""
    with pytest.raises(ValueError, match="give at least 1"):
        Adam(torch.ones(3), evaluations=0)
