"""Minimisation of many cost functions at once: every window descends by its own rules, all share each evaluation.

Requests of one kind are answered in one batch, curvature products first, so that windows which have left their inner
loop wait for the others before the next linearisation. The answer is the lowest point evaluated.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lara.assimilation import AssimilationError
from lara.assimilation.search import (
    Descent,
    Evaluate,
    LimitReached,
    Linearise,
    Multiply,
    Outcome,
    Point,
    Reason,
    Request,
)


class Linear(Protocol):
    """J, ∇J and the curvature of J_o at one χ per window."""

    @property
    def value(self) -> Float[Tensor, " b"]:
        """J, float64."""

    @property
    def gradient(self) -> Float[Tensor, "b ..."]:
        """∇J."""

    def multiply(self, direction: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """G'ᵀ W G' v."""


class Problem(Protocol):
    """J of b independent windows."""

    def value_and_gradient(self, chi: Float[Tensor, "b ..."]) -> tuple[Float[Tensor, " b"], Float[Tensor, "b ..."]]:
        """J (float64) and ∇J."""

    def linearise(self, chi: Float[Tensor, "b ..."]) -> Linear:
        """J, ∇J and the curvature at χ."""

    def select(self, members: Int[Tensor, " s"]) -> "Problem":
        """J of some of the windows."""


@dataclass(frozen=True)
class Record:
    """One evaluation: its number from 1, J, |∇J| and the lowest J so far."""

    evaluation: int
    value: float
    gradient_norm: float
    best: float


@dataclass(frozen=True, eq=False)
class Minimum:
    """The lowest point evaluated, never above the start, and how it was reached.

    products: multiplications with the curvature, each about as dear as an evaluation. memory: for the next search.
    """

    argument: Float[Tensor, "..."]
    value: float
    start_value: float
    gradient_norm: float
    start_gradient_norm: float
    evaluations: int
    products: int
    iterations: int
    reason: Reason
    trace: tuple[Record, ...]
    memory: Any = None


def minimise(
    problem: Problem, start: Float[Tensor, "b ..."], method: Descent, memories: Sequence[Any] | None = None
) -> list[Minimum]:
    """The lowest points of J that `method` finds from `start`, one per window.

    memories: what earlier searches left, by window. Raises AssimilationError when J or ∇J is not finite at the start.
    """
    descents = [_Descent(i, Evaluate(chi), method.evaluations) for i, chi in enumerate(start)]
    batch = _Batch(problem, len(descents))
    batch.evaluate(descents)
    for descent, memory in zip(descents, memories or [None] * len(descents), strict=True):
        descent.begin(method, memory)
    while active := [descent for descent in descents if descent.request is not None]:
        batch.answer(active)
    return [descent.minimum() for descent in descents]


class _Descent:
    """One window's search: its pending request, trace and lowest point."""

    def __init__(self, number: int, request: Request | None, limit: int) -> None:
        self.number, self.request, self.limit = number, request, limit
        self.trace: list[Record] = []
        self.products = 0
        self.first: Point
        self.best: Point

    def begin(self, method: Descent, memory: Any) -> None:
        """Start the search from the point just evaluated."""
        self.first = self.best
        if not math.isfinite(self.first.value):
            raise AssimilationError(
                f"J or its gradient is not finite at the background of member {self.number}; check the background, "
                "observations and step"
            )
        self.search = method.search(self.first, memory)
        self._go_on(lambda: next(self.search))

    def send(self, answer: Any) -> None:
        """Continue the search with the answer to its request."""
        self._go_on(lambda: self.search.send(answer))

    def _go_on(self, move: Any) -> None:
        try:
            self.request = move()
            if len(self.trace) >= self.limit:  # no product either: it would serve a step that cannot be evaluated
                self.request = self.search.throw(LimitReached)
        except StopIteration as end:
            self.request, self.outcome = None, end.value

    def record(self, value: float, gradient: Tensor) -> Point:
        """Count an evaluation."""
        assert isinstance(self.request, Evaluate | Linearise)
        finite = math.isfinite(value) and bool(torch.isfinite(gradient).all())
        point = Point(self.request.argument, value if finite else math.inf, gradient)
        if not self.trace or point.value < self.best.value:
            self.best = point
        self.trace.append(Record(len(self.trace) + 1, point.value, point.norm, self.best.value))
        return point

    def minimum(self) -> Minimum:
        """The result of a search that has ended."""
        outcome: Outcome = self.outcome
        return Minimum(
            argument=self.best.argument,
            value=self.best.value,
            start_value=self.first.value,
            gradient_norm=self.best.norm,
            start_gradient_norm=self.first.norm,
            evaluations=len(self.trace),
            products=self.products,
            iterations=outcome.iterations,
            reason=outcome.reason,
            trace=tuple(self.trace),
            memory=outcome.memory,
        )


class _Batch:
    """Answers requests of one kind together."""

    def __init__(self, problem: Problem, size: int) -> None:
        self.problem, self.size = problem, size
        self.linear: Linear
        self.linearised: list[int] = []

    def answer(self, active: Sequence[_Descent]) -> None:
        """Serve the first kind, in the order products, evaluations, linearisations, that anybody waits for."""
        for kind, serve in ((Multiply, self._multiply), (Evaluate, self._evaluate), (Linearise, self._linearise)):
            asking = [descent for descent in active if isinstance(descent.request, kind)]
            if asking:
                serve(asking)
                return

    def evaluate(self, descents: Sequence[_Descent]) -> list[Point]:
        """The points at the requested χ."""
        values, gradients = self._part(descents).value_and_gradient(_arguments(descents))
        return [d.record(v, g) for d, v, g in zip(descents, values.tolist(), gradients, strict=True)]

    def _evaluate(self, asking: Sequence[_Descent]) -> None:
        for descent, point in zip(asking, self.evaluate(asking), strict=True):
            descent.send(point)

    def _linearise(self, asking: Sequence[_Descent]) -> None:
        self.linear = self._part(asking).linearise(_arguments(asking))
        self.linearised = [descent.number for descent in asking]
        values, gradients = self.linear.value.tolist(), self.linear.gradient
        points = [d.record(v, g) for d, v, g in zip(asking, values, gradients, strict=True)]
        for descent, point in zip(asking, points, strict=True):
            descent.send(point)

    def _multiply(self, asking: Sequence[_Descent]) -> None:
        directions = torch.zeros_like(self.linear.gradient)
        places = [self.linearised.index(descent.number) for descent in asking]
        directions[places] = torch.stack([descent.request.direction for descent in asking])  # type: ignore[union-attr]
        products = self.linear.multiply(directions)
        for descent, place in zip(asking, places, strict=True):
            descent.products += 1
            descent.send(products[place])

    def _part(self, descents: Sequence[_Descent]) -> Problem:
        if len(descents) == self.size:
            return self.problem
        return self.problem.select(torch.tensor([descent.number for descent in descents]))


def _arguments(descents: Sequence[_Descent]) -> Float[Tensor, "s ..."]:
    return torch.stack([descent.request.argument for descent in descents])  # type: ignore[union-attr]
