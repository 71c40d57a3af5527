"""J and its gradient against the contracts of variational assimilation."""

import math
from dataclasses import replace

import pytest
import torch

from contracts import adjoint_gap, kalman_control, kalman_gap, taylor_order, taylor_remainders
from lara.assimilation import AssimilationError
from lara.assimilation.control import DiagonalControl
from lara.assimilation.cost import CostFunction, increment_form
from toys import LinearGaussian, LinearObservations, lorenz96, lorenz96_run, normal, observe

STEPS = [10.0**-k for k in (1, 2, 3, 4)]


def lorenz_cost(slots: int = 4) -> CostFunction:
    """A nonlinear chain: x_0 = z + tanh(z)/2, Lorenz-96 steps, every second variable observed."""
    truth = lorenz96_run(slots, seed=3)
    return CostFunction(
        truth[0] + 0.3 * normal(40, seed=5),
        DiagonalControl(torch.full((40,), 0.2, dtype=torch.float64)),
        lambda z: z + 0.5 * torch.tanh(z),
        lorenz96,
        slots,
        observe(truth, 1.0, seed=4, every=2),
    )


@pytest.mark.parametrize("make", [lambda: LinearGaussian.random().cost(), lorenz_cost])
def test_the_taylor_remainder_is_of_second_order(make):
    """log-log slope 2; over h = 1e-1 … 1e-4 a cubic term of order h changes it by less than 0.05."""
    cost = make()
    chi = normal(len(cost.background), seed=7)
    assert taylor_order(cost, chi, normal(len(chi), seed=8), STEPS) == pytest.approx(2.0, abs=0.05)


def test_a_wrong_gradient_fails_the_taylor_test():
    """The contract itself must bite: with ∇J doubled the remainder is h ∇J·d: nearer order 1 than 2."""

    class Doubled(CostFunction):
        def value_and_gradient(self, chi):
            value, gradient = super().value_and_gradient(chi)
            return value, 2 * gradient

    cost = lorenz_cost()
    wrong = Doubled(cost.background, cost.control, cost.decode, cost.step, cost.slots, cost.observations)
    assert taylor_order(wrong, normal(40, seed=7), normal(40, seed=8), STEPS) < 1.5


def test_the_remainder_of_a_quadratic_is_the_hessian_term_exactly():
    """J is quadratic here: remainder = h²/2 dᵀ(I + GᵀR⁻¹G)d, to rounding of J (1e-16 |J| / remainder)."""
    problem = LinearGaussian.random()
    direction = normal(8, seed=8)
    g = problem.operator() * problem.variance.sqrt() / problem.observations.error_std[:, None]
    exact = 0.5 * (direction.square().sum() + (g @ direction).square().sum())
    (remainder,) = taylor_remainders(problem.cost(), normal(8, seed=7), direction, [0.5])
    assert remainder == pytest.approx(0.25 * float(exact), rel=1e-10)


@pytest.mark.parametrize("make", [lambda: LinearGaussian.random().cost(), lorenz_cost])
def test_the_gradient_chain_is_the_adjoint_of_the_tangent_linear_chain(make):
    """⟨G′δχ, δy⟩ = ⟨δχ, G′ᵀδy⟩ for decode, steps and H together, to float64 rounding over a few hundred
    products."""
    cost = make()
    n, p = len(cost.background), len(cost.observations.value)
    assert adjoint_gap(cost, normal(n, seed=1), normal(n, seed=2), normal(p, seed=3)) < 1e-13


def test_the_kalman_solution_of_a_linear_problem_has_zero_gradient():
    """G is affine, so ∇J(χ_a) = 0 to the conditioning of G′G′ᵀ + I."""
    cost = LinearGaussian.random().cost()
    assert kalman_gap(cost, normal(18, seed=9)) < 1e-10


def test_a_nonlinear_problem_approaches_the_kalman_solution_as_innovations_shrink():
    """The gap is the second derivative times the increment: ten times smaller innovations, ten times smaller
    gap (20 %)."""
    cost, innovation = lorenz_cost(), normal(80, seed=9)
    large, small = (kalman_gap(cost, scale * innovation) for scale in (1e-2, 1e-3))
    assert small < 1e-2
    assert large / small == pytest.approx(10.0, rel=0.2)


def test_the_kalman_solution_in_control_space_is_the_best_linear_unbiased_estimate():
    """z_b + B^½ χ_a = BLUE, two routes through 18 x 18 solves in float64."""
    problem = LinearGaussian.random()
    cost = problem.cost()
    torch.testing.assert_close(cost.latent(kalman_control(cost)), problem.blue(), rtol=1e-10, atol=1e-10)


def test_both_terms_are_what_the_formula_says():
    """J_b = ½|χ|², J_o = ½ Σ((Gz − y)/σ)² from explicit matrices, to rounding."""
    problem, chi = LinearGaussian.random(), normal(8, seed=1)
    background, observed = problem.cost().terms(chi)
    z = problem.background + problem.variance.sqrt() * chi
    misfit = (problem.operator() @ z - problem.observations.value) / problem.observations.error_std
    assert float(background) == pytest.approx(0.5 * float(chi @ chi), rel=1e-12)
    assert float(observed) == pytest.approx(0.5 * float(misfit @ misfit), rel=1e-12)


def test_a_missing_datum_changes_neither_value_nor_gradient_whatever_its_value():
    """σ = ∞ with y = NaN equals leaving the datum out, to the bit."""
    problem = LinearGaussian.random()
    o = problem.observations
    value, error = o.value.clone(), o.error_std.clone()
    value[3], error[3] = math.nan, math.inf
    keep = torch.arange(len(value)) != 3
    without = LinearObservations(o.value[keep], o.error_std[keep], o.slot[keep], o.rows[keep])
    chi = normal(8, seed=1)
    masked = problem.observing(value, error).cost().value_and_gradient(chi)
    left_out = replace(problem.cost(), observations=without).value_and_gradient(chi)
    assert masked[0] == pytest.approx(left_out[0], rel=1e-14)
    torch.testing.assert_close(masked[1], left_out[1], rtol=1e-13, atol=1e-13)


def test_only_missing_data_leave_exactly_the_background_term():
    """J_o and its gradient are zero, not small: ∇J = χ to the bit."""
    problem = LinearGaussian.random()
    p = len(problem.observations.value)
    cost = problem.observing(torch.full((p,), math.nan), torch.full((p,), math.inf)).cost()
    chi = normal(8, seed=1)
    value, gradient = cost.value_and_gradient(chi)
    assert value == 0.5 * float(chi.square().sum())
    assert torch.equal(gradient, chi)


@pytest.mark.parametrize("slot", range(4))
def test_the_observations_of_every_slot_move_the_gradient(slot):
    """∇J with one slot's data missing differs by more than a thousandth: no slot is dropped."""
    cost = lorenz_cost()
    o, chi = cost.observations, normal(40, seed=1)
    muted = replace(o, error_std=torch.where(o.slot == slot, math.inf, o.error_std))
    full, rest = (replace(cost, observations=each).value_and_gradient(chi)[1] for each in (o, muted))
    assert float((full - rest).norm() / full.norm()) > 1e-3


def test_the_cost_is_summed_in_float64_for_float32_fields():
    """10⁵ data of misfit 1 beside one of misfit 3·10⁴: a float32 sum would lose units, float64 keeps all of
    5·10⁴."""
    p = 100_000
    value = torch.ones(p + 1)
    value[0] = 3e4
    observations = LinearObservations(
        value, torch.ones(p + 1), torch.zeros(p + 1, dtype=torch.long), torch.zeros(p + 1, 1)
    )
    cost = CostFunction(torch.zeros(1), DiagonalControl(torch.ones(1)), lambda z: z, lambda x: x, 1, observations)
    value, gradient = cost.value_and_gradient(torch.zeros(1))
    assert value == 0.5 * (9e8 + p)
    assert gradient.dtype == torch.float32


def test_the_increment_form_returns_the_background_exactly_and_the_same_increments():
    """x_b + D(z) − D(z_b): zero increment to the bit, differences equal to D's to rounding."""
    decode = torch.tanh
    latent, state = normal(8, seed=1), normal(8, seed=2)
    incremental = increment_form(decode, latent, state)
    assert torch.equal(incremental(latent), state)
    other = normal(8, seed=3)
    torch.testing.assert_close(incremental(other) - state, decode(other) - decode(latent))


@pytest.mark.parametrize(
    ("value", "error"), [(math.nan, 1.0), (math.inf, 1.0), (0.0, 0.0), (0.0, -1.0), (0.0, math.nan)]
)
def test_a_datum_without_value_or_with_an_impossible_error_is_refused_by_number(value, error):
    """A missing datum says so by an infinite error."""
    o = LinearGaussian.random().observations
    values, errors = o.value.clone(), o.error_std.clone()
    values[5], errors[5] = value, error
    with pytest.raises(AssimilationError, match="observation 5 "):
        LinearGaussian.random().observing(values, errors).cost()


def test_a_datum_outside_the_window_is_refused():
    """Slot 3 of a three-slot window."""
    with pytest.raises(ValueError, match="slot 2, the window has 2"):
        replace(LinearGaussian.random().cost(), slots=2)


def test_the_control_and_its_inverse_undo_each_other_and_square_to_the_variance():
    """B^½ B^½ᵀ = diag(variance), from B^½ applied to unit vectors."""
    variance = normal(6, seed=1).exp()
    control = DiagonalControl(variance)
    root = torch.stack([control.apply(e) for e in torch.eye(6, dtype=torch.float64)], dim=1)
    torch.testing.assert_close(root @ root.T, torch.diag(variance))
    torch.testing.assert_close(control.inverse(control.apply(normal(6, seed=2))), normal(6, seed=2))
    assert torch.equal(control.zeros(), torch.zeros(6, dtype=torch.float64))


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_a_variance_that_is_no_variance_is_refused_with_its_place(bad):
    """The element's index and value are in the message."""
    variance = torch.ones(2, 3)
    variance[1, 2] = bad
    with pytest.raises(ValueError, match=r"\(1, 2\)"):
        DiagonalControl(variance)
