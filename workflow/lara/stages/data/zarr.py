"""States of ERA5 read from a Zarr store, on the model grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lara.config import Zarr
from lara.sources import cloud
from lara.sources.regrid import regridding
from lara.stages.data.month import DAY, Month, Report, Span
from lara.stages.run import Run


def months(run: Run, dataset: str, wanted: Sequence[Span], report: Report) -> Iterator[Month]:
    """Months from a Zarr store; times that it lacks are gaps."""
    source = run.config.source
    assert isinstance(source, Zarr)
    held = cloud.open_store(source.url, source.preliminary == "mark")
    final = cloud.open_store(source.url).last
    regrid = regridding(source.regrid, held.grid, run.grid)
    times = np.concatenate([np.arange(*span, run.step) for span in wanted])
    per_day = int(DAY / run.step)

    def in_days(done: int, total: int) -> None:
        report(done // per_day, total // per_day)

    found = cloud.months(held, run.channels, times, None if held.grid == run.grid else regrid, in_days)
    for span, month in zip(wanted, found, strict=True):
        marked = [str(moment) for moment in month.times[month.times > final]]
        yield Month(span, month.states, month.missing, {"store": source.url, "preliminary": marked})
