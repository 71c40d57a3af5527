"""Every fault of the Climate Data Store as `lara download-month` meets it: waited out, or refused in one line.

`cdsapi` alone reports most of these as success or leaves a wrong file under the right name. Here a delivery is whole
and has its receipt, or there is none; what remains of an unfinished one is called `.part` and `.jobs.json`.
"""

import json
import re

import numpy as np
import pytest

import worlds
from cds_orders import CALLS
from cds_server import COST, KEY, LICENCE, QUEUE
from era5_weather import produce
from gribs import USUAL, delivery
from lara import receipts
from lara.grid import Grid
from lara.stages.data import download as downloads
from lara.state import Channels

NAME = "validation/single-levels/2001-03"
TITLE = "reanalysis-era5-single-levels 2001-03"


def download(run):
    return worlds.lara(run.layout.root, f"download-month --delivery {NAME}")


@pytest.fixture
def run(small, values):
    values["source"]["patience"] |= {"answer": 5, "silence": 20}
    return small()


@pytest.fixture
def hasty(small, values):
    values["source"]["patience"] |= {"answer": 0.4, "silence": 0.5, "queue": 1.5}
    return small()


def messages(raw):
    """The messages of a delivery, edition 1."""
    parts = []
    while raw:
        length = int.from_bytes(raw[4:7])
        parts, raw = [*parts, raw[:length]], raw[length:]
    return parts


def delivering(change):
    """A store that consistently delivers something else: size and checksum are those of what it sends."""
    return lambda server: setattr(server, "produce", lambda *order: b"".join(change(order, messages(produce(*order)))))


def on_its_way(change, times=10**9):
    """A body changed after the store has said what it is, the first `times` times."""

    def arrange(server):
        left = iter(range(times))
        server.alter = lambda raw: raw if next(left, None) is None else change(raw)

    return arrange


def one_in_its_place(_, parts, grid, values=None):
    """The first field again, on another grid or with values of its own."""
    channels = Channels.of(["msl"], [], [])
    field = np.full((1, 1, *grid.shape), 1e5) if values is None else values
    first = delivery(channels, np.array(["2001-03-01T00:00"], "M8[m]"), field, grid, USUAL)
    return [*first, *parts[1:]]


POLES, FINER = Grid.equiangular(9, 16, poles=True), Grid.equiangular(17, 16, poles=True)
HOLE = np.full((1, 1, 9, 16), 1e5)
HOLE[..., 4, 5] = np.nan

DAMAGE = {
    "short object": lambda raw: raw[:-10],
    "flipped bytes": lambda raw: raw[:1000] + bytes([raw[1000] ^ 8]) + raw[1001:],
    "zeroed tail": lambda raw: raw[: len(raw) // 2].ljust(len(raw), b"\0"),
    "HTML page": lambda raw: b"<html>down for maintenance</html>".ljust(len(raw)),
}

PASSING = {
    "a long queue": lambda server: setattr(server, "states", (*["accepted"] * 9, "running", "successful")),
    "a full queue": lambda server: server.fault("submit", status=403, title="rejected", detail=QUEUE, times=2),
    "429 and 500 of every call": lambda server: [
        server.fault(call, status=status, times=1) for call in CALLS for status in (429, 500, 503)
    ],
    "a lost answer to the request": lambda server: server.fault("submit", drop="after", times=1),
    "a dropped body": lambda server: server.fault("download", cut=3000, times=2),
    "an expired result": lambda server: server.fault("download", status=404, times=1),
    **{f"{name} once": on_its_way(change, 1) for name, change in DAMAGE.items()},
}


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_passes_ends_in_the_whole_delivery(run, server, name):
    PASSING[name](server)
    assert download(run) == 0
    order, path = downloads.delivery(run, NAME).order, run.layout.delivery(NAME)
    assert path.read_bytes() == produce(order.dataset, dict(order.request))
    assert receipts.read(run.layout.delivery_receipt(NAME))["digest"] == receipts.digest(path)
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "2001-03.grib",
        "2001-03.grib.json",
        "2001-03.receipt.json",
    ]


def ended(state):
    return lambda server: (setattr(server, "states", ("accepted", state)), setattr(server, "reason", "Out of tape."))


STAYING = {
    "licence": (lambda server: server.fault("submit", **LICENCE), "accept the licences .*#manage-licences$"),
    "policies": (lambda server: server.fault("submit", status=403, title="site policies"), "site policies.*/datasets/"),
    "cost": (lambda server: server.fault("submit", **COST), "over the cost limit.*tab=download$"),
    "invalid": (lambda server: server.fault("submit", status=400, title="no such grid"), "invalid.*no such grid"),
    "bad key": (lambda server: setattr(server, "key", KEY[::-1]), "key is not accepted.*/profile$"),
    "failed": (ended("failed"), "failed .*Out of tape.*/requests"),
    "rejected": (ended("rejected"), "rejected .*Out of tape.*/requests"),
    "dismissed": (ended("dismissed"), "dismissed.*/requests"),
    "no end of the queue": (
        lambda server: setattr(server, "states", ("accepted",)),
        "not done after 1.5 s: .*accepted",
    ),
    "429 for ever": (lambda server: server.fault("poll", status=429), "no good answer for 0.5 s"),
    "500 for ever": (lambda server: server.fault("results", status=500), "no good answer for 0.5 s"),
    "hang": (lambda server: server.fault("poll", hang=True), "no good answer for 0.5 s"),
    "hanging body": (lambda server: server.fault("download", hang=True), "no good answer for 0.5 s"),
    "body that always drops": (
        lambda server: (setattr(server, "ranges", False), server.fault("download", cut=3000)),
        "breaks off at 3000 of|less than 65536 bytes in 0.5 s",
    ),
    "results that always expire": (lambda server: server.fault("download", status=404), "3 jobs, or their results"),
    **{name: (on_its_way(change), "damaged") for name, change in DAMAGE.items()},
    "missing field": (delivering(lambda _, parts: parts[1:]), "1 of 96 fields are missing, the first is"),
    "duplicated field": (delivering(lambda _, parts: [*parts, parts[0]]), "message 97 .* repeats message 1"),
    "NaN": (delivering(lambda *some: one_in_its_place(*some, POLES, HOLE)), "lacks 1 of its 144 values"),
    "wrong grid": (delivering(lambda *some: one_in_its_place(*some, FINER)), "lies on another grid"),
    "page as the file": (delivering(lambda *_: [b"<html>no</html>"]), "no GRIB message .*<html>"),
}


@pytest.mark.parametrize("name", STAYING)
def test_a_fault_that_stays_is_refused_in_one_line_with_nothing_false_on_disk(hasty, server, capsys, name):
    arrange, words = STAYING[name]
    arrange(server)
    assert download(hasty) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("lara ")]
    assert line.startswith(f"lara download-month: {TITLE}: ") and re.search(words, line), line
    folder = hasty.layout.delivery(NAME).parent
    left = [file.name for file in folder.iterdir()] if folder.exists() else []
    assert all(name.endswith((".part", ".jobs.json")) for name in left)


@pytest.mark.parametrize("key", [f"12345:{KEY}", ""], ids=["of the old store", "empty"])
def test_a_key_of_no_use_is_said_before_anything_is_asked(hasty, server, capsys, monkeypatch, key):
    monkeypatch.setenv("CDSAPI_KEY", key)
    assert download(hasty) == 2
    assert re.search(f"{TITLE}: .*(UID:KEY|no key .*an empty one)", capsys.readouterr().err)
    assert not server.calls and not hasty.layout.delivery(NAME).parent.exists()


def test_names_that_the_store_gives_lead_nowhere(run, server, tmp_path):
    """The name of a result is said in three places; none of them becomes a path."""
    server.asset = {"file:local_path": str(tmp_path / "escaped.grib"), "type": "../../escaped"}
    before, path = {path for path in tmp_path.rglob("*") if path.is_file()}, run.layout.delivery(NAME)
    assert download(run) == 0
    made = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert made == {path, path.with_name("2001-03.grib.json"), run.layout.delivery_receipt(NAME)}
    assert "escaped" not in json.dumps(receipts.read(run.layout.delivery_receipt(NAME)))
