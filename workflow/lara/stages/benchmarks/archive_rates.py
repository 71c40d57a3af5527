"""Rates at which an archive is written and read, beside bare arrays of the same content.

Ways take turns on the same month of an experiment, after one turn that does not count. What is written is flushed to
the disk (fsync), what is read was read just before, so that disks count where they must and nowhere else. Bare arrays
are one file per kind (analysis, background), (time, channel, latitude, longitude).
"""

from __future__ import annotations

import shutil
import tempfile
import time as clock
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from lara import receipts, store
from lara.stages import parallel
from lara.stages.benchmarks.timing import rates, take_turns
from lara.stages.run import Run
from lara.stages.states import states_of
from lara.stages.verification.analysis_scores import KINDS
from lara.stages.writing import write_csv

BARE = "bare arrays"  # saved by NumPy, read from a memory map
Fields = dict[str, np.ndarray]
Ways = dict[str, Callable[[], object]]


def write_archive_rates(run: Run, progress: Callable[[int, int], None]) -> None:
    """Write the rates of an archive beside those of bare arrays."""
    write_csv(measure_archive(run, progress), run.layout.comparison("archive"))


def measure_archive(run: Run, progress: Callable[[int, int], None]) -> pd.DataFrame:
    """Rates of writing a month, reading it, one map of it and one place of it, each over that of bare arrays."""
    with store.open_archive(run.layout.archive(run.config.verification.reference)) as archive:
        times = max(parallel.months(archive["time"].values), key=len)
        fields = {kind: states_of(run, archive.sel(time=times), suffix) for kind, suffix in KINDS.items()}
    with tempfile.TemporaryDirectory(dir=run.layout.root) as folder:
        path, bare = Path(folder) / "archive.zarr", Path(folder) / "bare"
        day = len(parallel.days(times)[0])
        writing: Ways = {
            BARE: lambda: _save(bare, fields),
            "LARA, day by day": lambda: _write(run, path, times, fields, day),
            "LARA, at once": lambda: _write(run, path, times, fields),
        }
        tables = [_table("write a month", sum(states.nbytes for states in fields.values()), writing)]
        tasks = _reading(run, path, times, bare)
        for number, (task, (size, ways)) in enumerate(tasks.items(), start=1):
            progress(number, 1 + len(tasks))
            tables.append(_table(task, size, ways))
        progress(1 + len(tasks), 1 + len(tasks))
        return pd.concat(tables, ignore_index=True)


def _table(task: str, size: int, ways: Ways) -> pd.DataFrame:
    """Rates of the ways of a task, in MB/s."""
    table = rates(take_turns(ways, clock.perf_counter), size / 1e6, BARE, "MB")
    table.insert(0, "task", task)
    return table


def _reading(run: Run, path: Path, times: np.ndarray, bare: Path) -> dict[str, tuple[int, Ways]]:
    """Bytes and ways of each task that reads."""
    opened, middle, (y, x) = store.open_archive(path), len(times) // 2, (size // 2 for size in run.grid.shape)

    def mapped() -> np.ndarray:
        return np.load(bare / "analysis.npy", mmap_mode="r")

    whole = mapped().nbytes
    return {
        "read a month": (
            whole,
            {BARE: lambda: np.array(mapped()), "LARA": lambda: states_of(run, opened, "")},
        ),
        "read a map": (
            whole // len(times),
            {
                BARE: lambda: np.array(mapped()[middle]),
                "LARA": lambda: states_of(run, opened.isel(time=[middle]), ""),
            },
        ),
        "read a variable at a place": (
            4 * len(times),
            {BARE: lambda: np.array(mapped()[:, 0, y, x]), "LARA": lambda: _place(opened, run, y, x)},
        ),
    }


def _write(run: Run, path: Path, times: np.ndarray, fields: Fields, block: int | None = None) -> None:
    """A sealed archive of the fields, written in blocks of so many times."""
    store.discard_archive(path)
    store.create_archive(path, run.grid, run.channels, times, {})
    for first in range(0, len(times), block or len(times)):
        part = slice(first, first + (block or len(times)))
        store.write_archive(path, first, **{kind: states[part] for kind, states in fields.items()})
    store.seal_archive(path)


def _save(folder: Path, fields: Fields) -> None:
    """The fields as bare arrays, flushed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for kind, states in fields.items():
        np.save(folder / f"{kind}.npy", states)
        receipts.sync(folder / f"{kind}.npy")


def _place(archive: xr.Dataset, run: Run, y: int, x: int) -> np.ndarray:
    """The first channel over time at a grid point."""
    name = run.channels.channels[0].meta.archive_name
    return archive[name].isel(latitude=y, longitude=x).load(scheduler="synchronous").values
