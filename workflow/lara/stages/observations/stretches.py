"""Stretches of some days: as much of a dataset or of a table as is held at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

TIMES_PER_READ = 40


def stretches(times: np.ndarray) -> Iterator[np.ndarray]:
    """Some days of times after another."""
    for first in range(0, len(times), TIMES_PER_READ):
        yield times[first : first + TIMES_PER_READ]
