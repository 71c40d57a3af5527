"""Versions of an archive made of parts: each a store that is never written again, and a name that points at one.

    reanalysis/versions/<experiment>/<version>.zarr  with its receipt beside; <version> is that receipt's digest
    reanalysis/<experiment>.zarr                     symbolic link to the version that is current, switched by a rename

A reader looks the version up once and stays with it, so that nothing it reads later is of another. Files that two
versions share are one file on disk (hard links): a version costs what has changed since the one before. Versions stay
until they are pruned.
"""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from typing import Any

from lara import receipts
from lara.store.arrays import linked


def receipt_of(path: Path) -> Path:
    """Receipt beside a store."""
    return path.with_name(f"{path.name}.receipt.json")


def current(path: Path) -> Path:
    """The store that a name stands for now: the version it points at, or itself where it has none."""
    return path.parent / path.readlink() if path.is_symlink() else path


def folder_of(path: Path) -> Path:
    """Where the versions of the archive called `path` lie."""
    return path.parent / "versions" / path.stem


def versions_of(path: Path) -> list[Path]:
    """Versions that are kept, the current one first; the archive itself where it has none."""
    now = current(path)
    return [now, *(store for store in sorted(folder_of(path).glob("[!.]*.zarr")) if store.name != now.name)]


def version_of(path: Path) -> str:
    """The version that a name stands for now; ReceiptError where it is not sealed."""
    return str(receipts.read(receipt_of(current(path)))["digest"])


def share(fresh: Path, files: dict[str, list[Any]], earlier: Path) -> None:
    """Replace files of `fresh`, described by `files`, by links to equal ones of an earlier version, if it is there."""
    known = receipts.read(receipt_of(earlier))["files"] if receipt_of(earlier).exists() else {}
    for name, described in files.items():
        mine, theirs = fresh / name, earlier / name
        if known.get(name) != described or not theirs.exists() or mine.samefile(theirs):
            continue
        if not receipts.problems({name: described}, earlier):  # it may have been damaged since
            link = mine.with_name(f".{uuid.uuid4().hex}")
            if not linked(theirs, link):  # no links here: each version has files of its own
                return
            link.replace(mine)


def point(path: Path, version: Path) -> None:
    """Let the name `path` stand for a version from now on; a store of that name which is no version is removed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    link = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    link.symlink_to(os.path.relpath(version, path.parent))
    link.replace(path)
    receipts.sync(path.parent)


def prune(path: Path) -> list[Path]:
    """Remove every version but the current one, receipts first; returns those removed."""
    gone = [version for version in versions_of(path) if version != current(path)]
    for version in gone:
        receipt_of(version).unlink(missing_ok=True)
        shutil.rmtree(version)
    return gone
