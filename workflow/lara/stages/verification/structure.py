"""Structure of analyses that RMSE does not show: spectra, tails, lags, balance, budgets, noise of first forecasts.

Sources are the experiments of the default suite and two controls over the same times: `truth`, and `reconstruction`,
the truth once through the autoencoder of the reference experiment. Increments are analyses less their background; those
of the controls are less the background of the reference, hence perfect but for what the autoencoder cannot represent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from lara import store
from lara.covariance.harmonics import Harmonics
from lara.stages.experiments import CONTROLS, evaluation_begin, shown_autoencoder
from lara.stages.networks import RunWithNetworks, trajectory
from lara.stages.run import Run
from lara.stages.states import RunWithStates, states_of
from lara.stages.verification.forecast_scores import forecast_inits
from lara.stages.writing import write_dataset
from lara.verification import aggregation, balance, lags, physics, regions, spectra, tails

STEPS = 4  # of the forecasts whose noise is measured
INITS = 10


@dataclass(frozen=True)
class Series:
    """States of a source with their backgrounds and the truth (time, channel, latitude, longitude), SI."""

    times: np.ndarray
    states: np.ndarray
    background: np.ndarray
    truth: np.ndarray


def write_structure(run: RunWithNetworks, name: str) -> None:
    """Write the structure of an experiment's analyses."""
    write_dataset(measure_structure(run, name), run.layout.structure(name))


def write_controls(run: RunWithNetworks) -> None:
    """Write the structure of the truth and of its reconstruction."""
    for name, found in measure_controls(run).items():
        write_dataset(found, run.layout.structure(name))


def measure_structure(run: RunWithNetworks, name: str) -> xr.Dataset:
    """Sums of every diagnostic of an experiment's analyses after the spin-up."""
    return _measure(run, name, _archived(run, name))


def measure_controls(run: RunWithNetworks) -> dict[str, xr.Dataset]:
    """The same of the truth and of its reconstruction, at the times of the reference experiment."""
    reference = run.config.verification.reference
    of = _archived(run, reference)
    passed = _reconstructed(run, of.truth)
    series = [Series(of.times, states, of.background, of.truth) for states in (of.truth, passed)]
    return {name: _measure(run, reference, one) for name, one in zip(CONTROLS, series, strict=True)}


def _archived(run: RunWithStates, name: str) -> Series:
    archive = store.open_archive(run.layout.archive(name)).sel(time=slice(evaluation_begin(run, name), None))
    times = archive["time"].values
    truth = run.store(run.config.experiments[name].dataset).at(times)
    return Series(times, states_of(run, archive, ""), states_of(run, archive, "_background"), truth)


@torch.no_grad()
def _reconstructed(run: RunWithNetworks, states: np.ndarray) -> np.ndarray:
    encode, decode = run.encoding(shown_autoencoder(run))
    parts = [decode(encode(torch.from_numpy(part))) for part in np.array_split(states, -(-len(states) // 16))]
    return torch.cat(parts).cpu().numpy()


def _measure(run: RunWithNetworks, name: str, of: Series) -> xr.Dataset:
    """Sums by month of spectra, tails, lags and balance; kinetic energy over all times; budgets by time."""
    names, harmonics = run.channels.names, Harmonics.of(run.grid)
    share = regions.whole(run.grid.area_weights).values[0]
    scale, climate = run.statistics.std[:, None, None], run.statistics.climatology_at(of.times)
    anomalies, true = ((states - climate) / scale for states in (of.states, of.truth))
    sums: list[tuple[aggregation.Statistic, xr.Dataset]] = [
        (spectra, spectra.sums(of.states, of.truth, harmonics, of.times, names)),
        (tails, tails.sums(anomalies, true, share, of.times, names)),
        (lags, lags.sums(of.states, of.truth, share, of.times, names)),
        (balance, balance.sums(of.states, of.background, run.channels, run.grid, of.times)),
    ]
    parts = [
        *(aggregation.prefixed(statistic, aggregation.by_month(each)) for statistic, each in sums),
        _energy(run, of.states, harmonics),
        _budgets(run, of),
        _noise(run, name, of),
    ]
    return xr.merge(parts, join="outer", compat="no_conflicts").assign_attrs(n=len(of.times))


def _energy(run: Run, states: np.ndarray, harmonics: Harmonics) -> xr.Dataset:
    """`kinetic_energy` (part, wavenumber), mean over times and levels; nothing without wind."""
    if not {"u", "v"} <= set(run.channels.variables):
        return xr.Dataset()
    east, north = (states[:, run.channels.select(name)].reshape(-1, *run.grid.shape) for name in "uv")
    found = spectra.kinetic_energy(east, north, harmonics).mean(1)
    return xr.Dataset(
        {"kinetic_energy": (("part", "wavenumber"), found)},
        {"part": ["rotational", "divergent"], "wavenumber": np.arange(harmonics.truncation)},
    )


def _budgets(run: Run, of: Series) -> xr.Dataset:
    """`budget` (kind, quantity, time) of analyses, backgrounds and truth."""
    kinds = {"analysis": of.states, "background": of.background, "truth": of.truth}
    found = [physics.budgets(states, run.channels, run.grid) for states in kinds.values()]
    quantities = list(found[0])
    table = np.array([[one[quantity] for quantity in quantities] for one in found])
    coordinates = {"kind": list(kinds), "quantity": quantities, "time": of.times}
    return xr.Dataset({"budget": (("kind", "quantity", "time"), table)}, coordinates)


@torch.no_grad()
def _noise(run: RunWithNetworks, name: str, of: Series) -> xr.Dataset:
    """`tendency` (step): rms change of mean sea level pressure in each of the first forecast steps, Pa."""
    if "msl" not in run.channels.names:
        return xr.Dataset()
    inits = forecast_inits(run, name)[:INITS]
    channel, area = run.channels.position("msl"), run.area_weights()
    total = torch.zeros(STEPS).double()
    for init, start in zip(inits, of.states[np.searchsorted(of.times, inits)], strict=True):
        pressure = trajectory(run, run.tensor(start[None]), init + run.lead_times(STEPS))[:, channel]
        total += (area * (pressure[1:] - pressure[:-1]) ** 2).mean((1, 2)).double().cpu()
    rms = (total / len(inits)).sqrt().numpy()
    return xr.Dataset({"tendency": ("step", rms)}, {"step": np.arange(1, STEPS + 1)})
