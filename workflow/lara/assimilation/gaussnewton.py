"""Incremental Gauss–Newton: outer loops that linearise, inner loops by Lanczos–CG on the quadratic.

Courtier, Thépaut & Hollingsworth (1994), doi:10.1002/qj.49712051912; Gratton, Lawless & Nichols (2007),
doi:10.1137/050624935:

    (I + G'ᵀ W G') v = −∇J(χ),   χ ← χ + α v,   α = 1, ½, ¼, … until J falls

The inner loop stops when its residual is `inner_tolerance` of |∇J|, so that early linearisations are not solved beyond
what they are worth.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from lara.assimilation.lanczos import lanczos
from lara.assimilation.search import (
    LimitReached,
    Linearise,
    Outcome,
    Point,
    Reason,
    Request,
    Search,
    Tolerance,
    require_positive,
)

HALVINGS = 5


@dataclass(frozen=True)
class GaussNewton:
    """Settings: at most `evaluations` linearisations, each solved by at most `inner` products with the curvature.

    Raises ValueError for counts that are not positive.
    """

    evaluations: int = 6
    inner: int = 30
    inner_tolerance: float = 0.1
    tolerance: Tolerance = field(default_factory=Tolerance)

    def __post_init__(self) -> None:
        require_positive("minimiser", evaluations=self.evaluations, inner=self.inner)

    def search(self, first: Point, memory: object = None) -> Search:
        """Descend from `first`."""
        if first.norm == 0.0:
            return Outcome(0, Reason.NOTHING)
        iterations, reason = 0, None
        try:
            current: Point = yield Linearise(first.argument)
            while reason is None:
                following = yield from self._advance(current)
                if following is None:
                    reason = Reason.SEARCH
                else:
                    iterations += 1
                    reason = self.tolerance.reached(first, current, following)
                    current = following
        except LimitReached:
            reason = Reason.LIMIT
        return Outcome(iterations, reason)

    def _advance(self, point: Point) -> Generator[Request, Any, Point | None]:
        """The linearised next iterate, None when no step along it lowers J."""
        goal = self.inner_tolerance * point.norm
        space = yield from lanczos(-point.gradient, self.inner, lambda found: found.residual(point.norm) <= goal)
        step = space.solution(point.norm).reshape(point.argument.shape)
        for halving in range(HALVINGS):
            trial: Point = yield Linearise(point.argument + 0.5**halving * step)
            if trial.value < point.value:
                return trial
        return None
