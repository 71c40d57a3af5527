"""L-BFGS against exact answers, scipy, and functions that misbehave."""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize
import torch

from lara.assimilation import AssimilationError
from lara.assimilation.lbfgs import LBFGS, Pairs
from lara.assimilation.linesearch import Trial, Wolfe, wolfe_search
from lara.assimilation.minimise import Minimum, minimise
from lara.assimilation.search import Evaluate, Point, Reason, Tolerance, dot
from toys import LinearGaussian, Separate, answered, generator, lorenz_windows, normal

TIGHT = LBFGS(evaluations=400, tolerance=Tolerance(1e-10, 0.0))


def quadratic(n: int = 50, condition: float = 1e3, seed: int = 0):
    """½(x − m)ᵀA(x − m) with a given condition number, and its minimiser m."""
    basis = torch.linalg.qr(normal(n, n, seed=seed))[0]
    a = basis @ torch.diag(torch.logspace(0, math.log10(condition), n, dtype=torch.float64)) @ basis.T
    m = normal(n, seed=seed + 1)
    return (lambda x: (0.5 * float((x - m) @ a @ (x - m)), a @ (x - m))), m


def rosenbrock(x):
    """Σ 100(x_{i+1} − x_i²)² + (1 − x_i)²."""
    x = x.detach().requires_grad_(True)
    value = (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()
    return value.item(), torch.autograd.grad(value, x)[0]


def alone(cost):
    """J of a batch of one window as a function of one χ."""

    def function(chi):
        value, gradient = cost.value_and_gradient(chi[None])
        return value.item(), gradient[0]

    return function


def lowest(function, start, method=TIGHT, memory=None) -> Minimum:
    """The minimum of one function."""
    return minimise(Separate((function,)), start[None], method, [memory])[0]


def scipy_minimum(function, start, **options):
    """scipy's L-BFGS-B on the same function, with the same history."""

    def call(x):
        value, gradient = function(torch.from_numpy(np.array(x)))
        return value, gradient.numpy()

    return scipy.optimize.minimize(call, start.numpy(), jac=True, method="L-BFGS-B", options={"maxcor": 10, **options})


def test_the_minimum_of_a_quadratic_is_the_exact_one():
    """|x − m| ≤ |∇J| / λ_min with the gradient reduced by 1e-10 and λ_min = 1."""
    function, exact = quadratic()
    minimum = lowest(function, torch.zeros(50, dtype=torch.float64))
    assert minimum.reason is Reason.GRADIENT
    torch.testing.assert_close(minimum.argument, exact, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("function", "start"),
    [
        (quadratic()[0], torch.zeros(50, dtype=torch.float64)),
        (rosenbrock, torch.full((10,), -1.0, dtype=torch.float64)),
        (alone(lorenz_windows()), torch.zeros(40, dtype=torch.float64)),
    ],
    ids=["quadratic", "rosenbrock", "lorenz96"],
)
def test_it_reaches_the_minimum_of_scipy_in_no_more_than_a_fifth_more_evaluations(function, start):
    """Same algorithm family, so the same value (1e-8 of the decrease) at a comparable price, here within 20
    %."""
    reference = scipy_minimum(function, start, ftol=1e-14, gtol=1e-9, maxfun=1000, maxiter=1000)
    goal = reference.fun + 1e-8 * (function(start)[0] - reference.fun)
    minimum = lowest(function, start, LBFGS(evaluations=1000, tolerance=Tolerance(1e-12, 0.0)))
    ours = next(r.evaluation for r in minimum.trace if r.best <= goal)
    theirs = evaluations_to(function, start, goal)
    assert ours <= 1.2 * theirs


def evaluations_to(function, start, goal) -> int:
    """Evaluations scipy spends until a value at or below the goal."""
    values = []

    def counted(x):
        value, gradient = function(x)
        values.append(value)
        return value, gradient

    scipy_minimum(counted, start, ftol=1e-14, gtol=1e-9, maxfun=1000, maxiter=1000)
    return next(i for i, value in enumerate(values, start=1) if value <= goal)


def evaluated(function):
    """The answer to a request to evaluate."""
    return lambda request: Point(request.argument, *function(request.argument))


def trial_line(point, direction):
    """J along a direction as the line search sees it."""

    def line(alpha: float):
        trial = yield Evaluate(point + alpha * direction)
        return Trial(alpha, dot(direction, trial.gradient), trial)

    return line


@pytest.mark.parametrize("curvature", [0.9, 0.1])
@pytest.mark.parametrize("first", [1e-6, 1e-2, 1.0, 1e3])
@pytest.mark.parametrize("seed", range(5))
def test_accepted_steps_meet_both_strong_wolfe_conditions(seed, first, curvature):
    """J(α) ≤ J(0) + c₁αJ′(0) and |J′(α)| ≤ c₂|J′(0)|, from first steps nine orders apart; exact up to 10 ulp
    of J."""
    point = torch.full((10,), -1.0, dtype=torch.float64) + normal(10, seed=seed)
    direction = -rosenbrock(point)[1]
    line, answer = trial_line(point, direction / direction.norm()), evaluated(rosenbrock)
    start, rule = answered(line(0.0), answer), Wolfe(curvature=curvature)
    trial = answered(wolfe_search(line, start, first, rule), answer)
    assert trial is not None
    assert trial.value <= start.value * (1 + 1e-14) + 1e-4 * trial.step * start.slope
    assert abs(trial.slope) <= curvature * abs(start.slope)


def test_the_direction_is_the_inverse_bfgs_matrix_times_the_gradient():
    """Two-loop recursion = the explicit update H ← (I − ρsyᵀ)H(I − ρysᵀ) + ρssᵀ from D, to rounding.

    D starts at (sᵀy / yᵀy) I and D⁻¹ = diag of the explicit update B ← B + yyᵀ/sᵀy − Bs(Bs)ᵀ/sᵀBs of
    B = (yᵀDy / sᵀy) D⁻¹, pair after pair.
    """
    pairs, n = Pairs(10), 6
    steps = [(normal(n, seed=i), normal(n, seed=i) + 0.3 * normal(n, seed=i + 50)) for i in range(4)]
    for s, y in steps:
        pairs.add(s, y)
    kept = [(s, y) for s, y in steps if s @ y > 0]
    s, y = kept[0]
    diagonal = (s @ y) / (y @ y) * torch.ones(n, dtype=torch.float64)
    for s, y in kept[1:]:
        b = torch.diag((y @ (diagonal * y)) / (s @ y) / diagonal)
        b = b + torch.outer(y, y) / (s @ y) - torch.outer(b @ s, b @ s) / (s @ b @ s)
        diagonal = 1 / torch.diag(b)
    inverse = torch.diag(diagonal)
    for s, y in kept:
        left = torch.eye(n, dtype=torch.float64) - torch.outer(s, y) / (s @ y)
        inverse = left @ inverse @ left.T + torch.outer(s, s) / (s @ y)
    gradient = normal(n, seed=9)
    torch.testing.assert_close(pairs.direction(gradient), -inverse @ gradient)


def test_pairs_without_positive_curvature_are_not_kept():
    """sᵀy ≤ 0 would make the direction one of ascent."""
    pairs = Pairs(3)
    pairs.add(torch.ones(3), -torch.ones(3))
    assert len(pairs) == 0


def test_the_diagonal_remembers_what_the_pairs_forget():
    """A quadratic with curvatures 1 … 100 on the axes: after sixty pairs in random directions, all but the last
    dropped, D times the curvature varies by less than a factor of 5 over the axes, where γI leaves 100."""
    curvature, pairs = torch.logspace(0, 2, 6, dtype=torch.float64), Pairs(1)
    for seed in range(60):
        s = normal(6, seed=seed)
        pairs.add(s, curvature * s)
    y = curvature * normal(6, seed=59)
    axes = [axis - normal(6, seed=59) * (axis @ y) / (normal(6, seed=59) @ y) for axis in torch.eye(6).double()]
    seen = torch.stack(
        [-pairs.direction(curvature * one) @ (curvature * one) / (one @ (curvature * one)) for one in axes]
    )
    assert seen.max() / seen.min() < 5


def test_a_copy_of_the_pairs_grows_alone():
    """Pairs added to the copy, beyond its history, leave the original's direction to the bit."""
    pairs = Pairs(2)
    pairs.add(normal(6, seed=1), normal(6, seed=1))
    before = pairs.direction(normal(6, seed=2))
    copy = pairs.copy()
    for seed in range(3, 6):
        copy.add(normal(6, seed=seed), 2 * normal(6, seed=seed))
    assert (len(pairs), len(copy)) == (1, 2)
    assert torch.equal(pairs.direction(normal(6, seed=2)), before)


@pytest.mark.parametrize("evaluations", [1, 2, 3, 5, 8])
def test_the_result_is_the_best_point_evaluated_however_few_evaluations_are_allowed(evaluations):
    """Value = min over the trace ≤ start; the count is never exceeded and the value belongs to the
    argument."""
    function = alone(lorenz_windows())
    minimum = lowest(function, torch.zeros(40, dtype=torch.float64), LBFGS(evaluations=evaluations))
    assert minimum.reason is Reason.LIMIT
    assert minimum.evaluations == len(minimum.trace) == evaluations
    assert minimum.value == min(r.value for r in minimum.trace) == minimum.trace[-1].best
    assert minimum.value <= minimum.start_value
    assert function(minimum.argument)[0] == minimum.value


def test_a_noisy_function_never_returns_worse_than_its_start_and_stops():
    """Noise of a tenth of J in value and gradient breaks every search; the best value seen is still
    returned."""
    exact, _ = quadratic()
    noise = generator(1)

    def noisy(x):
        value, gradient = exact(x)
        factor = 1 + 0.1 * torch.randn(len(x) + 1, generator=noise, dtype=torch.float64)
        return value * float(factor[0]), gradient * factor[1:]

    method = LBFGS(evaluations=200, tolerance=Tolerance(decrease=0.0))
    minimum = lowest(noisy, torch.zeros(50, dtype=torch.float64), method)
    assert minimum.value <= minimum.start_value
    assert minimum.value == min(r.value for r in minimum.trace)


def test_a_gradient_of_the_wrong_sign_ends_in_a_failed_search_at_the_start():
    """No decrease exists along the line, so the start is the answer and the reason says why."""
    function, _ = quadratic()
    start = torch.zeros(50, dtype=torch.float64)
    minimum = lowest(lambda x: (function(x)[0], -function(x)[1]), start, LBFGS(evaluations=100))
    assert minimum.reason is Reason.SEARCH
    assert torch.equal(minimum.argument, start)


def test_float32_reaches_the_float64_minimum_to_float32_precision():
    """A 4D-Var window in float32 ends within 1e-5 of the float64 J and stops by itself before its limit."""
    exact = lowest(alone(lorenz_windows()), torch.zeros(40, dtype=torch.float64))
    method = LBFGS(evaluations=400, tolerance=Tolerance(1e-12, 1e-9))
    minimum = lowest(alone(lorenz_windows(dtype=torch.float32)), torch.zeros(40), method)
    assert minimum.reason in (Reason.DECREASE, Reason.SEARCH)
    assert minimum.value == pytest.approx(exact.value, rel=1e-5)
    assert minimum.argument.dtype == torch.float32


def test_a_trial_that_is_not_finite_is_stepped_back_from():
    """J = −Σ log(1 − x) + ½|x|²·10 is undefined beyond x = 1; the first steps land there, the minimum does
    not."""

    def barrier(x):
        value = float((-torch.log(1 - x) - 20 * x).sum() + 5 * (x @ x))
        return value, 1 / (1 - x) - 20 + 10 * x

    minimum = lowest(barrier, torch.full((4,), -50.0, dtype=torch.float64))
    assert any(math.isinf(r.value) for r in minimum.trace)
    assert float(barrier(minimum.argument)[1].abs().max()) < 1e-6
    assert bool((minimum.argument < 1).all())


@pytest.mark.parametrize("poison", ["value", "gradient"])
def test_a_start_that_is_not_finite_is_an_error(poison):
    """No direction leads out of it."""

    def broken(x):
        return (math.nan, x) if poison == "value" else (0.0, x * math.nan)

    with pytest.raises(AssimilationError, match="not finite at the background"):
        lowest(broken, torch.ones(3), LBFGS())


def test_a_start_with_zero_gradient_is_returned_after_one_evaluation():
    """Nothing to minimise: the argument is the start itself."""
    start = torch.zeros(3)
    minimum = lowest(lambda x: (0.5 * float(x @ x), x), start, LBFGS())
    assert (minimum.reason, minimum.evaluations, minimum.iterations) == (Reason.NOTHING, 1, 0)
    assert torch.equal(minimum.argument, start)


def test_a_small_relative_decrease_stops_with_its_reason():
    """An offset of 10⁶ hides further progress behind the tolerance, before the gradient has fallen."""
    function, _ = quadratic(condition=1e5)
    minimum = lowest(
        lambda x: (function(x)[0] + 1e6, function(x)[1]),
        torch.zeros(50, dtype=torch.float64),
        LBFGS(evaluations=400, tolerance=Tolerance(1e-12, 1e-4)),
    )
    assert minimum.reason is Reason.DECREASE


def test_the_expected_minimum_is_half_the_number_of_observations():
    """E[2J_min] = p with 2J_min ~ χ²_p (Talagrand 1999): the mean of 200 draws of p = 18, minimised in one batch, is
    within 4 √(2p/200) of p."""
    draws, p = 200, 18
    cost = LinearGaussian.random().repeated(draws).redrawn(1000).cost()
    twice = [2 * minimum.value for minimum in minimise(cost, cost.zeros(), LBFGS())]
    assert sum(twice) / draws == pytest.approx(p, abs=4 * math.sqrt(2 * p / draws))


def test_the_shape_of_the_argument_is_free():
    """A (2, 5, 5) control gives the answer of the flat one."""
    function, exact = quadratic()

    def shaped(x):
        value, gradient = function(x.flatten())
        return value, gradient.reshape(2, 5, 5)

    minimum = lowest(shaped, torch.zeros(2, 5, 5, dtype=torch.float64))
    torch.testing.assert_close(minimum.argument.flatten(), exact, rtol=0, atol=1e-6)


# Curvature carried from one minimisation to the next

CARRY = LBFGS(history=20, evaluations=400, tolerance=Tolerance(1e-6, 0.0), carry=True)
START = torch.zeros(50, dtype=torch.float64)


def test_the_pairs_of_the_same_problem_save_evaluations():
    """A quadratic of 20 variables begun with the 30 pairs that its first minimisation left: two thirds at most."""
    function, _ = quadratic(20, condition=100.0)
    start, method = torch.zeros(20, dtype=torch.float64), replace(CARRY, history=30)
    cold = lowest(function, start, method)
    warm = lowest(function, start, method, cold.memory)
    assert warm.reason is Reason.GRADIENT
    assert warm.evaluations < 0.67 * cold.evaluations


def test_the_pairs_of_the_same_windows_save_evaluations():
    """Ten nonlinear Lorenz-96 windows begun again from the background, at the default tolerance: a fifth fewer."""
    cost, method = lorenz_windows(10, slots=4, error=0.3), LBFGS(carry=True)
    cold = minimise(cost, cost.zeros(), method)
    warm = minimise(cost, cost.zeros(), method, [minimum.memory for minimum in cold])
    assert sum(minimum.evaluations for minimum in warm) < 0.8 * sum(minimum.evaluations for minimum in cold)


def test_the_pairs_of_other_windows_lead_to_the_same_minima():
    """Lorenz-96 windows of another truth have other Hessians: J ends within 1e-9 all the same, at its tolerance of
    1e-6 of the gradient."""
    cost = lorenz_windows(5, slots=4, error=0.3)
    cold = minimise(cost, cost.zeros(), CARRY)
    others = [minimum.memory for minimum in (*cold[1:], cold[0])]
    for a, b in zip(cold, minimise(cost, cost.zeros(), CARRY, others), strict=True):
        assert b.reason is Reason.GRADIENT
        assert b.value == pytest.approx(a.value, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_pairs_of_another_problem_do_no_harm_to_the_result(seed):
    """Curvature a thousand times wrong in other directions: the gradient still falls to its tolerance, so that
    |x − m| ≤ 1e-6 |∇J(0)|."""
    memory = lowest(quadratic(seed=seed + 10)[0], START, CARRY).memory
    function, exact = quadratic(condition=10.0, seed=seed)
    minimum = lowest(lambda x: (1e3 * function(x)[0], 1e3 * function(x)[1]), START, CARRY, memory)
    assert minimum.reason is Reason.GRADIENT
    assert float((minimum.argument - exact).norm()) <= 1e-6 * float(function(START)[1].norm())


def test_the_memory_is_not_used_up():
    """A second run from the same pairs takes the same path, to the bit; and what was learned is returned."""
    memory = lowest(quadratic(seed=10)[0], START, CARRY).memory
    length = len(memory)
    first, second = (lowest(quadratic()[0], START, CARRY, memory) for _ in range(2))
    assert first.trace == second.trace
    assert torch.equal(first.argument, second.argument)
    assert first.memory is not memory
    assert len(memory) == length


def test_pairs_are_carried_only_when_asked():
    """carry = False ignores the memory it is given, to the bit."""
    memory = lowest(quadratic()[0], START, CARRY).memory
    without, given = (lowest(quadratic()[0], START, TIGHT, each) for each in (None, memory))
    assert without.trace == given.trace


@pytest.mark.parametrize(
    "make",
    [
        lambda: LBFGS(history=0),
        lambda: LBFGS(evaluations=0),
        lambda: Wolfe(curvature=1e-5),
        lambda: Wolfe(trials=0),
    ],
)
def test_settings_that_cannot_work_are_refused_with_a_remedy(make):
    """Validated where they are made."""
    with pytest.raises(ValueError, match=r"give at least 1|use 1e-4 and 0.9"):
        make()
