"""Cycled experiments of a run: observations, methods, and the archive they leave."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from lara import receipts, store
from lara.assimilation.cycle import Analysis, Method, Model, assimilate, autoencoder_only, cycle, free
from lara.assimilation.minimise import LBFGS
from lara.assimilation.window import Window, windows
from lara.experiment import covariance
from lara.experiment.run import Run, time
from lara.observations import table as tables
from lara.observations.network import draw_network
from lara.observations.operators import Observations, from_table
from lara.observations.simulate import simulate


def draw_sites(run: Run) -> pd.DataFrame:
    """The fixed observing network."""
    wanted = run.config.observations
    return draw_network(
        run.grid, wanted.columns, wanted.surface_stations, wanted.withheld_fraction, run.generator("sites")
    )


def simulate_observations(run: Run, dataset: str) -> pd.DataFrame:
    """Observations of a dataset at all its times."""
    truth = run.store(dataset)
    error = dict(zip(run.channels.names, run.per_channel(run.config.observations.error_std).tolist(), strict=True))
    return simulate(truth, pd.read_parquet(run.layout.sites), truth.times, error, run.config.seed)


def cycle_experiment(run: Run, name: str, report: Callable[[int, int, Analysis], None]) -> None:
    """Run an experiment over its period; leaves a sealed archive, the feedback and the health ledger."""
    chosen = run.config.experiments[name]
    begin, end = (time(moment) for moment in run.config.period(name))
    period = windows(begin, end, chosen.slots, run.step)
    times = np.concatenate([window.slots for window in period])
    table = tables.read(run.layout.observations(chosen.dataset))
    read = ObservationReader(run, name, table)
    with torch.no_grad():
        background = first_background(run, name)
    archive, feedback, health = empty_archive(run, name, times), [], []
    for number, analysis in enumerate(cycle(period, background, read, method(run, name), model(run, name).step)):
        store.write_archive(
            archive, number * chosen.slots, analysis.analysis.cpu().numpy(), analysis.background.cpu().numpy()
        )
        feedback.append(read.feedback(analysis))
        health.append(analysis.health)
        report(number + 1, len(period), analysis)
    store.seal_archive(archive)
    tables.write_feedback(pd.concat(feedback, ignore_index=True), run.layout.feedback(name))
    pd.DataFrame(health).to_parquet(run.layout.health(name), index=False)


def empty_archive(run: Run, name: str, times: np.ndarray) -> Path:
    """A new archive for an experiment, in place of one made with other settings."""
    path, made_from = run.layout.archive(name), provenance(run, name)
    run.layout.archive_receipt(name).unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)
    store.create_archive(path, run.grid, run.channels, times, made_from)
    return path


def method(run: Run, name: str) -> Method:
    """How an experiment analyses a window."""
    chosen = run.config.experiments[name]
    if chosen.method == "free":
        return partial(free, model=model(run, name))
    if chosen.method == "autoencoder-only":
        return partial(autoencoder_only, model=model(run, name))
    return partial(
        assimilate,
        model=model(run, name),
        control=covariance.control(run, chosen.autoencoder or ""),
        settings=minimiser(run),
    )


def minimiser(run: Run) -> LBFGS:
    """The minimiser as configured."""
    return LBFGS(**run.config.minimiser.model_dump())


def model(run: Run, name: str) -> Model:
    """Step, encoder and decoder of an experiment on single states (c, y, x) in physical units."""

    def step(state: Tensor) -> Tensor:
        return run.forecast_step(state[None])[0]

    autoencoder = run.config.experiments[name].autoencoder
    if autoencoder is None:
        return Model(step)
    encode, decode = run.encoding(autoencoder)
    return Model(step, lambda x: encode(x[None])[0], lambda z: decode(z[None])[0])


def first_background(run: Run, name: str) -> Tensor:
    """Forecast from the truth, valid at the experiment's begin, (c, y, x)."""
    chosen = run.config.experiments[name]
    truth = run.store(chosen.dataset)
    state = run.tensor(truth.at(truth.times[:1]))
    for _ in range(chosen.background_hours // run.config.step_hours):
        state = run.forecast_step(state)
    return state[0]


class ObservationReader:
    """Observations of a window with the error the analysis is to give them."""

    def __init__(self, run: Run, name: str, table: pd.DataFrame) -> None:
        self.run, self.table = run, table
        self.extra_std = extra_error(run, name)

    def __call__(self, window: Window) -> Observations:
        """Observations of [begin, end) with R = σ_o² + representation² + model²."""
        observations = from_table(self._rows(window), self.run.grid, self.run.channels, window.slots, self.run.step)
        return observations.inflate(self.extra_std).to(self.run.device)

    def feedback(self, analysis: Analysis) -> pd.DataFrame:
        """Each datum of a window with its departures; where nothing was minimised, no datum was used."""
        error = self(analysis.window).error_std.cpu().numpy()
        if analysis.minimum is None:
            error = np.full_like(error, np.inf)
        return tables.feedback(
            self._rows(analysis.window),
            analysis.hofx_background.cpu().numpy(),
            analysis.hofx_analysis.cpu().numpy(),
            error,
            analysis.window.begin,
        )

    def _rows(self, window: Window) -> pd.DataFrame:
        return tables.between(self.table, window.begin, window.end)


def extra_error(run: Run, name: str) -> Tensor:
    """Error beyond the instrument's, (slot, channel), SI: the autoencoder's, and the forecaster's in later slots."""
    chosen = run.config.experiments[name]
    grown = xr.load_dataset(run.layout.errors("forecaster"))["model_error"].values[: chosen.slots]
    if chosen.autoencoder is None:
        return torch.from_numpy(grown)
    representation = xr.load_dataset(run.layout.errors(chosen.autoencoder))["representation_error"].values
    return torch.from_numpy(np.sqrt(grown**2 + representation**2))


def provenance(run: Run, name: str) -> dict[str, str]:
    """What an archive was made from."""
    chosen = run.config.experiments[name]
    inputs = [run.layout.weights("forecaster"), run.layout.observations(chosen.dataset)]
    if chosen.autoencoder is not None:
        inputs += [run.layout.weights(chosen.autoencoder), run.layout.background_error(chosen.autoencoder)]
    return {
        "title": f"LARA {run.config.name}: {name} ({chosen.method})",
        "Conventions": "CF-1.11",
        "experiment": chosen.model_dump_json(),
        "configuration": receipts.digest(run.config.model_dump(mode="json")),
        **{f"digest of {path.relative_to(run.layout.root)}": receipts.digest(path) for path in inputs},
    }
