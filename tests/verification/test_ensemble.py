"""Scores of an ensemble: by hand, the same for any split in time, equal to an independent package, 1 where reliable."""

import numpy as np
import pytest
import scores as independent
import xarray as xr

from lara.grid import Grid
from lara.verification import ensemble, regions

TIMES = np.datetime64("2001-01-01", "ns") + np.arange(6) * np.timedelta64(6, "h")
NAMES = ["z500", "t850"]
GRID = Grid.gaussian(8, 16)


def ties(stamp):
    """The random stream of a time, which does not depend on what was drawn before."""
    return np.random.default_rng(np.frombuffer(stamp.encode(), np.uint8))


def sums_of(members, truth, area=GRID.area_weights, times=TIMES, generator=ties):
    """Of the globe alone."""
    shares = regions.whole(area)
    sums = ensemble.sums(members, truth, shares, times, NAMES[: truth.shape[1]], generator)
    return sums.sel(region="globe", drop=True)


@pytest.fixture
def fields():
    """Seven members and a truth of one distribution about a mean common to all."""
    rng = np.random.default_rng(0)
    shape = (len(TIMES), len(NAMES), *GRID.shape)
    signal = 5e4 + 100 * rng.standard_normal(shape)
    return signal + 30 * rng.standard_normal((7, *shape)), signal + 30 * rng.standard_normal(shape)


def by_hand(*members, truth):
    """One time and channel, two cells of areas 3 : 1."""
    shape = (1, 1, 2, 1)
    each = np.stack([np.reshape(np.array(member, float), shape) for member in members])
    return sums_of(each, np.reshape(np.array(truth, float), shape), np.array([[3.0], [1.0]]), TIMES[:1])


def test_scores_of_three_members_in_two_cells_by_hand():
    """Members 0, 1, 5 in both cells: mean 2, variance 7. Truth 2 and 6: errors of the mean 0 and 4.

    CRPS: mean |x - y| is 2 and 4, less a sixth of the sum of the pair distances 1 + 5 + 4 = 10 over each pair once.
    """
    found = ensemble.finish(by_hand((0, 0), (5, 5), (1, 1), truth=(2, 6))).isel(time=0, channel=0)
    assert found["spread"] == pytest.approx(np.sqrt(7))
    assert found["rmse"] == pytest.approx(np.sqrt(16 / 4))
    assert found["ratio"] == pytest.approx(np.sqrt(4 / 3 * 7 / 4))
    assert found["crps"] == pytest.approx((3 * 2 + 4) / 4 - 10 / 6)
    assert found["frequency"].values.tolist() == pytest.approx([0, 0, 3 / 4, 1 / 4])
    assert found["reliability_index"] == pytest.approx(1 / 4 + 1 / 4 + 1 / 2 + 0)
    assert found["flatness"] == pytest.approx(4 * (1 / 16 + 1 / 16 + 1 / 4))


def test_a_truth_that_equals_members_takes_each_of_their_ranks_alike():
    """Two of three members equal the truth, which is above the third: ranks 1, 2 and 3 by chance, 400 times.

    The share of each is 1/3 with a standard error of 0.024; 0.1 is four of them.
    """
    times = TIMES[0] + np.arange(400) * np.timedelta64(6, "h")
    members = np.array([0.0, 1.0, 1.0])[:, None, None, None, None] * np.ones((3, 400, 1, 1, 1))
    found = sums_of(members, np.ones((400, 1, 1, 1)), np.ones((1, 1)), times).sum("time")
    np.testing.assert_allclose(ensemble.finish(found)["frequency"][0], [0, 1 / 3, 1 / 3, 1 / 3], atol=0.1)


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_scores_do_not_depend_on_how_time_is_cut_even_where_members_tie(fields, chunk):
    """Every time is summed alone and its ties have their own stream: equal bit for bit."""
    members, truth = (np.round(field / 30) for field in fields)
    assert (members == truth).any()
    whole = sums_of(members, truth)
    slices = [slice(i, i + chunk) for i in range(0, len(TIMES), chunk)]
    parts = [sums_of(members[:, s], truth[s], times=TIMES[s]) for s in slices]
    xr.testing.assert_identical(xr.concat(parts, "time"), whole)


def test_sums_of_parts_add_up_to_the_whole(fields):
    sums = sums_of(*fields)
    merged = sums.isel(time=slice(2)).sum("time") + sums.isel(time=slice(2, None)).sum("time")
    xr.testing.assert_allclose(ensemble.finish(merged), ensemble.finish(sums.sum("time")), rtol=1e-12)


def test_the_fair_crps_and_the_ranks_equal_those_of_the_scores_package(fields):
    """An independent implementation with the same weights; 1e-6 relative (nothing ties, so ranks are certain)."""
    members, truth = (
        xr.DataArray(field, dims=("member", "time", "channel", "y", "x")[-field.ndim :]) for field in fields
    )
    weights = xr.DataArray(GRID.area_weights, dims=("y", "x"))
    found = ensemble.finish(sums_of(*fields))
    crps = independent.probability.crps_for_ensemble(
        members, truth, "member", method="fair", reduce_dims=["y", "x"], weights=weights
    )
    np.testing.assert_allclose(found["crps"], crps, rtol=1e-6)
    ranks = independent.probability.rank_histogram(members, truth, "member", reduce_dims=["y", "x"], weights=weights)
    expected = ranks.transpose("time", "channel", "rank")
    np.testing.assert_allclose(found["frequency"], expected, rtol=1e-6, atol=1e-12)


def test_the_order_of_the_members_and_the_norm_of_the_weights_do_not_matter(fields):
    members, truth = fields
    one, other = sums_of(members, truth), sums_of(members[::-1], truth, 7 * GRID.area_weights)
    xr.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("count", [2, 20])
def test_a_reliable_ensemble_has_ratio_one_and_a_flat_histogram_whatever_its_size(count):
    """Truth and members from one distribution, 40 x 2 x 128 points: the ratio is 1 within 3 % (three standard errors).

    Without the factor sqrt((m+1)/m) two members would have 0.82.
    """
    rng = np.random.default_rng(1)
    times = TIMES[0] + np.arange(40) * np.timedelta64(6, "h")
    members, truth = (rng.standard_normal((*lead, 40, 2, *GRID.shape)) for lead in ((count,), ()))
    found = ensemble.finish(sums_of(members, truth, times=times).sum("time")).mean("channel")
    assert found["ratio"] == pytest.approx(1, abs=0.03)
    assert found["reliability_index"] < 0.1
    assert found["crps"] == pytest.approx(1 / np.sqrt(np.pi), rel=0.03)  # E of the CRPS of a normal, fair for any m


def test_too_narrow_an_ensemble_has_a_ratio_below_one_and_the_truth_at_its_ends(fields):
    members, truth = fields
    mean = members.mean(axis=0)
    found = ensemble.finish(sums_of(mean + 0.3 * (members - mean), truth).sum("time")).mean("channel")
    assert found["ratio"] < 0.5
    ends = found["frequency"].values[[0, -1]]
    assert (ends > 2 / 8).all()
    assert found["reliability_index"] > 0.5


def test_a_region_has_the_scores_of_its_rows_alone(fields):
    """Those of the tropics equal the globe's where other rows have no area; the three parts make up the globe."""
    shares = regions.shares(GRID.latitude, GRID.area_weights)
    found = ensemble.sums(*fields, shares, TIMES, NAMES, ties)
    inside = (np.abs(GRID.latitude) <= 20)[:, None]
    xr.testing.assert_allclose(found.sel(region="tropics", drop=True), sums_of(*fields, GRID.area_weights * inside))
    parts = {name: GRID.area_weights[shares.sel(region=name).values > 0].sum() for name in regions.BOUNDS}
    for name in ("crps", "ranks"):
        whole = sum(parts[r] * found[name].sel(region=r) for r in ("northern", "southern", "tropics")) / parts["globe"]
        np.testing.assert_allclose(whole, found[name].sel(region="globe"), rtol=1e-12, atol=1e-15)


def test_the_interval_of_the_ratio_holds_the_mean_and_leaves_out_the_spin_up(fields):
    """Twice the error in the first two times: their ratio is not in the mean of the rest."""
    members, truth = fields
    truth = truth.copy()
    truth[:2] += 200
    sums = sums_of(members, truth)
    found = ensemble.evaluate(sums.expand_dims(region=["globe"]), TIMES[2], 2, np.random.default_rng(0))
    found = found.sel(region="globe")
    assert found.attrs == {
        "n": 4,
        "members": 7,
        "confidence": 0.95,
        "block": 2,
        "evaluation_begin": "2001-01-01T12:00:00",
    }
    assert (found["low"] <= found["mean_ratio"]).all() and (found["mean_ratio"] <= found["high"]).all()
    assert found["ratio"].dims == ("time", "channel")
    assert (found["ratio"][:2] < 0.5 * found["low"]).all()
    expected = ensemble.finish(sums.isel(time=slice(2, None)).sum("time"))
    np.testing.assert_allclose(found["mean_frequency"], expected["frequency"])


def test_one_member_wrong_shapes_and_nan_are_refused_by_name(fields):
    members, truth = fields
    with pytest.raises(ValueError, match="an ensemble of 1 members has no spread; give at least 2"):
        sums_of(members[:1], truth)
    with pytest.raises(ValueError, match=r"members \(each\) have shape"):
        sums_of(members[:, :2], truth)
    with pytest.raises(ValueError, match="truth have shape"):
        sums_of(members, truth[:2])
    truth = truth.copy()
    truth[0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="truth hold NaN"):
        sums_of(members, truth)
