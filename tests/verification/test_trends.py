"""Trends with intervals that hold them, and seams that are told from weather."""

import numpy as np
import pytest
import xarray as xr

from lara.verification import seams, trends


def series(values):
    times = np.datetime64("2001-01-01", "ns") + np.arange(len(values)) * np.timedelta64(1, "D")
    return xr.DataArray(values, {"time": times}, "time")


def remembered(rng, count, memory):
    """AR(1) noise of unit variance."""
    noise = np.zeros(count)
    for i in range(1, count):
        noise[i] = memory * noise[i - 1] + np.sqrt(1 - memory**2) * rng.standard_normal()
    return noise


def test_the_cycle_of_the_year_is_no_trend():
    """Two years of a cycle of amplitude 100 and a slope of 0.01 a day: found to rounding, and not without seasons."""
    days = np.arange(730.0)
    values = 100 * np.sin(2 * np.pi * days / trends.YEAR) + 0.01 * days
    assert trends.trend(series(values)).slope == pytest.approx(0.01, rel=1e-6)
    assert abs(trends.trend(series(values), seasons=False).slope) > 0.05


def test_intervals_of_series_with_memory_hold_the_trend_as_often_as_they_say():
    """200 series of 700 days with a memory of 5 days: 95 % up to 2.5 standard errors of the count; white noise's
    error, which knows no memory, would hold it in half of them."""
    rng, slope, held = np.random.default_rng(0), 1e-3, 0
    for _ in range(200):
        low, high = trends.trend(series(remembered(rng, 700, 0.8) + slope * np.arange(700))).interval()
        held += low <= slope <= high
    assert 182 <= held <= 199


def test_too_few_values_have_no_trend():
    with pytest.raises(ValueError, match="4 values are too few"):
        trends.trend(series(np.arange(4.0)))
    with pytest.raises(ValueError, match="6 coefficients"):
        trends.trend(series(np.arange(6.0)), seasons=True)


def test_a_difference_that_decays_to_a_floor_is_there_after_as_long_as_it_takes():
    """e^(−t/2) + 0.1 falls below 1.5 times 0.1 after 2 ln 20 = 6.0 days."""
    days = np.arange(0, 30, 0.25)
    found = seams.agreement(np.exp(-days / 2) + 0.1, days)
    assert found.days_to_floor == pytest.approx(6.0, abs=0.25)
    assert found.floor == pytest.approx(0.1, rel=0.01) and not found.falling
    assert found.first == pytest.approx(1.1)


def test_a_difference_that_still_falls_has_no_floor():
    days = np.arange(0, 10, 0.25)
    assert seams.agreement(np.exp(-days / 5), days).falling
    with pytest.raises(ValueError, match="spin_up_days"):
        seams.agreement(np.ones(2), days[:2])


def test_the_largest_change_of_all_is_the_rarest():
    elsewhere = np.arange(19.0)
    assert seams.share_as_large(18.5, elsewhere) == pytest.approx(1 / 20)
    assert seams.share_as_large(-1.0, elsewhere) == pytest.approx(1.0)
