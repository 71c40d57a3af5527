"""Gauss–Newton: its curvature is G'ᵀWG', its answers are the BLUE and the minimum that L-BFGS finds."""

from dataclasses import replace

import pytest
import torch

from contracts import jacobian
from lara.assimilation.gaussnewton import GaussNewton
from lara.assimilation.lbfgs import LBFGS
from lara.assimilation.minimise import minimise
from lara.assimilation.quality import GAUSSIAN, Huber
from lara.assimilation.search import Reason, Tolerance
from toys import LinearGaussian, lorenz_windows, normal

EXACT = GaussNewton(evaluations=20, inner=100, inner_tolerance=1e-12, tolerance=Tolerance(1e-10, 0.0))


@pytest.mark.parametrize("norm", [GAUSSIAN, Huber(0.5)], ids=["gaussian", "huber"])
def test_the_curvature_is_the_one_formed_explicitly(norm):
    """G'ᵀ W G' v with G' from one gradient per datum and W = ρ'(d)/d, float64 sums of 80 data: 1e-10."""
    cost = replace(lorenz_windows(2, slots=4, error=0.5), norm=norm)
    chi, direction = normal(2, 40, seed=1), normal(2, 40, seed=2)
    g, weight = jacobian(cost, chi), norm.weight(cost.departure(chi))
    assert bool((weight < 0.9).any()) == isinstance(norm, Huber)
    exact = (g.mT @ (weight[..., None] * (g @ direction[..., None])))[..., 0]
    torch.testing.assert_close(cost.linearise(chi).multiply(direction), exact, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("norm", [GAUSSIAN, Huber(0.5)], ids=["gaussian", "huber"])
def test_the_curvature_is_symmetric_and_not_negative(norm):
    """⟨u, Av⟩ = ⟨Au, v⟩ and ⟨v, Av⟩ ≥ 0, to rounding of |A|."""
    cost = replace(lorenz_windows(2, slots=4, error=0.5), norm=norm)
    linear = cost.linearise(normal(2, 40, seed=1))
    u, v = normal(2, 40, seed=2), normal(2, 40, seed=3)
    left, right = ((u * linear.multiply(v)).sum(1), (linear.multiply(u) * v).sum(1))
    scale = u.norm(dim=1) * linear.multiply(v).norm(dim=1)
    assert float(((left - right).abs() / scale).max()) < 1e-13
    assert float((v * linear.multiply(v)).sum(1).min()) > 0


def test_the_curvature_and_the_unit_matrix_are_the_hessian_of_a_linear_problem():
    """I + G'ᵀG' from explicit matrices; 1e-12."""
    problem = LinearGaussian.random(members=2)
    g, v = problem.scaled_operator(), normal(2, 8, seed=1)
    product = problem.cost().linearise(normal(2, 8, seed=2)).multiply(v)
    torch.testing.assert_close(product, (g.mT @ g @ v[..., None])[..., 0], rtol=1e-12, atol=1e-12)


def test_the_best_linear_unbiased_estimate_takes_one_outer_loop():
    """J is its own quadratic: with the inner loop solved, one step ends at the BLUE of every window, 1e-9."""
    problem = LinearGaussian.random(members=4)
    method = replace(EXACT, tolerance=Tolerance(1e-9, 0.0))
    minima = minimise(problem.cost(), problem.cost().zeros(), method)
    chi = torch.stack([minimum.argument for minimum in minima])
    torch.testing.assert_close(problem.strong().latent(chi), problem.blue(), rtol=1e-9, atol=1e-9)
    assert {(m.reason, m.iterations) for m in minima} == {(Reason.GRADIENT, 1)}


def test_it_reaches_the_minimum_of_lbfgs():
    """Three nonlinear Lorenz-96 windows: arguments to 1e-6, with the gradient of both at rounding."""
    cost = lorenz_windows(3, slots=4, error=0.5)
    lbfgs = LBFGS(history=30, evaluations=500, tolerance=Tolerance(1e-10, 0.0))
    theirs, ours = (minimise(cost, cost.zeros(), method) for method in (lbfgs, EXACT))
    for a, b in zip(theirs, ours, strict=True):
        assert b.gradient_norm < 1e-6 * b.start_gradient_norm
        torch.testing.assert_close(b.argument, a.argument, rtol=1e-6, atol=1e-6)
        assert b.value == pytest.approx(a.value, rel=1e-12)


def test_it_reaches_the_minimum_of_lbfgs_of_a_huber_cost():
    """W changes from loop to loop with the departures; J is convex in them, so the minimum is the same to 1e-6."""
    cost = replace(lorenz_windows(2, slots=3, error=0.5), norm=Huber(0.7))
    lbfgs = LBFGS(history=30, evaluations=500, tolerance=Tolerance(1e-10, 0.0))
    method = replace(EXACT, evaluations=60, tolerance=Tolerance(1e-8, 0.0))
    for a, b in zip(minimise(cost, cost.zeros(), lbfgs), minimise(cost, cost.zeros(), method), strict=True):
        torch.testing.assert_close(b.argument, a.argument, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("evaluations", [1, 2, 3, 5])
def test_linearisations_are_never_more_than_allowed_and_the_best_is_returned(evaluations):
    """The count includes the background's; value = min over the trace, and it belongs to the argument."""
    cost = lorenz_windows(2)
    for member, minimum in enumerate(minimise(cost, cost.zeros(), replace(EXACT, evaluations=evaluations))):
        assert minimum.reason is Reason.LIMIT
        assert minimum.evaluations == len(minimum.trace) == evaluations
        assert minimum.value == min(r.value for r in minimum.trace) <= minimum.start_value
        again = cost.select(torch.tensor([member])).value_and_gradient(minimum.argument[None])[0]
        assert float(again) == pytest.approx(minimum.value, rel=1e-12)


@pytest.mark.parametrize("evaluations", [2, 4])
def test_no_product_is_spent_on_a_step_that_cannot_be_evaluated(evaluations):
    """An inner loop of at most 5 products leads to one linearisation or more, the first of which needs none."""
    cost = lorenz_windows()
    (minimum,) = minimise(cost, cost.zeros(), replace(EXACT, evaluations=evaluations, inner=5))
    assert minimum.products <= 5 * (evaluations - 2)


def test_the_inner_loop_stops_at_its_tolerance_and_its_limit():
    """Loose inner loops cost fewer products per outer loop than exact ones, and none more than `inner`."""
    cost = lorenz_windows(error=0.5)

    def products(inner, tolerance):
        method = GaussNewton(evaluations=3, inner=inner, inner_tolerance=tolerance)
        return minimise(cost, cost.zeros(), method)[0].products

    assert products(7, 1e-12) == 7  # the third evaluation ends the first outer loop
    assert products(100, 0.1) < products(100, 1e-10) <= 100


def test_a_step_that_raises_the_cost_is_halved():
    """A window of two days whose background is wrong by a climate distance: the full Gauss–Newton step fails, the
    trace shows it, and J falls all the same."""
    cost = lorenz_windows(4, slots=8, error=3.0)
    minima = minimise(cost, cost.zeros(), replace(EXACT, evaluations=12))
    assert any(record.value > record.best for minimum in minima for record in minimum.trace)
    assert all(minimum.value < minimum.start_value for minimum in minima)


def test_counts_that_cannot_work_are_refused_with_a_remedy():
    """Validated where they are made."""
    for counts in ({"evaluations": 0}, {"inner": 0}):
        with pytest.raises(ValueError, match="give at least 1"):
            GaussNewton(**counts)
