"""Simulated observations of a run: the network, and what it sees of a dataset."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from lara.observations import table as tables
from lara.observations.network import draw_network
from lara.observations.simulate import simulate
from lara.stages.observations.observation_error import instrument
from lara.stages.observations.stretches import slots_of, stretches
from lara.stages.reading import read_table
from lara.stages.run import Run
from lara.stages.states import RunWithStates
from lara.stages.writing import write_table


def write_sites(run: Run) -> None:
    """Write the observing network."""
    write_table(draw_sites(run), run.layout.sites)


def draw_sites(run: Run) -> pd.DataFrame:
    """The fixed observing network."""
    wanted = run.config.observations
    return draw_network(
        run.grid, wanted.columns, wanted.surface_stations, wanted.withheld_fraction, run.generator("sites")
    )


def write_observations(run: RunWithStates, label: str) -> None:
    """Write the observations of a month "dataset/2001-01"."""
    dataset, month, _ = slots_of(run, label)
    tables.write(simulate_observations(run, label), run.layout.observations(dataset, month))


def simulate_observations(run: RunWithStates, label: str) -> Iterator[pd.DataFrame]:
    """Observations at the slots of a month of a dataset, some days after another."""
    dataset, _, slots = slots_of(run, label)
    truth = run.store(dataset, slots[0], slots[-1] + run.step)
    sites, std = read_table(run.layout.sites), instrument(run)
    for times in stretches(slots):
        yield simulate(truth, sites, times, std, run.config.seed)
