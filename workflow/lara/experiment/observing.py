"""Observations of a run: the network, what it sees, what screening leaves, and what an analysis is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from lara.assimilation.analysis import Analysis
from lara.assimilation.window import Window
from lara.config import Experiment
from lara.experiment.run import Run
from lara.observations import screening
from lara.observations import table as tables
from lara.observations.network import draw_network
from lara.observations.operators import Observations, from_table
from lara.observations.simulate import simulate
from lara.observations.thinning import Thinning

TIMES_PER_READ = 40


def draw_sites(run: Run) -> pd.DataFrame:
    """The fixed observing network."""
    wanted = run.config.observations
    return draw_network(
        run.grid, wanted.columns, wanted.surface_stations, wanted.withheld_fraction, run.generator("sites")
    )


def error_std(run: Run) -> dict[str, float]:
    """Standard error by channel name, SI."""
    return dict(zip(run.channels.names, run.per_channel(run.config.observations.error_std).tolist(), strict=True))


def simulate_observations(run: Run, dataset: str) -> Iterator[pd.DataFrame]:
    """Observations of a dataset at all its times, some days after another."""
    truth, sites, std = run.store(dataset), pd.read_parquet(run.layout.sites), error_std(run)
    for times in _stretches(truth.times):
        yield simulate(truth, sites, times, std, run.config.seed)


def screen_observations(run: Run, dataset: str) -> Iterator[pd.DataFrame]:
    """The observations with what the checks before any assimilation have against each, some days after another.

    Stretches end between two slots, so that what is compared with each other is in one of them.
    """
    settings, path, half = run.config.quality_control, run.layout.observations(dataset), run.step // 2
    blacklist = () if settings.blacklist is None else screening.read_blacklist(settings.blacklist)
    thinning = None
    if settings.thinning != "none":
        thinning = Thinning(settings.thinning, settings.thinning_degrees, run.step)
    for times in _stretches(run.store(dataset).times):
        table = tables.read(path, times[0] - half, times[-1] + half)
        climate = None if settings.gross_check is None else _climate(run, table, settings.gross_check)
        yield screening.screen(table, blacklist, climate, thinning)


def _stretches(times: np.ndarray) -> Iterator[np.ndarray]:
    """Some days of times after another."""
    for first in range(0, len(times), TIMES_PER_READ):
        yield times[first : first + TIMES_PER_READ]


def _climate(run: Run, table: pd.DataFrame, threshold: float) -> screening.Climate:
    """Climatological mean at the place and time of every row, and the std of its channel."""
    times = np.unique(table[tables.TIME].to_numpy())
    spacing = np.diff(times).min() if len(times) > 1 else run.step
    h = from_table(table, run.grid, run.channels, times, min(spacing, run.step))
    fields = torch.from_numpy(run.statistics.climatology_at(times)).double()
    return screening.Climate(h.hofx(fields[None])[0].numpy(), run.statistics.std[h.channel[0].numpy()], threshold)


class ObservationReader:
    """Observations of a window with the errors the analyses are to give them, one batch member per factor on R.

    An ensemble (`perturbed`) gives each member its own errors, drawn from the identity of the experiment, the member
    and the window.
    """

    def __init__(
        self, run: Run, name: str, dataset: str, factors: Sequence[float] = (1.0,), perturbed: bool = False
    ) -> None:
        self.run, self.name, self.perturbed = run, name, perturbed
        self.path = run.layout.screened(dataset)
        self.loaded: tuple[np.datetime64, np.datetime64, pd.DataFrame] | None = None
        self.extra_std = extra_error(run, run.config.experiments[name])
        self.factors = torch.tensor(factors, dtype=torch.float64)[:, None]

    def __call__(self, window: Window) -> Observations:
        """Observations of a window with R = factor (σ_o² + representation² + model²)."""
        rows = self.rows(window)
        own = from_table(rows, self.run.grid, self.run.channels, window.slots, window.step, window.fresh_from)
        members = own.inflate(self.extra_std).repeat(len(self.factors))
        members = replace(members, error_std=members.error_std * self.factors.sqrt())
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
            self.loaded = begin, until, tables.read(self.path, begin, until)
        return tables.between(self.loaded[2], begin, end)

    def feedback(self, analysis: Analysis) -> pd.DataFrame:
        """Each datum that is new in a window, with its departures; where nothing was minimised, none was used."""
        rows, fit = self.rows(analysis.window), analysis.fit
        error = fit.error_std.cpu().numpy() if analysis.minimum else np.full(len(rows), np.inf)
        prior = tables.prior_flags(rows, analysis.window.fresh_from)
        flags = tables.effective_flags(prior, error, fit.rejected.cpu().numpy())
        outcome = tables.Outcome(
            fit.hofx_background.cpu().numpy(), fit.hofx_analysis.cpu().numpy(), error, flags, fit.weight.cpu().numpy()
        )
        table = tables.feedback(rows, outcome, analysis.window.begin)
        return table[table[tables.TIME] >= analysis.window.fresh_from]


def extra_error(run: Run, chosen: Experiment) -> Tensor:
    """Error beyond the instrument's, (slot, channel), SI: the autoencoder's, and the forecaster's in later slots."""
    errors = xr.load_dataset(run.layout.errors("forecaster"))["model_error"]
    leads = np.arange(chosen.slots) * (chosen.slot_hours // run.config.step_hours)
    grown = errors.values[leads]
    if chosen.autoencoder is None:
        return torch.from_numpy(grown)
    representation = xr.load_dataset(run.layout.errors(chosen.autoencoder))["representation_error"].values
    return torch.from_numpy(np.sqrt(grown**2 + representation**2))
