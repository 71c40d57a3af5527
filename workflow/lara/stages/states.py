"""States of a run: its datasets, their statistics, and what an archive holds as channels."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from lara.stages.run import Run, time

if TYPE_CHECKING:
    from lara.normalise import Normaliser, Statistics
    from lara.store import StateStore


class RunWithStates(Run):
    """A run whose datasets and statistics are made, or whose stage makes them."""

    def store(self, dataset: str, begin: np.datetime64 | None = None, end: np.datetime64 | None = None) -> StateStore:
        """States of a dataset over [begin, end), by default its whole period.

        StoreError when they are of other channels or another grid, or are not all made.
        """
        from lara.store import StoreError, open_state

        chosen, path = self.config.datasets[dataset], self.layout.dataset(dataset)
        found = open_state(path, begin or time(chosen.begin), end or time(chosen.end))
        if found.channels != self.channels or found.grid.shape != self.grid.shape:
            raise StoreError(
                f"{path} holds {found.channels.names} on {found.grid.shape}, but the configuration asks for "
                f"{self.channels.names} on {self.grid.shape}: generate the dataset again"
            )
        return found

    def stores(self, use: str) -> list[StateStore]:
        """States of datasets with a use, cut at gaps, without stretches too short for a sample of B.

        Test datasets are those of the default target; others belong to the targets that they are for.
        """
        least = 1 + max(self.config.background_error.lead_hours) // self.config.step_hours
        names = self.config.default_tests if use == "test" else self.config.using(use)
        whole = [self.store(name) for name in names]
        cut = [part for found in whole if len(found.gaps) for part in found.stretches() if len(part) >= least]
        return [found for found in whole if not len(found.gaps)] + cut

    @cached_property
    def statistics(self) -> Statistics:
        """Climatology and scales of the training period."""
        from lara import normalise

        return normalise.load(self.layout.statistics)

    @cached_property
    def normaliser(self) -> Normaliser:
        """Physical units to normalised units and back."""
        from lara.normalise import Normaliser

        return Normaliser(self.statistics).to(self.device)


def states_of(run: Run, archive: xr.Dataset, suffix: str) -> np.ndarray:
    """States (time, channel, y, x) of an opened archive; suffix "" for analyses, "_background" for backgrounds.

    They are read in the thread that asks, which may be one of many.
    """
    short = {f"{channel.meta.archive_name}{suffix}": channel.variable for channel in run.channels.channels}
    return run.channels.from_dataset(archive[list(short)].rename(short).load(scheduler="synchronous"))
