"""What a Zarr store lacks is named and never made up; what does not fit is refused; memory is bounded."""

import tracemalloc
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import cloud_stores
from cloud_stores import (
    ARCO,
    ARCO_NAMES,
    CHANNELS,
    TIMES,
    WB2_FINE,
    altered,
    read,
    truth,
)
from lara.grid import Grid
from lara.sources import cloud
from lara.state import Channels


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
