"""ERA5 orders for tests against the loopback store, deliveries of text, and what a fetch must leave.

A delivered file is a message per field between "GRIB" and "7777", so that a check can be as strict as the one of real
GRIB. Times are shortened; nothing else of the client is.
"""

import itertools

import numpy as np
import pytest

from cds_server import KEY
from lara.sources import cds
from lara.sources.cds import CdsError, Patience

SELECTION = cds.Selection(["t2m", "t", "q"], [500, 850], [0, 6, 12, 18], "1.40625/1.40625")


MONTH = np.datetime64("2001-02")


PRESSURE, SINGLE = cds.orders(SELECTION, MONTH)


PATIENCE = Patience(answer=2, silence=3, first=0.01, longest=0.05, queue=20)


HASTE = Patience(answer=0.3, silence=0.4, first=0.01, longest=0.05, queue=1)


CALLS = ["process", "costing", "submit", "poll", "results", "download"]


def fields(dataset, request):
    """One line per field that a request asks for, day by day."""
    lists = [request[name] for name in ("year", "month", "day", "time", "variable")]
    levels = request.get("pressure_level", ["surface"])
    return [" ".join((dataset, request["grid"], *key)) for key in itertools.product(*lists, levels)]


def messages(lines):
    return b"".join(f"GRIB {line}: 1.5 7777".encode() for line in lines)


def produce(dataset, request):
    return messages(fields(dataset, request))


def complete(order):
    """A check that the file holds every field of `order` once, on its grid, with numbers."""
    return exactly(fields(order.dataset, order.request))


def exactly(wanted):
    def check(path):
        parts = path.read_bytes().split(b"7777")
        if parts[-1] or any(not part.startswith(b"GRIB ") for part in parts[:-1]):
            raise ValueError(f"{path.name} is not GRIB")
        found = [part.removeprefix(b"GRIB ").decode().rsplit(": ", 1) for part in parts[:-1]]
        if sorted(name for name, _ in found) != sorted(wanted) or any("nan" in value for _, value in found):
            raise ValueError(f"{path.name} does not hold the fields asked for")

    return check


def fetch(target, order=SINGLE, patience=PATIENCE, check=None, progress=None):
    cds.fetch(order, target, check or complete(order), patience, progress)


def assert_whole(target, order=SINGLE):
    """The target is the truth, and alone in its folder."""
    assert target.read_bytes() == produce(order.dataset, order.request)
    assert list(target.parent.iterdir()) == [target]


def refused(target, order=SINGLE, **more):
    """The one line of a refusal that leaves no target and nothing half done."""
    with pytest.raises(CdsError) as error:
        fetch(target, order, **more)
    text = str(error.value)
    assert text.startswith(f"{order.dataset} 2001-02: ") and "\n" not in text and KEY not in text
    assert not target.exists()
    return text
