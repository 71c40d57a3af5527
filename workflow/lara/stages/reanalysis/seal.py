"""One sealed archive of all chunks that an experiment in streams publishes, and its versions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from lara import locks, store
from lara.observations import table as tables
from lara.stages.reading import read_dataset, read_table
from lara.stages.reanalysis.attribution import attribution
from lara.stages.reanalysis.provenance import archive_times
from lara.stages.reanalysis.streams import files_of, published, stretch
from lara.stages.run import Run
from lara.stages.writing import write_dataset, write_table


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
        archives, said = [part.archive for part in parts], attribution(run, name, times)
        store.assemble_archive(files.archive, archives, run.grid, run.channels, times, said)
        tables.write_feedback((rows for part in parts for rows in tables.feedback_parts(part.feedback)), files.feedback)
        write_table(pd.concat([read_table(part.health) for part in parts], ignore_index=True), files.health)
        write_table(pd.concat([read_table(part.timings) for part in parts], ignore_index=True), files.timings)
        if run.config.experiments[name].has_spread:
            write_dataset(xr.concat([read_dataset(part.members) for part in parts], "time"), files.members)
