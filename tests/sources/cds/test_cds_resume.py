"""A run that was killed takes up its job and its bytes."""

import os
import signal
import subprocess
import sys
import time

import pytest

from cds_orders import HASTE, MONTH, PRESSURE, assert_whole, fetch
from lara.sources import cds
from lara.sources.cds import CdsError


def test_a_job_whose_result_expired_is_not_taken_for_a_lost_one(server, target):
    server.fault("download", status=404, times=1)
    server.fault("submit", drop="before", skip=1, times=1)
    fetch(target)
    assert_whole(target)
    assert len(server.jobs) == 2


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
