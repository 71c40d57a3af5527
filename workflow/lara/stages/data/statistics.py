"""Climatology and scales of the training period."""

from __future__ import annotations

from lara.stages import parallel
from lara.stages.states import RunWithStates


def compute_statistics(run: RunWithStates) -> None:
    """Climatology and scales over the training datasets."""
    from lara import normalise

    with parallel.client(run.config.dask):
        normalise.save(normalise.compute(run.stores("training")), run.layout.statistics)
