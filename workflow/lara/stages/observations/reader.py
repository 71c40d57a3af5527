"""Observations of a window as an analysis is given them, and the feedback it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lara.assimilation.analysis import Analysis
from lara.assimilation.window import Window
from lara.depends.inputs import Inputs
from lara.observations import table as tables
from lara.observations.batches import ObservationBatch, from_table
from lara.stages.observations.observation_error import beyond_instrument, with_error
from lara.stages.observations.stretches import TIMES_PER_READ
from lara.stages.run import Run


class ObservationReader:
    """Observations of a window with the errors the analyses are to give them, one batch member per factor on R.

    An ensemble (`perturbed`) gives each member its own errors, drawn from the identity of the experiment, the member
    and the window.
    """

    def __init__(
        self, run: Run, name: str, dataset: str, factors: Sequence[float] = (1.0,), perturbed: bool = False
    ) -> None:
        self.run, self.name, self.perturbed = run, name, perturbed
        self.dataset = dataset
        self.loaded: tuple[np.datetime64, np.datetime64, pd.DataFrame] | None = None
        self.beyond = beyond_instrument(run, run.config.experiments[name])
        self.factors = factors

    def __call__(self, window: Window) -> ObservationBatch:
        """Observations of a window with their R, see `observation_error`."""
        rows = self.rows(window)
        own = from_table(rows, self.run.grid, self.run.channels, window.slots, window.step, window.fresh_from)
        members = with_error(own, self.beyond, self.factors)
        if self.perturbed:
            members = members.perturbed(
                [self.run.generator("perturbation", self.name, i, str(window)) for i in range(len(self.factors))]
            )
        return members.to(self.run.device)

    def rows(self, window: Window) -> pd.DataFrame:
        """Rows of the table that belong to a window, used before or not; some days are held at a time."""
        begin, end = window.data_span
        if self.loaded is None or not self.loaded[0] <= begin < end <= self.loaded[1]:
            until = max(end, begin + TIMES_PER_READ * self.run.step)
            self.loaded = begin, until, tables.read_all(self._tables(begin, until), begin, until)
        return tables.between(self.loaded[2], begin, end)

    def _tables(self, begin: np.datetime64, end: np.datetime64) -> list[Path]:
        """Tables of the months of the slots whose observations lie in [begin, end)."""
        slots = ((moment + self.run.step // 2).astype("M8[us]").item() for moment in (begin, end))
        return Inputs(self.run.config, self.run.layout).screened(self.dataset, *slots)

    def feedback(self, analysis: Analysis) -> pd.DataFrame:
        """Each datum that is new in a window, with its departures; where nothing was assimilated, none was used."""
        rows, fit = self.rows(analysis.window), analysis.fit
        error = fit.error_std.cpu().numpy() if analysis.assimilated else np.full(len(rows), np.inf)
        prior = tables.prior_flags(rows, analysis.window.fresh_from)
        flags = tables.effective_flags(prior, error, fit.rejected.cpu().numpy())
        outcome = tables.Outcome(
            fit.hofx_background.cpu().numpy(), fit.hofx_analysis.cpu().numpy(), error, flags, fit.weight.cpu().numpy()
        )
        table = tables.feedback(rows, outcome, analysis.window.begin)
        return table[table[tables.TIME] >= analysis.window.fresh_from]
