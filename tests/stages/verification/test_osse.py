"""The OSSE table: RMSE and paired differences by hand, at times that all methods share."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from lara.stages.verification import paired_table
from lara.verification import significance

DAY = np.timedelta64(24, "h").astype("timedelta64[ns]")
STEP = np.timedelta64(6, "h")
BEGIN = np.datetime64("2001-01-01", "ns")
LEADS = np.array([0, 1, 3, 5]) * DAY


def generator():
    return np.random.default_rng(7)


def errors(values, experiments=("4dvar", "l4dvar"), channels=("z500",), leads=LEADS[:1], dim="time"):
    """Squared errors (experiment, time, lead, channel) from an array of (experiment, time) or more axes."""
    values = np.asarray(values, float)
    values = values.reshape(*values.shape, *[1] * (4 - values.ndim))
    shape = (*values.shape[:2], len(leads), len(channels))
    times = BEGIN + np.arange(shape[1]) * DAY
    coordinates = {"experiment": list(experiments), dim: times, "lead_time": leads, "channel": list(channels)}
    return xr.DataArray(np.broadcast_to(values, shape), coordinates, list(coordinates))


def test_rmse_and_difference_are_those_of_the_mean_square():
    """Mean squares 25 and 16 in any resample: 5, 4, and -1 with an interval of no width."""
    table = paired_table.table_of(errors([[25.0] * 8, [16.0] * 8]), "4dvar", 2, generator)
    assert list(table.columns) == paired_table.COLUMNS
    one, other = table.to_dict("records")
    assert (one["method"], one["rmse"], one["difference"]) == ("4dvar", 5.0, 0.0)
    assert [other[name] for name in ("rmse", "low", "high")] == [4.0] * 3
    assert [other[name] for name in ("difference", "difference_low", "difference_high")] == [-1.0] * 3
    assert (other["channel"], other["units"], other["lead_days"]) == ("z500", "m2 s-2", 0.0)
    assert (other["reference"], other["n"]) == ("4dvar", 8)


def test_every_row_equals_the_interval_of_its_own_series():
    """The same blocks for all: each number is that of `significance` for one method, channel and lead alone."""
    values = np.random.default_rng(0).uniform(1, 4, (2, 12, 4, 2))
    squared = errors(values, channels=("z500", "t850"), leads=LEADS, dim="init")
    table = paired_table.table_of(squared, "4dvar", 3, generator)
    assert len(table) == 2 * 4 * 2
    row = table[(table["method"] == "l4dvar") & (table["channel"] == "t850") & (table["lead_days"] == 3)].iloc[0]
    one, base = (
        squared.sel(experiment=name, channel="t850", lead_time=3 * DAY, drop=True) for name in ("l4dvar", "4dvar")
    )
    alone = significance.rmse_interval(one, 3, generator(), "init")
    paired = significance.rmse_difference(one, base, 3, generator(), "init")
    assert [row[name] for name in ("rmse", "low", "high")] == [alone[name] for name in ("rmse", "low", "high")]
    assert [row["difference_low"], row["difference_high"]] == [paired["low"], paired["high"]]
    assert row["difference"] == pytest.approx(row["rmse"] - np.sqrt(base.mean()))


def test_the_interval_of_a_difference_covers_the_true_one():
    """150 pairs of independent series, mean squares 4 and 3.24: nominal 95 %, of 60 values a few per cent less."""
    rng, trials = np.random.default_rng(1), np.arange(150) * DAY
    values = np.array([4.0, 3.24])[:, None, None, None] * rng.chisquare(10, (2, 60, 150, 1)) / 10
    table = paired_table.table_of(errors(values, leads=trials), "4dvar", 2, generator)
    found = table[table["method"] == "l4dvar"]
    assert ((found["difference_low"] < 1.8 - 2.0) & (found["difference_high"] > 1.8 - 2.0)).mean() > 0.87


def test_rows_go_by_channel_then_lead_then_method_as_given():
    squared = errors(np.ones((3, 8, 1, 1)), ("l4dvar", "4dvar", "3dvar"), ("u500", "t850"), LEADS)
    table = paired_table.table_of(
        squared.transpose("channel", "lead_time", "time", "experiment"), "4dvar", 2, generator
    )
    assert table["channel"].drop_duplicates().tolist() == ["u500", "t850"]
    assert table["lead_days"].tolist()[:9:3] == [0, 1, 3]
    assert table["method"].tolist()[:3] == ["l4dvar", "4dvar", "3dvar"]


def test_the_table_joins_analyses_and_forecasts_under_each_channel():
    analyses = errors(np.full((2, 10), 4.0), channels=("z500", "t850", "msl")).isel(lead_time=0, drop=True)
    forecasts = errors(np.full((2, 6), 9.0), channels=("t850", "z500"), leads=np.arange(6) * DAY, dim="init")
    table = paired_table.osse_table(analyses, forecasts, "4dvar", generator)
    assert table["channel"].tolist() == ["z500"] * 8 + ["t850"] * 8
    assert table["lead_days"].tolist()[:8] == [0, 0, 1, 1, 3, 3, 5, 5]
    assert table["rmse"].tolist()[:4] == [2, 2, 3, 3]
    assert table["n"].tolist()[:4] == [10, 10, 6, 6]
    with pytest.raises(KeyError, match=r"no forecast for \[7.0\] days; leads reach 5 days"):
        paired_table.osse_table(analyses, forecasts, "4dvar", generator, [1.0, 7.0])


def slots(count, every):
    """Last slots of windows of `count` slots of 6 h, `every` slots apart, over ten days."""
    return np.arange(BEGIN + (count - 1) * STEP, BEGIN + 10 * DAY, every * STEP)


def test_analyses_are_compared_at_the_last_slots_that_all_windows_have():
    """Six-hourly 3D-Var beside daily windows of four slots: once a day, at 18 UTC."""
    times = slots(1, 1)
    values = np.arange(len(times), dtype=float)[:, None]
    one = xr.DataArray(values, {"time": times, "channel": ["z500"]}, ("time", "channel"))
    last = {"3dvar": slots(1, 1), "4dvar": slots(4, 4)}
    found = paired_table.shared_errors({"3dvar": one, "4dvar": one + 100}, last)
    assert found["time"].values.tolist() == slots(4, 4).tolist()
    assert set(pd.DatetimeIndex(found["time"].values).hour) == {18}
    assert found["experiment"].values.tolist() == ["3dvar", "4dvar"]
    assert found.sel(experiment="3dvar")[:, 0].values.tolist() == list(range(3, 40, 4))


def test_windows_that_never_end_together_are_refused_with_their_times():
    times = slots(1, 1)
    one = xr.DataArray(np.ones((len(times), 1)), {"time": times, "channel": ["z500"]}, ("time", "channel"))
    with pytest.raises(ValueError, match=r"share no time to be compared at \(3dvar: 2001-01-01T00:00 .. "):
        paired_table.shared_errors({"3dvar": one, "4dvar": one}, {"3dvar": slots(1, 4), "4dvar": slots(4, 4)})


def test_forecasts_are_compared_from_the_initial_times_all_share():
    whole = errors(np.ones((1, 8)), ("4dvar",), leads=LEADS, dim="init").isel(experiment=0, drop=True)
    found = paired_table.shared_forecasts({"4dvar": whole[:6], "l4dvar": 2 * whole[2:]})
    assert found.sizes == {"experiment": 2, "init": 4, "lead_time": 4, "channel": 1}
    np.testing.assert_array_equal(found["init"], whole["init"][2:6])


def test_blocks_span_five_days_or_half_of_what_there_is():
    daily = errors(np.ones((2, 40)))
    assert paired_table.block_of(daily) == 5
    assert paired_table.block_of(daily.isel(time=slice(6))) == 3
    assert paired_table.block_of(daily.isel(time=slice(None, None, 2))) == 2


def test_a_reference_that_is_missing_and_an_error_that_is_not_a_number_are_refused():
    squared = errors(np.ones((2, 8)))
    with pytest.raises(ValueError, match="reference '3dvar' is none of the experiments compared: 4dvar, l4dvar"):
        paired_table.table_of(squared, "3dvar", 2, generator)
    broken = squared.copy(data=squared.values.copy())
    broken[1, 3] = np.nan
    with pytest.raises(ValueError, match="errors of l4dvar are not all finite"):
        paired_table.table_of(broken, "4dvar", 2, generator)
    with pytest.raises(ValueError, match="need experiment, lead_time, channel and a time or init"):
        paired_table.table_of(squared.isel(time=0, drop=True), "4dvar", 2, generator)
