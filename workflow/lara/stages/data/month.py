"""A month of states as a source yields it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Report = Callable[[int, int], None]
Span = tuple[np.datetime64, np.datetime64]  # half open
DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Month:
    """States (n, channel, latitude, longitude) of the `span` of a month; `gaps` says why for each time without one.

    `provenance` goes into the month's receipt. The states may be overwritten when the next month is taken.
    """

    span: Span
    states: np.ndarray
    gaps: Mapping[np.datetime64, str] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
