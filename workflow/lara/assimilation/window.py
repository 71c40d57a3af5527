"""Assimilation windows: half-open intervals [begin, end) of consecutive model steps.

Slot j of a window is the instant begin + j·step, j = 0 … count − 1, and end = begin + count·step, so
consecutive windows share no slot and the forecast from a window's last slot is valid at the next window's
begin.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Window:
    """The interval [begin, end) with `count` slots, `step` apart; the first slot is `begin` (UTC)."""

    begin: np.datetime64
    step: np.timedelta64
    count: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"a window of {self.count} slots assimilates nothing; give at least 1 slot")
        if self.step <= np.timedelta64(0):
            raise ValueError(f"window step {self.step} is not positive; give the model's step, e.g. 6 h")

    @property
    def end(self) -> np.datetime64:
        """First instant after the window, the begin of the next one."""
        return self.begin + self.count * self.step

    @property
    def slots(self) -> np.ndarray:
        """Slot times, datetime64 (k,)."""
        return self.begin + np.arange(self.count) * self.step

    def __str__(self) -> str:
        begin, end = (time.astype("datetime64[m]") for time in (self.begin, self.end))
        return f"[{begin}, {end})"


def windows(begin: np.datetime64, end: np.datetime64, slots: int, step: np.timedelta64) -> list[Window]:
    """Consecutive windows of `slots` slots that tile [begin, end) exactly.

    Raises ValueError when the period is empty or is not a whole number of windows.
    """
    if end <= begin:
        raise ValueError(f"assimilation period ends at {end}, not after its begin {begin}; move the end")
    length = Window(begin, step, slots).end - begin
    rest = (end - begin) % length
    if rest:
        raise ValueError(
            f"[{begin}, {end}) is not a whole number of {slots}-slot windows of {length}; end at {end - rest}"
            f" or {end - rest + length}"
        )
    return list(_tile(Window(begin, step, slots), end))


def _tile(window: Window, end: np.datetime64) -> Iterator[Window]:
    while window.begin < end:
        yield window
        window = Window(window.end, window.step, window.count)
