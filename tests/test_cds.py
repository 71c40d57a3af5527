"""ERA5 requests end whole or refused, whatever the store does; against a store on this machine, through `cdsapi`.

A delivered file here is text, a message per field between "GRIB" and "7777", so that a check can be as strict as the
one of real GRIB. Times are shortened; nothing else of the client is.
"""

import hashlib
import itertools
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from cds_server import COST, KEY, LICENCE, QUEUE, CdsServer
from lara.sources import cds, cds_connection, cds_transfer
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


@pytest.fixture
def server(monkeypatch, tmp_path):
    with CdsServer(produce) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("CDSAPI_RC", str(tmp_path / "no.cdsapirc"))
        yield server


@pytest.fixture
def target(tmp_path):
    return tmp_path / "era5" / "2001-02.grib"


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


@pytest.mark.parametrize("ranges", [True, False], ids=["resumed", "restarted"])
def test_a_body_that_drops_once_is_completed(server, target, ranges):
    server.ranges = ranges
    server.fault("download", cut=2000, times=1)
    fetch(target)
    assert_whole(target)
    assert server.count("download") == 2


def test_a_body_that_always_drops_is_given_up_and_never_named(server, target):
    server.ranges = False
    server.fault("download", cut=2000)
    assert "breaks off at 2000 of 11200 bytes, 10 times" in refused(target)


def test_a_body_that_drops_every_time_but_gets_further_is_completed(server, target):
    server.fault("download", cut=800, times=12)
    fetch(target)
    assert_whole(target)
    assert server.count("download") == 13


def flipped(raw):
    return raw[:1000] + bytes([raw[1000] ^ 1]) + raw[1001:]


DAMAGE = {
    "short": lambda raw: raw[:-10],
    "long": lambda raw: raw + b"7777",
    "flipped": flipped,
    "zeroed": lambda raw: raw[:2000] + bytes(len(raw) - 2000),
    "html": lambda raw: b"<html>maintenance</html>".ljust(len(raw)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_file_damaged_on_its_way_is_fetched_again(server, target, damage):
    """Once by a fault of the transport: the second delivery is good."""
    seen = itertools.count()
    server.alter = lambda raw: DAMAGE[damage](raw) if next(seen) == 0 else raw
    fetch(target)
    assert_whole(target)
    assert len(server.jobs) == 1


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_file_that_stays_damaged_is_refused_and_nothing_is_left(server, target, damage):
    server.alter = DAMAGE[damage]
    assert "damaged" in refused(target)
    assert server.count("download") == 2 and not list(target.parent.iterdir())


def test_a_checksum_of_another_kind_can_be_passed_over(server, target):
    """Should the store change it: size and check still stand."""
    server.asset = {"file:checksum": "0123456789abcdef"}
    assert "checksum: false" in refused(target)
    fetch(target, patience=Patience(answer=2, silence=3, first=0.01, longest=0.05, checksum=False))
    assert_whole(target)


def altered(change):
    def produce_wrong(dataset, request):
        return change(fields(dataset, request))

    return produce_wrong


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: messages(lines[1:]),
        lambda lines: messages(lines + lines[:1]),
        lambda lines: messages(lines).replace(b"1.5", b"nan", 1),
        lambda lines: messages([line.replace("1.40625", "1.406") for line in lines]),
        lambda lines: b"<html>maintenance</html>",
        lambda lines: messages(lines) + bytes(100),
    ],
    ids=["missing", "duplicated", "NaN", "grid", "html", "zeros"],
)
def test_a_file_of_right_size_and_checksum_with_wrong_content_is_refused(server, target, change):
    """The store is consistent with itself; only the check of the messages can tell."""
    server.produce = altered(change)
    assert "not what was asked for" in refused(target)
    assert not list(target.parent.iterdir())


def test_an_empty_file_or_an_answer_without_one_is_refused(server, target):
    server.asset = {"file:size": 0}
    assert "empty" in refused(target)
    server.without = ("file:size",)
    assert "not understood (KeyError('file:size'))" in refused(target)


@pytest.mark.parametrize("call", ["results", "download"])
@pytest.mark.parametrize("status", [404, 410])
def test_an_expired_result_is_asked_for_anew(server, target, call, status):
    server.fault(call, status=status, times=1)
    fetch(target)
    assert_whole(target)
    assert len(server.jobs) == 2


def test_results_that_always_expire_are_given_up_after_three_jobs(server, target):
    server.fault("download", status=404)
    assert "3 jobs, or their results, got lost" in refused(target)
    assert len(server.jobs) == 3


def test_an_expired_result_takes_with_it_what_was_downloaded_of_it(server, target, monkeypatch):
    """Files of two jobs are not the same bytes; a mixture would have to be fetched a fourth time."""
    content = {"job-1": produce(SINGLE.dataset, SINGLE.request).replace(b"1.5", b"2.5")}
    monkeypatch.setattr(CdsServer, "data", lambda _, job: content.get(job.name, produce(job.dataset, job.request)))
    server.fault("download", cut=2000, times=1)
    server.fault("download", status=404, times=1)
    fetch(target)
    assert_whole(target)
    assert (server.count("download"), len(server.jobs)) == (3, 2)


def test_a_job_whose_result_expired_is_not_taken_for_a_lost_one(server, target):
    server.fault("download", status=404, times=1)
    server.fault("submit", drop="before", skip=1, times=1)
    fetch(target)
    assert_whole(target)
    assert len(server.jobs) == 2


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


def test_checksums_of_files_uploaded_in_parts_are_understood(tmp_path):
    """ETag of a multipart upload: MD5 of the parts' MD5s, written as a number without leading zeros."""
    file, part = tmp_path / "file", 5 << 20
    raw = np.random.default_rng(0).bytes(part + 1000)
    file.write_bytes(raw)
    parts = b"".join(hashlib.md5(some).digest() for some in (raw[:part], raw[part:]))
    etag = f"{int(hashlib.md5(parts).hexdigest(), 16):x}"
    assert cds_transfer.agrees(file, etag)
    assert cds_transfer.agrees(file, hashlib.md5(raw).hexdigest())
    assert not cds_transfer.agrees(file, hashlib.md5(raw[1:]).hexdigest())
    assert cds_transfer.agrees(file, "") and cds_transfer.agrees(file, "0" * 40)
    file.write_bytes(flipped(raw))
    assert not cds_transfer.agrees(file, etag)


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


def test_what_is_there_of_another_request_is_not_used(server, target):
    """The grid was changed between two runs."""
    server.fault("download", cut=2000)
    server.ranges = False
    with pytest.raises(CdsError):
        fetch(target, patience=HASTE)
    server.faults.clear()
    other = cds.orders(cds.Selection(["t2m"], [], [0, 6, 12, 18], "5.625/5.625"), MONTH)[0]
    fetch(target, other)
    assert_whole(target, other)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"identity": "x"}', b'{"identity": "x", "pieces": [1]}'])
def test_a_broken_record_is_as_good_as_none(server, target, content):
    target.parent.mkdir(parents=True)
    (target.parent / "2001-02.grib.jobs.json").write_bytes(content)
    fetch(target)
    assert_whole(target)


RUN = """
import sys
from pathlib import Path
import numpy as np
from lara.sources import cds
selection = cds.Selection(["t2m", "t", "q"], [500, 850], [0, 6, 12, 18], "1.40625/1.40625")
patience = cds.Patience(answer=60, silence=60, first=0.01, longest=0.05, queue=60)
cds.fetch(cds.orders(selection, np.datetime64("2001-02"))[1], Path(sys.argv[1]), lambda path: None, patience)
"""


def killed_when(target, reached):
    """Run a fetch in a process of its own and kill it, -9, once `reached()`."""
    with subprocess.Popen([sys.executable, "-c", RUN, target], env=os.environ) as process:
        end = time.monotonic() + 30
        while not reached():
            assert process.poll() is None and time.monotonic() < end, "the run ended before it could be killed"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL and not target.exists()


def test_a_run_killed_in_the_queue_takes_up_its_job(server, target):
    server.states = ("accepted",)
    killed_when(target, lambda: server.count("poll") > 2)
    server.jobs["job-1"].states = ["running", "successful"]
    fetch(target)
    assert_whole(target)
    assert server.count("submit") == 1


def test_a_run_killed_before_it_knew_its_job_finds_it(server, target):
    """The store has the request, the answer is still on its way; another of the user's jobs is no match."""
    server.add(PRESSURE.dataset, dict(PRESSURE.request))
    server.fault("submit", drop="after", hang=True, times=1)
    killed_when(target, lambda: len(server.jobs) == 2)
    fetch(target)
    assert_whole(target)
    assert server.count("submit") == 1


def test_a_run_killed_in_the_download_goes_on_where_it_was(server, target):
    part = target.with_name(f"{target.name}.part")
    server.slow = 60
    killed_when(target, lambda: part.exists() and part.stat().st_size > 0)
    have = part.stat().st_size
    server.slow, sent = 0, []
    server.alter = lambda raw: sent.append(len(raw)) or raw
    reports = []
    fetch(target, progress=lambda done, total, note: reports.append((done, total)))
    assert_whole(target)
    assert server.count("submit") == 1 and len(sent) == 1
    assert min(done for done, total in reports if total > 1) > have
