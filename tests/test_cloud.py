"""ERA5 from Zarr stores: every layout gives the same states, and what a store lacks is never made up."""

import shutil
import tracemalloc
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
import xarray as xr

import cloud_stores
from cloud_stores import ARCO, ARCO_AXIS, ARCO_NAMES, UNITS, WB2_COARSE, WB2_FINE, truth
from lara.grid import Grid
from lara.sources import cloud
from lara.state import Channels

CHANNELS = Channels.of(["msl", "t2m"], ["z", "q", "u"], [850, 50, 500])
SIX_HOURS, DAY = np.timedelta64(6, "h"), np.timedelta64(1, "D")
HOURLY = np.arange("2020-02-28T00", "2020-03-01T00", dtype="M8[h]")
TIMES = np.arange("2019-12-30T00", "2020-01-03T00", 6, dtype="M8[h]")


@pytest.fixture(scope="session")
def arco(tmp_path_factory):
    """A store with the axis of the real one, 1900 to 2050, and two days of data; not to be touched."""
    return cloud_stores.write(tmp_path_factory.mktemp("arco") / "era5.zarr", ARCO, HOURLY, axis=ARCO_AXIS)


@pytest.fixture(scope="session")
def fine(tmp_path_factory):
    """Four days over new year, 6-hourly, one step per chunk; not to be touched."""
    folder = tmp_path_factory.mktemp("fine") / "era5.zarr"
    cloud_stores.write(folder, WB2_FINE, TIMES)
    return folder


@pytest.fixture
def path(fine, tmp_path):
    """A copy of `fine`."""
    return shutil.copytree(fine, tmp_path / "era5.zarr")


def read(url, times=TIMES, channels=CHANNELS, **options):
    """(store, months) at `times`."""
    store = cloud.open_store(str(url))
    return store, list(cloud.months(store, channels, times, **options))


def altered(path, change):
    """Another store beside `path`, with `change` made to its dataset."""
    target = path.with_name("altered.zarr")
    with xr.open_zarr(path, chunks=None) as data:
        fresh = change(data.load().drop_encoding())
    fresh.to_zarr(target, zarr_format=2, consolidated=True)
    return target


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


def test_only_the_chunks_asked_for_are_read(path):
    """Chunks that would fail to decode lie in every variable at the steps between."""
    for name in ARCO_NAMES.values():
        for step, file in cloud_stores.chunks(path, name).items():
            if step % 2:
                file.write_bytes(b"no Blosc")
    store, months = read(path, TIMES[::2])
    assert np.array_equal(months[1].states, truth(CHANNELS, TIMES[8::2], store.grid))
    with pytest.raises(OSError, match=r"era5\.zarr: reading 2019-12-30T00:00 to 2019-12-31T18:00 failed"):
        read(path)


def test_missing_steps_are_named_and_left_out(path):
    """Off the axis; no variable written; one variable not written; all of these beside steps that are whole."""
    cloud_stores.chunks(path, "geopotential")[2].unlink()
    for name in ARCO_NAMES.values():
        cloud_stores.chunks(path, name)[5].unlink()
    holed = altered(path, lambda data: data.drop_isel(time=[1, 12]))
    store, months = read(holed)
    missing = months[0].missing | months[1].missing
    assert list(missing) == list(TIMES[[1, 2, 5, 12]].astype("M8[ns]"))
    assert missing[TIMES[1]] == missing[TIMES[12]] == "not on the time axis"
    assert missing[TIMES[2]] == "no data for z50, z500, z850"
    assert missing[TIMES[5]] == f"no data for {', '.join(CHANNELS.names)}"
    held = np.delete(TIMES, [1, 2, 5, 12])
    assert np.array_equal(np.concatenate([month.times for month in months]), held)
    assert np.array_equal(np.concatenate([m.states for m in months]), truth(CHANNELS, held, store.grid))


def test_a_constant_field_is_an_unwritten_chunk_of_another_fill_value(path):
    zeroed = altered(path, lambda data: data.assign(specific_humidity=_zero_at_first(data["specific_humidity"])))
    _, months = read(zeroed)
    assert months[0].missing == {TIMES[0]: "no data for q50, q500, q850"} and len(months[0].times) == 7


def _zero_at_first(field):
    return field.where(field["time"] > field["time"][0], 0.0)


def test_a_month_without_any_step_is_empty_and_says_so(path):
    """January was never written; December was."""
    for name in ARCO_NAMES.values():
        for step, file in cloud_stores.chunks(path, name).items():
            if step >= 8:
                file.unlink()
    _, (december, january) = read(path, regrid=lambda states: states[:, :, :2, :3])
    assert len(december.times) == 8 and not december.missing
    assert january.states.shape == (0, len(CHANNELS), 2, 3)
    assert list(january.missing) == list(TIMES[8:].astype("M8[ns]"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_in_part_of_a_field_is_refused_with_its_place(path, value):
    def change(data):
        data["geopotential"].loc[{"time": TIMES[9], "level": 500, "latitude": -60.0, "longitude": 90.0}] = value
        return data

    with pytest.raises(ValueError, match=r"z500 at 2020-01-01T06:00 is not finite at -60\.0° N, 90\.0° E"):
        read(altered(path, change))


def test_preliminary_days_are_refused_unless_accepted(tmp_path):
    after = np.arange("2020-02-29T00", "2020-03-02T00", dtype="M8[h]")
    url = cloud_stores.write(tmp_path / "s.zarr", ARCO, after)
    final, early = cloud.open_store(url), cloud.open_store(url, preliminary=True)
    with pytest.raises(ValueError, match=r"holds 2020-02-29T00:00 to 2020-02-29T23:59, not .* or accept prelim"):
        cloud.months(final, CHANNELS, after[::6])
    assert sum(len(month.times) for month in cloud.months(early, CHANNELS, after[::6])) == 8


def test_times_outside_the_data_are_refused_though_the_axis_has_them(arco):
    store = cloud.open_store(arco)
    for times in (["1939-12-31T18"], ["2051-01-01"], ["2020-03-11"]):
        with pytest.raises(ValueError, match=r"era5\.zarr holds 1940-01-01T00:00 to 2020-02-29T23:59, not"):
            cloud.months(store, CHANNELS, np.array(times, "M8[ns]"))


@pytest.mark.parametrize(
    ("change", "fault", "message"),
    [
        (lambda d: d.drop_vars("geopotential"), KeyError, "no variable geopotential or z, only 10m_u"),
        (lambda d: d.sel(level=[500, 850]), KeyError, "no level 50 hPa, only 500, 850"),
        (lambda d: d.assign(geopotential=d["geopotential"].assign_attrs(units="K")), ValueError, "units 'K'"),
        (lambda d: d.rename(geopotential="z").assign(z=lambda x: _bare(x["z"])), ValueError, "z has units 'none'"),
        (lambda d: d.expand_dims("number"), ValueError, "dimensions number, time"),
        (lambda d: d.isel(latitude=slice(2, None)), ValueError, "latitudes -90.0° to 30.0° only"),
        (lambda d: d.isel(longitude=slice(2, None)), ValueError, "equal steps of 36.0"),
        (lambda d: d.rename(latitude="y"), ValueError, "no coordinate latitude or lat"),
        (lambda d: d.isel(time=[*range(16), *range(16)]), ValueError, "32 times do not increase"),
        (lambda d: d.assign_coords(time=d["time"] + np.timedelta64(1, "h")), ValueError, "change the period"),
    ],
)
def test_a_store_that_does_not_fit_is_refused_before_a_field_is_read(path, change, fault, message):
    target = altered(path, change)
    with pytest.raises(fault, match=message):
        cloud.months(cloud.open_store(str(target)), CHANNELS, TIMES)


def _bare(field):
    return field.drop_attrs()


def test_times_that_never_meet_the_axis_or_do_not_increase_are_refused(path):
    store = cloud.open_store(str(path))
    with pytest.raises(ValueError, match="none of the times"):
        cloud.months(store, CHANNELS, TIMES[:3] + np.timedelta64(1, "h"))
    for times in (TIMES[:0], TIMES[::-1]):
        with pytest.raises(ValueError, match="one or more and increase"):
            cloud.months(store, CHANNELS, times)


def test_a_long_name_without_units_is_si(path):
    store, months = read(altered(path, lambda data: data.drop_attrs(deep=True)))
    assert np.array_equal(months[0].states, truth(CHANNELS, TIMES[:8], store.grid))


def test_what_is_no_store_is_named(tmp_path):
    with pytest.raises(OSError, match=r"nothing\.zarr: opening it failed: there is no Zarr store"):
        cloud.open_store(str(tmp_path / "nothing.zarr"))


def test_blocks_change_nothing_and_progress_counts_them(path, monkeypatch):
    store, whole = read(path)
    for steps in (1, 3):
        monkeypatch.setattr(cloud, "_BLOCK", steps * whole[0].states[0].nbytes)
        seen, told = [], []
        parts = list(cloud.months(store, CHANNELS, TIMES, partial(_coarse, seen), partial(_tell, told)))
        for month, part in zip(whole, parts, strict=True):
            assert np.array_equal(part.states, month.states[..., ::3, ::4])
        assert max(seen) == steps and sum(seen) == len(TIMES) and told[-1] == (16, 16) and len(told) == len(seen)


def _tell(told, done, total):
    told.append((done, total))


def _coarse(seen, states):
    seen.append(len(states))
    return states[..., ::3, ::4]


def test_memory_holds_a_block_of_the_source_and_a_month_of_the_target(tmp_path, monkeypatch):
    """The source has 14 MB; a block as read and as ordered, chunks on their way and the graph have less."""
    layout = replace(WB2_FINE, grid=Grid.equiangular(45, 90))
    times = np.arange("2020-01-01", "2020-01-17", 6, dtype="M8[h]")
    channels = Channels.of(["msl"], ["z"], cloud_stores.LEVELS_13)
    names = {name: ARCO_NAMES[name] for name in ("msl", "z")}
    store = cloud.open_store(cloud_stores.write(tmp_path / "s.zarr", layout, times, names=names))
    monkeypatch.setattr(cloud, "_BLOCK", 2**20)
    next(cloud.months(store, channels, times[:1]))  # imports and first uses
    tracemalloc.start()
    (month,) = cloud.months(store, channels, times, partial(_coarse, []))
    peak = tracemalloc.get_traced_memory()[1] - month.states.nbytes
    tracemalloc.stop()
    assert len(month.times) == 64 and peak < 7e6


def test_a_bucket_needs_its_package_and_no_account(monkeypatch):
    url = "gs://weatherbench2/datasets/era5/1959-2022-6h-64x32_equiangular_conservative.zarr"
    monkeypatch.setattr(cloud, "find_spec", lambda name: None if name == "gcsfs" else name)
    with pytest.raises(RuntimeError, match=r"needs gcsfs: pip install 'lara\[cloud\]', or read https://storage\.g"):
        cloud.open_store(url)
    asked = {}
    monkeypatch.setattr(cloud, "find_spec", lambda name: name)
    monkeypatch.setattr(cloud.xr, "open_zarr", lambda url, **options: asked.update(options) or xr.Dataset())
    for address, anonymous in ((url, {"token": "anon"}), ("s3://bucket/era5.zarr", {"anon": True})):
        with pytest.raises(ValueError, match="no coordinate time"):
            cloud.open_store(address)
        assert asked["storage_options"] == anonymous


@contextmanager
def served(folder, refuse=lambda path, count: False):
    """A server of `folder`: its address, and the requests as (path, authorised); refuses with 503."""
    requests, counts = [], Counter()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self):
            requests.append((self.path, "Authorization" in self.headers))
            counts[self.path] += 1
            if refuse(self.path, counts[self.path]):
                self.send_error(503)
            else:
                super().do_GET()

        def log_message(self, *message):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", requests
        finally:
            server.shutdown()
            thread.join()


def test_a_store_is_read_over_http_without_an_account_and_tried_again(path, monkeypatch):
    """The first answer for every field is a fault of the server; a chunk that is not there is a gap."""
    monkeypatch.setattr(cloud, "_PAUSES", (0.0,) * 40)
    cloud_stores.chunks(path, "2m_temperature")[3].unlink()
    with served(path.parent, lambda file, count: count == 1 and file.endswith(("ature/1.0.0", ".zmetadata"))) as web:
        address, requests = web
        store, months = read(f"{address}/era5.zarr", TIMES[:6])
    assert months[0].missing == {TIMES[3]: "no data for t2m"}
    assert np.array_equal(months[0].states, truth(CHANNELS, np.delete(TIMES[:6], 3), store.grid))
    assert not any(authorised for _, authorised in requests)


def test_a_server_that_keeps_failing_gives_no_data(path, monkeypatch):
    monkeypatch.setattr(cloud, "_PAUSES", (0.0, 0.0))
    with served(path.parent, lambda file, count: file.endswith("geopotential/1.0.0.0")) as (address, requests):
        with pytest.raises(OSError, match=r"/era5\.zarr: reading 2019-12-30T00:00 to 2019-12-30T06:00 failed.*503"):
            read(f"{address}/era5.zarr", TIMES[:2])
        assert sum(file.endswith("geopotential/1.0.0.0") for file, _ in requests) == 3
        with pytest.raises(OSError, match="there is no Zarr store"):
            cloud.open_store(f"{address}/nothing.zarr")


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
