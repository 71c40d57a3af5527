"""Plausibility of fields: missing values, wrong units, and numbers that stand for missing values are refused.

A stand-in, −9999 say, may lie within all bounds. It shows by what no weather does: the same lowest (or highest) value
at several points, farther from all others than these are from each other.
"""

from functools import cache

import numpy as np

from lara.bounds import bounds, middle

ABSENT = 1e36  # from here on a number stands for a missing value
CALENDARS = ("standard", "gregorian", "proleptic_gregorian")  # of which a date is a date


def fault_of(values: np.ndarray, name: str | None, level: float | None = None) -> str:
    """What is wrong with a field of the variable `name`, in words that follow its name; nothing where it may be.

    level: its pressure [hPa], None near the surface.
    """
    low, high = values.min(), values.max()
    if not (low > -ABSENT and high < ABSENT):
        bad = np.count_nonzero(~(np.abs(values) < ABSENT))
        return f"lacks {bad} of its {values.size} values (missing or NaN)"
    least, most, below, above = _limits(name or "", level)
    if low < least or high > most:
        return f"has values from {low:.6g} to {high:.6g}, beyond the plausible {least:.6g} to {most:.6g}"
    if below > -np.inf and not below <= (mean := values.mean()) <= above:
        return f"has the mean {mean:.6g}, beyond the plausible {below:.6g} to {above:.6g}: is it in other units?"
    for extreme in (low, high):
        if count := _stand_ins(values, extreme):
            return f"has {extreme:.6g} at {count} of its {values.size} points, far from all others: a missing value?"
    return ""


@cache
def _limits(name: str, level: float | None) -> tuple[float, float, float, float]:
    """Bounds of the values of a field, and of their mean."""
    least, most = bounds(name, level)
    return float(least), float(most), *middle(name, level)


def require_gregorian(calendar: str, where: str) -> None:
    """ValueError for dates of another calendar, which are no dates of weather that has been."""
    if calendar.lower() not in CALENDARS:
        raise ValueError(f"{where} has times of calendar {calendar!r}, not {' or '.join(CALENDARS)}: take another")


def _stand_ins(values: np.ndarray, extreme: float) -> int:
    """How many points have an extreme value that stands for another thing than weather."""
    same = values == extreme
    count = int(np.count_nonzero(same))
    if not 1 < count < values.size:
        return 0
    others = values[~same]
    return count if np.abs(others - extreme).min() > np.ptp(others) > 0 else 0
