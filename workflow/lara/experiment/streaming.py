"""Experiments cut into streams and chunks: each chunk a job of its own, and one archive of all that is published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from lara import locks, store
from lara.assimilation.window import Window
from lara.config import Chunk
from lara.experiment.comparing import windows_of
from lara.experiment.cycling import Report, Stretch, cycle_stretch
from lara.experiment.provenance import archive_times
from lara.experiment.run import Run, time
from lara.experiment.saving import write_dataset, write_table
from lara.layout import Cycled
from lara.observations import table as tables


def cycle_chunk(run: Run, label: str, report: Report) -> None:
    """Cycle the chunk `experiment/stream/begin` from where the one before ended; ValueError naming those there are."""
    name, _, rest = label.partition("/")
    known = {f"{chunk.stream}/{chunk.name}": chunk for chunk in run.config.production.chunks(name)}
    if rest not in known:
        raise ValueError(f"no chunk '{label}' in {run.layout.config}: choose one of {name}/{{{', '.join(known)}}}")
    cycle_stretch(run, stretch(run, name, known[rest]), report)


def stretch(run: Run, name: str, chunk: Chunk) -> Stretch:
    """Windows and files of a chunk."""
    chosen, stream = run.config.experiments[name], run.config.production.streams[name][chunk.stream]
    windows = windows_of(chosen, time(stream.first), time(stream.end))
    before = None if chunk.before is None else run.layout.chunk(name, chunk.stream, chunk.before).restart
    return Stretch(name, _within(windows, chunk), windows[0], files_of(run, name, chunk), before, chained=True)


def files_of(run: Run, name: str, chunk: Chunk) -> Cycled:
    """What a chunk leaves."""
    return run.layout.chunk(name, chunk.stream, chunk.name)


def published(run: Run, name: str) -> list[Chunk]:
    """Chunks whose times are in the archive, in order."""
    return [chunk for chunk in run.config.production.chunks(name) if chunk.published]


def seal_archive(run: Run, name: str) -> None:
    """Make one archive, feedback and ledger of an experiment's published chunks; StoreError for one that is not whole.

    The archive is a version of its own; those before stay, and feedback and ledger are of the current one.
    """
    files, chunks = run.layout.cycled(name), published(run, name)
    parts = [files_of(run, name, chunk) for chunk in chunks]
    if not parts:
        raise ValueError(f"experiment '{name}' has no streams: run `lara cycle-experiment`, which seals its archive")
    times = np.concatenate([archive_times(stretch(run, name, chunk).windows) for chunk in chunks])
    with locks.held(files.lock, "wait for it to end"):
        store.assemble_archive(files.archive, [part.archive for part in parts], run.grid, run.channels, times)
        tables.write_feedback((rows for part in parts for rows in tables.feedback_parts(part.feedback)), files.feedback)
        write_table(pd.concat([pd.read_parquet(part.health) for part in parts], ignore_index=True), files.health)
        write_table(pd.concat([pd.read_parquet(part.timings) for part in parts], ignore_index=True), files.timings)
        if run.config.experiments[name].has_spread:
            write_dataset(xr.concat([xr.load_dataset(part.members) for part in parts], "time"), files.members)


def prune_archive(run: Run, name: str) -> list[Path]:
    """Remove all versions of an experiment's archive but the current one; returns those removed."""
    files = run.layout.cycled(name)
    with locks.held(files.lock, "wait for it to end"):
        return store.prune(files.archive)


def _within(windows: list[Window], chunk: Chunk) -> list[Window]:
    """The windows of a stream whose fresh slots are a chunk's."""
    return [window for window in windows if time(chunk.begin) <= window.fresh[0] < time(chunk.end)]
