"""Many windows minimised together: each as if alone, each with its own end."""

import math
from dataclasses import replace

import pytest
import torch

from lara.assimilation import AssimilationError
from lara.assimilation.adam import Adam
from lara.assimilation.gaussnewton import GaussNewton
from lara.assimilation.lbfgs import LBFGS
from lara.assimilation.minimise import minimise
from lara.assimilation.search import Reason, Tolerance
from toys import LinearGaussian, Separate, everyone, lorenz_windows

WINDOWS = 5


def lorenz(dtype=torch.float64):
    return lorenz_windows(WINDOWS, slots=4, error=0.5, dtype=dtype)


def linear(dtype=torch.float64):
    problem = LinearGaussian.random(members=WINDOWS)
    tensors = {name: getattr(problem, name).to(dtype) for name in ("background", "variance", "decode", "step")}
    return replace(problem, **tensors, observations=problem.observations.to(dtype)).cost()


def adam(cost) -> Adam:
    return Adam(torch.full_like(cost.zeros()[0], 0.5), rate=0.05, evaluations=15)


METHODS = {"lbfgs": lambda cost: LBFGS(), "gaussnewton": lambda cost: GaussNewton(), "adam": adam}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("make", [linear, lorenz])
def test_a_batch_finds_what_each_window_finds_alone(make, method, dtype, tolerance):
    """Same path, counts and reason; the arguments differ by the rounding of other summation orders, amplified by the
    path: 1e-10 of |χ| in float64, 1e-4 in float32."""
    cost = make(dtype)
    chosen = METHODS[method](cost)
    together = minimise(cost, cost.zeros(), chosen)
    for member, ours in zip(everyone(WINDOWS), together, strict=True):
        (alone,) = minimise(cost.select(member), cost.zeros()[member], chosen)
        assert float((ours.argument - alone.argument).norm()) <= tolerance * float(alone.argument.norm())
        assert ours.value == pytest.approx(alone.value, rel=tolerance)
        assert ours.gradient_norm == pytest.approx(alone.gradient_norm, rel=1e3 * tolerance)
        assert (ours.evaluations, ours.products, ours.iterations, ours.reason) == (
            alone.evaluations,
            alone.products,
            alone.iterations,
            alone.reason,
        )


@pytest.mark.parametrize("method", [LBFGS(evaluations=60), GaussNewton(evaluations=30)])
def test_a_window_without_data_stops_at_once_while_the_others_go_on(method):
    """Its J is ½χᵀχ, its χ = 0 to the bit after one evaluation; the others end as they do without it."""
    cost = lorenz()
    o = cost.observations
    empty = torch.zeros_like(o.value, dtype=torch.bool)
    empty[2] = True
    minima = minimise(replace(cost, observations=o.without(empty)), cost.zeros(), method)
    assert (minima[2].reason, minima[2].evaluations) == (Reason.NOTHING, 1)
    assert not minima[2].argument.any()
    others = minimise(cost, cost.zeros(), method)
    for i in (0, 1, 3, 4):
        assert minima[i].reason is others[i].reason
        assert minima[i].evaluations > 1
        torch.testing.assert_close(minima[i].argument, others[i].argument, rtol=1e-9, atol=1e-9)


def bowl(scale: float, exponent: int = 2):
    """scale Σ x^exponent / exponent."""
    return lambda x: (scale * float((x**exponent).sum()) / exponent, scale * x ** (exponent - 1))


def test_each_window_stops_for_its_own_reason():
    """A bowl at once, a valley by its limit, ascent by a failed search, zero for nothing, an offset by decrease."""

    def valley(x):
        x = x.detach().requires_grad_(True)
        value = (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()
        return value.item(), torch.autograd.grad(value, x)[0]

    def offset(x):
        return bowl(1.0, 4)(x)[0] + 1e9, bowl(1.0, 4)(x)[1]

    functions = (bowl(1.0), valley, lambda x: (bowl(1.0)(x)[0], -x), lambda x: (0.0, 0 * x), offset)
    start = torch.full((5, 10), -1.0, dtype=torch.float64)
    minima = minimise(Separate(functions), start, LBFGS(evaluations=25, tolerance=Tolerance(1e-6, 1e-12)))
    reasons = [minimum.reason for minimum in minima]
    assert reasons == [Reason.GRADIENT, Reason.LIMIT, Reason.SEARCH, Reason.NOTHING, Reason.DECREASE]
    assert minima[1].evaluations == 25
    assert len({minimum.evaluations for minimum in minima}) >= 4


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("limit", [1, 2, 4])
def test_no_window_is_evaluated_more_often_than_allowed(method, limit):
    """Counted where J is evaluated, window by window, as well as in the result."""
    cost = lorenz()
    chosen = replace(METHODS[method](cost), evaluations=limit)
    if hasattr(chosen, "tolerance"):
        chosen = replace(chosen, tolerance=Tolerance(1e-12, 0.0))
    counts = torch.zeros(WINDOWS, dtype=torch.long)

    class Counted(type(cost)):
        members = torch.arange(WINDOWS)

        def value_and_gradient(self, chi):
            counts[self.members] += 1
            return super().value_and_gradient(chi)

        def linearise(self, chi):
            counts[self.members] += 1
            return super().linearise(chi)

        def select(self, members):
            part = super().select(members)
            object.__setattr__(part, "members", self.members[members])
            return part

    minima = minimise(Counted(cost.trajectory, cost.observations), cost.zeros(), chosen)
    assert counts.tolist() == [minimum.evaluations for minimum in minima] == [limit] * WINDOWS
    reason = Reason.DONE if method == "adam" else Reason.LIMIT
    assert {minimum.reason for minimum in minima} == {reason}


def test_the_best_point_of_each_window_is_returned_with_its_own_trace():
    """value = least of the trace ≤ start, evaluations numbered from 1, gradient norm that of the argument."""
    cost = lorenz()
    minima = minimise(cost, cost.zeros(), LBFGS(evaluations=7))
    values, gradients = cost.value_and_gradient(torch.stack([minimum.argument for minimum in minima]))
    for minimum, value, gradient in zip(minima, values, gradients, strict=True):
        assert [record.evaluation for record in minimum.trace] == list(range(1, minimum.evaluations + 1))
        assert minimum.value == min(record.value for record in minimum.trace) < minimum.start_value
        assert float(value) == pytest.approx(minimum.value, rel=1e-12)
        assert float(gradient.norm()) == pytest.approx(minimum.gradient_norm, rel=1e-10)


@pytest.mark.parametrize("poison", ["value", "gradient"])
def test_a_start_that_is_not_finite_stops_all_and_names_the_window(poison):
    """The second of three."""

    def broken(x):
        return (math.nan, x) if poison == "value" else (0.0, x * math.nan)

    problem = Separate((bowl(1.0), broken, bowl(1.0)))
    with pytest.raises(AssimilationError, match=r"not finite at the background of member 1"):
        minimise(problem, torch.ones(3, 4), LBFGS())


def test_memories_are_given_to_their_windows():
    """Each of two quadratics of different curvature begun with its own pairs needs fewer evaluations than with the
    other's."""

    def valley(seed):
        scale = torch.logspace(0, 3, 30, dtype=torch.float64)[torch.randperm(30, generator=torch.manual_seed(seed))]
        return lambda x: (0.5 * float(scale @ (x - 1) ** 2), scale * (x - 1))

    problem, start = Separate((valley(1), valley(2))), torch.zeros(2, 30, dtype=torch.float64)
    method = LBFGS(history=20, evaluations=400, tolerance=Tolerance(1e-6, 0.0), carry=True)
    memories = [minimum.memory for minimum in minimise(problem, start, method)]
    right, wrong = (minimise(problem, start, method, each) for each in (memories, memories[::-1]))
    assert sum(m.evaluations for m in right) < sum(m.evaluations for m in wrong)
    with pytest.raises(ValueError, match="argument 2"):
        minimise(problem, start, method, memories[:1])
