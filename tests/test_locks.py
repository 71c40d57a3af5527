"""Locks: one holder at a time, a message that says who, and no lock that outlives its process."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest

from lara import locks
from lara.locks import LockError, Owner, held


def hold(path, owner, age=0.0):
    """A lock left by somebody, last renewed `age` seconds ago."""
    path.write_text(json.dumps(asdict(owner)))
    os.utime(path, (time.time() - age, time.time() - age))


ELSEWHERE = Owner("elsewhere", 4711, "123", "99", "token")


def test_a_lock_is_held_for_the_block_and_no_longer(tmp_path):
    with held(tmp_path / "lock", "wait") as lock:
        lock.require()
        assert (tmp_path / "lock").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_second_process_is_refused_and_told_who_holds_it(tmp_path):
    """This process lives, so its lock is not stale; the message names process, machine, age and remedy."""
    with (
        held(tmp_path / "lock", "wait"),
        pytest.raises(LockError, match=rf"held by process {os.getpid()} on .*renewed \d+ s ago: wait; .*delete"),
        held(tmp_path / "lock", "wait"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_dead_process_of_this_machine_is_taken_over(tmp_path):
    """A killed process leaves its lock; whoever comes next need not ask."""
    code = "import os, sys; from lara import locks; c = locks.held(__import__('pathlib').Path(sys.argv[1]), ''); "
    code += "c.__enter__(); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "lock")]).returncode == -9
    assert (tmp_path / "lock").exists()
    with held(tmp_path / "lock", "wait"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_process_told_to_end_leaves_no_lock(tmp_path):
    """SIGTERM is what a scheduler sends when time is up, some seconds before SIGKILL."""
    code = "import sys, time; from pathlib import Path; from lara import locks\n"
    code += "with locks.held(Path(sys.argv[1]), ''): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE) as job:
        assert job.stdout.readline() == b"held\n"
        job.terminate()
        assert job.wait(10) == 143
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_another_process_with_the_same_number_is_taken_over(tmp_path):
    """Process numbers return: the start of the process tells them apart."""
    hold(tmp_path / "lock", replace(Owner.here(), started="1"))
    with held(tmp_path / "lock", "wait"):
        pass


@pytest.mark.parametrize(("age", "refused"), [(30.0, True), (2 * locks.STALE, False)])
def test_the_lock_of_another_machine_is_stale_by_its_age(tmp_path, age, refused):
    """Renewed every twenty seconds while its holder lives; ten minutes without is a holder that is gone."""
    hold(tmp_path / "lock", ELSEWHERE, age)
    if refused:
        with pytest.raises(LockError, match=r"4711 on elsewhere \(job 99\)"), held(tmp_path / "lock", "wait"):
            pass
        assert locks.read(tmp_path / "lock") == ELSEWHERE
    else:
        with held(tmp_path / "lock", "wait"):
            pass


def test_a_requeued_job_takes_over_its_own_lock(tmp_path, monkeypatch):
    """The scheduler runs a job once at a time, so the same job on another machine is the one before."""
    monkeypatch.setenv("SLURM_JOB_ID", "99")
    hold(tmp_path / "lock", ELSEWHERE)
    with held(tmp_path / "lock", "wait"):
        pass


def test_a_holder_that_has_lost_its_lock_writes_no_more(tmp_path):
    """Suspended for an hour, say, and taken for gone; nor does it remove the other's lock."""
    with held(tmp_path / "lock", "wait") as lock:
        hold(tmp_path / "lock", ELSEWHERE)
        with pytest.raises(LockError, match=r"no longer held.*4711 on elsewhere"):
            lock.require()
    assert locks.read(tmp_path / "lock") == ELSEWHERE


def test_a_held_lock_is_renewed(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "RENEWED", 0.01)
    with held(tmp_path / "lock", "wait"):
        os.utime(tmp_path / "lock", (0, 0))
        time.sleep(0.2)
        assert (tmp_path / "lock").stat().st_mtime > 0


def test_a_file_that_is_no_lock_is_refused(tmp_path):
    (tmp_path / "lock").write_text("hello")
    with pytest.raises(LockError, match="is not a lock"), held(tmp_path / "lock", "wait"):
        pass
