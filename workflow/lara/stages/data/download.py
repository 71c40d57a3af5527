"""Downloads of a run from the Climate Data Store, one delivery after another.

A delivery "<dataset>/<product>/<month>" is the part of a month that belongs to a dataset, on pressure levels or single
levels, in one GRIB file. What lies at its path and passes the check is never downloaded again.
"""

from __future__ import annotations

import logging
import os
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lara import locks, receipts
from lara.config import Cds
from lara.grid import Grid
from lara.sources import cds, grib, shelf
from lara.sources.cds_transfer import Progress
from lara.stages.run import Run
from lara.state import Channels

FIELDS_PER_REQUEST = (
    60_000  # of the store's form in 2025; what holds for a request the store itself tells, see `cds.cost`
)
_HEADER = 200  # bytes of a message beside its values of 16 bits

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Volume:
    """What a run asks for: `requests`, `fields`, bytes of their GRIB and of the states made of it."""

    requests: int
    fields: int
    grib_bytes: int
    state_bytes: int


@dataclass(frozen=True)
class Delivery:
    """The order of a delivery, what it must hold, and which channels of a state these are."""

    name: str
    order: cds.Order
    expected: grib.Expected
    channels: slice

    @property
    def held(self) -> grib.Expected:
        """What a file on disk must hold, which may hold more."""
        return replace(self.expected, exactly=False)


def volume(run: Run, limit: float = FIELDS_PER_REQUEST) -> Volume:
    """What all datasets of a run take from the Climate Data Store, where a request may hold `limit` fields."""
    orders = [part.order for name in run.config.datasets for part in deliveries(run, name)]
    fields = sum(order.fields for order in orders)
    rows, columns = cds_source(run).shape
    return Volume(
        sum(cds.fewest_requests(order, limit) for order in orders),
        fields,
        fields * (2 * rows * columns + _HEADER),
        fields * 4 * run.config.grid.latitudes * run.config.grid.longitudes,
    )


def deliveries(run: Run, dataset: str) -> list[Delivery]:
    """All deliveries of a dataset, in order of months."""
    return [_delivery(run, name) for name in run.config.deliveries(dataset)]


def delivery(run: Run, name: str) -> Delivery:
    """The delivery "<dataset>/<product>/<month>". ValueError for one that the run does not need."""
    cds_source(run)
    known = [some for dataset in run.config.datasets for some in run.config.deliveries(dataset)]
    if name not in known:
        raise ValueError(f"'{name}' is no delivery of this run: choose one of {known[0]} to {known[-1]}")
    return _delivery(run, name)


def _delivery(run: Run, name: str) -> Delivery:
    source, state = cds_source(run), run.config.state
    dataset, product, month = name.split("/")
    above = product == "pressure-levels"
    variables, levels = (state.upper_air, sorted(state.levels)) if above else (state.surface, [])
    selection = cds.Selection(variables, levels, range(0, 24, run.config.step_hours), source.grid)
    order, *_ = cds.orders(selection, np.datetime64(month), run.config.days(dataset, month))
    channels = Channels.of((), variables, levels) if above else Channels.of(variables, (), ())
    first = run.channels.position(channels.names[0])
    grid = Grid.equiangular(*source.shape, poles=True)
    expected = grib.Expected(channels, _times(run, dataset, month), grid, source.preliminary == "mark")
    return Delivery(name, order, expected, slice(first, first + len(channels)))


def download_month(run: Run, name: str, progress: Progress) -> None:
    """Have a delivery on disk, whole and checked, and write its receipt. Raises CdsError, or LockError.

    What is there already is used where it holds the delivery, be it more; nothing is removed before it is replaced.
    """
    wanted, source = delivery(run, name), cds_source(run)
    usual = run.layout.delivery(name, source.cache)
    lock = locks.held(usual.with_suffix(".lock"), "wait for it to end", source.patience.queue)
    with lock if source.cache else nullcontext():
        file, preliminary = _there(run, wanted, usual) or _fetched(wanted, usual, source, progress)
    receipts.write(
        run.layout.delivery_receipt(name),
        dataset=wanted.order.dataset,
        request=dict(wanted.order.request),
        file=os.path.relpath(file, _root(usual)),
        bytes=file.stat().st_size,
        digest=receipts.digest(file),
        preliminary=[str(moment) for moment in wanted.expected.times[preliminary]],
    )


def _there(run: Run, wanted: Delivery, usual: Path) -> tuple[Path, np.ndarray] | None:
    """A file that holds the delivery already, and which of its times are ERA5T."""
    files = shelf.candidates(usual, *((_root(usual).parent, 2) if cds_source(run).cache else (_root(usual), 1)))
    found = shelf.find(files, wanted.order, lambda file: grib.check(file, wanted.held))
    if found:
        _LOG.info("%s: %s is there and right", wanted.order.title, found[0])
    return found


def _fetched(wanted: Delivery, usual: Path, source: Cds, progress: Progress) -> tuple[Path, np.ndarray]:
    """The same, from the store."""
    preliminary = np.zeros(0, bool)

    def check(file: Path) -> None:
        nonlocal preliminary
        try:
            preliminary = grib.check(file, wanted.expected)
        except grib.PreliminaryError as fault:
            raise cds.LastingError(str(fault)) from fault

    file = shelf.place(usual, wanted.order, shared=source.cache is not None)
    cds.fetch(wanted.order, file, check, cds.Patience(**source.patience.model_dump()), progress)
    shelf.note(file, wanted.order)
    return file, preliminary


def delivered(run: Run, part: Delivery) -> Path:
    """The GRIB of a delivery. ValueError where it has gone, or is not what its receipt says."""
    usual, receipt = run.layout.delivery(part.name, cds_source(run).cache), run.layout.delivery_receipt(part.name)
    content = receipts.read(receipt)
    path = _root(usual) / content.get("file", usual.relative_to(_root(usual)))
    remedy = f"delete {receipt} and run snakemake, which downloads it again"
    if not path.exists():
        raise ValueError(f"{path} is not there any more: {remedy}")
    if path.stat().st_size != content["bytes"] or receipts.digest(path) != content["digest"]:
        raise ValueError(f"{path} has changed since its receipt was written: {remedy}")
    return path


def drop(run: Run, part: Delivery) -> None:
    """Remove the GRIB of a delivery that has become states, where it is this run's own."""
    usual, source = run.layout.delivery(part.name), cds_source(run)
    if source.cache is None and (path := delivered(run, part)).parent == usual.parent:
        path.unlink()
        shelf.record_of(path).unlink(missing_ok=True)


def _root(usual: Path) -> Path:
    """Folder of all deliveries, above "<dataset>/<product>/<month>"."""
    return usual.parents[2]


def _times(run: Run, dataset: str, month: str) -> np.ndarray:
    """Times of a dataset that lie in a month."""
    days = run.config.days(dataset, month)
    begin, end = (np.datetime64(f"{month}-{day:02d}", "ns") for day in (days[0], days[-1]))
    return np.arange(begin, end + np.timedelta64(1, "D"), run.step)


def cds_source(run: Run) -> Cds:
    """The section of the Climate Data Store. ValueError where the source is another."""
    source = run.config.source
    if not isinstance(source, Cds):
        raise ValueError(f"source.kind of {run.layout.root} is '{source.kind}': nothing is to be downloaded")
    return source
