"""Strong and weak constraint: what χ = 0 means, what a forcing finds, and what memory is saved."""

from dataclasses import replace

import pytest
import torch

from lara.assimilation.control import DiagonalControl
from lara.assimilation.cost import CostFunction
from lara.assimilation.gaussnewton import GaussNewton
from lara.assimilation.minimise import minimise
from lara.assimilation.search import Tolerance
from lara.assimilation.trajectory import StrongConstraint, WeakConstraint
from toys import LinearGaussian, clock, everyone, lorenz96_step, lorenz_windows, normal

TIGHT = GaussNewton(inner=100, inner_tolerance=1e-13, tolerance=Tolerance(1e-12, 0.0))


def bend(latent):
    """A nonlinear decoder."""
    return latent + 0.5 * torch.tanh(latent)


def lossy(state):
    """An encoder that is not the decoder's inverse."""
    return 0.9 * state - 0.1


def nonlinear(members: int = 1, recompute: bool = False) -> StrongConstraint:
    """Lorenz-96 from a latent space."""
    background = 3.0 * normal(members, 40, seed=1)
    control = DiagonalControl(normal(members, 40, seed=2).exp())
    return StrongConstraint(background, control, bend, lorenz96_step, clock(len(background), 4), recompute=recompute)


def weak(members: int = 1, recompute: bool = False) -> WeakConstraint:
    return WeakConstraint(nonlinear(members, recompute), lossy, DiagonalControl(normal(members, 40, seed=4).exp()))


def test_the_increment_form_starts_at_the_background_exactly_and_keeps_the_decoders_increments():
    """x_0 = x_b to the bit at χ = 0; elsewhere the differences are D's, and selecting a window keeps both."""
    state, strong = normal(2, 40, seed=5), nonlinear(2)
    strong = replace(strong, anchor=(state, bend(strong.background)))
    assert torch.equal(strong.first(strong.zeros()), state)
    chi = normal(2, 40, seed=6)
    increment = bend(strong.latent(chi)) - bend(strong.background)
    torch.testing.assert_close(strong.first(chi) - state, increment)
    second = strong.select(torch.tensor([1]))
    torch.testing.assert_close(second.first(chi[1:]), strong.first(chi)[1:])


def test_without_a_forcing_the_weak_constraint_is_the_strong_one():
    """χ_k = 0, k ≥ 1: f + D(E(f)) − D(E(f)) differs from f in the last bit at most."""
    chi = torch.zeros_like(weak(2).zeros())
    chi[:, 0] = normal(2, 40, seed=5)
    torch.testing.assert_close(weak(2)(chi), nonlinear(2)(chi[:, 0]), rtol=1e-13, atol=1e-13)


def test_a_forcing_moves_its_slot_and_those_after_it():
    """χ_2 leaves x_0 and x_1 alone, to the bit."""
    chi = torch.zeros_like(weak().zeros())
    forced = chi.clone()
    forced[:, 2] = 1.0
    change = (weak()(forced) - weak()(chi)).abs().amax(dim=(0, 2))
    assert (change[:2] == 0).all()
    assert (change[2:] > 0.1).all()


def linear_weak(problem: LinearGaussian, variance) -> WeakConstraint:
    """The problem's trajectory with a forcing of each latent element."""
    return WeakConstraint(problem.strong(), problem.encoded, DiagonalControl(variance))


def weak_solution(problem: LinearGaussian, variance):
    """χ (b, k, l) of the weak problem from its normal equations, written without the package's trajectory.

    x_k = M^k D (z_b + B^½ χ_0) + Σ_{j=1..k} M^{k−j} D Q^½ χ_j
    """
    powers = torch.stack([torch.linalg.matrix_power(problem.step, k) @ problem.decode for k in range(problem.slots)])
    o = problem.observations
    parts = []
    for j in range(problem.slots):
        std = (problem.variance if j == 0 else variance.expand_as(problem.variance)).sqrt()
        age = (o.slot - j).clamp(min=0)
        response = torch.einsum("bpn,bpnl->bpl", o.rows, powers[age]) * std[:, None]
        parts.append(response * (o.slot >= j)[..., None])
    g = torch.cat(parts, -1) / o.error_std[..., None]
    departure = (o.value - problem.hofx(problem.background)) / o.error_std
    hessian = g.mT @ g + torch.eye(g.shape[-1], dtype=g.dtype)
    solved = torch.linalg.solve(hessian, g.mT @ departure[..., None])[..., 0]
    return solved.unflatten(1, (problem.slots, -1))


def test_the_weak_constraint_analysis_is_the_weighted_least_squares_solution():
    """χ of J_b + J_q + J_o from explicit normal equations of 24 unknowns; 1e-8, above the residual's 1e-12."""
    problem, variance = LinearGaussian.random(members=2), normal(1, 8, seed=5).exp()
    cost = CostFunction(linear_weak(problem, variance), problem.observations)
    found = torch.stack([minimum.argument for minimum in minimise(cost, cost.zeros(), TIGHT)])
    torch.testing.assert_close(found, weak_solution(problem, variance), rtol=1e-8, atol=1e-8)


def test_a_forcing_finds_a_planted_model_error_that_the_strong_constraint_cannot():
    """The truth is pushed by 3 units of Q^½ at the last slot, seen by 30 exact data: found to 5 %, and the strong
    constraint leaves a misfit a hundred times larger."""
    problem = LinearGaussian.random(latent=8, per_slot=30)
    variance = torch.ones(1, 8, dtype=torch.float64)
    trajectory = linear_weak(problem, variance)
    planted = torch.zeros_like(trajectory.zeros())
    planted[:, 2] = 3.0 * normal(1, 8, seed=1).sign()
    o = problem.observations
    exact = replace(o, value=o.hofx(trajectory(planted)), error_std=torch.full_like(o.value, 0.05))
    costs = [CostFunction(each, exact) for each in (trajectory, problem.strong())]
    loose, tight = (minimise(cost, cost.zeros(), TIGHT)[0] for cost in costs)
    assert float((loose.argument[2] - planted[0, 2]).norm() / planted[0, 2].norm()) < 0.05
    misfits = [
        float(cost.terms(minimum.argument[None])[1]) for cost, minimum in zip(costs, (loose, tight), strict=True)
    ]
    assert misfits[1] > 100 * misfits[0]


@pytest.mark.parametrize("make", [nonlinear, weak])
def test_steps_run_twice_give_the_same_value_gradient_and_curvature(make):
    """Recomputed activations are the same numbers, so J and ∇J agree to the bit and products to rounding."""
    observations = lorenz_windows(2, slots=4).observations
    kept, recomputed = (CostFunction(make(2, recompute), observations) for recompute in (False, True))
    chi, direction = (normal(*kept.zeros().shape, seed=seed) for seed in (1, 2))
    for a, b in zip(kept.value_and_gradient(chi), recomputed.value_and_gradient(chi), strict=True):
        assert torch.equal(a, b)
    first, second = kept.linearise(chi), recomputed.linearise(chi)
    torch.testing.assert_close(first.gradient, second.gradient, rtol=1e-13, atol=1e-13)
    for _ in range(2):  # the graph is walked again
        torch.testing.assert_close(first.multiply(direction), second.multiply(direction), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("make", [nonlinear, weak])
def test_a_batch_of_trajectories_is_each_alone(make):
    """To 1e-12: four Lorenz-96 steps amplify the rounding of other summation orders little."""
    trajectory = make(3)
    chi = normal(*trajectory.zeros().shape, seed=1)
    alone = torch.cat([trajectory.select(member)(chi[member]) for member in everyone(3)])
    torch.testing.assert_close(trajectory(chi), alone, rtol=1e-12, atol=1e-12)
