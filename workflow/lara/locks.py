"""Locks: one writer at a time, on one machine or on many that share a file system.

A lock is a small file that says who holds it; it is linked into place, which only one process can do. Its holder renews
the file's time while it lives, so that the lock of a process that is gone shows by its age, on whatever machine.
"""

import json
import os
import signal
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

RENEWED = 20.0  # seconds between renewals
STALE = 600.0  # seconds without renewal after which a holder on another machine counts as gone


class LockError(RuntimeError):
    """Another process writes, or has taken over."""


@dataclass(frozen=True)
class Owner:
    """Who holds a lock: machine, process with its start (since process numbers return), and scheduler's job."""

    host: str
    process: int
    started: str
    job: str
    token: str

    @classmethod
    def here(cls) -> "Owner":
        """This process."""
        pid = os.getpid()
        return cls(socket.gethostname(), pid, _start_of(pid), os.environ.get("SLURM_JOB_ID", ""), uuid.uuid4().hex)

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}" + (f" (job {self.job})" if self.job else "")


@contextmanager
def held(path: Path, remedy: str) -> Iterator["Lock"]:
    """The lock at `path` for the length of a `with` block.

    A lock left behind by a process that is certainly gone is taken over: dead on this machine, an earlier run of this
    scheduler's job, or not renewed for ten minutes. Raises LockError naming the holder, its age and the remedy.
    """
    lock = Lock(path, Owner.here())
    _acquire(path, lock.owner, remedy)
    stop = threading.Event()
    keeper = threading.Thread(target=_renew, args=(lock, stop), daemon=True)
    keeper.start()
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        yield lock
    finally:
        signal.signal(signal.SIGTERM, before)
        stop.set()
        keeper.join()
        if lock.mine():
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Lock:
    """A lock that this process holds, or held until another took it over."""

    path: Path
    owner: Owner

    def mine(self) -> bool:
        """Whether the file is still this process's own."""
        return read(self.path) == self.owner

    def require(self) -> None:
        """LockError where another process has taken over; nothing may be written then."""
        if not self.mine():
            raise LockError(f"lock {self.path} is no longer held: {read(self.path) or 'somebody removed it'}; stopping")


def read(path: Path) -> Owner | None:
    """Who holds the lock at `path`; None where nobody does. LockError for a file that is no lock."""
    try:
        return Owner(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise LockError(f"{path} is not a lock ({error}): delete it if nothing runs") from error


def _leave(*_: object) -> None:
    """End as after SIGTERM, by an exception."""
    raise SystemExit(128 + signal.SIGTERM)


def _acquire(path: Path, owner: Owner, remedy: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    own = path.with_name(f"{path.name}.{owner.token}")
    try:
        own.write_text(json.dumps(asdict(owner)))
        while not _linked(own, path):
            _clear(path, owner, remedy, now=own.stat().st_mtime)
    finally:
        own.unlink(missing_ok=True)


def _linked(own: Path, path: Path) -> bool:
    try:
        path.hardlink_to(own)
    except FileExistsError:
        return False
    return True


def _clear(path: Path, owner: Owner, remedy: str, now: float) -> None:
    """Put a stale lock aside, LockError for one that is not; `now` by the clock of the file system."""
    try:
        holder, age = read(path), now - path.stat().st_mtime
    except FileNotFoundError:
        return
    if holder is None:
        return
    if not _gone(holder, owner, age):
        raise LockError(
            f"{path} is held by {holder}, last renewed {max(age, 0):.0f} s ago: {remedy}; if that process is gone, "
            f"delete the lock or wait until it has not been renewed for {STALE:.0f} s"
        )
    aside = path.with_name(f"{path.name}.{owner.token}.stale")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    if read(aside) != holder:  # somebody else was faster and holds it by now
        _linked(aside, path)
    aside.unlink()


def _gone(holder: Owner, owner: Owner, age: float) -> bool:
    if holder.host == owner.host and owner.started:
        return _start_of(holder.process) != holder.started
    return age > STALE or bool(owner.job and holder.job == owner.job)


def _start_of(process: int) -> str:
    """When a process of this machine began, in ticks since the machine did; empty where none is, or no /proc."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return ""
    fields = status.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def _renew(lock: Lock, stop: threading.Event) -> None:
    while not stop.wait(RENEWED):
        if lock.mine():
            with suppress(FileNotFoundError):  # removed just now; `require` tells the writer
                os.utime(lock.path)
