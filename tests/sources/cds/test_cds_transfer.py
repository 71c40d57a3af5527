"""Bodies that break off, are damaged or expire are fetched again or refused, and nothing false is left."""

import errno
import hashlib
import itertools
import os
import shutil

import numpy as np
import pytest

from cds_handler import Handler
from cds_orders import (
    PRESSURE,
    SINGLE,
    assert_whole,
    fetch,
    fields,
    messages,
    produce,
    refused,
)
from cds_server import CdsServer
from lara.sources import cds_transfer
from lara.sources.cds import LastingError, Patience


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
    assert server.count("download") == 3 and not list(target.parent.iterdir())


@pytest.mark.parametrize("damage", DAMAGE)
def test_an_object_that_is_damaged_where_it_is_stored_is_made_anew_by_another_job(server, target, damage, monkeypatch):
    """The second delivery, from the same object, shows that it was not the transport; the third is of a new job."""
    raw = DAMAGE[damage](produce(SINGLE.dataset, SINGLE.request))
    monkeypatch.setattr(Handler, "_object", with_object(Handler._object, {"job-1": raw}))
    fetch(target)
    assert_whole(target)
    assert (server.count("download"), len(server.jobs)) == (3, 2)


def with_object(answer, stored):
    """The store's answer for an object, whose bytes are others than the store believes."""

    def answer_otherwise(handler, name):
        handler.store.alter = (lambda _: stored[name]) if name in stored else bytes
        return answer(handler, name)

    return answer_otherwise


def test_a_whole_file_with_wrong_content_is_asked_for_by_another_job_at_once(server, target, monkeypatch):
    """To fetch the same object again would be in vain: size and checksum are right."""
    content = {"job-1": messages(fields(SINGLE.dataset, SINGLE.request)[1:])}
    monkeypatch.setattr(CdsServer, "data", lambda _, job: content.get(job.name, produce(job.dataset, job.request)))
    fetch(target)
    assert_whole(target)
    assert (server.count("download"), len(server.jobs)) == (2, 2)


def test_only_the_piece_that_is_damaged_is_fetched_again(server, target):
    """Of two pieces the first comes well, and is not asked for twice."""
    server.limit, seen = PRESSURE.fields / 1.5, itertools.count()
    server.alter = lambda raw: flipped(raw) if next(seen) == 1 else raw
    fetch(target, PRESSURE)
    assert_whole(target, PRESSURE)
    assert (server.count("download"), len(server.jobs)) == (3, 2)


def test_what_another_delivery_would_not_mend_is_refused_at_once_and_taken_once_it_may_be(server, target):
    """As ERA5T is, which stays what it is until `source.preliminary` says `mark`."""

    def unwanted(path):
        raise LastingError("it is ERA5T: set source.preliminary: mark")

    assert "source.preliminary: mark" in refused(target, check=unwanted)
    assert (server.count("download"), len(server.jobs)) == (1, 1)
    fetch(target)
    assert_whole(target)
    assert (server.count("download"), len(server.jobs)) == (1, 1)


def test_what_was_refused_and_still_is_gets_asked_for_anew(server, target):
    """Three months later the store delivers ERA5."""
    wanted = iter([LastingError("ERA5T"), LastingError("ERA5T")])

    def check(path):
        if fault := next(wanted, None):
            raise fault

    refused(target, check=check)
    fetch(target, check=check)
    assert_whole(target)
    assert len(server.jobs) == 2


@pytest.mark.parametrize("fail", ["write", "join"])
def test_a_full_disk_is_named_with_the_file(server, target, monkeypatch, fail):
    """The system's own error names no file where a write fails."""

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if fail == "join":
        server.limit = PRESSURE.fields / 1.5
        monkeypatch.setattr(shutil, "copyfileobj", full)
    else:
        monkeypatch.setattr(cds_transfer._Download, "_receive", full)
    with pytest.raises(OSError, match=r"No space left on device.*2001-02\.grib") as error:
        fetch(target, PRESSURE)
    assert error.value.errno == errno.ENOSPC and not target.exists()


def test_a_checksum_that_is_not_kept_can_be_passed_over(server, target):
    """Should the store change it: size and check still stand."""
    server.asset = {"file:checksum": "0123456789abcdef" * 2}
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


@pytest.mark.parametrize(
    "other", ["", "0123456789abcdef", "0" * 40, f"{'a' * 32}-3", "multi", "0x" + "a" * 30, "a_" * 16]
)
def test_what_does_not_look_like_an_md5_is_not_taken_for_one(server, target, other):
    """ETags of other stores, "hash-n" of an upload in n parts among them: size and check decide."""
    server.asset = {"file:checksum": other}
    fetch(target)
    assert_whole(target)


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
    file.write_bytes(flipped(raw))
    assert not cds_transfer.agrees(file, etag)
