"""Jobs of the Climate Data Store, remembered beside the file they are for, so that no request is queued twice.

A record is written before a job is asked for and again with the job's id. A process that was killed finds its job by
the id or, cut between the two, among the user's jobs by the request itself.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import requests

from lara import receipts
from lara.sources.cds_connection import Connection, GoneError, QueueFullError, explanation, is_queue_full, status_of
from lara.sources.cds_transfer import DamagedError, Progress, deliver

_LOG = logging.getLogger(__name__)
_CANDIDATES = 50  # newest jobs of the user that are looked through for a lost one


class JobFailedError(Exception):
    """A job ended without a result: failed, rejected or dismissed."""


@dataclass
class Piece:
    """A request and its job: `asked` from before the job exists, `spent` those that led to nothing."""

    request: dict[str, Any]
    job: str = ""
    asked: bool = False
    spent: list[str] = field(default_factory=list)


@dataclass
class Record:
    """The pieces in which a request is asked, kept in `<target>.jobs.json` until the target is whole.

    `refused`: whether all has come, and was refused for what another delivery would not mend.
    """

    target: Path
    identity: str
    pieces: list[Piece] = field(default_factory=list)
    refused: bool = False

    @classmethod
    def open(cls, target: Path, request: Mapping[str, Any]) -> "Record":
        """The record kept for this very request, or an empty one; what was kept for another is removed."""
        record = cls(target, receipts.digest(dict(request)))
        try:
            content = receipts.read(record.path)
            if content["identity"] == record.identity:
                record.pieces = [Piece(**piece) for piece in content["pieces"]]
                record.refused = bool(content.get("refused"))
        except (receipts.ReceiptError, KeyError, TypeError):
            pass
        if not record.pieces:
            record.remove()
        return record

    @property
    def path(self) -> Path:
        """File of the record."""
        return self.target.with_name(f"{self.target.name}.jobs.json")

    @property
    def whole(self) -> Path:
        """File in which the target grows."""
        return self.target.with_name(f"{self.target.name}.part")

    def file(self, piece: Piece) -> Path:
        """File in which a piece grows: `whole` where there is but one."""
        if len(self.pieces) == 1:
            return self.whole
        return self.target.with_name(f"{self.target.name}.{self.pieces.index(piece) + 1}.part")

    def save(self) -> None:
        """Write the record."""
        pieces = [asdict(piece) for piece in self.pieces]
        receipts.write(self.path, identity=self.identity, pieces=pieces, refused=self.refused)

    def forget(self, piece: Piece, spent: bool = False) -> None:
        """Give up a piece's job and what came of it; one that is `spent` counts, and is not taken up again."""
        self.file(piece).unlink(missing_ok=True)
        piece.spent += [piece.job] if spent else []
        piece.job, piece.asked = "", False
        self.save()

    def renew(self) -> None:
        """Give up all jobs and what came of them, to ask for new ones."""
        for piece in self.pieces:
            self.forget(piece, spent=True)
        self.discard()

    def discard(self) -> None:
        """Remove what was downloaded, not the record."""
        for file in self.target.parent.glob("*.part"):
            if file.name.startswith(f"{self.target.name}."):
                file.unlink()

    def remove(self) -> None:
        """Remove the record and what was downloaded."""
        self.discard()
        self.path.unlink(missing_ok=True)


@dataclass
class _Wait:
    """The way to one result: until when, and for what the store refused it last."""

    connection: Connection
    progress: Progress
    deadline: float
    refused: str = ""

    def rest(self, text: str, pause: float) -> None:
        """Pause, and say why. Raises CdsError when it has taken too long, with the last refusal."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            before = f"; refused before: {self.refused}" if self.refused not in text else ""
            self.connection.refuse(f"not done after {self.connection.patience.queue:g} s: {text}{before}")
        self.progress(0, 1, f", {self.connection.clean(text)}")
        time.sleep(min(pause, left))


def obtain(connection: Connection, record: Record, piece: Piece, progress: Progress) -> None:
    """Make the piece's file whole, by its job or a new one. Raises CdsError, or DamagedError for a wrong file."""
    wait = _Wait(connection, progress, time.monotonic() + connection.patience.queue)
    full, damaged = connection.patience.pauses(), 0
    while len(piece.spent) < connection.patience.jobs:
        try:
            job = _job(connection, record, piece)
            _await(wait, job)
            deliver(connection, job, record.file(piece), progress)
        except GoneError:
            wait.refused = f"{len(piece.spent) + 1} jobs, or their results, got lost"
            _LOG.warning("%s: job %s or its result is gone: a new one", connection.title, piece.job)
            record.forget(piece, spent=True)
        except QueueFullError as error:
            wait.refused = f"the queue is full ({error})"
            record.forget(piece)
            _LOG.info("%s: the queue is full", connection.title)
            wait.rest(wait.refused, next(full))
        except JobFailedError as error:
            wait.refused = f"{error}, at job {len(piece.spent) + 1} for this request"
            _LOG.warning("%s: %s", connection.title, connection.clean(wait.refused))
            record.forget(piece, spent=True)
            wait.rest(wait.refused, connection.patience.longest if len(piece.spent) < connection.patience.jobs else 0)
        except DamagedError as error:
            damaged += 1
            _take_again(connection, record, piece, error, damaged)
        else:
            return
    piece.spent = []
    record.save()
    connection.refuse(wait.refused)


def _take_again(connection: Connection, record: Record, piece: Piece, error: DamagedError, damaged: int) -> None:
    """Prepare for another delivery of a damaged piece: once from where it is stored, then from a new job."""
    if damaged >= connection.patience.deliveries:
        raise error
    _LOG.warning("%s: delivered file refused: %s", connection.title, connection.clean(error))
    if damaged > 1:
        record.forget(piece, spent=True)
    record.file(piece).unlink(missing_ok=True)


def _job(connection: Connection, record: Record, piece: Piece) -> Any:
    """The job of a piece: known by its id, found among the user's, or new."""
    client = connection.client.client
    if not piece.job:
        piece.job = _submit(connection, record, piece)
        record.save()
        _LOG.info("%s: job %s", connection.title, piece.job)
    return connection.call("status", lambda: client.get_remote(piece.job))


def _submit(connection: Connection, record: Record, piece: Piece) -> str:
    def ask() -> str:
        if piece.asked and (lost := _find(connection, piece)):
            return lost
        piece.asked = True
        record.save()
        return str(connection.client.retrieve(connection.dataset, piece.request).request_id)

    try:
        return connection.call("request", ask)
    except GoneError as error:
        return connection.refuse_dataset(error)


def _find(connection: Connection, piece: Piece) -> str:
    """Id of a job of the user's with this request, or nothing."""
    client = connection.client.client
    states = ["accepted", "running", "successful"]
    jobs = client.get_jobs(limit=_CANDIDATES, sortby="-created", status=states).json["jobs"]
    for job in jobs:
        name = str(job["jobID"])
        if job["processID"] == connection.dataset and name not in piece.spent:
            asked = client.get_remote(name).json.get("metadata", {}).get("request", {}).get("ids")
            if asked == piece.request:
                return name
    return ""


def _await(wait: _Wait, job: Any) -> None:
    """Return when the job is done. Raises GoneError, QueueFullError, JobFailedError or CdsError."""
    connection, said = wait.connection, ""
    for pause in connection.patience.pauses():
        document = connection.call("status", lambda: job.json)
        status = str(document.get("status"))
        if status == "successful":
            return
        if status not in ("accepted", "running"):
            _explain(connection, job, status)
        text = f"job {job.request_id} is {status}{_last(document)}"
        if text != said:
            _LOG.info("%s: %s", connection.title, connection.clean(text))
        said = text
        wait.rest(text, pause)


def _explain(connection: Connection, job: Any, status: str) -> NoReturn:
    """Raise for a job that ended without a result."""
    reason = connection.call("reason", lambda: _failure(job))
    if is_queue_full(reason):
        raise QueueFullError(reason)
    raise JobFailedError(f"job {job.request_id} {status} ({reason})")


def _failure(job: Any) -> str:
    try:
        job.get_results()
    except requests.HTTPError as error:
        if status_of(error) != 400:  # 400 is how a reason is delivered
            raise
        return explanation(error)
    except RuntimeError as error:  # ProcessingFailedError of the datastores client
        return str(error)
    return ""


def _last(document: Mapping[str, Any]) -> str:
    """The store's latest words on a job; it tells no position in the queue otherwise."""
    messages = sorted(document.get("metadata", {}).get("log", []))
    return f" ({messages[-1][1]})" if messages else ""
