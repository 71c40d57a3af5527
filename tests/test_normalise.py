"""Statistics equal plain numpy, whatever the tasks; normalising and back is the identity."""

import tracemalloc

import numpy as np
import pytest
import torch

from lara import normalise
from lara.state import Channels
from lara.store import StoreError, open_state

STEP = np.timedelta64(6, "h")
OFFSETS = np.array([1e5, 280, 5e4, 1.5e4, 1e-3, 5e-3])[:, None, None]
SCALES = np.array([700, 8, 900, 500, 5e-4, 2e-3])[:, None, None]


def axis(days, begin="2000-01-01"):
    return np.datetime64(begin, "ns") + np.arange(4 * days) * STEP


def synthetic(times, seed=0):
    """Random states about realistic offsets, float32."""
    noise = np.random.default_rng(seed).standard_normal((len(times), 6, 8, 16))
    return (OFFSETS + SCALES * noise).astype(np.float32)


def plain(states, weights):
    """std, 24 h change and step change of one store by direct evaluation in float64."""
    x = states.astype(np.float64)
    rms = [
        np.sqrt((np.square(d) * weights).mean(axis=(0, 2, 3)))
        for d in (x - x.mean(axis=0), x[4:] - x[:-4], x[1:] - x[:-1])
    ]
    return x.mean(axis=0), *rms


def test_statistics_equal_plain_numpy(make_store, small_grid):
    """Relative 1e-10: the one-pass variance about the first state loses a digit or two of float64's sixteen."""
    states = synthetic(axis(47))
    found = normalise.compute([make_store("a", axis(47), states)])
    mean, std, change, tendency = plain(states, small_grid.area_weights)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-10)
    np.testing.assert_allclose(found.std, std, rtol=1e-10)
    np.testing.assert_allclose(found.change_std, change, rtol=1e-10)
    np.testing.assert_allclose(found.tendency_std, tendency, rtol=1e-10)
    np.testing.assert_allclose(found.global_mean, (mean * small_grid.area_weights).mean(axis=(1, 2)), rtol=1e-10)
    assert (found.count, found.begin, found.end) == (188, axis(47)[0], axis(47)[-1] + STEP)


def test_statistics_do_not_depend_on_the_tasks(make_store):
    """Sums of the same numbers in another order: a few roundings."""
    stores = [make_store("a", axis(33), synthetic(axis(33)))]
    whole, pieces = normalise.compute(stores, days=100), normalise.compute(stores, days=1)
    for name in ("mean", "climatology", "std", "change_std", "tendency_std", "global_mean"):
        np.testing.assert_allclose(getattr(pieces, name), getattr(whole, name), rtol=1e-12)


def test_changes_never_cross_from_one_store_to_the_next(make_store, small_grid):
    """Two stores a year apart with means far apart: squares of changes add up store by store."""
    times = axis(20), axis(15, "2001-06-01")
    states = synthetic(times[0]), synthetic(times[1], seed=1) + np.float32(1000) * OFFSETS.astype(np.float32)
    found = normalise.compute([make_store(name, t, x) for name, t, x in zip("ab", times, states, strict=True)])
    parts = [plain(x, small_grid.area_weights) for x in states]
    change = sum(n * part[2] ** 2 for n, part in zip((76, 56), parts, strict=True)) / (76 + 56)
    tendency = sum(n * part[3] ** 2 for n, part in zip((79, 59), parts, strict=True)) / (79 + 59)
    np.testing.assert_allclose(found.change_std, np.sqrt(change), rtol=1e-10)
    np.testing.assert_allclose(found.tendency_std, np.sqrt(tendency), rtol=1e-10)
    np.testing.assert_allclose(found.mean, np.concatenate(states).mean(axis=0, dtype=np.float64), rtol=1e-10)
    assert (found.begin, found.end) == (times[0][0], times[1][-1] + STEP)


def test_a_part_opened_from_within_a_day_has_the_statistics_of_that_part(make_store, small_grid):
    times, states = axis(40), synthetic(axis(40))
    part = open_state(make_store("a", times, states).path, times[7], times[151])
    np.testing.assert_allclose(
        normalise.compute([part], days=7).change_std, plain(states[7:151], small_grid.area_weights)[2], rtol=1e-10
    )


def test_an_annual_cycle_is_recovered(make_store):
    """Two harmonics without noise, fitted over two stores to the rounding of float32 data (1e-7 of x)."""
    times = axis(400), axis(100, "2003-01-01")
    rng = np.random.default_rng(4)
    truth = rng.standard_normal((5, 6, 8, 16))
    days = [(t - np.datetime64("2000-01-01")) / np.timedelta64(1, "D") * 2 * np.pi / 365.2425 for t in times]
    basis = [np.stack([d * 0 + 1, np.cos(d), np.sin(d), np.cos(2 * d), np.sin(2 * d)], axis=1) for d in days]
    states = [np.tensordot(b, truth, 1).astype(np.float32) for b in basis]
    found = normalise.compute([make_store(n, t, x) for n, t, x in zip("ab", times, states, strict=True)])
    np.testing.assert_allclose(found.climatology, truth, atol=1e-6)
    np.testing.assert_allclose(found.climatology_at(times[1]), states[1], atol=1e-5)


def test_least_squares_equal_numpy_on_noisy_data(make_store):
    times = axis(366)
    states = synthetic(times)
    found = normalise.compute([make_store("a", times, states)])
    angle = (times - np.datetime64("2000-01-01")) / np.timedelta64(1, "D") * 2 * np.pi / 365.2425
    basis = np.stack([f(k * angle) for k in (0, 1, 2) for f in ((np.cos,) if k == 0 else (np.cos, np.sin))], axis=1)
    expected = np.linalg.lstsq(basis, states.astype(np.float64).reshape(len(times), -1))[0].reshape(5, 6, 8, 16)
    np.testing.assert_allclose(found.climatology / SCALES, expected / SCALES, rtol=1e-10, atol=1e-10)


def test_without_most_of_a_year_the_climatology_is_the_mean(make_store):
    """Several years of one season are no annual cycle either."""
    stores = [make_store(str(year), axis(20, f"{year}-07-01"), synthetic(axis(20), year)) for year in (2000, 2001)]
    found = normalise.compute(stores)
    assert np.array_equal(found.climatology[0], found.mean) and not found.climatology[1:].any()
    assert np.array_equal(found.climatology_at(axis(1, "2005-01-01"))[2], found.mean.astype(np.float32))


def test_less_than_30_days_are_refused(make_store):
    with pytest.raises(StoreError, match="30 days or more, not 29"):
        normalise.compute([make_store("a", axis(29), synthetic(axis(29)))])


def test_stores_that_differ_are_refused(make_store):
    fine, coarse = axis(30), axis(30)[0] + np.arange(60) * np.timedelta64(12, "h")
    stores = [make_store("fine", fine, synthetic(fine)), make_store("coarse", coarse, synthetic(coarse))]
    with pytest.raises(StoreError, match=r"coarse.zarr .* differ in channels, grid or step"):
        normalise.compute(stores)


def test_a_channel_that_never_changes_is_named(make_store):
    states = synthetic(axis(30))
    states[:, 4] = 0
    with pytest.raises(ValueError, match="channels q500 never change"):
        normalise.compute([make_store("a", axis(30), states)])


def test_memory_does_not_grow_with_the_data(make_store):
    """Peak stays below a tenth of four years of float32 data, 18 MB; the sums alone need 31 kB per partial."""
    states = make_store("a", axis(1460), synthetic(axis(1460)))
    nbytes = 4 * 5840 * 6 * 8 * 16
    normalise.compute([make_store("first", axis(30), synthetic(axis(30)))])  # its imports are no data
    tracemalloc.start()
    normalise.compute([states])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < nbytes / 10


@pytest.fixture
def statistics(make_store):
    return normalise.compute([make_store("a", axis(30), synthetic(axis(30)))])


def test_statistics_read_back_equal_and_the_file_is_repeatable(statistics, tmp_path):
    path = tmp_path / "statistics.npz"
    normalise.save(statistics, path)
    first = path.read_bytes()
    found = normalise.load(path)
    normalise.save(found, path)
    assert path.read_bytes() == first and found.channels == statistics.channels
    for name, value in vars(statistics).items():
        assert name == "channels" or np.array_equal(getattr(found, name), value)
    assert isinstance(found.count, int) and found.begin == np.datetime64("2000-01-01")


def test_absent_statistics_are_named_with_the_remedy(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npz: rerun"):
        normalise.load(tmp_path / "none.npz")


def test_normalised_training_data_have_mean_zero_and_24_h_changes_of_one(statistics, small_grid):
    """In float32, x − mean of values near 1e5 with changes near 1e3 keeps five digits."""
    states = torch.from_numpy(synthetic(axis(30)))
    normaliser = normalise.Normaliser(statistics)
    x = normaliser.normalise(states)
    weights = torch.from_numpy(small_grid.area_weights).float()
    changes = ((x[4:] - x[:-4]).square() * weights).mean(dim=(0, 2, 3)).sqrt()
    torch.testing.assert_close(changes, torch.ones(6), atol=1e-4, rtol=0)
    torch.testing.assert_close(x.mean(dim=0), torch.zeros(6, 8, 16), atol=1e-4, rtol=0)
    assert ((normaliser.denormalise(x) - states) / torch.from_numpy(SCALES)).abs().max() < 3e-5


def test_normalisation_travels_with_the_weights(statistics):
    normaliser = normalise.Normaliser(statistics)
    assert {name: tuple(value.shape) for name, value in normaliser.state_dict().items()} == {
        "mean": (6, 8, 16),
        "scale": (6, 1, 1),
    }
    assert isinstance(statistics.channels, Channels)
