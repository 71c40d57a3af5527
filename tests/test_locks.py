"""Locks: one holder at a time, a message that says who, and no lock that outlives its process."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

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
    """The scheduler starts a job again only when it has ended, and counts its starts."""
    monkeypatch.setenv("SLURM_JOB_ID", "99")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
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


# Processes and jobs that cannot be told apart from here: the heartbeat decides


def seemingly_gone(monkeypatch, case):
    """The owner of a lock that looks as if nobody lived who holds it."""
    monkeypatch.setenv("SLURM_JOB_ID", "99")
    here = Owner.here()
    return {
        "a container of the same name": replace(here, process=2**22 + 1, world="another", job=""),
        "a container that counts from one": replace(here, process=1, started="5", world="another", job=""),
        "a system that tells nothing": replace(here, process=2**22 + 1, world="", job=""),
        "a task of the same job on another node": ELSEWHERE,
        "a later start of the same job": replace(ELSEWHERE, requeued=3),
    }[case]


DOUBTFUL = pytest.mark.parametrize(
    "case",
    [
        "a container of the same name",
        "a container that counts from one",
        "a system that tells nothing",
        "a task of the same job on another node",
        "a later start of the same job",
    ],
)


@DOUBTFUL
def test_a_lock_that_is_renewed_is_its_holders_though_the_holder_seems_gone(tmp_path, monkeypatch, case):
    """Renewed three seconds ago: whoever does that lives."""
    holder = seemingly_gone(monkeypatch, case)
    hold(tmp_path / "lock", holder, age=3)
    with pytest.raises(LockError, match="last renewed 3 s ago"), held(tmp_path / "lock", "wait"):
        pass
    assert locks.read(tmp_path / "lock") == holder


@DOUBTFUL
def test_who_seems_gone_and_missed_three_renewals_is_gone(tmp_path, monkeypatch, case):
    hold(tmp_path / "lock", seemingly_gone(monkeypatch, case), age=3 * locks.RENEWED + 5)
    with held(tmp_path / "lock", "wait"):
        pass


def test_a_real_pid_namespace_is_not_taken_for_this_one(tmp_path):
    """The holder lives in a namespace of its own, as in a container; from within, this process is nobody."""
    unshare = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("no PID namespaces for users here")
    code = "import sys; from pathlib import Path; from lara import locks\n"
    code += "with locks.held(Path(sys.argv[1]), 'wait'): pass"
    with held(tmp_path / "lock", "wait"):
        done = subprocess.run(
            [*unshare, sys.executable, "-c", code, str(tmp_path / "lock")], capture_output=True, text=True
        )
        assert "LockError" in done.stderr and "is held by" in done.stderr
        assert locks.read(tmp_path / "lock").process == os.getpid()


def test_a_process_of_somebody_else_is_not_dead_for_being_hidden(tmp_path, monkeypatch):
    """Systems that show users their own processes alone still tell that a number is taken."""
    monkeypatch.setattr(locks, "_start_of", lambda process: "7" if process == os.getpid() else "")

    def refused(process, signal):
        raise PermissionError

    hold(tmp_path / "lock", replace(Owner.here(), process=1, started="5"), age=3)
    monkeypatch.setattr(os, "kill", refused)
    with pytest.raises(LockError, match="is held by"), held(tmp_path / "lock", "wait"):
        pass


def test_who_lives_keeps_its_lock_through_a_long_sleep_of_the_machine(tmp_path):
    """A laptop that was closed for an hour renews nothing, and all its processes go on."""
    hold(tmp_path / "lock", Owner.here(), age=3600)
    with pytest.raises(LockError, match="is held by"), held(tmp_path / "lock", "wait"):
        pass


@pytest.mark.parametrize("content", [b"", b"{", b"hello", b'{"host": "x"}', b"\0" * 100, b"[]"])
def test_a_lock_that_was_cut_off_is_taken_over_by_its_age(tmp_path, content):
    """A machine that lost power leaves empty files; before ten minutes have passed it is refused with the remedy."""
    (tmp_path / "lock").write_bytes(content)
    with pytest.raises(LockError, match=r"is not a lock.*delete it.*600 s after"), held(tmp_path / "lock", "wait"):
        pass
    os.utime(tmp_path / "lock", (time.time() - 601, time.time() - 601))
    with held(tmp_path / "lock", "wait") as lock:
        lock.require()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append((tmp_path / "lock").exists()))
    with held(tmp_path / "lock", "wait"):
        assert synced == [False]


def test_a_holder_whose_lock_was_emptied_writes_no_more(tmp_path):
    with held(tmp_path / "lock", "wait") as lock:
        (tmp_path / "lock").write_bytes(b"")
        with pytest.raises(LockError, match="is not a lock"):
            lock.require()


def test_a_lock_is_waited_for_as_long_as_was_said(tmp_path, monkeypatch):
    """The other lets go after a while."""
    monkeypatch.setattr(locks, "RENEWED", 0.02)
    hold(tmp_path / "lock", ELSEWHERE)
    threading.Timer(0.2, (tmp_path / "lock").unlink).start()
    with held(tmp_path / "lock", "wait", wait=20):
        pass


@pytest.mark.parametrize("error", [errno.EPERM, errno.EOPNOTSUPP])
def test_one_holder_at_a_time_where_files_cannot_be_linked(tmp_path, monkeypatch, error):
    def no_links(self, target):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    with (
        held(tmp_path / "lock", "wait") as lock,
        pytest.raises(LockError, match="is held by"),
        held(tmp_path / "lock", "wait"),
    ):
        lock.require()
    assert list(tmp_path.iterdir()) == []
