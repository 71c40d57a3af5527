"""Receipts: small JSON files written last, which prove a piece of work whole and say what it was made from.

A receipt exists completely or not at all: it is written beside its final name, flushed to disk (file and
directory), then renamed. It holds no wall-clock time, so doing the same work again writes the same bytes.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_LENGTH = 16  # hexadecimal characters kept of a SHA-256: 64 bits


class ReceiptError(ValueError):
    """A receipt is absent or cannot be read."""


def digest(content: object) -> str:
    """First 16 hex characters of the SHA-256 of bytes, of a file's content (Path), or of a JSON-able object.

    Raises TypeError for an object JSON does not know, ValueError for NaN, FileNotFoundError for an absent
    file.
    """
    if isinstance(content, Path):
        with content.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:_LENGTH]
    raw = content if isinstance(content, bytes) else _canonical(content)
    return hashlib.sha256(raw).hexdigest()[:_LENGTH]


def write(path: Path, /, **content: object) -> None:
    """Write `content` (JSON-able) to `path` atomically, keys sorted. Raises TypeError or ValueError."""
    write_bytes(path, _canonical(content, indent=1) + b"\n")


def read(path: Path) -> dict[str, Any]:
    """Content of the receipt at `path`. Raises ReceiptError with the remedy when it is absent or broken."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ReceiptError(f"no receipt at {path}: rerun the rule that makes it") from None
    except (OSError, ValueError) as error:
        raise ReceiptError(
            f"receipt {path} cannot be read ({error}): delete it and rerun the rule that makes it"
        ) from error
    if not isinstance(content, dict):
        raise ReceiptError(f"receipt {path} is not a JSON object: delete it and rerun the rule that makes it")
    return content


def vouch(path: Path) -> None:
    """Write the receipt of a file that is whole beside it, `<name>.receipt.json`: its size and digest."""
    sync(path)
    (size, mark), *_ = describe([path], path.parent).values()
    write(_beside(path), size=size, digest=mark)


def put(part: Path, path: Path) -> None:
    """Give a file that is finished its name, and a receipt beside it in place of that of the file before."""
    withdraw(path)
    part.replace(path)
    vouch(path)


def withdraw(path: Path) -> None:
    """Remove the receipt beside a file, before the file changes."""
    _beside(path).unlink(missing_ok=True)


def require_whole(path: Path) -> None:
    """ReceiptError naming a file that is not what the receipt beside it says.

    One without a receipt, which somebody else or an earlier version wrote, is taken as it is.
    """
    if not _beside(path).exists():
        return
    said = read(_beside(path))
    if fault := _problem(path, int(said.get("size", -1)), str(said.get("digest")), content=True):
        raise ReceiptError(
            f"{fault}: delete it and rerun the rule that makes it, or delete {_beside(path)} if it is right"
        )


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.receipt.json")


def write_bytes(path: Path, raw: bytes) -> None:
    """Write a file that exists completely or not at all, even after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with naming(path):
            temporary.write_bytes(raw)
            sync(temporary)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let a fault of the system name `path` where it names no file, as that of a full disk does."""
    try:
        yield
    except OSError as fault:
        if fault.errno is None or fault.filename is not None:
            raise
        raise OSError(fault.errno, fault.strerror, str(path)) from fault


def sync(path: Path) -> None:
    """Flush a file or directory to the disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def describe(files: Iterable[Path], folder: Path) -> dict[str, list[Any]]:
    """Size in bytes and digest of each file, by its path below `folder`; `problems` compares them later."""
    return {file.relative_to(folder).as_posix(): [file.stat().st_size, digest(file)] for file in files}


def problems(described: Mapping[str, Sequence[Any]], folder: Path, content: bool = True) -> list[str]:
    """What is wrong with described files, a sentence each: missing, resized or (with `content`) changed."""
    return [text for name, (size, mark) in described.items() if (text := _problem(folder / name, size, mark, content))]


def _problem(file: Path, size: int, mark: str, content: bool) -> str:
    try:
        found = file.stat().st_size
    except FileNotFoundError:
        return f"{file} is missing"
    if found != size:
        return f"{file} has {found} bytes instead of {size}"
    return f"{file} has changed since its receipt was written" if content and digest(file) != mark else ""


def _canonical(content: object, indent: int | None = None) -> bytes:
    return json.dumps(content, sort_keys=True, allow_nan=False, ensure_ascii=False, indent=indent).encode()
