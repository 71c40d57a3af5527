"""Faults that pass, silence that is bounded, and full queues."""

import logging
import threading
import time

import pytest

from cds_orders import CALLS, HASTE, PATIENCE, PRESSURE, SINGLE, assert_whole, fetch, refused
from cds_server import QUEUE
from lara.sources import cds_connection
from lara.sources.cds import CdsError, Patience


@pytest.mark.parametrize("order", [PRESSURE, SINGLE], ids=["pressure", "single"])
def test_a_month_arrives_whole_and_the_object_store_never_sees_the_key(server, target, order):
    fetch(target, order)
    assert_whole(target, order)
    assert (server.count("submit"), server.count("download")) == (1, 1)
    assert server.keys == [None]


def test_progress_tells_the_queue_and_the_bytes(server, target, caplog):
    server.states, reports = ("accepted", "accepted", "accepted", "running", "successful"), []
    with caplog.at_level(logging.INFO):
        fetch(target, progress=lambda *report: reports.append(report))
    size = target.stat().st_size
    assert reports[0] == (0, 1, ", job job-1 is accepted (INFO: accepted, 3 requests ahead)")
    assert reports[-1][:2] == (size, size) and "MB" in reports[-1][2]
    for words in ("job-1 is accepted", "job-1 is running", f"{size} bytes"):
        assert caplog.text.count(words) == 1


@pytest.mark.parametrize("fault", [{"status": 429}, {"status": 500}, {"status": 503}, {"drop": "before"}], ids=str)
@pytest.mark.parametrize("call", CALLS)
def test_a_passing_fault_of_any_call_is_waited_out_with_one_job(server, target, call, fault):
    if call == "download" and "drop" in fault:
        fault = {"cut": 1}
    server.fault(call, times=2, **fault)
    fetch(target)
    assert_whole(target)
    assert len(server.jobs) == 1


@pytest.mark.parametrize("fault", [{"status": 500}, {"hang": True}], ids=["500", "hang"])
def test_the_messages_of_the_day_may_be_out_of_order(server, target, fault):
    server.fault("messages", **fault)
    fetch(target, patience=Patience(answer=0.3, silence=3, first=0.01, longest=0.05))
    assert_whole(target)


def test_a_pause_that_the_store_asks_for_is_kept(server, target):
    server.fault("poll", status=429, retry_after="1", times=1)
    begin = time.monotonic()
    fetch(target)
    assert time.monotonic() - begin >= 1


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", [{"status": 500}, {"hang": True}], ids=["500", "hang"])
def test_a_fault_for_ever_is_given_up_in_the_time_set_and_the_job_is_kept(server, target, call, fault):
    """The limit is `silence` and one `answer`, 0.7 s here, with a wide margin for a busy machine."""
    server.states = ("successful",)
    server.fault(call, **fault)
    begin = time.monotonic()
    with pytest.raises(CdsError, match=r"no good answer for 0\.4 s"):
        fetch(target, patience=HASTE)
    assert time.monotonic() - begin < 8
    assert not target.exists()
    server.faults.clear()
    fetch(target)
    assert_whole(target)
    assert len(server.jobs) == 1


def test_a_drip_is_as_good_as_silence(server, target):
    """A byte now and then keeps every socket alive, so only the rate tells."""
    server.slow = 0.25
    with pytest.raises(CdsError, match="less than 65536 bytes"):
        fetch(target, patience=Patience(answer=5, silence=0.3, first=0.01, longest=0.05))
    assert not target.exists()


def test_nobody_there_is_said_within_the_time_set(server, target, monkeypatch):
    monkeypatch.setenv("CDSAPI_URL", "http://127.0.0.1:9/api")
    assert "status.ecmwf.int" in refused(target, patience=HASTE)


@pytest.mark.parametrize("state", ["failed", "rejected", "dismissed", "deleted"])
def test_a_job_that_fails_is_refused_with_its_reason_and_the_next_run_asks_anew(server, target, state):
    server.states, server.reason = ("accepted", state), "Out of tape."
    text = refused(target)
    assert state in text and text.endswith("/requests?tab=all")
    assert state in ("dismissed", "deleted") or "Out of tape." in text
    server.states = ("successful",)
    fetch(target)
    assert_whole(target)
    assert len(server.jobs) == PATIENCE.jobs + 1


@pytest.mark.parametrize("state", ["failed", "rejected", "dismissed", "deleted"])
def test_a_job_that_fails_once_is_asked_for_again(server, target, state):
    """Somebody dismissed it on the page of his requests, or the archive was out of order for a while."""
    server.reason = "Out of tape."
    server.states = ("accepted", state)
    threading.Thread(target=succeed_after, args=(server, 1), daemon=True).start()
    fetch(target)
    assert_whole(target)
    assert len(server.jobs) == 2


def succeed_after(server, count):
    """Let jobs succeed after so many were asked for."""
    while len(server.jobs) < count:
        time.sleep(0.001)
    server.states = ("successful",)


def test_refusals_for_ever_end_in_a_line_that_says_why(server, target):
    """Each job is accepted first and rejected later, so that at the end one is always just accepted."""
    server.states, server.reason = ("accepted", "accepted", "accepted", "rejected"), QUEUE
    for _ in range(3):
        assert "temporarily limited" in refused(target, patience=HASTE)


REQUEST = str([{"class": ["ea"], "levelist": [str(n) for n in range(200)], "area": [90, 0, -90, 360], "x": {"y": [1]}}])
CAUSE = "mars - ERROR - 20 - No space left for the request on this tape"


@pytest.mark.parametrize(
    "reason",
    [
        f"MARS returned an error. Request submitted: {REQUEST} Full error message: {CAUSE}",
        f"{CAUSE}. The request was {REQUEST}",
        f"Traceback (most recent call last):\n {'  File adaptor.py, line 1, in retrieve' * 40}\nRuntimeError: {CAUSE}",
    ],
    ids=["behind the request", "before it", "at the end of a traceback"],
)
def test_the_cause_of_a_failed_job_is_told_however_long_the_text_around_it(server, target, reason):
    server.states, server.reason = ("failed",), reason
    text = refused(target)
    assert CAUSE in text and len(text) < 800


@pytest.mark.parametrize("form", ["{host}", "{host}/", "{host}/api/", "{host}//api", " {host}/api "])
def test_the_address_of_the_store_may_be_written_in_any_usual_way(server, target, monkeypatch, form):
    monkeypatch.setenv("CDSAPI_URL", form.format(host=server.url.removesuffix("/api")))
    fetch(target)
    assert_whole(target)


def test_an_address_that_is_none_of_the_stores_is_named(server, target, monkeypatch):
    monkeypatch.setenv("CDSAPI_URL", server.url.removesuffix("/api") + "/how-to-api")
    text = refused(target)
    assert "/how-to-api, whose address should be https://cds.climate.copernicus.eu/api" in text


@pytest.mark.parametrize("where", ["host", "port", "proxy"])
def test_who_is_never_met_is_given_up_soon_and_named(server, target, monkeypatch, where):
    """At defaults after one minute, not after the thirty that a store may be silent for once it has answered."""
    address = {"host": "http://cds.invalid/api", "port": "http://127.0.0.1:9/api", "proxy": "http://cds.invalid/api"}
    monkeypatch.setenv("CDSAPI_URL", address[where])
    if where == "proxy":
        monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:9")
    patience = Patience(answer=0.5, silence=1000, first=0.01, longest=0.1)
    begin = time.monotonic()
    text = refused(target, patience=patience)
    assert time.monotonic() - begin < 60
    assert f"{address[where]} cannot be reached" in text and "status.ecmwf.int" in text
    assert ("through the proxy 127.0.0.1:9" in text) == (where == "proxy") and "secret" not in text


def test_who_was_met_may_be_away_for_longer(server, target, monkeypatch):
    """The network goes for a while after the first answer; the limit is `silence` then."""
    away, call = iter([True] * 20), cds_connection.requests.Session.send

    def send(self, request, **more):
        if "/jobs/" in request.url and next(away, False):
            raise cds_connection.requests.ConnectTimeout("no route")
        return call(self, request, **more)

    monkeypatch.setattr(cds_connection.requests.Session, "send", send)
    fetch(target, patience=Patience(answer=0.2, silence=60, first=0.05, longest=0.05))
    assert_whole(target)


@pytest.mark.parametrize("state", ["failed", "rejected"])
def test_a_full_queue_is_waited_out(server, target, state):
    server.states, server.reason = (state,), QUEUE
    threading.Timer(0.3, setattr, (server, "states", ("successful",))).start()
    fetch(target)
    assert_whole(target)


def test_a_full_queue_at_the_request_is_waited_out_and_bounded(server, target):
    server.fault("submit", status=403, title="rejected", detail=QUEUE, times=3)
    fetch(target)
    assert_whole(target)
    server.fault("submit", status=403, title="rejected", detail=QUEUE)
    target.unlink()
    assert "not done after 1 s" in refused(target, patience=HASTE)


def test_a_job_that_never_starts_is_bounded_and_taken_up_again(server, target):
    server.states = ("accepted",)
    assert "not done after 1 s: job job-1 is accepted" in refused(target, patience=HASTE)
    server.jobs["job-1"].states = ["successful"]
    fetch(target)
    assert_whole(target)
    assert server.count("submit") == 1


def test_two_months_side_by_side_share_a_queue_for_one(server, tmp_path):
    """Whichever comes second is turned away until the first is done."""
    server.queue = 1
    wanted = {tmp_path / "a" / "p.grib": PRESSURE, tmp_path / "b" / "s.grib": SINGLE}
    threads = [threading.Thread(target=fetch, args=item) for item in wanted.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for target, order in wanted.items():
        assert_whole(target, order)
