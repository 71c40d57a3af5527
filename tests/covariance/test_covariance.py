"""Background error: pairs valid at the same time in the training stores, and the variance they were drawn with."""

import numpy as np
import pytest
import torch

from lara.assimilation.control import HorizontalControl
from lara.covariance import latent, nmc

STEP = np.timedelta64(6, "h")
SHORT, LONG = 4, 8


@pytest.fixture
def clocks(make_store):
    """Two datasets of 40 times on a grid of 8 × 16; every value of a state is its number in the dataset."""

    def clock(name, begin):
        numbers = np.arange(40, dtype=np.float32)
        states = np.broadcast_to(numbers[:, None, None, None], (40, 6, 8, 16)).copy()
        return make_store(name, np.datetime64(begin, "ns") + STEP * np.arange(40), states)

    return [clock("one", "2001-01-01"), clock("two", "2003-07-01")]


@pytest.mark.parametrize("growth", [1.0, 1.25, 3.0])
def test_both_forecasts_of_a_pair_are_valid_at_the_same_time(clocks, growth):
    """A step adds `growth` to states that grow by 1: a forecast over n steps is n (growth − 1) above its valid time's
    number. So short, long and difference are known exactly (small multiples of 1/4 are exact in float32)."""
    for pair in nmc.forecast_pairs(clocks, lambda x, _, steps: x + steps * growth, (SHORT, LONG), 30, batch=4):
        store = next(s for s in clocks if pair.valid[0] in s.times)
        number = torch.from_numpy(store.index_of(pair.valid)).float()[:, None, None, None]
        assert torch.equal(pair.short, (number + SHORT * (growth - 1)).expand_as(pair.short))
        assert torch.equal(pair.long, (number + LONG * (growth - 1)).expand_as(pair.long))
        assert torch.equal(pair.long - pair.short, torch.full_like(pair.long, (LONG - SHORT) * (growth - 1)))


def test_samples_are_spread_over_all_training_stores(clocks):
    """`count` samples, half from each store, none twice, from the first possible time to the last."""
    pairs = list(nmc.forecast_pairs(clocks, lambda x, *_: x, (SHORT, LONG), 20, batch=4))
    valid = np.concatenate([pair.valid for pair in pairs])
    assert len(valid) == len(np.unique(valid)) == 20
    assert max(len(pair.valid) for pair in pairs) <= 4
    for store in clocks:
        inside = valid[np.isin(valid, store.times)]
        assert len(inside) == 10
        assert inside[0] == store.times[LONG]
        assert inside[-1] == store.times[-1]


def test_a_store_shorter_than_the_long_forecast_is_refused(make_store):
    """8 states hold no forecast over 8 steps; the store and the remedy are named."""
    store = make_store("brief", np.datetime64("2001-01-01", "ns") + STEP * np.arange(8), np.zeros((8, 6, 8, 16), "f4"))
    with pytest.raises(ValueError, match=r"brief\.zarr has 8 times, too few for 8 steps: lengthen it"):
        list(nmc.forecast_pairs([store], lambda x, *_: x, (SHORT, LONG), 4))


def drawn(count, std, batch=50):
    """Pairs whose differences are independent normal numbers of known standard deviation (l, h, w)."""
    generator = torch.Generator().manual_seed(1)
    for first in range(0, count, batch):
        short = torch.randn(batch, *std.shape, generator=generator)
        noise = torch.randn(batch, *std.shape, generator=generator)
        yield nmc.Pairs(
            short, short + std * noise, np.datetime64("2001-01-01", "ns") + STEP * np.arange(first, first + batch)
        )


def test_the_variance_of_the_samples_is_recovered():
    """The estimate's relative standard error is √(2/n) = 0.05 for n = 800; among 96 elements none is 4.5 of them away
    (once in 1500 draws), and their mean is within 4 √(2/(96 n))."""
    n, std = 800, torch.rand(3, 4, 8, generator=torch.Generator().manual_seed(0)) + 0.5
    found = latent.estimate(drawn(n, std), lambda x: x)
    ratio = found.variance / std.double().square().numpy()
    assert np.abs(ratio - 1).max() < 4.5 * np.sqrt(2 / n)
    assert abs(ratio.mean() - 1) < 4 * np.sqrt(2 / (96 * n))
    assert len(found.valid) == n


def test_the_variance_is_of_encoded_differences_about_zero():
    """Σ (E(long) − E(short))² / (N − 1) by hand, the mean not removed: a constant difference counts. float64 sums."""
    pairs = list(drawn(100, torch.ones(3, 4, 8)))
    moved = [nmc.Pairs(p.short, p.long + 2.0, p.valid) for p in pairs]
    found = latent.estimate(moved, lambda x: 3 * x)
    by_hand = sum((3 * (p.long - p.short).double()).square().sum(0) for p in moved) / 99
    np.testing.assert_allclose(found.variance, by_hand, rtol=1e-5)
    assert found.variance.mean() == pytest.approx(9 * 5, rel=0.05)


def test_independent_elements_show_no_correlation_and_dependent_ones_do():
    """Correlation 1 with itself; of independent channels below 5/√(32 n) (n = 800); of a copied channel 1."""
    std = torch.ones(3, 4, 8)
    independent = latent.estimate(drawn(800, std), lambda x: x)
    assert np.diag(independent.channel_correlation) == pytest.approx(1.0, abs=0.05)
    assert independent.off_diagonal < 5 / np.sqrt(32 * 800)
    assert np.abs(independent.neighbour_correlation).max() < 5 / np.sqrt(32 * 800)
    copied = latent.estimate(drawn(800, std), lambda x: x[:, [0, 1, 0]])
    assert copied.channel_correlation[0, 2] == pytest.approx(1.0, abs=0.05)


def test_neighbours_that_share_their_error_are_seen_to():
    """Differences constant around the globe: correlation 1 between neighbours, to float64 rounding."""
    pairs = [nmc.Pairs(p.short, p.short + p.long[..., :1], p.valid) for p in drawn(50, torch.ones(3, 4, 8))]
    found = latent.estimate(pairs, lambda x: x.double())
    assert found.neighbour_correlation == pytest.approx(1.0, abs=1e-6)


def correlated(count, correlation):
    """Pairs whose differences (l, 4, 8) have standard deviations that vary and this correlation between channels."""
    factor = torch.linalg.cholesky(torch.tensor(correlation, dtype=torch.float64))
    std = torch.rand(len(factor), 4, 8, generator=torch.Generator().manual_seed(0)) + 0.5
    for pair in drawn(count, torch.ones_like(std)):
        noise = torch.einsum("kl,nlhw->nkhw", factor, (pair.long - pair.short).double())
        yield nmc.Pairs(torch.zeros_like(noise), std * noise, pair.valid)


def test_correlations_of_channels_and_their_factor_are_recovered():
    """F Fᵀ = C exactly where C is positive definite (rounding), and C is what the differences were drawn with, within
    4.5 standard errors 1/√(32 n) = 0.006 (n = 800) though standard deviations vary from place to place."""
    truth = [[1.0, 0.8, 0.0], [0.8, 1.0, -0.3], [0.0, -0.3, 1.0]]
    found = latent.estimate(correlated(800, truth), lambda x: x)
    np.testing.assert_allclose(found.factor @ found.factor.T, found.channel_correlation, atol=1e-12)
    np.testing.assert_allclose(found.factor @ found.factor.T, truth, atol=4.5 / np.sqrt(32 * 800))
    np.testing.assert_allclose(found.std**2, found.variance, rtol=1e-12)


def test_correlations_that_are_no_covariance_yet_are_drawn_towards_the_identity():
    """Channel 2 copies channel 0: the least eigenvalue 0 becomes 0.001, variances stay 1, correlations shrink by as
    much. Rounding of float64."""
    found = latent.estimate(drawn(800, torch.ones(3, 4, 8)), lambda x: x.double()[:, [0, 1, 0]])
    shrunk = found.factor @ found.factor.T
    assert np.linalg.eigvalsh(shrunk)[0] == pytest.approx(1e-3, rel=1e-6)
    np.testing.assert_allclose(np.diag(shrunk), 1.0, rtol=1e-12)
    np.testing.assert_allclose(shrunk[0, 1:], 0.999 * found.channel_correlation[0, 1:], rtol=1e-6)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_pairs_are_refused(count):
    """A variance of one sample is no variance; the key to raise is named, whether there is one pair or none."""
    pairs = [nmc.Pairs(torch.zeros(1, 2, 2, 2), torch.ones(1, 2, 2, 2), np.zeros(1, "datetime64[ns]"))] * count
    with pytest.raises(ValueError, match=f"at least 2 forecast pairs, not {count}: raise background_error.samples"):
        latent.estimate(pairs, lambda x: x)


def test_the_horizontal_covariance_is_recovered_from_samples_of_its_own():
    """100 000 samples of a known control: covariances between places to 1 % of the largest, five standard errors."""
    generator = torch.Generator().manual_seed(0)
    mixing = 0.4 * torch.randn(2, 5, 3, 3, dtype=torch.complex128, generator=generator) + torch.eye(3)
    mixing[:, [0, -1]] = mixing[:, [0, -1]].real.to(mixing.dtype)
    variance = 0.5 + torch.rand(1, 2, 3, 8, generator=generator, dtype=torch.float64)
    white = torch.randn(100_000, 2, 3, 8, generator=generator, dtype=torch.float64)
    samples = HorizontalControl(variance, mixing).apply(white)
    pair = nmc.Pairs(torch.zeros_like(samples), samples, np.arange(len(samples)))
    found = latent.estimate([pair], lambda z: z)
    control = HorizontalControl(torch.from_numpy(found.variance)[None], torch.from_numpy(found.wave_factor))
    basis = torch.eye(48, dtype=torch.float64).reshape(48, 2, 3, 8)
    columns = [known.apply(basis).flatten(1) for known in (HorizontalControl(variance, mixing), control)]
    before, after = (half.T @ half for half in columns)
    within = torch.block_diag(torch.ones(24, 24), torch.ones(24, 24)).bool()
    before = torch.where(within, before, 0.0)
    assert float((after - before).abs().max() / before.abs().max()) < 0.02
