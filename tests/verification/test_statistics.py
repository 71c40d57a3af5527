"""Spectra, tails, lags and regions by hand, equal to an independent package, and the same whatever the parts."""

import numpy as np
import pytest
import scores as independent
import torch
import xarray as xr

from lara.covariance.harmonics import Harmonics
from lara.grid import Grid
from lara.verification import aggregation, lags, regions, spectra, tails
from lara.verification import scores as our_scores
from lara.verification.scores import finish

GRID = Grid.gaussian(16, 32)
HARMONICS = Harmonics.of(GRID)
TIMES = np.datetime64("2001-01-30", "ns") + np.arange(12) * np.timedelta64(6, "h")
NAMES = ["z500", "t850"]
SHARE = regions.whole(GRID.area_weights).values[0]
SHAPE = (len(TIMES), len(NAMES), *GRID.shape)


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal(SHAPE)
    return truth + 0.3 * rng.standard_normal(SHAPE), truth


def sums_of(statistic, states, truth, chosen=slice(None)):
    """Sums of one of the statistics over some of the times."""
    states, truth, times = states[chosen], truth[chosen], TIMES[chosen]
    if statistic == "scores":
        shares = regions.shares(GRID.latitude, GRID.area_weights)
        return our_scores.sums(states, truth, np.zeros_like(truth), shares, times, NAMES)
    if statistic == "spectra":
        return spectra.sums(states, truth, HARMONICS, times, NAMES)
    return tails.sums(states, truth, SHARE, times, NAMES)


@pytest.mark.parametrize("statistic", ["scores", "spectra", "tails"])
def test_months_scored_apart_and_merged_are_the_whole(pair, statistic):
    """Two days of January and one of February: sums add up to 1e-12."""
    whole = sums_of(statistic, *pair)
    months = aggregation.by_month(whole)
    assert months.sizes["month"] == 2
    apart = [sums_of(statistic, *pair, part).sum("time") for part in (slice(8), slice(8, None))]
    finishing = {"scores": finish, "spectra": spectra.finish, "tails": tails.finish}[statistic]
    expected = finishing(whole.sum("time"))
    xr.testing.assert_allclose(finishing(aggregation.merged(apart)), expected, rtol=1e-12, atol=1e-12)
    xr.testing.assert_allclose(finishing(months.sum("month")), expected, rtol=1e-12, atol=1e-12)


def test_parts_with_other_channels_are_not_merged(pair):
    one = sums_of("spectra", *pair).sum("time")
    with pytest.raises(ValueError, match="exact"):
        aggregation.merged([one, one.isel(channel=[0])])
    with pytest.raises(ValueError, match="nothing to merge"):
        aggregation.merged([])


@pytest.mark.parametrize("region", list(regions.BOUNDS))
def test_scores_of_a_region_equal_the_scores_package_over_its_rows(pair, region):
    """RMSE, MAE and bias with the same weights: 1e-6 relative."""
    south, north = regions.BOUNDS[region]
    rows = (GRID.latitude >= south) & (GRID.latitude <= north)
    arrays = [xr.DataArray(a[:, :, rows], dims=("time", "channel", "lat", "lon")) for a in pair]
    weights = xr.DataArray(GRID.area_weights[rows], dims=("lat", "lon"))
    ours = finish(sums_of("scores", *pair)).sel(region=region)
    for name, theirs in (
        ("rmse", independent.continuous.rmse),
        ("mae", independent.continuous.mae),
        ("bias", independent.continuous.additive_bias),
    ):
        expected = theirs(*arrays, reduce_dims=["lat", "lon"], weights=weights)
        np.testing.assert_allclose(ours[name].values, expected.values, rtol=1e-6, atol=1e-9)


def test_hemispheres_and_tropics_make_up_the_globe():
    """Shares by their areas: 1 − sin 20° of either half and sin 20° between, as far as rows can tell (one row: 0.1)."""
    shares = regions.shares(GRID.latitude, GRID.area_weights)
    np.testing.assert_allclose(shares.sum(("latitude", "longitude")), 1.0)
    covered = (shares.sel(region=["northern", "southern", "tropics"]) > 0).sum("region")
    assert (covered == 1).all()
    with pytest.raises(ValueError, match="no row of the grid lies in region 'tropics'"):
        regions.shares(np.array([60.0, -60.0]), np.ones((2, 4)))


def test_activity_is_the_size_of_the_anomalies(pair):
    """Twice the truth: twice its activity, with an anomaly correlation of 1."""
    found = finish(sums_of("scores", 2 * pair[1], pair[1]))
    np.testing.assert_allclose(found["activity"], 2 * found["truth_activity"])
    np.testing.assert_allclose(found["acc"], 1.0)


def harmonic(n, m):
    """A field of one harmonic."""
    coefficients = torch.zeros(HARMONICS.truncation, HARMONICS.truncation, dtype=torch.complex128)
    coefficients[n, m] = 1.0
    return HARMONICS.synthesise(coefficients).numpy()


@pytest.mark.parametrize(("n", "m"), [(0, 0), (3, 0), (5, 2), (15, 15)])
def test_a_harmonic_has_its_mean_square_as_power_at_its_wavenumber(n, m):
    """Parseval's identity to rounding."""
    field = np.broadcast_to(harmonic(n, m), (1, 1, *GRID.shape))
    found = spectra.finish(spectra.sums(field, field, HARMONICS, TIMES[:1], ["z500"]).sum("time"))
    power = found["power"].values[0]
    assert power[n] == pytest.approx((field[0, 0] ** 2 * SHARE).sum(), rel=1e-9)
    assert np.delete(power, n) == pytest.approx(0, abs=1e-20)


def test_smoothing_lowers_the_ratio_and_displacement_the_coherence(pair):
    """Half of every coefficient: a quarter of the power, coherence 1; a quarter wave eastward: power 1, coherence 0."""
    truth = np.broadcast_to(harmonic(6, 4), (1, 1, *GRID.shape))
    moved = np.roll(truth, GRID.shape[1] // 16, axis=3)
    for states, ratio, coherence in ((0.5 * truth, 0.25, 1.0), (moved, 1.0, 0.0)):
        found = spectra.finish(spectra.sums(states, truth, HARMONICS, TIMES[:1], ["z500"]).sum("time"))
        assert found["ratio"].values[0, 6] == pytest.approx(ratio, abs=1e-9)
        assert found["coherence"].values[0, 6] == pytest.approx(coherence, abs=1e-9)


def test_kinetic_energy_of_rotation_and_divergence_adds_up_to_that_of_the_wind():
    """Wind from smooth potentials, each alone: all energy in its own half, and the area mean of ½(u² + v²)."""
    psi = torch.from_numpy(1e7 * harmonic(4, 2))
    for part, potentials in enumerate([(psi, 0 * psi), (0 * psi, psi)]):
        u, v = (wind.numpy()[None] for wind in HARMONICS.wind(*potentials))
        energy = spectra.kinetic_energy(u, v, HARMONICS)[:, 0].sum(-1)
        assert energy[part] == pytest.approx(0.5 * ((u**2 + v**2)[0] * SHARE).sum(), rel=1e-9)
        assert energy[1 - part] == pytest.approx(0, abs=1e-12)


def test_quantiles_of_a_stretched_truth_are_off_in_proportion():
    """1.5 times a normal field: errors half the quantile, 2.33 at 0.99; bins of 0.1 and 61,440 values: 0.05."""
    truth = np.random.default_rng(3).standard_normal((60, 2, *GRID.shape))
    times = TIMES[0] + np.arange(60) * np.timedelta64(6, "h")
    found = tails.finish(tails.sums(1.5 * truth, truth, SHARE, times, NAMES).sum("time"))
    for quantile, value in ((0.01, -2.326), (0.5, 0.0), (0.99, 2.326)):
        np.testing.assert_allclose(found["quantile_error"].sel(quantile=quantile), 0.5 * value, atol=0.06)


def test_extremes_always_found_count_one_and_chance_counts_zero():
    """EDI of a truth with few false alarms is near 1; of independent fields 0, here of about 900 events: 0.1."""
    rng = np.random.default_rng(4)
    truth, other = rng.standard_normal((2, 40, 2, *GRID.shape))
    times = TIMES[0] + np.arange(40) * np.timedelta64(6, "h")
    good = tails.finish(tails.sums(truth + 0.02 * other, truth, SHARE, times, NAMES).sum("time"))
    chance = tails.finish(tails.sums(other, truth, SHARE, times, NAMES).sum("time"))
    assert (good["edi"] > 0.95).all()
    np.testing.assert_allclose(chance["edi"], 0.0, atol=0.1)


def test_a_series_shifted_in_time_is_nearest_at_its_lag():
    """A wave that travels a column a step, labelled a step late: state(t) = truth(t + 1)."""
    wave = harmonic(6, 4)
    truth = np.stack([np.broadcast_to(np.roll(wave, t, axis=1), (2, *GRID.shape)) for t in range(12)])
    for shift in (-1, 0, 1):
        states = np.roll(truth, -shift, axis=0)
        found = lags.sums(states, truth, SHARE, TIMES, NAMES).isel(time=slice(1, -1)).sum("time")
        assert lags.best_lag(found) == shift
    with pytest.raises(ValueError, match="4 times are too few"):
        lags.sums(truth[:4], truth[:4], SHARE, TIMES[:4], NAMES)


def test_local_times_follow_the_sun_round_the_globe():
    """At 03 UTC it is 03 h at Greenwich, 15 h at the date line: each column in one quarter, areas as they are."""
    share = regions.local_times(GRID.longitude, GRID.area_weights, 3.0)
    at = {name: GRID.longitude[share.sel(region=name).values[0] > 0] for name in regions.QUARTERS}
    assert 0.0 in at["00-06"] and 180.0 in at["12-18"] and 90.0 in at["06-12"] and 270.0 in at["18-24"]
    assert sum(map(len, at.values())) == len(GRID.longitude)
    np.testing.assert_allclose(share.sum(("latitude", "longitude")), 1.0)
    with pytest.raises(ValueError, match="no column of the grid has a local time of 12-18 h at 0 UTC"):
        regions.local_times(np.array([0.0, 100.0]), np.ones((1, 2)), 0.0)
