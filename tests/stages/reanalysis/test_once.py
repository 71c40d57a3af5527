"""Single observations: a column of B in every space, the same whether a case is minimised alone or with others."""

import numpy as np
import pytest
import torch
import xarray as xr

import worlds
from lara.assimilation.window import Window
from lara.config import Factors
from lara.stages.reanalysis.first_background import first_background
from lara.stages.reanalysis.single_observations import observe_once
from lara.stages.reanalysis.variational import scheme

CASES = worlds.VALUES["single_observations"]
BEGIN = np.datetime64("2001-01-02", "ns")
SPACES = worlds.VALUES["observed_once"]


@pytest.fixture(scope="module")
def increments(world, tmp_path_factory):
    """What `observe-once` writes, by case."""
    run = worlds.copied(world, tmp_path_factory.mktemp("once") / "world")
    assert worlds.lara(run.layout.root, "observe-once") == 0
    return {name: xr.load_dataset(run.layout.increments(name)) for name in CASES}


def near(fields, case):
    """Increments (space, channel) at the grid point nearest to the site."""
    distance = (fields["longitude"] - case["longitude"] % 360 + 180) % 360 - 180
    return fields.isel(longitude=int(np.abs(distance.values).argmin())).sel(latitude=case["latitude"], method="nearest")


@pytest.mark.parametrize("name", CASES)
def test_every_space_shows_an_increment_towards_the_observation(increments, name):
    """At the site's grid point, of the sign of the innovation, and less than it, as B and R share the innovation."""
    fields, case = increments[name], CASES[name]
    assert fields["space"].values.tolist() == SPACES
    assert fields.attrs["channel"] == case["variable"] + str(case.get("level", ""))
    assert fields.attrs["departure"] == case["innovation"]
    share = near(fields["increment"], case).sel(channel=fields.attrs["channel"]) / case["innovation"]
    assert (share > 0.01).all()
    assert (share < 1.2).all()


def test_both_spaces_show_the_same_background(increments, world):
    """The forecast that the experiments begin with."""
    expected = first_background(world, "test", 24)[0].numpy()
    for fields in increments.values():
        assert np.array_equal(fields["background"].values, expected)


@pytest.mark.parametrize("name", CASES)
def test_a_case_alone_is_the_case_among_others(increments, world, tmp_path, name):
    """Each has its own line search and stop: equal to 1e-4 of the largest change of a channel."""
    run = worlds.copied(world, tmp_path / "world", worlds.changed("single_observations", {name: CASES[name]}))
    (alone,) = observe_once(run).values()
    together = increments[name]["increment"]
    scale = np.abs(together).max(("latitude", "longitude"))
    assert (np.abs(alone["increment"] - together) <= 1e-4 * scale).all()


def test_in_model_space_the_increment_is_a_column_of_b(increments, world):
    """BHᵀ (HBHᵀ + σ²)⁻¹ d with Bh = B^½ (B^{½ᵀ} h), by hand for an observation of the first slot: the minimisation of a
    problem of rank one is exact in two steps, float32."""
    case, fields = CASES["surface"], increments["surface"]
    window = Window(BEGIN, np.timedelta64(6, "h"), 4)
    control = scheme(world, "4dvar", [Factors()], first_background(world, "test", 24), window).control
    index, weight = world.grid.interpolation(np.array([case["latitude"]]), np.array([case["longitude"]]))
    h = torch.zeros(len(world.channels), 8 * 16)
    h[world.channels.position("t2m"), torch.from_numpy(index[0])] += torch.from_numpy(weight[0]).float()
    chi = control.zeros(1).requires_grad_(True)
    (back,) = torch.autograd.grad((control.apply(chi)[0].flatten(1) * h).sum(), chi)
    column = control.apply(back)[0].detach()
    variance = float((column.flatten(1) * h).sum())
    expected = column.numpy() * case["innovation"] / (variance + case["error_std"] ** 2)
    found = fields["increment"].sel(space="4dvar").values
    scale = np.abs(expected).max(axis=(1, 2), keepdims=True)
    assert (np.abs(found - expected) <= 1e-2 * scale).all()


def test_a_smaller_error_moves_the_analysis_further(world, tmp_path):
    """HBHᵀ / (HBHᵀ + σ²) falls with σ."""
    found = []
    for i, error in enumerate((0.1, 10.0)):
        values = worlds.changed("single_observations", {"surface": {**CASES["surface"], "error_std": error}})
        (fields,) = observe_once(worlds.copied(world, tmp_path / str(i), values)).values()
        found.append(np.abs(near(fields["increment"], CASES["surface"]).sel(channel="t2m")))
    assert (found[0] > 3 * found[1]).all()
