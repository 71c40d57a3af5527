"""The order of channels and the way to and from labelled datasets."""

import numpy as np
import pytest

from lara.state import Channel, Channels
from lara.variables import VARIABLES

TIMES = np.datetime64("2001-01-01", "ns") + np.arange(3) * np.timedelta64(6, "h")
CHANNELS = Channels.of(["msl", "t2m"], ["z", "q"], [850, 500])


@pytest.fixture
def states(small_grid):
    return np.random.default_rng(0).standard_normal((3, 6, *small_grid.shape)).astype(np.float32)


def test_surface_variables_come_first_and_levels_go_down():
    assert CHANNELS.names == ["msl", "t2m", "z500", "z850", "q500", "q850"]
    assert CHANNELS.variables == ["msl", "t2m", "z", "q"]


def test_channels_are_found_by_variable_and_level():
    assert len(CHANNELS) == 6
    assert CHANNELS.index("q", 850) == 5 == CHANNELS.position("q850")
    assert CHANNELS.index("t2m") == 1
    assert CHANNELS.select("z") == [2, 3]
    assert CHANNELS.levels("q") == [500, 850] and CHANNELS.levels("msl") == []


@pytest.mark.parametrize("find", [lambda c: c.index("t", 500), lambda c: c.position("t500"), lambda c: c.select("t")])
def test_an_absent_channel_is_named(find):
    with pytest.raises(KeyError, match="t"):
        find(CHANNELS)


def test_names_restore_the_channels():
    assert Channels.parse(CHANNELS.names) == CHANNELS
    assert Channels.parse(["u10", "u1000"]).channels == (Channel("u10"), Channel("u", 1000))


@pytest.mark.parametrize(
    "name, message", [("w500", "w500"), ("z", "needs a pressure level"), ("t2m850", "no level 850")]
)
def test_a_name_that_is_no_channel_is_refused(name, message):
    with pytest.raises(ValueError, match=message):
        Channels.parse(["msl", name])


def test_wind_at_10_hpa_is_refused_because_its_name_is_the_10_m_wind():
    with pytest.raises(ValueError, match="u10"):
        Channel("u", 10)


def test_a_channel_may_not_occur_twice():
    with pytest.raises(ValueError, match="z500"):
        Channels.parse(["z500", "msl", "z500"])


def test_a_dataset_and_back_is_the_same_array(states, small_grid):
    dataset = CHANNELS.to_dataset(states, TIMES, small_grid)
    assert np.array_equal(CHANNELS.from_dataset(dataset), states)


def test_order_of_dimensions_levels_and_variables_in_a_dataset_does_not_matter(states, small_grid):
    dataset = CHANNELS.to_dataset(states, TIMES, small_grid).transpose("longitude", "level", "time", ...)
    shuffled = dataset[["q", "msl", "z", "t2m"]].sortby("level", ascending=False)
    assert np.array_equal(CHANNELS.from_dataset(shuffled), states)


def test_what_a_dataset_lacks_is_named(states, small_grid):
    dataset = CHANNELS.to_dataset(states, TIMES, small_grid)
    with pytest.raises(KeyError, match="'q'"):
        CHANNELS.from_dataset(dataset.drop_vars("q"))
    with pytest.raises(KeyError, match="no level 850 hPa"):
        CHANNELS.from_dataset(dataset.sel(level=[500]))


def test_a_dataset_from_south_to_north_is_refused(states, small_grid):
    dataset = CHANNELS.to_dataset(states, TIMES, small_grid).sortby("latitude")
    with pytest.raises(ValueError, match="latitude must decrease"):
        CHANNELS.from_dataset(dataset)


def test_archive_datasets_have_weatherbench_names_and_cf_attributes(states, small_grid):
    dataset = CHANNELS.to_dataset(states, TIMES, small_grid, archive=True)
    assert set(dataset.data_vars) == {"mean_sea_level_pressure", "2m_temperature", "geopotential", "specific_humidity"}
    assert dataset["geopotential"].attrs["units"] == "m2 s-2"
    assert dataset["level"].attrs["units"] == "hPa" and dataset["latitude"].attrs["bounds"] in dataset.coords
    assert np.array_equal(dataset["specific_humidity"].sel(level=850), states[:, 5])


def test_states_of_another_shape_are_refused(states, small_grid):
    with pytest.raises(ValueError, match=r"\(2, 6, 8, 16\)"):
        CHANNELS.to_dataset(states[:2], TIMES, small_grid)


def test_a_level_axis_needs_common_levels(small_grid):
    channels = Channels.parse(["z500", "t850"])
    with pytest.raises(ValueError, match="share their levels"):
        channels.to_dataset(np.zeros((3, 2, *small_grid.shape), np.float32), TIMES, small_grid)


def test_variables_are_filed_under_their_own_names():
    assert all(name == variable.name for name, variable in VARIABLES.items())
    assert len({variable.archive_name for variable in VARIABLES.values()}) == len(VARIABLES)
