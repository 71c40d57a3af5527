"""Results of the Climate Data Store brought to disk: from where the file is, to the size and checksum promised.

The client's own download begins at nothing in a new process and never compares the checksum, so the body is fetched
here, in the client's session, which holds no key: the object store is not to see it.
"""

import hashlib
import logging
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import requests

from lara.sources.cds_connection import Connection, GoneError

_LOG = logging.getLogger(__name__)
_BLOCK = 1 << 20
_FUTILE = 9  # downloads in a row that end no further than one before
_USUAL = (50, 5, 8, 10, 16, 32, 64, 100)  # MiB of a part in multipart uploads; then any up to 128
_PART_SIZES = tuple(size << 20 for size in (*_USUAL, *sorted({*range(5, 129)} - {*_USUAL})))

_MD5 = re.compile("[0-9a-fA-F]{26,32}")  # six zeros lead one in 16 million


class Progress(Protocol):
    """Receives what is done, of how much, and a note."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Take note."""


class DamagedError(ValueError):
    """A file came otherwise than the store says it is."""


def deliver(connection: Connection, job: Any, file: Path, progress: Progress) -> None:
    """Bring `file` to the size and checksum of the job's result, from where it is. Raises DamagedError, GoneError."""
    url, size, checksum = connection.call("results", lambda: _result(job))
    if size <= 0:
        raise DamagedError("the store promises an empty file")
    begin = time.monotonic()
    connection.call("download", _Download(connection, url, size, file, progress).go_on)
    if connection.patience.checksum and not agrees(file, checksum):
        file.unlink()
        raise DamagedError(f"{size} bytes without the MD5 {checksum} of the store; `checksum: false` takes them")
    _LOG.info("%s: %d bytes in %.0f s", connection.title, size, time.monotonic() - begin)


def _result(job: Any) -> tuple[str, int, str]:
    """Address, size in bytes and checksum of a result; its name is of no interest."""
    results = job.get_results()
    return results.location, results.content_length, str(results.asset.get("file:checksum", ""))


@dataclass
class _Download:
    """The way of `size` bytes at `url` into `file`; `top` is how far it has come, `futile` how often no further."""

    connection: Connection
    url: str
    size: int
    file: Path
    progress: Progress
    top: int = 0
    futile: int = 0

    def go_on(self) -> None:
        """Download what is missing. Raises requests.ConnectionError, or another that may pass, when it breaks off."""
        have = self._have()
        if have == self.size:
            return
        have = have if have < self.size else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        client = self.connection.client
        options = {"stream": True, "timeout": self.connection.patience.answer, "verify": client.verify}
        with client.session.get(self.url, headers=headers, **options) as response:
            begin = _begin(response, have, self.size)
            try:
                self._receive(response, begin)
            finally:
                self._judge(begin)
        if self._have() < self.size:
            raise requests.ConnectionError(f"dropped at {self._have()} of {self.size} bytes")

    def _have(self) -> int:
        return self.file.stat().st_size if self.file.exists() else 0

    def _receive(self, response: requests.Response, begin: int) -> None:
        """Write the body as it comes, however slowly, so that a drip is noticed."""
        with self.file.open("r+b" if begin else "wb", buffering=0) as out:
            out.truncate(begin)
            out.seek(begin)
            while block := response.raw.read1(_BLOCK):
                self.connection.receive(out.write(block))
                self.progress(out.tell(), self.size, f", {out.tell() / 1e6:.1f} of {self.size / 1e6:.1f} MB")

    def _judge(self, begin: int) -> None:
        """Give up when bodies keep breaking off at no further place, though with enough bytes not to seem silent."""
        have = self._have()
        self.futile = self.futile + 1 if begin < have <= self.top else 0
        self.top = max(self.top, have)
        if self.futile >= _FUTILE:
            self.connection.refuse(f"the download breaks off at {have} of {self.size} bytes, {_FUTILE + 1} times")


def _begin(response: requests.Response, have: int, size: int) -> int:
    """Position at which the body begins. Raises for an answer that is not the rest of a file of `size` bytes."""
    if response.status_code in (401, 403, 404, 410):
        raise GoneError(f"the result has expired ({response.status_code})")
    if response.status_code not in (200, 206, 416):
        raise requests.HTTPError(f"{response.status_code} {response.reason}", response=response)
    begin = have if response.headers.get("Content-Range", "").startswith(f"bytes {have}-") else 0
    total = begin + int(response.headers.get("Content-Length", size - begin))
    if response.status_code == 416 or (response.status_code == 206) != bool(begin) or total != size:
        raise DamagedError(f"the store delivers {total} bytes ({response.status_code}) where it promises {size}")
    return begin


def agrees(file: Path, checksum: str) -> bool:
    """Whether `file` can have the `checksum` that the store gives.

    It is the ETag of the object: the MD5 of the file or, for one uploaded in parts of some MiB, the MD5 of the parts'
    MD5s, without its leading zeros. What is none (shorter, longer, with a number of parts behind it) says nothing.
    """
    if not _MD5.fullmatch(checksum):
        return True
    wanted = int(checksum, 16)
    with file.open("rb") as content:
        whole = hashlib.file_digest(content, "md5").hexdigest()
    length = file.stat().st_size
    sizes = [*(size for size in _PART_SIZES if size < length), length]
    return int(whole, 16) == wanted or any(_in_parts(file, size) == wanted for size in sizes)


def _in_parts(file: Path, size: int) -> int:
    digests = hashlib.md5()
    with file.open("rb") as content:
        while part := content.read(size):
            digests.update(hashlib.md5(part).digest())
    return int(digests.hexdigest(), 16)
