"""Limited-memory BFGS with a strong-Wolfe line search.

Nocedal & Wright, Numerical Optimization, 2nd ed. (2006), doi:10.1007/978-0-387-40065-5, algorithms 7.4, 7.5:

    χ ← χ − α H ∇J(χ),   H from the last m pairs s = Δχ, y = Δ∇J, starting at (sᵀy / yᵀy) I

A trial with a non-finite J or ∇J counts as J = ∞. The answer is the lowest point evaluated.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

import torch
from jaxtyping import Float
from torch import Tensor

from lara.assimilation import AssimilationError
from lara.assimilation.linesearch import Point, Trial, Wolfe, dot, wolfe_search

Function = Callable[[Tensor], tuple[float, Tensor]]


class Reason(StrEnum):
    """Why a minimisation stopped."""

    GRADIENT = "gradient tolerance reached"
    DECREASE = "relative decrease below tolerance"
    LIMIT = "evaluation limit reached"
    SEARCH = "line search failed"
    NOTHING = "nothing to minimise"


@dataclass(frozen=True)
class LBFGS:
    """Settings of L-BFGS: `history` curvature pairs, at most `evaluations` gradients of J, and when to stop.

    It stops when the gradient norm has fallen to `gradient_tolerance` of its start, or when an iteration
    lowers J by less than `decrease_tolerance` of its value. Raises ValueError for counts that are not
    positive.
    """

    history: int = 10
    evaluations: int = 60
    gradient_tolerance: float = 1e-3
    decrease_tolerance: float = 1e-5
    wolfe: Wolfe = field(default_factory=Wolfe)

    def __post_init__(self) -> None:
        for name in ("history", "evaluations"):
            if getattr(self, name) < 1:
                raise ValueError(f"minimiser {name} = {getattr(self, name)}; give at least 1")


@dataclass(frozen=True)
class Record:
    """One evaluation: its number from 1, J, |∇J| and the lowest J so far."""

    evaluation: int
    value: float
    gradient_norm: float
    best: float


@dataclass(frozen=True, eq=False)
class Minimum:
    """The lowest point evaluated, never above the start, and how it was reached."""

    argument: Float[Tensor, "..."]
    value: float
    start_value: float
    gradient_norm: float
    start_gradient_norm: float
    evaluations: int
    iterations: int
    reason: Reason
    trace: tuple[Record, ...]


def minimise(function: Function, start: Float[Tensor, "..."], settings: LBFGS) -> Minimum:
    """Lowest point of J that L-BFGS finds from `start`; `function` returns (J, ∇J).

    Raises AssimilationError when J or ∇J is not finite at the start.
    """
    evaluate = _Evaluator(function, settings.evaluations)
    first = evaluate(start)
    if not math.isfinite(first.value):
        raise AssimilationError(
            "J or its gradient is not finite at the background; check the background, observations and step"
        )
    iterations, reason = _iterate(evaluate, first, settings)
    best = evaluate.best
    return Minimum(
        argument=best.argument,
        value=best.value,
        start_value=first.value,
        gradient_norm=best.norm,
        start_gradient_norm=first.norm,
        evaluations=len(evaluate.trace),
        iterations=iterations,
        reason=reason,
        trace=tuple(evaluate.trace),
    )


class _LimitReached(Exception):
    """No evaluation is left; ends the loop from any depth of a line search."""


class _Evaluator:
    """J and ∇J, counted, with the trace and the lowest point kept."""

    def __init__(self, function: Function, limit: int) -> None:
        self.function, self.limit = function, limit
        self.trace: list[Record] = []
        self.best: Point

    def __call__(self, argument: Float[Tensor, "..."]) -> Point:
        if len(self.trace) == self.limit:
            raise _LimitReached
        value, gradient = self.function(argument)
        finite = math.isfinite(value) and bool(torch.isfinite(gradient).all())
        point = Point(argument, value if finite else math.inf, gradient)
        if not self.trace or point.value < self.best.value:
            self.best = point
        self.trace.append(Record(len(self.trace) + 1, point.value, point.norm, self.best.value))
        return point


def _iterate(evaluate: _Evaluator, first: Point, settings: LBFGS) -> tuple[int, Reason]:
    """(iterations, reason); a failed search is retried from the best point without history."""
    current, pairs, iterations = first, Pairs(settings.history), 0
    if first.norm == 0.0:
        return iterations, Reason.NOTHING
    try:
        while True:
            trial = _advance(evaluate, current, pairs, settings)
            if trial is not None:
                pairs.add(trial.point.argument - current.argument, trial.point.gradient - current.gradient)
                iterations += 1
                reason = _converged(first, current, trial.point, settings)
                current = trial.point
                if reason:
                    return iterations, reason
            elif pairs:
                pairs, current = Pairs(settings.history), evaluate.best
            else:
                return iterations, Reason.SEARCH
    except _LimitReached:
        return iterations, Reason.LIMIT


def _converged(first: Point, previous: Point, current: Point, settings: LBFGS) -> Reason | None:
    if current.norm <= settings.gradient_tolerance * first.norm:
        return Reason.GRADIENT
    if previous.value - current.value <= settings.decrease_tolerance * abs(previous.value):
        return Reason.DECREASE
    return None


def _advance(evaluate: _Evaluator, point: Point, pairs: "Pairs", settings: LBFGS) -> Trial | None:
    """The next iterate on the line from `point`; without history its first trial is at most a unit away."""
    direction = pairs.direction(point.gradient)
    step = 1.0 if pairs else min(1.0, 1.0 / point.norm)

    def line(alpha: float) -> Trial:
        trial = evaluate(point.argument + alpha * direction)
        return Trial(alpha, dot(direction, trial.gradient), trial)

    return wolfe_search(line, Trial(0.0, dot(direction, point.gradient), point), step, settings.wolfe)


class Pairs:
    """The last m changes of argument s and gradient y with sᵀy > 0, and the direction −H∇J they imply."""

    def __init__(self, history: int) -> None:
        self._pairs: deque[tuple[Tensor, Tensor, float]] = deque(maxlen=history)

    def __len__(self) -> int:
        return len(self._pairs)

    def add(self, s: Float[Tensor, "..."], y: Float[Tensor, "..."]) -> None:
        """Keep (s, y) unless its curvature is not positive beyond rounding."""
        curvature = dot(s, y)
        if curvature > torch.finfo(s.dtype).eps * math.sqrt(dot(s, s) * dot(y, y)):
            self._pairs.append((s, y, curvature))

    def direction(self, gradient: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """−H∇J by the two-loop recursion; −∇J without pairs."""
        q, weights = gradient.clone(), []
        for s, y, curvature in reversed(self._pairs):
            weights.append(dot(s, q) / curvature)
            q -= weights[-1] * y
        if self._pairs:
            _, y, curvature = self._pairs[-1]
            q *= curvature / dot(y, y)
        for (s, y, curvature), weight in zip(self._pairs, reversed(weights), strict=True):
            q += (weight - dot(y, q) / curvature) * s
        return -q
