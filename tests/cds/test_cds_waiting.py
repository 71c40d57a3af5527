"""Faults that pass, silence that is bounded, and full queues."""

import logging
import threading
import time

import pytest

from cds_orders import CALLS, HASTE, PRESSURE, SINGLE, assert_whole, fetch, refused
from cds_server import QUEUE
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
    assert len(server.jobs) == 2


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
