"""Rates of data: training batches by several readers, and months of GRIB through the steps of their ingestion.

Readers and steps take turns on the same data, after one turn that does not count; rates are those of the median turn.
Readers are compared by the clock on the wall, for some of them use several threads; steps of ingestion, which use one,
by processor time, which neighbours on a shared machine lengthen less. zarr-python and zarrs read in the peers'
environment.
"""

from __future__ import annotations

import json
import tempfile
import time as clock
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from lara.grid import Grid
from lara.sources import grib
from lara.sources.messages import decode_all
from lara.sources.regrid import METHODS, regridding
from lara.stages.benchmarks.peers import run_peer
from lara.stages.benchmarks.timing import rates, take_turns
from lara.stages.data import download
from lara.stages.run import Run
from lara.stages.states import RunWithStates
from lara.stages.writing import write_csv
from lara.store import StateStore

BATCHES, SAMPLES, LENGTH = 40, 16, 2  # sequences of two states are what the forecaster's first phase reads
MAPPED, BARE = "memory map", "eccodes alone"


def write_loaders(run: RunWithStates, progress: Callable[[int, int], None]) -> None:
    """Write the comparison of readers."""
    write_csv(compare_loaders(run, progress), run.layout.comparison("loaders"))


def write_ingestion(run: RunWithStates, progress: Callable[[int, int], None]) -> None:
    """Write the times of the steps of ingestion."""
    write_csv(measure_ingestion(run, progress), run.layout.comparison("ingestion"))


def compare_loaders(run: RunWithStates, progress: Callable[[int, int], None]) -> pd.DataFrame:
    """Milliseconds per batch and states per second of every reader, over those of a memory map."""
    stored = run.stores("training")[0].stretches()[0]
    generator = run.generator("random batches")
    starts = generator.integers(0, len(stored) - LENGTH, (BATCHES + 1, SAMPLES))
    with tempfile.TemporaryDirectory(dir=run.layout.root) as folder:
        readers = {"LARA (TensorStore)": stored, MAPPED: stored.staged(Path(folder))}
        seconds: dict[str, list[float]] = {name: [] for name in readers}
        total = 0.0
        for number, batch in enumerate(starts):
            for name, store in readers.items():
                begin = clock.perf_counter()
                states = _read(store, batch)
                seconds[name].append(clock.perf_counter() - begin)
            total += float(states.sum(dtype=np.float64))
            progress(number + 1, len(starts))
        theirs = _by_peers(run, stored, starts, Path(folder))
    for name, found in theirs.items():
        if not np.isclose(found["sum"], total, rtol=1e-9):
            raise RuntimeError(f"{name} read other states than LARA: their sums are {found['sum']} and {total}")
        seconds[name] = found["seconds"]
    return rates(seconds, SAMPLES * LENGTH, MAPPED, "states")


def _read(store: StateStore, starts: np.ndarray) -> np.ndarray:
    """A batch of sequences in one read."""
    rows = (starts[:, None] + np.arange(LENGTH)).ravel()
    return store.read(rows).reshape(len(starts), LENGTH, *store.array.shape[1:])


def _by_peers(run: Run, stored: StateStore, starts: np.ndarray, folder: Path) -> dict[str, dict[str, list[float]]]:
    """Seconds by codec pipeline of zarr-python."""
    batches, measured = folder / "batches.npy", folder / "measured.json"
    np.save(batches, stored.rows[starts[..., None] + np.arange(LENGTH)])
    run_peer(run.layout.peers, "zarr_runner.py", stored.path / "state", batches, measured)
    return json.loads(measured.read_text())


def measure_ingestion(run: Run, progress: Callable[[int, int], None]) -> pd.DataFrame:
    """Fields per second of the steps that bring a month from GRIB to the model grid, over those of bare decoding.

    Raises ValueError where the source is another or the month's GRIB was not kept.
    """
    source = download.cds_source(run)
    part = download.deliveries(run, run.config.using("training")[0])[0]
    grids = Grid.equiangular(*source.shape, poles=True), run.grid
    regrids = {method: regridding(method, *grids) for method in METHODS}
    return ingestion_rates(download.delivered(run, part), part.held, regrids, progress)


def ingestion_rates(
    path: Path,
    expected: grib.Expected,
    regrids: Mapping[str, grib.Regridding],
    progress: Callable[[int, int], None],
) -> pd.DataFrame:
    """The same of a GRIB file that holds what is expected, for each way of regridding, with and without decoding."""
    own = np.empty(expected.shape, np.float32)
    steps: dict[str, Callable[[], object]] = {
        BARE: lambda: decode_all(path),
        "decoded and checked": lambda: grib.check(path, expected),
        "decoded, checked, kept": lambda: grib.read(path, expected, into=own),
    }
    for method, regrid in regrids.items():
        model = np.empty((*expected.shape[:2], *regrid.target.shape), np.float32)
        steps[f"decoded, checked, {method}"] = partial(grib.read, path, expected, regrid, model)
        steps[f"{method} alone"] = partial(_regrid, regrid, own, model)
    seconds = take_turns(steps, clock.process_time, progress)
    return rates(seconds, expected.shape[0] * expected.shape[1], BARE, "fields")


def _regrid(regrid: grib.Regridding, states: np.ndarray, into: np.ndarray) -> None:
    """Field by field, as `grib.read` does it."""
    for place in np.ndindex(states.shape[:2]):
        regrid.fill(into[place], states[place])
