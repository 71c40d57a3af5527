"""States of ERA5 decoded from GRIB that was downloaded, on the model grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lara import receipts
from lara.grid import Grid
from lara.sources import grib
from lara.sources.regrid import Regridding, regridding
from lara.stages.data.download import Delivery, cds_source, delivered, deliveries, drop
from lara.stages.data.month import DAY, Month, Report, Span
from lara.stages.run import Run


def months(run: Run, dataset: str, wanted: Sequence[Span], report: Report) -> Iterator[Month]:
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
        days += int((span[1] - span[0]) / DAY)
        report(days, int(sum((end - begin) / DAY for begin, end in wanted)))


def _decode(run: Run, part: Delivery, regrid: Regridding, into: np.ndarray) -> dict[str, Any]:
    """Bring a delivery into its part of a month's states; its receipt."""
    grib.read(delivered(run, part), part.held, regrid, into)
    return receipts.read(run.layout.delivery_receipt(part.name))
