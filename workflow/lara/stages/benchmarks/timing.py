"""Timing of several ways to do one thing: they take turns, and the first turn, which fills caches, does not count."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

TURNS = 5  # that count


def take_turns(
    ways: Mapping[str, Callable[[], object]],
    clock: Callable[[], float],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, list[float]]:
    """Seconds by way, turn by turn, on a clock such as `time.perf_counter`."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(TURNS + 1):
        for name, way in ways.items():
            begin = clock()
            way()
            seconds[name].append(clock() - begin)
        progress(turn + 1, TURNS + 1)
    return seconds


def rates(seconds: Mapping[str, list[float]], items: float, reference: str, what: str) -> pd.DataFrame:
    """Median, quartiles and rate by name, and the rate over that of `reference`; the first turn does not count."""
    rows = [
        {
            "name": name,
            **dict(zip(("ms", "ms_25", "ms_75"), 1e3 * np.quantile(taken[1:], (0.5, 0.25, 0.75)), strict=True)),
        }
        for name, taken in seconds.items()
    ]
    table = pd.DataFrame(rows).set_index("name")
    table[f"{what}_per_s"] = 1e3 * items / table["ms"]
    table["over_reference"] = table.loc[reference, "ms"] / table["ms"]
    return table.assign(reference=reference, turns=len(next(iter(seconds.values()))) - 1).reset_index()
