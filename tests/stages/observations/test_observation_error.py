"""R of an analysis is put together from its four parts, each known by itself."""

import numpy as np
import pytest
import torch
import xarray as xr

from lara.observations import table as tables
from lara.observations.batches import from_table
from lara.stages.experiments import windows_of
from lara.stages.observations import observation_error
from lara.stages.observations.reader import ObservationReader
from lara.stages.run import time


@pytest.fixture(scope="module")
def first_window(world):
    """Function of an experiment: its first window and the rows of the table that belong to it."""

    def of(name):
        chosen = world.config.experiments[name]
        window = windows_of(chosen, *map(time, world.config.period(name)))[0]
        return window, ObservationReader(world, name, chosen.dataset).rows(window)

    return of


@pytest.mark.parametrize("name", ["l4dvar", "4dvar"])
def test_the_error_of_every_datum_is_that_of_its_parts(world, first_window, name):
    """R = f (σ_o² + s_rep² + s_mod²), row by row, from the files that the parts are measured in; to float64."""
    window, rows = first_window(name)
    chosen = world.config.experiments[name]
    read = ObservationReader(world, name, chosen.dataset, [1.0, 4.0])
    levels = [None if np.isnan(p) else int(p / 100) for p in rows[tables.PRESSURE]]
    channel = [world.channels.index(v, level) for v, level in zip(rows["variable"], levels, strict=True)]
    slot = np.searchsorted(window.slots, rows[tables.TIME].to_numpy())
    model = xr.load_dataset(world.layout.errors("forecaster"))["model_error"].values[slot, channel]
    representation = np.zeros(len(rows))
    if chosen.autoencoder is not None:
        measured = xr.load_dataset(world.layout.errors(chosen.autoencoder))["representation_error"].values
        representation = measured[channel]
        assert (representation > 0).all()
    expected = np.sqrt(rows["ObsError"].to_numpy() ** 2 + representation**2 + model**2)
    found = read(window).error_std.cpu().numpy()
    used = np.isfinite(found[0])
    assert used.any()
    np.testing.assert_allclose(found[0][used], expected[used], rtol=1e-6)
    np.testing.assert_allclose(found[1][used], 2 * expected[used], rtol=1e-6)
    assert (model[slot == 0] == 0).all() and (model[slot > 0] > 0).all()


def test_a_datum_that_must_not_be_used_keeps_its_infinite_error(world, first_window):
    window, rows = first_window("l4dvar")
    data = from_table(rows.assign(withheld=True), world.grid, world.channels, window.slots, window.step)
    beyond = torch.ones(len(window.slots), len(world.channels))
    assert torch.isinf(observation_error.with_error(data, beyond, [1.0, 9.0]).error_std).all()
