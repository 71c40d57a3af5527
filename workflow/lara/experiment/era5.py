"""States of ERA5 for a run: decoded from what was downloaded, or read from a Zarr store, on the model grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lara import receipts
from lara.config import Cds, Zarr
from lara.experiment.data import Month, Report, Span
from lara.experiment.deliveries import Delivery, cds_source, delivered, deliveries, drop
from lara.experiment.run import Run
from lara.grid import Grid
from lara.sources import grib
from lara.sources.regrid import Regridding, regridding

_DAY = np.timedelta64(1, "D")


def months(run: Run, dataset: str, wanted: Sequence[Span], report: Report) -> Iterator[Month]:
    """States of the months wanted, on the model grid. `report` receives days."""
    source = run.config.source
    if isinstance(source, Cds):
        return _decoded(run, dataset, wanted, report)
    assert isinstance(source, Zarr)
    return _read(run, source, wanted, report)


def _decoded(run: Run, dataset: str, wanted: Sequence[Span], report: Report) -> Iterator[Month]:
    """Months from GRIB, one array for all; where GRIB is not kept, a month's goes when the next is taken."""
    source, times = cds_source(run), [np.arange(*span, run.step) for span in wanted]
    states = np.empty((max(map(len, times)), len(run.channels), *run.grid.shape), np.float32)
    by_month: dict[np.datetime64, list[Delivery]] = {}
    for part in deliveries(run, dataset):
        by_month.setdefault(part.order.month, []).append(part)
    regrid = regridding(source.regrid, Grid.equiangular(*source.shape, poles=True), run.grid)
    days = 0
    for span, moments in zip(wanted, times, strict=True):
        parts = by_month[span[0].astype("M8[M]")]
        provenance = [_decode(run, part, regrid, states[: len(moments), part.channels]) for part in parts]
        marked = sorted({moment for one in provenance for moment in one["preliminary"]})
        digests = {one["dataset"]: one["digest"] for one in provenance}
        yield Month(span, states[: len(moments)], provenance={"deliveries": digests, "preliminary": marked})
        for part in [] if source.keep else parts:
            drop(run, part)
        days += int((span[1] - span[0]) / _DAY)
        report(days, int(sum((end - begin) / _DAY for begin, end in wanted)))


def _decode(run: Run, part: Delivery, regrid: Regridding, into: np.ndarray) -> dict[str, Any]:
    """Bring a delivery into its part of a month's states; its receipt."""
    grib.read(delivered(run, part), part.held, regrid, into)
    return receipts.read(run.layout.delivery_receipt(part.name))


def _read(run: Run, source: Zarr, wanted: Sequence[Span], report: Report) -> Iterator[Month]:
    """Months from a Zarr store; times that it lacks are gaps."""
    from lara.sources import cloud

    held = cloud.open_store(source.url, source.preliminary == "mark")
    final = cloud.open_store(source.url).last
    regrid = regridding(source.regrid, held.grid, run.grid)
    times = np.concatenate([np.arange(*span, run.step) for span in wanted])
    per_day = int(_DAY / run.step)

    def in_days(done: int, total: int) -> None:
        report(done // per_day, total // per_day)

    found = cloud.months(held, run.channels, times, None if held.grid == run.grid else regrid, in_days)
    for span, month in zip(wanted, found, strict=True):
        marked = [str(moment) for moment in month.times[month.times > final]]
        yield Month(span, month.states, month.missing, {"store": source.url, "preliminary": marked})
