"""Monthly means of analyses: x̄ = Σ x(t) / n over the times of a calendar month, summed in float64 day by day."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import xarray as xr

from lara import store
from lara.config import Attribution
from lara.stages import parallel
from lara.stages.run import Run
from lara.stages.states import states_of
from lara.store import MonthMean

AT_ONCE = 12  # months that wait in memory to be written
KEPT = ("settings", "experiment", *Attribution.model_fields)  # attributes of the archive that its means keep


def average_months(run: Run, name: str, report: Callable[[int, int], None]) -> None:
    """Write the means of an experiment's analyses, month by month."""
    with store.open_archive(run.layout.archive(name)) as archive:
        known = {key: archive.attrs[key] for key in KEPT if key in archive.attrs}
        attributes = {**known, "archive": store.version_of(run.layout.archive(name))}
        store.write_means(
            run.layout.monthly_means(name), run.grid, run.channels, _means(run, archive, report), attributes
        )


def _means(run: Run, archive: xr.Dataset, report: Callable[[int, int], None]) -> Iterator[MonthMean]:
    months = parallel.months(archive["time"].values)
    with parallel.client(run.config.dask):
        for first in range(0, len(months), AT_ONCE):
            batch: Sequence[np.ndarray] = months[first : first + AT_ONCE]
            yield from parallel.each(partial(_mean, run, archive), batch)
            report(first + len(batch), len(months))


def _mean(run: Run, archive: xr.Dataset, times: np.ndarray) -> MonthMean:
    total = np.zeros((len(run.channels), *run.grid.shape))
    for day in parallel.days(times):
        total += states_of(run, archive.sel(time=day), "").sum(0, dtype=np.float64)
    return MonthMean(times[0].astype("M8[M]"), (total / len(times)).astype(np.float32), len(times))
