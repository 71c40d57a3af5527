"""Leftovers of a run: what datasets, networks, experiments and streams left that the configuration names no more.

LARA keeps every configuration that a run was started with. What one of them gave a name in the layout, and the present
one does not, is left over; nothing else is. Kept is what a job that runs works with, what another run imports, what
lies behind a link, and any folder that holds a file of no name that LARA gives. GRIB, logs and figures are left alone.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from lara import locks
from lara.layout import Layout
from lara.stages.run import Run
from lara.stages.upkeep.names import Names, files, names_in, present

OWN = re.compile(  # names of files in folders that are removed as a whole: of stores, versions, trainings and jobs
    r"\d{4}-\d\d(-screened)?\.parquet|zarr\.json|c(\.\d+)*|[\w.-]+\.receipt\.json|\..+|[\w.-]+\.part(ial)?|checkpoint(-[ab])?\.\w+"
    r"|(training|validation)\.csv|ledger\.jsonl|(feedback|members)-\d+\.(parquet|nc)"
)


def prune(run: Run, remove: bool) -> str:
    """What is left over, with sizes, and why some of it stays; removed where `remove` says so.

    LockError where a job runs of which no configuration tells what it works with.
    """
    found = {path: reason_to_stay(run.layout.root, path) for path in leftovers(run)}
    gone = [path for path, reason in found.items() if not reason]
    lines = [f"{_megabytes(size(path)):>10} MB  {path}" for path in gone]
    lines += [f"{'kept':>13}  {path}: {reason}" for path, reason in found.items() if reason]
    total = _megabytes(sum(map(size, gone)))
    if remove:
        for path in sorted(gone, key=lambda path: not _seals(path)):
            _remove(run.layout.root, path)
    end = f"{total} MB removed" if remove else f"{total} MB left over; nothing was removed, --remove does it"
    return "\n".join([*lines, end] if lines else [f"nothing is left over in {run.layout.root}"])


def leftovers(run: Run) -> list[Path]:
    """Files and folders that are left over, whatever speaks against their removal."""
    earlier = [found for file in _configurations(run.layout) if (found := names_in(file))]
    used = set(files(run.layout, present(run.config))) | set(_at_work(run, earlier))
    left = {path for names in earlier for path in files(run.layout, names)} - used
    left |= {path.with_name(f"{path.name}.receipt.json") for path in left}
    return sorted(path for path in left if path.exists() or path.is_symlink())


def size(path: Path) -> int:
    """Bytes of a file or of all files in a folder; of a link, none."""
    if path.is_symlink():
        return 0
    inside = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in inside if file.is_file() and not file.is_symlink())


def reason_to_stay(root: Path, path: Path) -> str:
    """Why something left over in the run at `root` is not removed; empty where it may be."""
    if path.parent.resolve() != root.resolve() / path.parent.relative_to(root):
        return "it lies behind a link"
    if path.is_symlink() or not path.is_dir():
        return ""
    links = (link for link in root.resolve().parent.glob("*/data/*.zarr*") if link.is_symlink())
    if user := next((link for link in links if link.resolve() == path.resolve()), None):
        return f"{user} is a link to it"
    inside = (file for file in path.rglob("*") if file.is_symlink() or not file.is_dir())
    stranger = next((file for file in inside if not OWN.fullmatch(file.name)), None)
    return "" if stranger is None else f"{stranger} has no name that LARA gives"


def _configurations(layout: Layout) -> list[Path]:
    """Files of the configurations that the run was started with."""
    return sorted(layout.frozen_config("x").parent.glob("*.yaml"))


def _at_work(run: Run, earlier: list[Names]) -> Iterator[Path]:
    """Files that jobs which run may work with: all of every configuration that names their experiment."""
    for experiment, lock in _held(run.layout):
        users = [names for names in earlier if experiment in names.experiments]
        if not users and experiment not in run.config.experiments:
            raise locks.LockError(f"{lock} is held, and no configuration says what its job works with: wait for it")
        for names in users:
            yield from files(run.layout, names)


def _held(layout: Layout) -> Iterator[tuple[str, Path]]:
    """Experiments whose archive, or a chunk of it, somebody writes, with the lock, which is renewed."""
    root = layout.archive("x").parent
    for lock in root.rglob("*.zarr.lock"):
        if time.time() - lock.stat().st_mtime < locks.STALE:
            own = lock.relative_to(root).parts
            yield own[1] if own[0] == "chunks" else own[0].removesuffix(".zarr.lock"), lock


def _seals(path: Path) -> bool:
    """Whether it is what proves others whole, which goes first: what is half removed never looks whole."""
    return path.name.endswith((".json", ".receipts")) or path.parent.name == "parts"


def _remove(root: Path, path: Path) -> None:
    """Remove a file, link or folder, and the folders above it that are empty then."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    for folder in path.parents:
        if folder == root or any(folder.iterdir()):
            return
        folder.rmdir()


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f}"
