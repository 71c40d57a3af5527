"""Scores by hand arithmetic, the same for any split in time, and equal to an independent package."""

import numpy as np
import pandas as pd
import pytest
import scores as independent
import xarray as xr

from lara.grid import Grid
from lara.observations import table
from lara.state import Channels
from lara.verification import innovations, regions, scores, significance
from lara.verification.scores import finish, mean_over

TIMES = np.datetime64("2001-01-01", "ns") + np.arange(6) * np.timedelta64(6, "h")
NAMES = ["z500", "t850"]


def field(*values):
    """One time, one channel, two rows of one cell."""
    return np.array(values, dtype=np.float64).reshape(1, 1, 2, 1)


@pytest.fixture
def random_states():
    rng = np.random.default_rng(0)
    grid = Grid.gaussian(8, 16)
    shape = (len(TIMES), len(NAMES), *grid.shape)
    states, truth, climatology = (5e4 + 100 * rng.standard_normal(shape) for _ in range(3))
    return states, truth, climatology, regions.whole(grid.area_weights)


def test_scores_of_two_cells_by_hand():
    """Errors 1 and 3 with areas 3:1: bias (3+3)/4, MSE (3+9)/4; anomalies (2, 4) against (1, 1): acc
    10/sqrt(28 x 4).
    """
    sums = scores.sums(
        field(3, 5), field(2, 2), field(1, 1), regions.whole(np.array([[3.0], [1.0]])), TIMES[:1], ["z500"]
    )
    result = finish(sums).isel(region=0, time=0, channel=0)
    assert result["bias"] == pytest.approx(1.5)
    assert result["rmse"] == pytest.approx(np.sqrt(3.0))
    assert result["mae"] == pytest.approx(1.5)
    assert result["acc"] == pytest.approx(10 / np.sqrt(28 * 4))


def test_errors_of_opposite_sign_cancel_in_the_bias_only():
    sums = scores.sums(field(3, 1), field(2, 2), field(0, 0), regions.whole(np.ones((2, 1))), TIMES[:1], ["z500"])
    result = finish(sums).isel(region=0, time=0, channel=0)
    assert [float(result[name]) for name in ("bias", "rmse", "mae")] == [0.0, 1.0, 1.0]


def test_rmse_over_times_is_the_root_of_the_mean_square():
    """RMSE 3 and 4 together: sqrt((9 + 16) / 2), not 3.5."""
    states, zero = np.concatenate([field(3, 3), field(4, 4)]), np.zeros((2, 1, 2, 1))
    sums = scores.sums(states, zero, zero, regions.whole(np.ones((2, 1))), TIMES[:2], ["z500"])
    assert mean_over(sums, TIMES[:2])["rmse"].item() == pytest.approx(np.sqrt(12.5))


def test_a_perfect_forecast_of_the_climatology_has_no_anomaly_correlation():
    sums = scores.sums(field(1, 1), field(2, 2), field(1, 1), regions.whole(np.ones((2, 1))), TIMES[:1], ["z500"])
    assert np.isnan(finish(sums)["acc"].item())


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_scores_do_not_depend_on_how_time_is_cut(random_states, chunk):
    """Every time is summed alone, so per-time sums are equal bit for bit."""
    *fields, area = random_states
    whole = scores.sums(*fields, area, TIMES, NAMES)
    parts = [
        scores.sums(*(f[i : i + chunk] for f in fields), area, TIMES[i : i + chunk], NAMES)
        for i in range(0, len(TIMES), chunk)
    ]
    xr.testing.assert_identical(xr.concat(parts, "time"), whole)


def test_sums_of_parts_add_up_to_the_whole(random_states):
    """The sum is the aggregation state: merging is addition."""
    *fields, area = random_states
    sums = scores.sums(*fields, area, TIMES, NAMES)
    merged = finish(sums.isel(time=slice(2)).sum("time") + sums.isel(time=slice(2, None)).sum("time"))
    xr.testing.assert_allclose(merged, mean_over(sums, TIMES), rtol=1e-12)


def test_rmse_equals_the_scores_package(random_states):
    """An independent implementation with the same weights; 1e-6 relative."""
    states, truth, climatology, area = random_states
    arrays = [xr.DataArray(a, dims=("time", "channel", "lat", "lon")) for a in (states, truth)]
    expected = independent.continuous.rmse(
        *arrays, reduce_dims=["lat", "lon"], weights=xr.DataArray(area.values[0], dims=("lat", "lon"))
    )
    ours = finish(scores.sums(states, truth, climatology, area, TIMES, NAMES))["rmse"].isel(region=0)
    np.testing.assert_allclose(ours.values, expected.values, rtol=1e-6)


def test_the_norm_of_the_area_weights_does_not_matter(random_states):
    *fields, area = random_states
    one, other = (
        finish(scores.sums(*fields, weights, TIMES, NAMES)) for weights in (area, regions.whole(7 * area.values[0]))
    )
    xr.testing.assert_allclose(one, other, rtol=1e-12)


def test_a_wrong_shape_is_refused_by_name(random_states):
    states, truth, climatology, area = random_states
    with pytest.raises(ValueError, match="truth have shape"):
        scores.sums(states, truth[:2], climatology, area, TIMES, NAMES)


def test_a_time_without_scores_is_refused(random_states):
    *fields, area = random_states
    sums = scores.sums(*fields, area, TIMES, NAMES)
    with pytest.raises(KeyError):
        mean_over(sums, np.array(["2002-01-01"], "datetime64[ns]"))
    with pytest.raises(KeyError, match="no scores"):
        mean_over(sums, slice("2002-01-01", "2002-02-01"))


def autoregressive(rng, length, memory=0.8):
    noise = rng.standard_normal(length + 50)
    for i in range(1, len(noise)):
        noise[i] += memory * noise[i - 1]
    return noise[50:]


def test_the_block_bootstrap_covers_the_mean_of_a_correlated_series():
    """100 AR(1) series (memory 0.8, n = 400, blocks of 20): nominal 95 %, single values would cover about
    half.
    """
    rng = np.random.default_rng(0)
    series = np.stack([autoregressive(rng, 400) for _ in range(100)], axis=1)
    covered = {}
    for block in (1, 20):
        interval = significance.block_bootstrap(series, block, np.random.default_rng(1), resamples=500)
        covered[block] = np.mean((interval.low < 0) & (interval.high > 0))
    assert covered[20] > 0.84
    assert covered[1] < 0.65


def test_a_constant_series_has_an_interval_of_no_width():
    interval = significance.block_bootstrap(np.full(10, 2.0), 3, np.random.default_rng(0))
    assert (interval.mean, interval.low, interval.high) == (2.0, 2.0, 2.0)


def test_a_series_shorter_than_two_blocks_is_refused():
    with pytest.raises(ValueError, match="fewer than two blocks"):
        significance.block_bootstrap(np.zeros(5), 3, np.random.default_rng(0))


def test_the_rmse_interval_is_the_root_of_the_interval_of_the_mean_square():
    values = np.random.default_rng(0).uniform(1, 4, (2, 12, 3))
    squared = xr.DataArray(
        values,
        dims=("source", "init_time", "channel"),
        coords={"source": ["a", "b"], "channel": ["z", "t", "q"]},
    )
    result = significance.rmse_interval(squared, 2, np.random.default_rng(0))
    interval = significance.block_bootstrap(values.swapaxes(0, 1), 2, np.random.default_rng(0))
    assert result["rmse"].dims == ("source", "channel")
    assert result.attrs["n"] == 12
    np.testing.assert_allclose(result["low"], np.sqrt(interval.low))
    assert (result["low"] < result["rmse"]).all()
    assert (result["rmse"] < result["high"]).all()


def test_the_difference_of_two_rmse_is_that_of_their_roots_and_zero_for_the_same_errors():
    """Mean squares 4 and 9: 2 - 3; an experiment against itself differs by nothing in every resample."""
    rng, shape = np.random.default_rng(0), (12, 2)
    first, second = (
        xr.DataArray(mean * np.ones(shape), {"time": np.arange(12), "channel": ["z", "t"]}, ("time", "channel"))
        for mean in (4.0, 9.0)
    )
    found = significance.rmse_difference(first, second, 3, rng)
    np.testing.assert_allclose([found[key] for key in ("difference", "low", "high")], -1.0)
    assert found.attrs["n"] == 12
    noisy = first * rng.uniform(0.5, 2, shape)
    same = significance.rmse_difference(noisy, noisy, 3, rng)
    assert [float(abs(same[key]).max()) for key in ("difference", "low", "high")] == [0, 0, 0]


def test_pairing_makes_a_difference_surer_than_either_score():
    """Errors that rise and fall together by a factor of ten, one always 10 % larger: only the pairs can tell."""
    rng = np.random.default_rng(0)
    first = xr.DataArray(np.exp(rng.standard_normal(60)), {"time": np.arange(60)}, "time")
    found = significance.rmse_difference(first, 1.1 * first, 4, rng)
    alone = significance.block_bootstrap(first.values, 4, rng)
    assert found["high"] < 0
    assert np.sqrt(alone.high) > np.sqrt(1.1 * alone.low)


def test_scores_of_different_times_are_not_paired():
    first = xr.DataArray(np.ones(4), {"time": np.arange(4)}, "time")
    with pytest.raises(ValueError, match="not of the same time"):
        significance.rmse_difference(first, first.assign_coords(time=np.arange(1, 5)), 2, np.random.default_rng(0))


def test_departures_by_hand():
    """O-B 1 and -3: mean -1, rms sqrt(5); withheld data apart, rejected data left out."""
    feedback = pd.DataFrame(
        {
            "variable": ["z", "z", "z", "z"],
            table.PRESSURE: 50000.0,
            table.TIME: TIMES[[0, 1, 0, 0]],
            "withheld": [False, False, True, False],
            "EffectiveQC": [table.Flag.PASS, table.Flag.PASS, table.Flag.PASSIVE, table.Flag.FGUESS],
            "ombg": [1.0, -3.0, 2.0, 999.0],
            "oman": [0.0, 2.0, 1.0, 999.0],
        }
    )
    used, withheld = innovations.by_level([feedback]).to_dict("records")
    assert used == pytest.approx(
        {
            "variable": "z",
            "level": 500.0,
            "withheld": False,
            "n": 2,
            "ombg_mean": -1.0,
            "ombg_rms": np.sqrt(5.0),
        }
        | {"oman_mean": 1.0, "oman_rms": np.sqrt(2.0)}
    )
    assert (withheld["n"], withheld["ombg_rms"], withheld["oman_rms"]) == (1, 2.0, 1.0)


def test_departures_in_parts_are_those_of_the_whole():
    """Sums of two halves, in another order of addition: to 12 digits."""
    rows, rng = 40, np.random.default_rng(0)
    feedback = pd.DataFrame(
        {
            "variable": rng.choice(["z", "t2m"], rows),
            table.TIME: TIMES[rng.integers(0, len(TIMES), rows)],
            "withheld": rng.random(rows) < 0.5,
            "ombg": rng.normal(size=rows),
            "oman": rng.normal(size=rows),
        }
    )
    feedback[table.PRESSURE] = np.where(feedback["variable"] == "z", 50000.0, np.nan)
    feedback["EffectiveQC"] = np.where(feedback["withheld"], table.Flag.PASSIVE, table.Flag.PASS)
    whole, halves = [feedback], [feedback[:17], feedback[17:]]
    pd.testing.assert_frame_equal(innovations.by_level(halves), innovations.by_level(whole), rtol=1e-12)
    channels = Channels.parse(["z500", "t2m"]).channels
    daily = innovations.withheld_daily(halves, channels)
    xr.testing.assert_allclose(daily, innovations.withheld_daily(whole, channels), rtol=1e-12)
    kept = feedback[feedback["withheld"] & (feedback["variable"] == "t2m")]
    expected = (kept["oman"] ** 2).groupby(kept[table.TIME].dt.floor("D")).mean() ** 0.5
    np.testing.assert_allclose(daily.sel(channel="t2m").dropna("time"), expected, rtol=1e-12)


def test_surface_departures_are_counted_at_level_nan():
    feedback = pd.DataFrame(
        {
            "variable": ["msl"],
            table.PRESSURE: np.nan,
            table.TIME: TIMES[:1],
            "withheld": False,
            "EffectiveQC": 0,
        }
        | {"ombg": 1.0, "oman": 0.5}
    )
    assert np.isnan(innovations.by_level([feedback])["level"].item())
