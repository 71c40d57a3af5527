"""How fast an archive is written and read, beside bare arrays of the same content.

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
from lara.experiment import computing
from lara.experiment.data_rates import rates
from lara.experiment.run import Run
from lara.experiment.scoring import states_of

TURNS = 5
KINDS = {"analysis": "", "background": "_background"}
Fields = dict[str, np.ndarray]


def measure_archive(run: Run, progress: Callable[[int, int], None]) -> pd.DataFrame:
    """Rates of writing a month, reading it, one map of it and one place of it, each over that of bare arrays."""
    with store.open_archive(run.layout.archive(run.config.verification.reference)) as archive:
        times = max(computing.months(archive["time"].values), key=len)
        fields = {kind: states_of(run, archive.sel(time=times), suffix) for kind, suffix in KINDS.items()}
    with tempfile.TemporaryDirectory(dir=run.layout.root) as folder:
        path, bare = Path(folder) / "archive.zarr", Path(folder) / "bare"
        _write(run, path, times, fields)
        _save(bare, fields)
        return pd.concat(_compare(run, path, times, fields, bare, progress), ignore_index=True)


def _compare(
    run: Run, path: Path, times: np.ndarray, fields: Fields, bare: Path, progress: Callable[[int, int], None]
) -> list[pd.DataFrame]:
    """A table per task."""
    day, middle = len(computing.days(times)[0]), len(times) // 2
    y, x = (size // 2 for size in run.grid.shape)
    opened = store.open_archive(path)
    tasks: dict[str, tuple[int, dict[str, Callable[[], object]]]] = {
        "write a month": (
            _size(fields),
            {
                "np.save": lambda: _save(bare, fields),
                "LARA, at once": lambda: _write(run, path, times, fields),
                "LARA, day by day": lambda: _write(run, path, times, fields, day),
            },
        ),
        "read a month": (
            _size(fields) // 2,
            {
                "np.memmap": lambda: np.array(np.load(bare / "analysis.npy", mmap_mode="r")),
                "LARA": lambda: states_of(run, opened, ""),
            },
        ),
        "read a map": (
            _size(fields) // 2 // len(times),
            {
                "np.memmap": lambda: np.array(np.load(bare / "analysis.npy", mmap_mode="r")[middle]),
                "LARA": lambda: states_of(run, opened.isel(time=[middle]), ""),
            },
        ),
        "read a variable at a place": (
            4 * len(times),
            {
                "np.memmap": lambda: np.array(np.load(bare / "analysis.npy", mmap_mode="r")[:, 0, y, x]),
                "LARA": lambda: _place(opened, run, y, x),
            },
        ),
    }
    tables = []
    for number, (task, (size, ways)) in enumerate(tasks.items()):
        table = _timed(ways, size, next(iter(ways)))
        table.insert(0, "task", task)
        tables.append(table)
        progress(number + 1, len(tasks))
    return tables


def _timed(ways: dict[str, Callable[[], object]], size: int, reference: str) -> pd.DataFrame:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(TURNS + 1):
        for name, way in ways.items():
            begin = clock.perf_counter()
            way()
            seconds[name].append(clock.perf_counter() - begin)
    return rates(seconds, size / 1e6, reference, "MB")


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


def _size(fields: Fields) -> int:
    return sum(states.nbytes for states in fields.values())
