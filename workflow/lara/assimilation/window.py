"""Assimilation windows: half-open intervals [begin, end) of slots, `step` apart.

Slot j of a window is the instant begin + j·step, j = 0 … count − 1, and end = begin + count·step. A datum belongs to
the nearest slot, so the window's data lie in [begin − step/2, end − step/2). Windows may overlap by whole slots: the
data of the first `overlap` slots were used by the window before and are not used again, and a slot's analysis is
published by the window that uses its data.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Window:
    """The interval [begin, end) with `count` slots, `step` apart; the first slot is `begin` (UTC).

    overlap: number of first slots that belong to an earlier window too.
    """

    begin: np.datetime64
    step: np.timedelta64
    count: int
    overlap: int = 0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"a window of {self.count} slots assimilates nothing; give at least 1 slot")
        if self.step <= np.timedelta64(0):
            raise ValueError(f"window step {self.step} is not positive; give the model's step, e.g. 6 h")
        if not 0 <= self.overlap < self.count:
            raise ValueError(
                f"windows of {self.count} slots cannot overlap by {self.overlap}; choose 0 … {self.count - 1}"
            )

    @property
    def end(self) -> np.datetime64:
        """First instant after the window; where none overlap, the begin of the next one."""
        return self.begin + self.count * self.step

    @property
    def slots(self) -> np.ndarray:
        """Slot times, datetime64 (k,)."""
        return self.begin + np.arange(self.count) * self.step

    @property
    def fresh(self) -> np.ndarray:
        """Times of the slots whose data this window is the first to use, datetime64."""
        return self.slots[self.overlap :]

    @property
    def data_span(self) -> tuple[np.datetime64, np.datetime64]:
        """Half-open interval of the times of the window's data, used before or not."""
        return self.begin - self.step // 2, self.end - self.step // 2

    @property
    def fresh_from(self) -> np.datetime64:
        """Data before this instant were used by the window before."""
        return self.fresh[0] - self.step // 2

    def following(self, overlap: int) -> "Window":
        """The next window, which shares `overlap` slots with this one."""
        return Window(self.end - overlap * self.step, self.step, self.count, overlap)

    def __str__(self) -> str:
        begin, end = (time.astype("datetime64[m]") for time in (self.begin, self.end))
        return f"[{begin}, {end})"


def windows(
    begin: np.datetime64, end: np.datetime64, slots: int, step: np.timedelta64, overlap: int = 0
) -> list[Window]:
    """Consecutive windows of `slots` slots, each overlapping the one before, whose fresh slots tile [begin, end).

    Raises ValueError when the period is empty or is not a whole number of windows.
    """
    if end <= begin:
        raise ValueError(f"assimilation period ends at {end}, not after its begin {begin}; move the end")
    first = Window(begin, step, slots)
    shift = (slots - Window(begin, step, slots, overlap).overlap) * step
    rest = (end - first.end) % shift if end > first.end else end - first.end
    if rest:
        best = first.end if end < first.end else end - rest
        raise ValueError(
            f"[{begin}, {end}) is not a whole number of {slots}-slot windows {shift} apart; end at {best}"
            f" or {best + shift}"
        )
    return list(_tile(first, end, overlap))


def _tile(window: Window, end: np.datetime64, overlap: int) -> Iterator[Window]:
    while window.end <= end:
        yield window
        window = window.following(overlap)


def times_of(windows: Sequence[Window]) -> np.ndarray:
    """Valid times of the windows' slots, datetime64 (b, k)."""
    return np.stack([window.slots for window in windows])
