"""Balanced increments are found balanced, budgets are those by hand, and each fault moves its own diagnostic."""

import numpy as np
import pytest
import torch
import xarray as xr

from lara.covariance.harmonics import Harmonics
from lara.grid import Grid
from lara.state import Channels
from lara.verification import balance, lags, physics, regions, scores, spectra, symptoms

GRID = Grid.gaussian(16, 32)
LEVELS = [300, 500, 850]
CHANNELS = Channels.of(["msl"], ["z", "q", "u", "v", "t"], LEVELS)
HARMONICS = Harmonics.of(GRID)
SHAPE = (1, len(CHANNELS), *GRID.shape)
SHARES = regions.whole(GRID.area_weights)
TIMES = np.datetime64("2001-01-01", "ns") + np.arange(60) * np.timedelta64(6, "h")
NAMES = ["z500", "t850"]


def base():
    """A resting, dry, isothermal state."""
    state = np.zeros(SHAPE)
    state[:, CHANNELS.select("t")] = 260.0
    return state


def smooth(generator, cut=8):
    """A random field of low wavenumbers (y, x)."""
    coefficients = HARMONICS.analyse(torch.from_numpy(generator.standard_normal(GRID.shape)))
    coefficients[cut:] = 0
    return HARMONICS.synthesise(coefficients).numpy()


def balanced():
    """Increments in geostrophic and hydrostatic balance: φ of one shape, growing with the layers' temperature."""
    warmth, state = smooth(np.random.default_rng(0)), base()
    height = np.zeros(GRID.shape)
    for upper, lower in zip(LEVELS[-2::-1], LEVELS[:0:-1], strict=True):
        height = height + balance.GAS * warmth * np.log(lower / upper)
        state[0, CHANNELS.index("z", upper)] = height
    state[0, CHANNELS.select("t")] += warmth
    coriolis = 2 * balance.ROTATION * np.sin(np.deg2rad(GRID.latitude))[:, None]
    for level in LEVELS:
        phi = torch.from_numpy(state[0, CHANNELS.index("z", level)])
        u, v = (wind.numpy() for wind in HARMONICS.wind(phi, torch.zeros_like(phi)))
        state[0, CHANNELS.index("u", level)], state[0, CHANNELS.index("v", level)] = u / coriolis, v / coriolis
    return state


def test_a_balanced_increment_has_no_imbalance():
    """To rounding; the lowest level has no increment and no answer."""
    found = balance.finish(balance.sums(balanced(), base(), CHANNELS, GRID, TIMES[:1]).sum("time"))
    np.testing.assert_allclose(found["geostrophic"].sel(level=[300, 500]), 0.0, atol=1e-9)
    assert np.isnan(found["geostrophic"].sel(level=850))
    np.testing.assert_allclose(found["hydrostatic"], 0.0, atol=1e-9)


def test_wind_of_the_wrong_sense_and_height_without_warmth_are_found_out():
    """v = −v_g: twice the wind; thickness without temperature: all of it is residual."""
    turned = balanced()
    turned[:, CHANNELS.select("u") + CHANNELS.select("v")] *= -1
    turned[:, CHANNELS.select("t")] = 260.0
    found = balance.finish(balance.sums(turned, base(), CHANNELS, GRID, TIMES[:1]).sum("time"))
    np.testing.assert_allclose(found["geostrophic"].sel(level=[300, 500]), 2.0)
    np.testing.assert_allclose(found["hydrostatic"], 1.0)


def test_budgets_of_a_uniform_column_by_hand():
    """550 hPa of 2 g/kg are 550e2 · 2e-3 / g; its energy is that of 260 K, of 10 m/s and of the vapour."""
    state = base()
    state[:, CHANNELS.index("msl")] = 1.01e5
    state[:, CHANNELS.select("q")], state[:, CHANNELS.select("u")] = 2e-3, 10.0
    found = physics.budgets(state, CHANNELS, GRID)
    column = 55000.0 / physics.GRAVITY
    assert found["mass"][0] == pytest.approx(1.01e5)
    assert found["moisture"][0] == pytest.approx(column * 2e-3)
    assert found["energy"][0] == pytest.approx(column * (physics.HEAT * 260 + 50 + physics.LATENT * 2e-3))


def test_what_states_lack_has_no_diagnostic(small_channels):
    """No wind, no geostrophy and no energy."""
    states = np.random.default_rng(0).standard_normal((2, len(small_channels), *GRID.shape))
    assert set(physics.budgets(states, small_channels, GRID)) == {"moisture", "mass"}
    assert not balance.finish(balance.sums(states, 0 * states, small_channels, GRID, TIMES[:2])).data_vars


def series(values):
    times = np.datetime64("2001-01-01", "ns") + np.arange(len(values)) * np.timedelta64(6, "h")
    return xr.DataArray(values, {"time": times}, "time")


def test_a_trend_is_found_with_an_error_that_knows_the_memory_of_the_series():
    """Slope 0.4 a day through correlated noise: within 3 errors, which exceed those of white noise."""
    rng, noise = np.random.default_rng(1), np.zeros(400)
    for i in range(1, 400):
        noise[i] = 0.8 * noise[i - 1] + rng.standard_normal()
    slope, spread = physics.drift(series(0.1 * np.arange(400) + noise))
    _, white = physics.drift(series(0.1 * np.arange(400) + rng.standard_normal(400) * noise.std()))
    assert abs(slope - 0.4) < 3 * spread
    assert spread > 1.5 * white
    with pytest.raises(ValueError, match="3 values are too few"):
        physics.drift(series(np.arange(3.0)))


def test_jumps_count_increments_in_units_of_true_changes():
    truth = series(np.arange(10.0))
    assert physics.jumps(truth + 0.5, truth, truth) == pytest.approx(0.5)


@pytest.fixture(scope="module")
def weather():
    """Waves of all wavenumbers that travel, with a little noise as analysis error (time, channel, y, x)."""
    rng = np.random.default_rng(2)
    shape = rng.standard_normal((2, *GRID.shape))
    truth = np.stack([np.roll(shape, t, axis=2) for t in range(len(TIMES))])
    return truth, truth + 0.2 * rng.standard_normal(truth.shape)


def symptoms_of(states, truth):
    sums = scores.sums(states, truth, np.zeros_like(truth), SHARES, TIMES, NAMES).sel(region="globe")
    power = spectra.finish(spectra.sums(states, truth, HARMONICS, TIMES, NAMES).sum("time"))
    lagged = lags.sums(states, truth, SHARES.values[0], TIMES, NAMES).sum("time")
    return {
        "biased": symptoms.biased(sums["error"], sums["squared_error"]),
        "smoothed": symptoms.smoothed(power["ratio"]),
        "shifted": symptoms.shifted(lagged),
        "drifting": symptoms.drifting(sums["error"], sums["squared_error"]),
    }


HEALTHY = {"biased": [], "smoothed": [], "shifted": 0, "drifting": []}


def test_a_good_archive_has_no_symptom(weather):
    truth, states = weather
    assert symptoms_of(states, truth) == HEALTHY


def test_a_biased_archive_is_recognised_by_its_mean_error_alone(weather):
    truth, states = weather
    warm = states.copy()
    warm[:, 1] += 0.5
    assert symptoms_of(warm, truth) == {**HEALTHY, "biased": ["t850"]}


def test_a_smoothed_archive_is_recognised_by_its_spectrum_alone(weather):
    """A half of every coefficient in the upper half of the wavenumbers: no bias, no shift."""
    truth, states = weather
    coefficients = HARMONICS.analyse(torch.from_numpy(states))
    coefficients[..., HARMONICS.truncation // 2 :, :] *= 0.5
    assert symptoms_of(HARMONICS.synthesise(coefficients).numpy(), truth) == {**HEALTHY, "smoothed": NAMES}


def test_an_archive_shifted_in_time_is_recognised_by_its_lag_alone(weather):
    """States of a step later under each time."""
    truth, states = weather
    assert symptoms_of(np.roll(states, -1, axis=0), truth) == {**HEALTHY, "shifted": 1}


def test_a_drifting_archive_is_recognised_by_its_trend(weather):
    truth, states = weather
    slow = np.linspace(-0.1, 0.1, len(TIMES))[:, None, None, None]
    assert symptoms_of(states + slow, truth)["drifting"] == NAMES


def test_a_series_that_knows_nothing_of_the_truth_is_not_called_shifted(weather):
    """Its error is the same at any lag but for chance."""
    truth, _ = weather
    rng = np.random.default_rng(5)
    assert symptoms_of(rng.standard_normal(truth.shape), truth)["shifted"] == 0


def test_a_trend_that_is_significant_but_small_is_no_symptom(weather):
    """A twentieth of the RMSE over the period, far beyond its standard error where the global mean is that quiet."""
    truth, states = weather
    quiet = states - (states - truth).mean((2, 3), keepdims=True)
    slow = 0.01 * np.linspace(-0.5, 0.5, len(TIMES))[:, None, None, None]
    assert symptoms_of(quiet + slow, truth)["drifting"] == []
    assert symptoms_of(quiet + 10 * slow, truth)["drifting"] == NAMES


def test_the_smoothing_of_the_reconstruction_is_not_held_against_an_archive():
    """A ratio of 0.4 where the reconstruction has 0.45 is no symptom, of 0.2 it is."""
    ratio = xr.DataArray(
        np.full((1, 9), 0.4), {"channel": ["z500"], "wavenumber": np.arange(9)}, ("channel", "wavenumber")
    )
    floor = xr.full_like(ratio, 0.45)
    assert symptoms.smoothed(ratio) == ["z500"]
    assert symptoms.smoothed(ratio, floor) == []
    assert symptoms.smoothed(0.5 * ratio, floor) == ["z500"]
