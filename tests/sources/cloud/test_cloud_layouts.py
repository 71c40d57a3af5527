"""ERA5 from Zarr stores: every layout gives the same states."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import cloud_stores
from cloud_stores import (
    ARCO_NAMES,
    CHANNELS,
    HOURLY,
    TIMES,
    UNITS,
    WB2_COARSE,
    WB2_FINE,
    altered,
    read,
    truth,
)
from lara.grid import Grid
from lara.state import Channels


def test_an_hourly_store_on_an_axis_of_150_years_gives_the_steps_and_levels_asked_for(arco):
    store, (month,) = read(arco, HOURLY[::6])
    assert store.grid == Grid.equiangular(7, 12, poles=True) and not month.missing
    assert np.array_equal(month.times, HOURLY[::6]) and month.states.dtype == np.float32
    assert np.array_equal(month.states, truth(CHANNELS, HOURLY[::6], store.grid))


def test_a_south_first_longitude_latitude_store_gives_months_north_to_south(tmp_path):
    url = cloud_stores.write(tmp_path / "wb2.zarr", WB2_COARSE, TIMES)
    store, months = read(url)
    assert store.grid == Grid.equiangular(6, 12)
    assert [(str(m.times[0])[:13], len(m.times)) for m in months] == [("2019-12-30T00", 8), ("2020-01-01T00", 8)]
    assert np.array_equal(np.concatenate([m.states for m in months]), truth(CHANNELS, TIMES, store.grid))


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("horizontal", [("latitude", "longitude"), ("longitude", "latitude")])
@pytest.mark.parametrize("grid", [Grid.gaussian(6, 12), Grid.equiangular(7, 12, poles=True)])
def test_no_order_of_axes_rows_or_grid_changes_the_states(tmp_path, ascending, horizontal, grid):
    layout = replace(WB2_COARSE, grid=grid, ascending=ascending, horizontal=horizontal, coordinate_type="float32")
    store, (month,) = read(cloud_stores.write(tmp_path / "s.zarr", layout, TIMES[:3]), TIMES[:3])
    assert store.grid == grid and np.array_equal(month.states, truth(CHANNELS, TIMES[:3], grid))


def test_longitudes_from_minus_180_are_rotated(path):
    rolled = altered(path, lambda data: data.roll(longitude=6, roll_coords=True).assign_coords(longitude=_west))
    store, months = read(rolled)
    assert store.grid == WB2_FINE.grid
    assert np.array_equal(months[0].states, truth(CHANNELS, TIMES[:8], store.grid))


def _west(data):
    return (data["longitude"] + 180) % 360 - 180


def test_channels_may_come_in_any_order(path):
    mixed = Channels.parse(["q500", "msl", "z850", "q50"])
    store, months = read(path, channels=mixed)
    assert np.array_equal(months[0].states, truth(mixed, TIMES[:8], store.grid))


@pytest.mark.parametrize(
    "spelling", [{"msl": "msl", "t2m": "t2m", "z": "z"}, {"u10": "10u", "v10": "10v", "t2m": "2t"}]
)
def test_variables_are_found_by_short_and_grib_names(tmp_path, spelling):
    channels = Channels.of(["msl", "t2m", "u10", "v10"], ["z"], [500])
    url = cloud_stores.write(tmp_path / "s.zarr", WB2_FINE, TIMES[:2], names=ARCO_NAMES | spelling)
    store, (month,) = read(url, TIMES[:2], channels)
    assert np.array_equal(month.states, truth(channels, TIMES[:2], store.grid))


@pytest.mark.parametrize(
    ("channel", "name", "units", "factor", "offset"),
    [
        ("z500", "geopotential", "gpm", 9.80665, 0.0),
        ("t2m", "2m_temperature", "degC", 1.0, 273.15),
        ("msl", "mean_sea_level_pressure", "hPa", 100.0, 0.0),
        ("q850", "specific_humidity", "g kg**-1", 1e-3, 0.0),
        ("u500", "u_component_of_wind", "m/s", 1.0, 0.0),
    ],
)
def test_other_units_become_si(path, channel, name, units, factor, offset):
    def change(data):
        data[name] = ((data[name].astype(float) - offset) / factor).astype(np.float32).assign_attrs(units=units)
        return data

    channels = Channels.parse([channel])
    store, months = read(altered(path, change), channels=channels)
    # float32 carries 7 digits, twice rounded
    np.testing.assert_allclose(months[0].states, truth(channels, TIMES[:8], store.grid), rtol=4e-7, atol=4e-7 * offset)


def test_names_and_units_of_cds_coordinates_are_understood(path):
    def change(data):
        data = data.rename(time="valid_time", level="pressure_level", latitude="lat", longitude="lon")
        levels = ("pressure_level", 100.0 * data["pressure_level"].values, {"units": "Pa"})
        return data.assign_coords(pressure_level=levels)

    store, months = read(altered(path, change))
    assert np.array_equal(months[0].states, truth(CHANNELS, TIMES[:8], store.grid))


def test_a_long_name_without_units_is_si(path):
    store, months = read(altered(path, lambda data: data.drop_attrs(deep=True)))
    assert np.array_equal(months[0].states, truth(CHANNELS, TIMES[:8], store.grid))


def _undecoded(url):
    return xr.open_zarr(url, chunks=None, decode_times=False)


def test_the_stores_are_laid_out_as_the_real_ones(arco, tmp_path):
    """What is known of the real stores: format, chunks, time units, types, dimensions, attributes."""
    coarse = cloud_stores.write(tmp_path / "wb2.zarr", WB2_COARSE, TIMES)
    with _undecoded(coarse) as wb2, _undecoded(arco) as full:
        assert wb2["temperature"].dims == ("time", "level", "longitude", "latitude") and not wb2.attrs
        assert wb2["temperature"].encoding["chunks"] == (100, 13, 12, 6) and wb2["latitude"].values[0] == -75.0
        assert wb2["time"].attrs == {"units": "hours since 1959-01-01", "calendar": "proleptic_gregorian"}
        assert full["temperature"].shape == (1323648, 37, 7, 12) and full["temperature"].dtype == np.float32
        assert full["temperature"].encoding["chunks"] == (1, 37, 7, 12) and full["latitude"].dtype == np.float32
        assert full["time"].dtype == np.int64 and full["geopotential"].attrs["units"] == UNITS["z"]
        assert full.attrs["valid_time_stop"] == "2020-02-29"
    assert (tmp_path / "wb2.zarr" / ".zmetadata").exists()
