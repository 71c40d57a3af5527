"""Stretches of observations in time: months, a table each, and some days, as much as is held at a time.

The table of a month holds the observations of its slots: those of 21:00 on its last day belong to the slot at 00:00 of
the next month, and so to the table of that.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lara.stages.run import Run, time_range

TIMES_PER_READ = 40


def slots_of(run: Run, label: str) -> tuple[str, str, np.ndarray]:
    """Dataset, month and slots (datetime64[ns]) of a label such as "test/2001-01". ValueError where it is unknown."""
    dataset, _, month = label.partition("/")
    known = {name: run.config.months(name) for name in run.config.datasets}
    if month not in known.get(dataset, ()):
        months = f"{known[dataset][0]} to {known[dataset][-1]}" if dataset in known else f"datasets {', '.join(known)}"
        raise ValueError(f"no month '{label}' in {run.layout.config}: choose among {months}")
    chosen = run.config.datasets[dataset]
    times = time_range(chosen.begin, chosen.end, run.step)
    return dataset, month, times[times.astype("M8[M]") == np.datetime64(month)]


def stretches(times: np.ndarray) -> Iterator[np.ndarray]:
    """Some days of times after another."""
    for first in range(0, len(times), TIMES_PER_READ):
        yield times[first : first + TIMES_PER_READ]
