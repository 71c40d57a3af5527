"""Statistics meet one contract: parts add up to the whole, and statistics that share a dataset do not mix."""

import importlib
import pkgutil
from itertools import permutations

import numpy as np
import pytest
import xarray as xr

from lara import verification
from lara.covariance.harmonics import Harmonics
from lara.grid import Grid
from lara.state import Channels
from lara.verification import aggregation, regions
from lara.verification.lags import LAGS

GRID = Grid.gaussian(16, 32)
CHANNELS = Channels.of(["msl"], ["z", "q", "u", "v", "t"], [500, 850])
TIMES = np.datetime64("2001-01-30", "ns") + np.arange(12) * np.timedelta64(6, "h")
NAMES = CHANNELS.names
SHARE = regions.whole(GRID.area_weights).values[0]
SHARES = regions.shares(GRID.latitude, GRID.area_weights)
TRUTH, ERROR = np.random.default_rng(0).standard_normal((2, len(TIMES), len(CHANNELS), *GRID.shape))
STATES = TRUTH + 0.3 * ERROR
MEMBERS = TRUTH + np.random.default_rng(1).standard_normal((3, *TRUTH.shape)).round(1)

MODULES = [
    importlib.import_module(f"lara.verification.{module.name}")
    for module in pkgutil.iter_modules(verification.__path__)
]
STATISTICS = {module.PREFIX: module for module in MODULES if hasattr(module, "sums")}
ARGUMENTS = {  # of the sums of each statistic over some of the times
    "scores": lambda at: (STATES[at], TRUTH[at], 0 * TRUTH[at], SHARES, TIMES[at], NAMES),
    "spectra": lambda at: (STATES[at], TRUTH[at], Harmonics.of(GRID), TIMES[at], NAMES),
    "tails": lambda at: (STATES[at], TRUTH[at], SHARE, TIMES[at], NAMES),
    "lags": lambda at: (STATES[at], TRUTH[at], SHARE, TIMES[at], NAMES),
    "balance": lambda at: (STATES[at], 0 * STATES[at], CHANNELS, GRID, TIMES[at]),
    "ensemble": lambda at: (MEMBERS[:, at], TRUTH[at], SHARES, TIMES[at], NAMES, drawn),
}
REACH = {"lags": max(LAGS)}  # times beyond a part's own that its sums look at


def drawn(stamp):
    """The stream of a time, by which ties of ranks are settled."""
    return np.random.default_rng([ord(letter) for letter in stamp])


def sums_of(name, at=slice(None)):
    return STATISTICS[name].sums(*ARGUMENTS[name](at))


def test_every_statistic_of_the_package_is_tried():
    """One that is added without arguments here fails."""
    assert set(STATISTICS) == set(ARGUMENTS)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_sums_are_of_every_time_alone_and_counted(name):
    sums, reach = sums_of(name), REACH.get(name, 0)
    np.testing.assert_array_equal(sums["time"], TIMES[reach : len(TIMES) - reach])
    assert (sums["count"] == 1).all()
    assert all("time" in field.dims for field in sums.data_vars.values())


@pytest.mark.parametrize("name", ARGUMENTS)
def test_sums_of_parts_merge_to_those_of_the_whole(name):
    """Cut in two, by month, and time by time; scores to 1e-12."""
    reach, finish = REACH.get(name, 0), STATISTICS[name].finish
    parts = [sums_of(name, slice(0, 6 + reach)), sums_of(name, slice(6 - reach, None))]
    whole = sums_of(name)
    xr.testing.assert_allclose(xr.concat(parts, "time"), whole, rtol=1e-12, atol=1e-12)
    expected = finish(whole.sum("time"))
    assert all(np.isfinite(field).any() for field in expected.data_vars.values())
    for merged in (aggregation.merged([part.sum("time") for part in parts]), aggregation.by_month(whole).sum("month")):
        xr.testing.assert_allclose(finish(merged), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_statistic_is_taken_out_of_a_shared_dataset_as_it_went_in(name):
    shared = xr.merge(
        [aggregation.prefixed(STATISTICS[each], sums_of(each)).sum("time") for each in ARGUMENTS],
        join="exact",
        compat="no_conflicts",
    )
    xr.testing.assert_identical(aggregation.of(STATISTICS[name], shared), sums_of(name).sum("time"))


def test_prefixes_do_not_collide():
    """No statistic's sums carry names that another's prefix begins."""
    for one, other in permutations(ARGUMENTS, 2):
        names = aggregation.prefixed(STATISTICS[one], sums_of(one)).data_vars
        assert not any(str(name).startswith(f"{other}_") for name in names)


def test_sums_that_were_never_measured_are_refused_by_name():
    shared = aggregation.prefixed(STATISTICS["tails"], sums_of("tails"))
    with pytest.raises(KeyError, match="no sums of 'spectra' among"):
        aggregation.of(STATISTICS["spectra"], shared)
