"""What is asked of the Climate Data Store, what it costs, and which refusals stop at once."""

import logging

import numpy as np
import pytest

from cds_orders import HASTE, MONTH, PATIENCE, PRESSURE, SELECTION, SINGLE, assert_whole, fetch, refused
from cds_server import COST, KEY, LICENCE
from lara.sources import cds, cds_connection
from lara.sources.cds import CdsError, Patience


def test_a_month_is_one_request_per_dataset_in_the_words_of_the_store():
    """The grid is a string (a list would double the cost), days are those of the month, names those of the store."""
    assert [order.dataset for order in (PRESSURE, SINGLE)] == [
        "reanalysis-era5-pressure-levels",
        "reanalysis-era5-single-levels",
    ]
    assert PRESSURE.request == {
        "product_type": ["reanalysis"],
        "variable": ["temperature", "specific_humidity"],
        "pressure_level": ["500", "850"],
        "year": ["2001"],
        "month": ["02"],
        "day": [f"{day:02d}" for day in range(1, 29)],
        "time": ["00:00", "06:00", "12:00", "18:00"],
        "grid": "1.40625/1.40625",
        "data_format": "grib",
        "download_format": "unarchived",
    }
    assert (PRESSURE.fields, SINGLE.fields) == (28 * 4 * 2 * 2, 28 * 4)
    assert len(cds.orders(SELECTION, np.datetime64("2000-02"))[0].request["day"]) == 29
    assert cds.orders(SELECTION, MONTH, days=[3])[1].request["day"] == ["03"]
    assert cds.orders(cds.Selection(["msl"], [], [0], "1/1"), MONTH)[0].fields == 28


@pytest.mark.parametrize(
    "wrong",
    [(["x"], [], [0], "1/1"), (["t"], [], [0], "1/1"), (["t2m"], [500], [0], "1/1"), (["t2m"], [], [24], "1/1")]
    + [(["t2m"], [], [0], grid) for grid in ("1.0", [1, 1], "0/0", "a/b")],
)
def test_what_the_store_would_misunderstand_is_refused_before_it_is_asked(wrong):
    with pytest.raises(ValueError, match=r"variables|levels|hours|grid"):
        cds.Selection(*wrong)


def test_impossible_patience_is_refused():
    for wrong in ({"answer": 0}, {"first": 2, "longest": 1}, {"jobs": 0}, {"deliveries": 0}):
        with pytest.raises(ValueError, match="must be"):
            Patience(**wrong)


@pytest.mark.parametrize(
    ("fault", "reason", "page"),
    [
        (LICENCE, "accept the licences", "/datasets/reanalysis-era5-single-levels?tab=download#manage-licences"),
        ({"status": 403, "title": "site policies"}, "site policies", "?tab=download"),
        (COST, "over the cost limit", "?tab=download"),
        ({"status": 400, "title": "invalid request", "detail": "a\nb"}, "invalid.*a b", "?tab=download"),
        ({"status": 422, "title": "no such grid"}, "no such grid", "?tab=download"),
        ({"status": 404, "title": "process not found"}, "dataset is unknown", "/datasets"),
        ({"status": 418, "title": "a teapot"}, "418: a teapot", "?tab=download"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_refusal_stops_at_once_with_the_reason_and_the_page(server, target, fault, reason, page):
    server.fault("submit", **fault)
    with pytest.raises(CdsError, match=reason) as error:
        fetch(target)
    text = str(error.value)
    assert text.startswith("reanalysis-era5-single-levels 2001-02: ") and text.endswith(page) and "\n" not in text
    assert server.count("submit") == 1 and not target.exists()


def test_once_the_licence_is_accepted_the_same_request_is_made(server, target):
    server.fault("submit", **LICENCE, times=1)
    refused(target)
    fetch(target)
    assert_whole(target)


def test_a_key_that_is_not_accepted_is_said(server, target, monkeypatch):
    monkeypatch.setenv("CDSAPI_KEY", KEY[::-1])
    with pytest.raises(CdsError, match=r"key is not accepted.*/profile$") as error:
        fetch(target)
    assert KEY[::-1] not in str(error.value)


def test_a_key_of_the_old_store_is_recognised(server, target, monkeypatch):
    monkeypatch.setenv("CDSAPI_KEY", f"12345:{KEY}")
    assert "old form UID:KEY" in refused(target)
    monkeypatch.setenv("CDSAPI_KEY", KEY)
    monkeypatch.setenv("CDSAPI_URL", "https://cds.climate.copernicus.eu/api/v2")
    assert "/v2" in refused(target)


def test_no_key_is_said(server, target, monkeypatch):
    monkeypatch.delenv("CDSAPI_KEY")
    assert "no key" in refused(target) and not server.calls


def test_the_key_is_found_in_cdsapirc(server, target, monkeypatch, tmp_path):
    (tmp_path / "rc").write_text(f"url: {server.url}\nkey: {KEY}\n")
    monkeypatch.setenv("CDSAPI_RC", str(tmp_path / "rc"))
    monkeypatch.delenv("CDSAPI_KEY")
    monkeypatch.delenv("CDSAPI_URL")
    fetch(target)
    assert_whole(target)


def test_a_request_over_the_limit_is_cut_by_days_and_joined(server, target):
    server.limit = PRESSURE.fields / 2.5
    assert cds.cost(PRESSURE, PATIENCE) == cds.Cost(PRESSURE.fields, server.limit, 3)
    fetch(target, PRESSURE)
    assert_whole(target, PRESSURE)
    assert [len(job.request["day"]) for job in server.jobs.values()] == [10, 9, 9]


def test_pieces_that_are_there_are_not_asked_for_again(server, target):
    """The store goes out of order when the first of two pieces has come."""
    server.limit = PRESSURE.fields / 1.5
    server.states = ("successful",)
    server.fault("submit", status=500, skip=1)
    with pytest.raises(CdsError, match="no good answer"):
        fetch(target, PRESSURE, patience=HASTE)
    server.faults.clear()
    fetch(target, PRESSURE)
    assert_whole(target, PRESSURE)
    assert (server.count("download"), len(server.jobs)) == (2, 2)


def test_a_day_over_the_limit_is_refused(server, target):
    server.limit = 3
    assert "one day costs 4, over the limit of 3" in refused(target)
    assert not server.jobs


def test_a_store_without_a_limit_gets_one_request(server):
    assert cds.cost(SINGLE, PATIENCE) == cds.Cost(SINGLE.fields, 1e9, 1)


def test_names_that_the_store_gives_are_never_paths(server, target, tmp_path):
    server.asset = {"href": "/object/../../etc/passwd", "file:local_path": "../../escaped.grib"}
    with pytest.raises(CdsError):
        fetch(target)
    server.asset = {"file:local_path": str(tmp_path / "escaped.grib"), "type": "../../x"}
    fetch(target)
    assert_whole(target)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["2001-02.grib", "era5"]


@pytest.mark.parametrize("href", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://"])
def test_a_result_elsewhere_than_on_the_web_is_refused(server, target, href):
    server.asset = {"href": href}
    refused(target)


def test_the_key_is_in_no_message_log_or_file(server, target, caplog):
    """Not even when the store repeats it."""
    server.fault("poll", status=500, title=f"bad {KEY}", times=2)
    server.fault("results", status=400, title=f"refused for {KEY}", times=1)
    kept = []
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(CdsError) as error:
            fetch(target, progress=lambda *_: kept.extend(path.read_bytes() for path in target.parent.iterdir()))
        kept += [path.read_bytes() for path in target.parent.iterdir()]
        fetch(target)
    assert KEY not in caplog.text and KEY not in str(error.value) and "***" in str(error.value)
    assert len(kept) > 1 and not any(KEY.encode() in raw for raw in kept)
    assert KEY not in repr(cds_connection.Connection.open("d", "d 2001-02", PATIENCE))
