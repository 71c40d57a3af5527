"""Locks: one writer at a time, on one machine or on many that share a file system.

A lock is a small file that says who holds it; it is linked into place, which only one process can do. Its holder renews
the file's time while it lives, so that the lock of a process that is gone shows by its age, on whatever machine.
"""

import errno
import json
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

RENEWED = 20.0  # seconds between renewals
DOUBTED = 3  # renewals that a holder misses who seems to be gone from here, and then counts as gone
STALE = 600.0  # seconds without renewal after which any holder counts as gone
NO_LINKS = (errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)  # a file system without hard links
_BOOT, _NAMESPACE = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")


class LockError(RuntimeError):
    """Another process writes, or has taken over."""


@dataclass(frozen=True)
class Owner:
    """Who holds a lock: machine, process with its start (since process numbers return), and scheduler's job.

    `world` is where process numbers mean the same: the boot of a machine and a PID namespace, for containers count
    processes of their own under one host name. `requeued` counts the job's starts.
    """

    host: str
    process: int
    started: str
    job: str
    token: str
    world: str = ""
    requeued: int = 0

    @classmethod
    def here(cls) -> "Owner":
        """This process."""
        pid, count = os.getpid(), os.environ.get("SLURM_RESTART_COUNT", "")
        who = socket.gethostname(), pid, _start_of(pid), os.environ.get("SLURM_JOB_ID", ""), uuid.uuid4().hex
        return cls(*who, _world(), int(count) if count.isdecimal() else 0)

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}" + (f" (job {self.job})" if self.job else "")


@contextmanager
def held(path: Path, remedy: str, wait: float = 0.0) -> Iterator["Lock"]:
    """The lock at `path` for the length of a `with` block, waited for at most `wait` seconds.

    A lock that is renewed belongs to its holder, whatever else seems. One left behind is taken over: at once where its
    process is certainly gone (dead among the processes seen from here, or an earlier start of this scheduler's job),
    after a minute without renewal where it only seems so, else after ten. Raises LockError naming the holder, its age
    and the remedy.
    """
    lock = Lock(path, Owner.here())
    _acquire(lock, remedy, time.monotonic() + wait)
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
        try:
            return read(self.path) == self.owner
        except LockError:
            return False

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


def _acquire(lock: Lock, remedy: str, deadline: float) -> None:
    path, owner = lock.path, lock.owner
    path.parent.mkdir(parents=True, exist_ok=True)
    own = path.with_name(f"{path.name}.{owner.token}")
    try:
        while True:
            _write(own, owner)
            if _linked(own, path):
                return
            try:
                _clear(path, owner, remedy, now=own.stat().st_mtime)
            except LockError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(min(RENEWED, max(deadline - time.monotonic(), 0.01)))
    finally:
        own.unlink(missing_ok=True)


def _write(own: Path, owner: Owner) -> None:
    """A lock that is nobody's yet, on the disk before it gets its name: one that is cut off would block for ever."""
    with own.open("w") as file:
        file.write(json.dumps(asdict(owner)))
        file.flush()
        os.fsync(file.fileno())


def _linked(own: Path, path: Path) -> bool:
    """Whether a lock got its name, which only one process can give it."""
    try:
        path.hardlink_to(own)
    except FileExistsError:
        return False
    except OSError as fault:
        if fault.errno not in NO_LINKS:
            raise
        return _created(path, own.read_text())
    return True


def _created(path: Path, content: str) -> bool:
    """The same on a file system without hard links; one that is cut off leaves an empty lock, which its age tells."""
    try:
        with path.open("x") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    return True


def _clear(path: Path, owner: Owner, remedy: str, now: float) -> None:
    """Put a stale lock aside, LockError for one that is not; `now` by the clock of the file system."""
    try:
        found, age = path.read_bytes(), now - path.stat().st_mtime
    except FileNotFoundError:
        return
    if not _is_left(path, owner, age, remedy):
        return
    aside = path.with_name(f"{path.name}.{owner.token}.stale")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    if aside.read_bytes() != found:  # somebody else was faster and holds it by now
        _linked(aside, path)
    aside.unlink()


def _is_left(path: Path, owner: Owner, age: float, remedy: str) -> bool:
    """Whether a lock is left behind, False where there is none any more. LockError for one that is held."""
    try:
        holder = read(path)
    except LockError as fault:  # nobody can be asked whose it is: only its age tells
        if age > STALE:
            return True
        raise LockError(
            f"{fault}; it is taken over {STALE:.0f} s after its last change, {max(age, 0):.0f} s ago"
        ) from None
    if holder is None or _gone(holder, owner, age):
        return holder is not None
    raise LockError(
        f"{path} is held by {holder}, last renewed {max(age, 0):.0f} s ago: {remedy}; if that process is gone, "
        f"delete the lock or wait until it has not been renewed for {STALE:.0f} s"
    )


def _gone(holder: Owner, owner: Owner, age: float) -> bool:
    """Whether a holder is gone. Its renewals decide, where the list of processes or the scheduler are no proof."""
    if holder.world and holder.world == owner.world:
        return not _lives(holder)
    same_job = bool(owner.job) and holder.job == owner.job
    if same_job and holder.requeued < owner.requeued:
        return True
    seems_gone = same_job or (holder.host == owner.host and not _lives(holder))
    return age > (DOUBTED * RENEWED if seems_gone else STALE)


def _lives(holder: Owner) -> bool:
    """Whether a process of this number and start is seen from here; another user's may hide when it began."""
    try:
        os.kill(holder.process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return _start_of(holder.process) in ("", holder.started)
    return _start_of(holder.process) == holder.started


def _world() -> str:
    """Boot of this machine and PID namespace of this process; empty where the system does not tell."""
    try:
        return f"{_BOOT.read_text().strip()} {_NAMESPACE.readlink()}"
    except OSError:
        return ""


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
