"""Limited-memory BFGS with a strong-Wolfe line search.

Nocedal & Wright, Numerical Optimization, 2nd ed. (2006), doi:10.1007/978-0-387-40065-5, algorithms 7.4, 7.5:

    χ ← χ − α H ∇J(χ),   H from the last m pairs s = Δχ, y = Δ∇J, starting at a diagonal D

D starts at (sᵀy / yᵀy) I and takes up the curvature of every pair by the diagonal of the BFGS formula, as in M1QN3
(Gilbert & Lemaréchal 1989, doi:10.1007/BF01589113, eq. 4.9). It remembers for longer than the pairs, such as which
elements the observing network sees. A trial with a non-finite J or ∇J counts as J = ∞. The pairs and D of an earlier
minimisation, such as the window before, may serve as the first H.
"""

import math
from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor

from lara.assimilation.linesearch import LineSearch, Trial, Wolfe, wolfe_search
from lara.assimilation.search import (
    Evaluate,
    LimitReached,
    Outcome,
    Point,
    Reason,
    Request,
    Search,
    Tolerance,
    dot,
    require_positive,
)


class Pairs:
    """The last m changes of argument s and gradient y with sᵀy > 0, D, and the direction −H∇J they imply."""

    def __init__(self, history: int) -> None:
        self._pairs: deque[tuple[Tensor, Tensor, float]] = deque(maxlen=history)
        self.diagonal: Tensor | None = None

    @classmethod
    def of(cls, history: int, pairs: Iterable[tuple[Tensor, Tensor, float]], diagonal: Tensor | None) -> Self:
        """Pairs (s, y, sᵀy) that `items` told, oldest first, and the D they left."""
        made = cls(history)
        made._pairs.extend(pairs)
        made.diagonal = diagonal
        return made

    def __len__(self) -> int:
        return len(self._pairs)

    @property
    def history(self) -> int:
        """The most pairs kept."""
        return self._pairs.maxlen or 1

    def items(self) -> list[tuple[Tensor, Tensor, float]]:
        """The pairs (s, y, sᵀy), oldest first."""
        return list(self._pairs)

    def copy(self) -> Self:
        """The same pairs, to be added to without changing these."""
        return type(self).of(self.history, self._pairs, self.diagonal)

    def add(self, s: Float[Tensor, "..."], y: Float[Tensor, "..."]) -> None:
        """Keep (s, y) unless its curvature is not positive beyond rounding."""
        curvature = dot(s, y)
        if curvature > torch.finfo(s.dtype).eps * math.sqrt(dot(s, s) * dot(y, y)):
            self._pairs.append((s, y, curvature))
            self.diagonal = _updated(self.diagonal, s.double(), y.double())

    def direction(self, gradient: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """−H∇J by the two-loop recursion; −∇J without pairs."""
        q, weights = gradient.clone(), []
        for s, y, curvature in reversed(self._pairs):
            weights.append(dot(s, q) / curvature)
            q -= weights[-1] * y
        if self.diagonal is not None:
            q = (self.diagonal * q).to(q)
        for (s, y, curvature), weight in zip(self._pairs, reversed(weights), strict=True):
            q += (weight - dot(y, q) / curvature) * s
        return -q


def _updated(diagonal: Tensor | None, s: Float[Tensor, "..."], y: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """D after a pair, float64: the inverse of the diagonal of the BFGS update of D⁻¹ (yᵀDy / sᵀy)."""
    curvature = dot(s, y)
    if diagonal is None:
        return torch.full_like(s, curvature / dot(y, y))
    along = dot(y, diagonal * y) / curvature
    inverse = along / diagonal + y * y / curvature - along / dot(s, s / diagonal) * (s / diagonal) ** 2
    return 1 / inverse.clamp_min(torch.finfo(torch.float32).eps * float(inverse.max()))


@dataclass(frozen=True)
class LBFGS:
    """Settings: `history` pairs, at most `evaluations` gradients of J, when to stop, whether to start from old pairs.

    Raises ValueError for counts that are not positive.
    """

    history: int = 10
    evaluations: int = 60
    tolerance: Tolerance = field(default_factory=Tolerance)
    carry: bool = False
    wolfe: Wolfe = field(default_factory=Wolfe)

    def __post_init__(self) -> None:
        require_positive("minimiser", history=self.history, evaluations=self.evaluations)

    def search(self, first: Point, memory: Pairs | None = None) -> Search:
        """Descend from `first`; a failed search is retried along −∇J, without history."""
        pairs = memory.copy() if memory and self.carry else Pairs(self.history)
        current, iterations, reason = first, 0, Reason.NOTHING if first.norm == 0.0 else None
        try:
            while reason is None:
                trial = yield from self._advance(current, pairs)
                if trial is not None:
                    pairs.add(trial.point.argument - current.argument, trial.point.gradient - current.gradient)
                    iterations += 1
                    reason = self.tolerance.reached(first, current, trial.point)
                    current = trial.point
                elif pairs:
                    pairs = Pairs(self.history)
                else:
                    reason = Reason.SEARCH
        except LimitReached:
            reason = Reason.LIMIT
        return Outcome(iterations, reason, pairs)

    def _advance(self, point: Point, pairs: Pairs) -> LineSearch:
        """The next iterate on the line from `point`; without history its first trial is at most a unit away."""
        direction = pairs.direction(point.gradient)
        slope = dot(direction, point.gradient)
        if slope >= 0:  # old pairs that do not fit
            return None
        step = 1.0 if pairs else min(1.0, 1.0 / point.norm)

        def line(alpha: float) -> Generator[Request, Any, Trial]:
            trial: Point = yield Evaluate(point.argument + alpha * direction)
            return Trial(alpha, dot(direction, trial.gradient), trial)

        return (yield from wolfe_search(line, Trial(0.0, slope, point), step, self.wolfe))
