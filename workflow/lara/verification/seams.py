"""Seams of a reanalysis made in streams: how soon two streams agree, and whether one can tell where they join.

Over the overlap, d(t) = ⟨(x_late(t) − x_early(t))²⟩^½ / unit, which falls from the difference of the starts to a floor.
At the join, c(t) = ⟨(x(t) − x(t − Δt))²⟩^½ between the streams is ranked among its values elsewhere, at the same time
of day: the share p of them that are as large or larger is the level of a rank test, whatever the distribution of c.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

AT_FLOOR = 1.5  # times the floor, below which a difference counts as having arrived there
FALLING = 0.8  # of the third before: below, the difference has no floor yet


class Agreement(NamedTuple):
    """Differences of two streams: the first, the last, and the floor, the median of the last third.

    `days_to_floor` until the floor is reached for good; `falling`: there is no floor yet.
    """

    first: float
    last: float
    floor: float
    days_to_floor: float
    falling: bool


def agreement(difference: Float[np.ndarray, " n"], days: Float[np.ndarray, " n"]) -> Agreement:
    """How two streams come together; `days` since the later began. ValueError for fewer than three times."""
    if len(difference) < 3:
        raise ValueError(f"{len(difference)} times are no overlap to judge: give a stream a longer spin_up_days")
    third = len(difference) // 3
    floor, before = (float(np.median(part)) for part in (difference[-third:], difference[-2 * third : -third]))
    above = np.flatnonzero(difference > AT_FLOOR * floor)
    reached = 0 if not above.size else int(above[-1]) + 1
    arrived = float(days[reached] - days[0]) if reached < len(days) else float("nan")
    return Agreement(float(difference[0]), float(difference[-1]), floor, arrived, floor < FALLING * before)


def share_as_large(here: float, elsewhere: Float[np.ndarray, " n"]) -> float:
    """Share of changes elsewhere that are as large as the one at the join, itself counted: the level of the test."""
    return float((1 + (elsewhere >= here).sum()) / (1 + len(elsewhere)))
