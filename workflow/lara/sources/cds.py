"""ERA5 from the Climate Data Store: one request per month and dataset, delivered whole or not at all.

Hersbach et al. (2020), doi:10.1002/qj.3803; datasets doi:10.24381/cds.bd0915c6 and doi:10.24381/cds.adbb2d47.

A request costs the number of its fields, and the store tells cost and limit; one over the limit is cut by days, and
the GRIB of the pieces joined. `grid` travels as a string, for a list would count twice. A file grows as
`<target>.part` beside `<target>.jobs.json`, which holds the job ids, and gets its name when size, checksum and the
caller's check are satisfied; a process killed on the way goes on where it was. The names the store gives to files are
never used.
"""

import calendar
import logging
import math
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lara import receipts
from lara.sources.cds_connection import CdsError, Connection, GoneError, LastingError, Patience
from lara.sources.cds_jobs import Piece, Record, obtain
from lara.sources.cds_transfer import DamagedError, Progress
from lara.sources.unzip import unzipped
from lara.variables import VARIABLES

__all__ = [
    "CdsError",
    "Cost",
    "LastingError",
    "Order",
    "Patience",
    "Selection",
    "cost",
    "fetch",
    "fewest_requests",
    "orders",
]

PRESSURE_LEVELS = "reanalysis-era5-pressure-levels"
SINGLE_LEVELS = "reanalysis-era5-single-levels"

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Selection:
    """What to ask for: our `variables`, `levels` in hPa, `hours` UTC, `grid` spacing in degrees ("1.40625/1.40625")."""

    variables: Sequence[str]
    levels: Sequence[int]
    hours: Sequence[int]
    grid: str

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.variables) - set(VARIABLES)):
            raise ValueError(f"variables {unknown} are unknown; known are {', '.join(VARIABLES)}")
        if not self.variables or not self.hours or not set(self.hours) <= set(range(24)):
            raise ValueError(
                f"variables {list(self.variables)}, hours {list(self.hours)}: name some, hours from 0 to 23"
            )
        if any(VARIABLES[name].upper_air for name in self.variables) != bool(self.levels):
            raise ValueError(f"levels {list(self.levels)} do not go with variables {list(self.variables)}")
        parts = self.grid.split("/") if isinstance(self.grid, str) else []
        if len(parts) != 2 or not all(part.replace(".", "", 1).isdecimal() and float(part) > 0 for part in parts):
            raise ValueError(f'grid {self.grid!r} must be a string of two spacings in degrees, "1.40625/1.40625"')


@dataclass(frozen=True)
class Order:
    """One request: a `dataset` of the store, a `month` (datetime64[M]) and the `request` as the store wants it."""

    dataset: str
    month: np.datetime64
    request: Mapping[str, Any]

    @property
    def title(self) -> str:
        """Dataset and month, which begin every message."""
        return f"{self.dataset} {self.month}"

    @property
    def fields(self) -> int:
        """GRIB messages asked for."""
        return math.prod(len(value) for value in self.request.values() if isinstance(value, list))


@dataclass(frozen=True)
class Cost:
    """Cost of an order, the `limit` of one request, and the number of `requests` it takes."""

    cost: float
    limit: float
    requests: int


def orders(selection: Selection, month: np.datetime64, days: Iterable[int] = ()) -> list[Order]:
    """Orders of a month (its `days`, or all): pressure levels and single levels, where variables are on them."""
    month = month.astype("M8[M]")
    year, number = (int(part) for part in str(month).split("-"))
    days = list(days) or list(range(1, calendar.monthrange(year, number)[1] + 1))
    common = {
        "product_type": ["reanalysis"],
        "year": [f"{year:04d}"],
        "month": [f"{number:02d}"],
        "day": [f"{day:02d}" for day in days],
        "time": [f"{hour:02d}:00" for hour in selection.hours],
        "grid": selection.grid,
        "data_format": "grib",
        "download_format": "unarchived",
    }
    upper = {"pressure_level": [str(level) for level in selection.levels]}
    names = {
        kind: [VARIABLES[name].archive_name for name in selection.variables if VARIABLES[name].upper_air == kind]
        for kind in (True, False)
    }
    asked = [
        Order(PRESSURE_LEVELS, month, {**common, "variable": names[True], **upper}),
        Order(SINGLE_LEVELS, month, {**common, "variable": names[False]}),
    ]
    return [order for order in asked if order.request["variable"]]


def cost(order: Order, patience: Patience) -> Cost:
    """What the store says an order costs. Raises CdsError."""
    connection = Connection.open(order.dataset, order.title, patience)
    price, limit = _price(connection, order.request)
    return Cost(price, limit, len(_split(connection, order)))


def fewest_requests(order: Order, limit: float) -> int:
    """Requests of whole days that an order takes where one may hold `limit` fields; asks nobody.

    Raises ValueError where a day is over the limit.
    """
    days = len(order.request["day"])
    daily = order.fields // days
    if daily > limit:
        raise ValueError(f"{order.title}: a day has {daily} fields, over the limit of {limit:g}: ask for fewer")
    return math.ceil(days / (limit // daily)) if math.isfinite(limit) else 1


def fetch(
    order: Order, target: Path, check: Callable[[Path], None], patience: Patience, progress: Progress | None = None
) -> None:
    """Leave the GRIB of an order at `target`, whole and checked; what is there before stays until then.

    `check` raises ValueError for a file that is not what was asked for, LastingError where another delivery would be no
    better: that one is kept until the next call, whose `check` may take it. `progress` receives bytes done, of how
    many, and a note (before the download 0 of 1, with the job's status). Raises CdsError.
    """
    record = Record.open(target, {"dataset": order.dataset, **order.request})
    if record.refused and _stands(record, check):
        _name(record)
        return
    connection = Connection.open(order.dataset, order.title, patience)
    target.parent.mkdir(parents=True, exist_ok=True)
    if not record.pieces:
        record.pieces = [Piece(request) for request in _split(connection, order)]
        record.save()
    try:
        with receipts.naming(record.whole):
            _deliver(connection, record, check, progress or _unseen)
    except LastingError as error:
        record.refused = True
        record.save()
        connection.refuse(str(error), "/datasets/{dataset}?tab=overview")
    except ValueError as error:
        record.remove()
        kind = "damaged" if isinstance(error, DamagedError) else "not what was asked for"
        connection.refuse(f"the delivered file is {kind} ({error})")


def _unseen(done: int, total: int, note: str = "") -> None:
    """Progress that nobody follows."""


def _stands(record: Record, check: Callable[[Path], None]) -> bool:
    """Whether what came and was refused is right by now; if not, all is asked for anew."""
    try:
        check(record.whole)
    except (OSError, ValueError):
        record.remove()
        record.pieces, record.refused = [], False
        return False
    return True


def _deliver(connection: Connection, record: Record, check: Callable[[Path], None], progress: Progress) -> None:
    """Make the target whole; once more by new jobs where the file is whole and wrong. Raises ValueError."""
    try:
        _complete(connection, record, check, progress)
    except LastingError:
        raise
    except ValueError as error:
        if isinstance(error, DamagedError) or connection.patience.deliveries == 1:
            raise
        _LOG.warning("%s: delivered file refused: %s", connection.title, connection.clean(error))
        record.renew()
        _complete(connection, record, check, progress)
    _name(record)


def _complete(connection: Connection, record: Record, check: Callable[[Path], None], progress: Progress) -> None:
    """Obtain all pieces, join and check them. Raises ValueError for a file that is not right."""
    for piece in record.pieces:
        obtain(connection, record, piece, progress)
    if len(record.pieces) > 1:
        _join([record.file(piece) for piece in record.pieces], record.whole)
    check(record.whole)


def _name(record: Record) -> None:
    """Give a proven file its name, in place of what had it."""
    receipts.sync(record.whole)
    record.whole.replace(record.target)
    receipts.sync(record.target.parent)
    record.remove()


def _join(files: Sequence[Path], whole: Path) -> None:
    """Write the messages of `files` one after another, zipped or not; GRIB has no header of its own."""
    with whole.open("wb") as out:
        for file in (part for piece in files for part in unzipped(piece)):
            with file.open("rb") as content:
                shutil.copyfileobj(content, out, 1 << 20)


def _split(connection: Connection, order: Order) -> list[dict[str, Any]]:
    """Requests of consecutive days, as few as the limit allows. Raises CdsError where one day is over it."""
    days = list(order.request["day"])
    count = 1
    while True:
        pieces = [{**order.request, "day": list(some)} for some in np.array_split(np.array(days), count)]
        pieces = [{**piece, "day": [str(day) for day in piece["day"]]} for piece in pieces]
        price, limit = _price(connection, pieces[0])  # the first is the longest
        if price <= limit:
            return pieces
        if count == len(days):
            connection.refuse(
                f"one day costs {price:g}, over the limit of {limit:g}: ask for fewer variables or levels",
                "/datasets/{dataset}?tab=download",
            )
        count = min(len(days), max(count + 1, math.ceil(count * price / limit)))


def _price(connection: Connection, request: Mapping[str, Any]) -> tuple[float, float]:
    """Cost and limit of a request; no limit where the store names none."""
    client = connection.client.client
    try:
        answer = connection.call("cost", lambda: client.estimate_costs(connection.dataset, dict(request)))
    except GoneError as error:
        return connection.refuse_dataset(error)
    price, limit = float(answer.get("cost") or 0), float(answer.get("limit") or 0)
    return price, limit if limit > 0 else math.inf
