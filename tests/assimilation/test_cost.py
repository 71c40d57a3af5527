"""J and its gradient against the contracts of variational assimilation, for several windows at once."""

import math
from dataclasses import replace

import pytest
import torch

from contracts import adjoint_gap, kalman_control, kalman_gap, taylor_order, taylor_remainders
from lara.assimilation import AssimilationError
from lara.assimilation.control import BlockControl, DiagonalControl
from lara.assimilation.cost import CostFunction
from lara.assimilation.quality import Huber
from lara.assimilation.trajectory import StrongConstraint, WeakConstraint
from toys import LinearGaussian, LinearObservations, clock, everyone, lorenz96_run, lorenz96_step, normal, observe

STEPS = [10.0**-k for k in (1, 2, 3, 4)]


def bend(latent):
    """A nonlinear decoder."""
    return latent + 0.5 * torch.tanh(latent)


def linear_cost(members: int = 2) -> CostFunction:
    return LinearGaussian.random(members=members).cost()


def lorenz_cost(members: int = 2, slots: int = 4) -> CostFunction:
    """A nonlinear chain: x_0 = z + tanh(z)/2, Lorenz-96 steps, every second variable observed."""
    truth = lorenz96_run(slots, seed=3, members=members)
    background = truth[:, 0] + 0.3 * normal(members, 40, seed=5)
    control = DiagonalControl(torch.full((members, 40), 0.2, dtype=torch.float64))
    strong = StrongConstraint(background, control, bend, lorenz96_step, clock(members, slots))
    return CostFunction(strong, observe(truth, 1.0, seed=4, every=2))


def weak_cost(members: int = 2) -> CostFunction:
    """The same chain with a forcing at every slot."""
    cost = lorenz_cost(members)
    forcing = DiagonalControl(torch.full((1, 40), 0.05, dtype=torch.float64))
    return replace(cost, trajectory=WeakConstraint(cost.trajectory, lambda x: 0.9 * x, forcing))


def huber_cost(members: int = 2) -> CostFunction:
    """The nonlinear chain with some data far beyond the threshold, some below."""
    return replace(lorenz_cost(members), norm=Huber(0.7))


COSTS = pytest.mark.parametrize("make", [linear_cost, lorenz_cost, weak_cost])


def somewhere(cost: CostFunction, seed: int):
    return normal(*cost.zeros().shape, seed=seed)


@COSTS
def test_the_taylor_remainder_is_of_second_order(make):
    """log-log slope 2; over h = 1e-1 … 1e-4 a cubic term of order h changes it by less than 0.05."""
    cost = make()
    assert taylor_order(cost, somewhere(cost, 7), somewhere(cost, 8), STEPS) == pytest.approx(2.0, abs=0.05)


def test_a_wrong_gradient_fails_the_taylor_test():
    """The contract itself must bite: with ∇J of one window doubled the remainder is h ∇J·d: nearer order 1 than 2."""

    class Doubled(CostFunction):
        def value_and_gradient(self, chi):
            value, gradient = super().value_and_gradient(chi)
            return value, gradient * torch.tensor([[1.0], [2.0]])

    cost = lorenz_cost()
    wrong = Doubled(cost.trajectory, cost.observations)
    assert taylor_order(wrong, normal(2, 40, seed=7), normal(2, 40, seed=8), STEPS) < 1.5


def test_the_remainder_of_a_quadratic_is_the_hessian_term_exactly():
    """J is quadratic here: remainder = h²/2 dᵀ(I + GᵀR⁻¹G)d, to rounding of J (1e-16 |J| / remainder)."""
    problem, direction = LinearGaussian.random(members=2), normal(2, 8, seed=8)
    tangent = (problem.scaled_operator() @ direction[..., None])[..., 0]
    exact = 0.5 * (direction.square().sum(1) + tangent.square().sum(1))
    remainder = taylor_remainders(problem.cost(), normal(2, 8, seed=7), direction, [0.5])
    torch.testing.assert_close(remainder[:, 0], 0.25 * exact, rtol=1e-10, atol=0)


@COSTS
def test_the_gradient_chain_is_the_adjoint_of_the_tangent_linear_chain(make):
    """⟨G′δχ, δy⟩ = ⟨δχ, G′ᵀδy⟩ for decode, steps and H together, to float64 rounding over a few hundred
    products. The weak constraint's χ has a time axis."""
    cost = make()
    data = normal(*cost.observations.value.shape, seed=3)
    assert adjoint_gap(cost, somewhere(cost, 1), somewhere(cost, 2), data) < 1e-13


def test_the_kalman_solution_of_a_linear_problem_has_zero_gradient():
    """G is affine, so ∇J(χ_a) = 0 to the conditioning of G′G′ᵀ + I."""
    assert kalman_gap(linear_cost(), normal(2, 18, seed=9)) < 1e-10


def test_a_nonlinear_problem_approaches_the_kalman_solution_as_innovations_shrink():
    """The gap is the second derivative times the increment: ten times smaller innovations, ten times smaller
    gap (20 %)."""
    cost, innovation = lorenz_cost(), normal(2, 80, seed=9)
    large, small = (kalman_gap(cost, scale * innovation) for scale in (1e-2, 1e-3))
    assert small < 1e-2
    assert large / small == pytest.approx(10.0, rel=0.2)


def test_the_kalman_solution_in_control_space_is_the_best_linear_unbiased_estimate():
    """z_b + B^½ χ_a = BLUE, two routes through 18 x 18 solves in float64."""
    problem = LinearGaussian.random(members=3)
    latent = problem.strong().latent(kalman_control(problem.cost()))
    torch.testing.assert_close(latent, problem.blue(), rtol=1e-10, atol=1e-10)


def test_both_terms_are_what_the_formula_says():
    """J_b = ½|χ|², J_o = ½ Σ((Gz − y)/σ)² from explicit matrices, to rounding."""
    problem, chi = LinearGaussian.random(members=2), normal(2, 8, seed=1)
    background, observed = problem.cost().terms(chi)
    misfit = problem.hofx(problem.background + problem.variance.sqrt() * chi) - problem.observations.value
    torch.testing.assert_close(background, 0.5 * (chi * chi).sum(1), rtol=1e-12, atol=0)
    exact = 0.5 * (misfit / problem.observations.error_std).square().sum(1)
    torch.testing.assert_close(observed, exact, rtol=1e-12, atol=0)


def test_the_huber_term_grows_linearly_beyond_its_threshold():
    """Σ ½d² where |d| ≤ c and c|d| − ½c² beyond, from the departures themselves, to rounding."""
    cost = huber_cost()
    chi = normal(2, 40, seed=1)
    departure = cost.departure(chi).abs()
    exact = torch.where(departure <= 0.7, 0.5 * departure**2, 0.7 * departure - 0.5 * 0.7**2).sum(1)
    assert 0.1 < float((departure > 0.7).double().mean()) < 0.9
    torch.testing.assert_close(cost.terms(chi)[1], exact, rtol=1e-12, atol=0)


def test_the_huber_gradient_counts_each_datum_by_its_weight():
    """∇J = χ + G′ᵀ(w d): from one backward pass and from the linearisation, and so are their values, to rounding."""
    cost = huber_cost()
    chi = normal(2, 40, seed=1)
    value, gradient = cost.value_and_gradient(chi)
    linear = cost.linearise(chi)
    torch.testing.assert_close(linear.value, value, rtol=1e-14, atol=0)
    torch.testing.assert_close(linear.gradient, gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("make", [linear_cost, lorenz_cost, weak_cost, huber_cost])
def test_a_batch_of_costs_is_each_alone(make):
    """Value, gradient and curvature products of five windows and of each selected, to 1e-12: the sums may be taken in
    another order."""
    cost = make(5)
    chi, direction = somewhere(cost, 1), somewhere(cost, 2)
    value, gradient = cost.value_and_gradient(chi)
    product = cost.linearise(chi).multiply(direction)
    for member in everyone(5):
        alone = cost.select(member)
        values = (*alone.value_and_gradient(chi[member]), alone.linearise(chi[member]).multiply(direction[member]))
        for one, many in zip(values, (value, gradient, product), strict=True):
            torch.testing.assert_close(one, many[member], rtol=1e-12, atol=1e-12)


def test_a_window_feels_only_its_own_data():
    """Another window's data change neither its J nor its ∇J, to the bit."""
    cost = lorenz_cost(2)
    o, chi = cost.observations, normal(2, 40, seed=1)
    value = o.value.clone()
    value[1] += 5.0
    other = replace(cost, observations=replace(o, value=value))
    for before, after in zip(cost.value_and_gradient(chi), other.value_and_gradient(chi), strict=True):
        assert torch.equal(before[0], after[0])
        assert not torch.equal(before[1], after[1])


def test_a_missing_datum_changes_neither_value_nor_gradient_whatever_its_value():
    """σ = ∞ with y = NaN equals leaving the datum out, to rounding of the sums."""
    problem, chi = LinearGaussian.random(members=2), normal(2, 8, seed=1)
    o = problem.observations
    value, error = o.value.clone(), o.error_std.clone()
    value[:, 3], error[:, 3] = math.nan, math.inf
    masked = problem.observing(value, error).cost()
    left_out = replace(problem, observations=o.keep(torch.arange(18) != 3)).cost()
    torch.testing.assert_close(masked.value_and_gradient(chi), left_out.value_and_gradient(chi), rtol=1e-13, atol=1e-13)
    products = (cost.linearise(chi).multiply(normal(2, 8, seed=2)) for cost in (masked, left_out))
    torch.testing.assert_close(*products, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("p", [0, 18])
def test_only_missing_data_leave_exactly_the_background_term(p):
    """J_o, its gradient and its curvature are zero, not small: ∇J = χ to the bit, with and without padding."""
    problem, chi = LinearGaussian.random(members=2), normal(2, 8, seed=1)
    missing = torch.full((2, 18), math.nan), torch.full((2, 18), math.inf)
    problem = problem.observing(*missing)
    cost = replace(problem, observations=problem.observations.keep(torch.arange(p))).cost()
    value, gradient = cost.value_and_gradient(chi)
    assert torch.equal(value, 0.5 * chi.square().sum(1))
    assert torch.equal(gradient, chi)
    assert not cost.linearise(chi).multiply(chi).any()


@pytest.mark.parametrize("slot", range(4))
def test_the_observations_of_every_slot_move_the_gradient(slot):
    """∇J with one slot's data missing differs by more than a thousandth: no slot is dropped."""
    cost = lorenz_cost()
    o, chi = cost.observations, normal(2, 40, seed=1)
    muted = o.without(o.slot == slot)
    full, rest = (replace(cost, observations=each).value_and_gradient(chi)[1] for each in (o, muted))
    assert float(((full - rest).norm(dim=1) / full.norm(dim=1)).min()) > 1e-3


def test_the_cost_is_summed_in_float64_for_float32_fields():
    """10⁵ data of misfit 1 beside one of misfit 3·10⁴: a float32 sum would lose units, float64 keeps all of
    5·10⁴."""
    p = 100_000
    value = torch.ones(1, p + 1)
    value[0, 0] = 3e4
    slot, rows = torch.zeros(1, p + 1, dtype=torch.long), torch.zeros(1, p + 1, 1)
    observations = LinearObservations(value, torch.ones(1, p + 1), slot, rows)
    strong = StrongConstraint(
        torch.zeros(1, 1), DiagonalControl(torch.ones(1, 1)), lambda z: z, lambda x, _: x, clock(1, 1)
    )
    value, gradient = CostFunction(strong, observations).value_and_gradient(torch.zeros(1, 1))
    assert value.tolist() == [0.5 * (9e8 + p)]
    assert gradient.dtype == torch.float32


@pytest.mark.parametrize(
    ("value", "error"), [(math.nan, 1.0), (math.inf, 1.0), (0.0, 0.0), (0.0, -1.0), (0.0, math.nan)]
)
def test_a_datum_without_value_or_with_an_impossible_error_is_refused_by_number(value, error):
    """A missing datum says so by an infinite error; members are counted from 0."""
    problem = LinearGaussian.random(members=2)
    values, errors = problem.observations.value.clone(), problem.observations.error_std.clone()
    values[1, 5], errors[1, 5] = value, error
    with pytest.raises(AssimilationError, match=r"observation 5 of member 1 has value"):
        problem.observing(values, errors).cost()


def test_a_datum_outside_the_window_is_refused():
    """Slot 2 of a two-slot window."""
    with pytest.raises(ValueError, match="slot 2, the window has 2"):
        replace(LinearGaussian.random(), slots=2).cost()


def test_correlated_channels_pass_the_same_contracts():
    """A block control of 2 channels at 20 places in front of the nonlinear chain: Taylor and adjoint as above."""
    cost = lorenz_cost()
    factor = torch.tensor([[1.0, 0.0], [0.6, 0.8]], dtype=torch.float64)
    control = BlockControl(torch.full((1, 2, 4, 5), 0.2, dtype=torch.float64), factor)
    strong = replace(
        cost.trajectory,
        background=cost.trajectory.background.unflatten(1, (2, 4, 5)),
        control=control,
        decode=lambda z: bend(z.flatten(1)),
    )
    cost = replace(cost, trajectory=strong)
    chi, direction = somewhere(cost, 7), somewhere(cost, 8)
    assert taylor_order(cost, chi, direction, STEPS) == pytest.approx(2.0, abs=0.05)
    assert adjoint_gap(cost, chi, direction, normal(2, 80, seed=3)) < 1e-13
