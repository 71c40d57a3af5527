"""ERA5 of a run: downloaded from the Climate Data Store month by month and decoded, or read from a Zarr store.

A delivery "<dataset>/<product>/<month>" is the part of a month that belongs to a dataset, on pressure levels or single
levels, in one GRIB file. What lies at its path and passes the check is never downloaded again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lara import receipts
from lara.config import Cds, Simulated, Zarr
from lara.experiment.data import Month, Report, Span
from lara.experiment.run import Run, time, time_range
from lara.grid import Grid
from lara.sources import cds, cloud, grib
from lara.sources.cds_transfer import Progress
from lara.sources.regrid import Regridding, regridding
from lara.state import Channels

_LOG = logging.getLogger(__name__)
_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Delivery:
    """The order of a delivery, what it must hold, and which channels of a state these are."""

    name: str
    order: cds.Order
    expected: grib.Expected
    channels: slice


def deliveries(run: Run, dataset: str) -> list[Delivery]:
    """All deliveries of a dataset, in order of months."""
    return [delivery(run, name) for name in run.config.deliveries(dataset)]


def delivery(run: Run, name: str) -> Delivery:
    """The delivery "<dataset>/<product>/<month>". ValueError for one that the run does not need."""
    source, state = cds_source(run), run.config.state
    dataset, _, rest = name.partition("/")
    if dataset not in run.config.datasets or name not in run.config.deliveries(dataset):
        known = [some for key in run.config.datasets for some in run.config.deliveries(key)]
        raise ValueError(f"'{name}' is no delivery of this run: choose one of {known[0]} to {known[-1]}")
    product, _, month = rest.partition("/")
    above = product == "pressure-levels"
    variables, levels = (state.upper_air, sorted(state.levels)) if above else (state.surface, [])
    hours = range(0, 24, run.config.step_hours)
    order, *_ = cds.orders(
        cds.Selection(variables, levels, hours, source.grid), np.datetime64(month), run.config.days(dataset, month)
    )
    channels = Channels.of((), variables, levels) if above else Channels.of(variables, (), ())
    first = run.channels.position(channels.names[0])
    times = _times(run, dataset, np.datetime64(month, "M"))
    grid = Grid.equiangular(*source.shape, poles=True)
    expected = grib.Expected(channels, times, grid, source.preliminary == "mark")
    return Delivery(name, order, expected, slice(first, first + len(channels)))


def download_month(run: Run, name: str, progress: Progress) -> None:
    """Leave a delivery at its path, whole and checked, and its receipt. Raises CdsError."""
    wanted, source = delivery(run, name), cds_source(run)
    path, preliminary = run.layout.delivery(name, source.cache), np.zeros(0, bool)

    def check(file: Any) -> None:
        nonlocal preliminary
        preliminary = grib.check(file, wanted.expected)

    try:
        check(path)
        _LOG.info("%s: %s is there and right", wanted.order.title, path)
    except (FileNotFoundError, grib.GribError):
        cds.fetch(wanted.order, path, check, cds.Patience(**source.patience.model_dump()), progress)
    receipts.write(
        run.layout.delivery_receipt(name),
        dataset=wanted.order.dataset,
        request=dict(wanted.order.request),
        bytes=path.stat().st_size,
        digest=receipts.digest(path),
        preliminary=[str(moment) for moment in wanted.expected.times[preliminary]],
    )


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
    regrid = regridding(source.regrid, Grid.equiangular(*source.shape, poles=True), run.grid, run.layout.regridding)
    days = 0
    for span, moments in zip(wanted, times, strict=True):
        parts = by_month[span[0].astype("M8[M]")]
        provenance = [_decode(run, part, regrid, states[: len(moments), part.channels]) for part in parts]
        marked = sorted({moment for one in provenance for moment in one["preliminary"]})
        digests = {one["dataset"]: one["digest"] for one in provenance}
        yield Month(span, states[: len(moments)], provenance={"deliveries": digests, "preliminary": marked})
        for part in [] if source.keep else parts:
            run.layout.delivery(part.name, source.cache).unlink()
        days += int((span[1] - span[0]) / _DAY)
        report(days, int(sum((end - begin) / _DAY for begin, end in wanted)))


def _decode(run: Run, part: Delivery, regrid: Regridding, into: np.ndarray) -> dict[str, Any]:
    """Bring a delivery into its part of a month's states; its receipt."""
    receipt = run.layout.delivery_receipt(part.name)
    path = run.layout.delivery(part.name, cds_source(run).cache)
    if not path.exists():
        raise ValueError(f"{path} is not there any more: delete {receipt} and run snakemake, which downloads it again")
    grib.read(path, part.expected, regrid, into)
    return receipts.read(receipt)


def _read(run: Run, source: Zarr, wanted: Sequence[Span], report: Report) -> Iterator[Month]:
    """Months from a Zarr store; times that it lacks are gaps."""
    held = cloud.open_store(source.url, source.preliminary == "mark")
    final = cloud.open_store(source.url).last
    regrid = regridding(source.regrid, held.grid, run.grid, run.layout.regridding)
    times = np.concatenate([np.arange(*span, run.step) for span in wanted])
    per_day = int(_DAY / run.step)

    def in_days(done: int, total: int) -> None:
        report(done // per_day, total // per_day)

    found = cloud.months(held, run.channels, times, None if held.grid == run.grid else regrid, in_days)
    for span, month in zip(wanted, found, strict=True):
        marked = [str(moment) for moment in month.times[month.times > final]]
        yield Month(span, month.states, month.missing, {"store": source.url, "preliminary": marked})


def _times(run: Run, dataset: str, month: np.datetime64) -> np.ndarray:
    """Times of a dataset that lie in a month."""
    chosen = run.config.datasets[dataset]
    times = time_range(chosen.begin, chosen.end, run.step)
    return times[times.astype("M8[M]") == month]


def cds_source(run: Run) -> Cds:
    """The section of the Climate Data Store. ValueError where the source is another."""
    source = run.config.source
    if not isinstance(source, Cds):
        kind = "simulated" if isinstance(source, Simulated) else "read from a Zarr store"
        raise ValueError(f"the atmosphere of {run.layout.root} is {kind}: nothing is to be downloaded")
    return source
