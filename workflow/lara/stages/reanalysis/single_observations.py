"""Single-observation cases: what one observation changes, in every space it is shown in.

The increment is x_0(χ_a) − x_0(0) at the observation's time, the window's first slot, for y = H(x_0(0)) + innovation.
Without other data it shows a column of the background error covariance, BHᵀ(HBHᵀ + σ_o²)⁻¹ (y − H(x_b)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from lara.assimilation.cycle import cost_function
from lara.assimilation.minimise import minimise
from lara.config import SingleObservation
from lara.observations import batches
from lara.observations import table as tables
from lara.stages.covariance.factors import factors
from lara.stages.experiments import windows_of
from lara.stages.networks import RunWithNetworks
from lara.stages.observations.observation_error import instrument
from lara.stages.reanalysis.first_background import first_background
from lara.stages.reanalysis.variational import scheme
from lara.stages.run import Run, hours, time
from lara.stages.writing import write_dataset


def write_increments(run: RunWithNetworks) -> None:
    """Write the increments of every case."""
    for name, increments in observe_once(run).items():
        write_dataset(increments, run.layout.increments(name))


def observe_once(run: RunWithNetworks) -> dict[str, xr.Dataset]:
    """Increments (space, channel, latitude, longitude) by case, all cases of one space minimised in one batch."""
    parts = {name: _increments(run, name) for name in run.config.observed_once}
    return {case: _dataset(run, case, {name: part[i] for name, part in parts.items()}) for i, case in _cases(run)}


def _cases(run: Run) -> Sequence[tuple[int, str]]:
    return list(enumerate(run.config.single_observations))


def _increments(run: RunWithNetworks, name: str) -> Tensor:
    """Increments at the first slot (case, c, y, x), SI."""
    chosen, count = run.config.experiments[name], len(run.config.single_observations)
    begin = time(run.config.period(name)[0])
    window = windows_of(chosen, begin, begin + hours(chosen.slots * chosen.slot_hours))[0]
    background = _background(run).expand(count, -1, -1, -1)
    way = scheme(run, name, [factors(run, name)], background[:1], window)
    observations = batches.stack(
        [_observation(run, case, window.slots) for case in run.config.single_observations.values()]
    ).to(run.device)
    cost = cost_function([window] * count, background, observations, way)
    with torch.no_grad():
        first = cost.trajectory(cost.zeros())
        observations = replace(observations, value=observations.value + observations.hofx(first).double())
        cost = replace(cost, observations=observations)
    minima = minimise(cost, cost.zeros(), way.minimiser)
    with torch.no_grad():
        return (cost.trajectory(torch.stack([least.argument for least in minima])) - first)[:, 0].cpu()


def _background(run: RunWithNetworks) -> Tensor:
    """One background for every space: that of the first experiment shown."""
    shown = run.config.experiments[run.config.observed_once[0]]
    return first_background(run, shown.dataset, shown.background_hours)


def _observation(run: Run, case: SingleObservation, slots: np.ndarray) -> batches.ObservationBatch:
    """One datum whose value is the innovation alone."""
    row = {
        tables.STATION: "single",
        tables.STATION_TYPE: "surface" if case.level is None else "column",
        "variable": case.variable,
        tables.TIME: slots[0],
        tables.LATITUDE: case.latitude,
        tables.LONGITUDE: case.longitude % 360,
        tables.PRESSURE: np.nan if case.level is None else 100.0 * case.level,
        "ObsValue": case.innovation,
        "ObsError": case.error_std or instrument(run)[_channel(case)],
        "PreQC": 0,
        "withheld": False,
    }
    return batches.from_table(tables.validate(pd.DataFrame([row])), run.grid, run.channels, slots, run.step)


def _channel(case: SingleObservation) -> str:
    return case.variable + ("" if case.level is None else str(case.level))


def _dataset(run: RunWithNetworks, name: str, increments: dict[str, Tensor]) -> xr.Dataset:
    case = run.config.single_observations[name]
    coordinates = {
        "space": list(increments),
        "channel": run.channels.names,
        "latitude": run.grid.latitude,
        "longitude": run.grid.longitude,
    }
    fields = {
        "increment": (
            ("space", "channel", "latitude", "longitude"),
            np.stack([x.numpy() for x in increments.values()]),
        ),
        "background": (("channel", "latitude", "longitude"), _background(run)[0].cpu().numpy()),
    }
    attributes = {
        "site": name,
        "site_latitude": case.latitude,
        "site_longitude": case.longitude,
        "channel": _channel(case),
        "departure": case.innovation,
        "time": run.config.period(run.config.observed_once[0])[0].isoformat(),
    }
    return xr.Dataset(fields, coordinates, attributes)
