"""Plausibility of fields: missing values, wrong units, and numbers that stand for missing values are refused.

A stand-in, −9999 say, may lie within all bounds. It shows by what no weather does: the same lowest (or highest) value
at several points, farther from all others than these are from each other.
"""

import numpy as np

ABSENT = 1e36  # from here on a number stands for a missing value
CALENDARS = ("standard", "gregorian", "proleptic_gregorian")  # of which a date is a date
# SI units; far beyond what the atmosphere does, so that only other units or a broken message end here
_BOUNDS = {"z": (-2e4, 1e6), "t": (100.0, 400.0), "u": (-400.0, 400.0), "v": (-400.0, 400.0), "q": (-0.01, 0.1)}
_BOUNDS |= {"msl": (8e4, 1.2e5), "u10": (-150.0, 150.0), "v10": (-150.0, 150.0), "t2m": (100.0, 400.0)}


def fault_of(values: np.ndarray, name: str | None) -> str:
    """What is wrong with a field of the variable `name`, in words that follow its name; nothing where it may be."""
    low, high = values.min(), values.max()
    if not (low > -ABSENT and high < ABSENT):
        bad = np.count_nonzero(~(np.abs(values) < ABSENT))
        return f"lacks {bad} of its {values.size} values (missing or NaN)"
    least, most = _BOUNDS.get(name or "", (-ABSENT, ABSENT))
    if low < least or high > most:
        return f"has values from {low:.6g} to {high:.6g}, beyond the plausible {least:g} to {most:g}"
    for extreme in (low, high):
        if count := _stand_ins(values, extreme):
            return f"has {extreme:.6g} at {count} of its {values.size} points, far from all others: a missing value?"
    return ""


def require_gregorian(calendar: str, where: str) -> None:
    """ValueError for dates of another calendar, which are no dates of weather that has been."""
    if calendar not in CALENDARS:
        raise ValueError(f"{where} has times of calendar {calendar!r}, not {' or '.join(CALENDARS)}: take another")


def _stand_ins(values: np.ndarray, extreme: float) -> int:
    """How many points have an extreme value that stands for another thing than weather."""
    same = values == extreme
    count = int(np.count_nonzero(same))
    if not 1 < count < values.size:
        return 0
    others = values[~same]
    return count if np.abs(others - extreme).min() > np.ptp(others) > 0 else 0
