"""Line search for the strong Wolfe conditions along χ + αd.

Nocedal & Wright, Numerical Optimization, 2nd ed. (2006), doi:10.1007/978-0-387-40065-5, algorithms 3.5 and
3.6 with cubic interpolation (3.59):

    J(χ + αd) ≤ J(χ) + c₁ α dᵀ∇J(χ),   |dᵀ∇J(χ + αd)| ≤ c₂ |dᵀ∇J(χ)|

The first inequality is relaxed by the rounding of J in the precision of χ. From a trial with J = ∞ it steps
back.
"""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import torch

from lara.assimilation.search import Point, Request


@dataclass(frozen=True)
class Wolfe:
    """c₁ and c₂ of the conditions, and the most trials in each phase (bracketing, zooming) of one search.

    Raises ValueError unless 0 < c₁ < c₂ < 1 and there is a trial.
    """

    sufficient_decrease: float = 1e-4
    curvature: float = 0.9
    trials: int = 15

    def __post_init__(self) -> None:
        c1, c2 = self.sufficient_decrease, self.curvature
        if not 0 < c1 < c2 < 1:
            raise ValueError(f"Wolfe constants c1 = {c1}, c2 = {c2} are not 0 < c1 < c2 < 1; use 1e-4 and 0.9")
        if self.trials < 1:
            raise ValueError(f"a line search of {self.trials} trials; give at least 1")


@dataclass(frozen=True, eq=False)
class Trial:
    """A point on a search line: step α, J and its derivative along the line."""

    step: float
    slope: float
    point: Point

    @property
    def value(self) -> float:
        """J at the trial."""
        return self.point.value


Line = Callable[[float], Generator[Request, Any, Trial]]
LineSearch = Generator[Request, Any, Trial | None]


def wolfe_search(line: Line, start: Trial, step: float, rule: Wolfe) -> LineSearch:
    """A trial that meets both Wolfe conditions, None when none is found (algorithm 3.5)."""
    previous, trial = start, (yield from line(step))
    for _ in range(rule.trials):
        if _accepts(trial, start, rule):
            return trial
        if not _decreases(trial, start, rule) or trial.value >= previous.value:
            return (yield from _zoom(line, start, (previous, trial), rule))
        if trial.slope >= 0:
            return (yield from _zoom(line, start, (trial, previous), rule))
        previous, trial = trial, (yield from line(_beyond(previous, trial)))
    return None


def _zoom(line: Line, start: Trial, bracket: tuple[Trial, Trial], rule: Wolfe) -> LineSearch:
    """A Wolfe trial between the bracket's lower and other end (algorithm 3.6)."""
    low, high = bracket
    for _ in range(rule.trials):
        trial = yield from line(_between(low, high))
        if _accepts(trial, start, rule):
            return trial
        if not _decreases(trial, start, rule) or trial.value >= low.value:
            high = trial
        else:
            low, high = trial, low if trial.slope * (high.step - low.step) >= 0 else high
    return None


def _decreases(trial: Trial, start: Trial, rule: Wolfe) -> bool:
    """First Wolfe condition, to the rounding of J: ten units in the last place of χ's precision."""
    rounding = 10 * torch.finfo(start.point.argument.dtype).eps * abs(start.value)
    return trial.value <= start.value + rule.sufficient_decrease * trial.step * start.slope + rounding


def _accepts(trial: Trial, start: Trial, rule: Wolfe) -> bool:
    """Both Wolfe conditions."""
    return _decreases(trial, start, rule) and abs(trial.slope) <= -rule.curvature * start.slope


def _between(low: Trial, high: Trial) -> float:
    """Cubic minimiser kept a tenth of the bracket away from its ends, else the middle."""
    width = high.step - low.step
    fraction = (_cubic_minimiser(low, high) - low.step) / width
    return low.step + width * (min(max(fraction, 0.1), 0.9) if math.isfinite(fraction) else 0.5)


def _beyond(previous: Trial, trial: Trial) -> float:
    """Cubic minimiser, half to nine times the last advance beyond the trial; nine times if there is none."""
    advance = trial.step - previous.step
    fraction = (_cubic_minimiser(previous, trial) - trial.step) / advance
    return trial.step + advance * (min(max(fraction, 0.5), 9.0) if fraction > 0 else 9.0)


def _cubic_minimiser(a: Trial, b: Trial) -> float:
    """Minimiser of the cubic through values and slopes at a and b (3.59), not a number if there is none."""
    if not (math.isfinite(a.value) and math.isfinite(b.value)):
        return math.nan
    mean = a.slope + b.slope - 3 * (a.value - b.value) / (a.step - b.step)
    square = mean * mean - a.slope * b.slope
    if square < 0:
        return math.nan
    root = math.copysign(math.sqrt(square), b.step - a.step)
    width = b.slope - a.slope + 2 * root
    return b.step - (b.step - a.step) * (b.slope + root - mean) / width if width else math.nan
