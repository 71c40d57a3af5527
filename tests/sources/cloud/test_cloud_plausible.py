"""What a Zarr store gives that no atmosphere has is refused at the door: stand-ins, units, calendars."""

import numpy as np
import pytest

import cloud_stores
from cloud_stores import CHANNELS, TIMES
from lara.sources import cloud
from lara.state import Channels


def read(url):
    return list(cloud.months(cloud.open_store(url), CHANNELS, TIMES[:4]))


@pytest.fixture
def changed(path):
    """Function (variable, change of its values) → a store in which its first time is changed."""

    def make(name, change):
        def alter(data):
            values = data[name].values.copy()
            values[1] = change(values[1])
            return data.assign({name: (data[name].dims, values, data[name].attrs)})

        return str(cloud_stores.altered(path, alter))

    return make


def some(value):
    """A few points of a field replaced."""

    def change(values):
        values = values.copy()
        values.reshape(*values.shape[:-2], -1)[..., 3:9] = value
        return values

    return change


@pytest.mark.parametrize("value", [-9999.0, -999.0, 1e20, -32767.0, 9999.0])
@pytest.mark.parametrize("name", ["geopotential", "2m_temperature", "specific_humidity", "mean_sea_level_pressure"])
def test_a_number_that_stands_for_a_missing_value_is_refused(changed, name, value):
    """Without `_FillValue` it would be weather; −9999 may be a geopotential, but not so far from the rest."""
    with pytest.raises(ValueError, match=r"at 2019-12-30T06:00 (has|lacks)"):
        read(changed(name, some(value)))


@pytest.mark.parametrize(
    ("name", "factor", "offset"),
    [("2m_temperature", 1, -273.15), ("mean_sea_level_pressure", 0.01, 0), ("specific_humidity", 1000, 0)],
)
def test_other_units_under_the_name_of_the_right_ones_are_refused(changed, name, factor, offset):
    with pytest.raises(ValueError, match="beyond the plausible"):
        read(changed(name, lambda values: factor * values + offset))


@pytest.mark.parametrize(
    ("channel", "factor", "fault"),
    [("z850", 1 / 9.80665, "has the mean"), ("z500", 1 / 9.80665, "has values"), ("z500", 0.1 / 9.80665, "has values")],
    ids=["metres near the ground", "metres", "decametres"],
)
def test_heights_under_the_name_and_units_of_geopotential_are_refused(changed, channel, factor, fault):
    """A factor of ten is within all bounds of geopotential, not within those at its level."""
    store = cloud.open_store(changed("geopotential", lambda values: factor * values))
    with pytest.raises(ValueError, match=rf"{channel} at 2019-12-30T06:00 {fault}.* beyond the plausible"):
        list(cloud.months(store, Channels.parse([channel]), TIMES[:4]))


@pytest.mark.parametrize("units", ["degF", "knots", "", "%", "mm", 7])
def test_units_that_are_not_understood_are_refused_by_name(path, units):
    other = cloud_stores.altered(path, lambda data: data.assign({"2m_temperature": _with_units(data, units)}))
    with pytest.raises(ValueError, match=f"2m_temperature has units {units!r}, which cannot be turned into K"):
        read(str(other))


def _with_units(data, units):
    return data["2m_temperature"].assign_attrs(units=units)


def test_a_single_stand_in_of_geopotential_is_refused(changed):
    """One point of −9999 at 500 hPa; a geopotential near the ground may be about that low."""

    def change(values):
        values = values.copy()
        values[list(cloud_stores.LEVELS_13).index(500), 2, 5] = -9999.0
        return values

    with pytest.raises(ValueError, match="z500 at 2019-12-30T06:00 has values from -9999"):
        read(changed("geopotential", change))


def test_times_that_are_no_dates_are_refused(path):
    """Numbers without units of time would count from 1970."""
    other = cloud_stores.altered(path, lambda data: data.assign_coords(time=np.arange(data.sizes["time"])))
    with pytest.raises(ValueError, match="its times are no dates"):
        cloud.open_store(str(other))


@pytest.mark.parametrize("calendar", ["noleap", "360_day", "julian", "all_leap"])
def test_dates_of_another_calendar_are_refused(path, calendar):
    """A model's 30 February, or its missing 29th, is no date of ERA5."""
    other = cloud_stores.altered(path, lambda data: data.convert_calendar(calendar, align_on="date", use_cftime=True))
    with pytest.raises(ValueError, match=f"calendar '{calendar}'"):
        cloud.open_store(str(other))


def test_weather_is_no_stand_in():
    """Fields with zeros, plateaus and a single extreme are what they are."""
    from lara.sources.plausible import fault_of

    noise = np.random.default_rng(0).standard_normal((8, 16)).astype(np.float32)
    dry = np.maximum(noise, 0) * 1e-3
    peak = noise.copy()
    peak[3, 3] = 60
    for values in (noise, dry, peak, np.full((8, 16), 3.0, np.float32), np.round(noise)):
        assert fault_of(values, "u") == ""
