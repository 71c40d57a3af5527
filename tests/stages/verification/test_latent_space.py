"""What figures say of errors and decoders, where the answer is known: diagonal, blocks, affine, quadratic."""

import numpy as np
import pytest
import torch
import xarray as xr

import worlds
from lara.stages.networks import RunWithNetworks
from lara.stages.verification import error_structure, latent_space
from lara.verification import correlation, linearity

DAYS = np.datetime64("2001-01-01", "ns") + 6 * np.arange(400) * np.timedelta64(1, "D")
LATITUDE, LONGITUDE = np.array([45.0, 0.0, -45.0]), np.arange(0, 360, 90.0)


def samples(*shape):
    return correlation.standardised(np.random.default_rng(0).standard_normal(shape))


def test_independent_elements_share_with_none():
    """400 samples of 96 elements: 1 to within 5 %, where squared correlations would say 1 + 95/400."""
    assert correlation.shared_elements(samples(400, 8, 3, 4), DAYS) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("size", [3, 12])
def test_elements_that_vary_as_one_are_counted(size):
    """Blocks of equal elements share with their whole block; 10 % for 400 samples."""
    alone = samples(400, 12 // size, 3, 1)
    assert correlation.shared_elements(np.repeat(alone, size, axis=3), DAYS) == pytest.approx(size, rel=0.1)


def test_samples_close_in_time_are_not_taken_for_independent():
    """The same fields at two times a day apart would be a pair as alike as elements that all vary as one."""
    doubled, days = np.repeat(samples(200, 8, 3, 4), 2, axis=0), np.repeat(DAYS[:200], 2)
    days[1::2] += np.timedelta64(1, "D")
    assert correlation.shared_elements(doubled, days) == pytest.approx(1.0, abs=0.1)
    with pytest.raises(ValueError, match="2 samples within 5 days"):
        correlation.shared_elements(doubled[:2], days[:2])


def test_channels_that_are_sums_correlate_as_computed_by_hand():
    """a and a + b of equal variance: 1 / √2; areas 1, 2, 1 of rows where only the middle one is shared: half."""
    a, b = np.random.default_rng(1).standard_normal((2, 3000, 3, 4))
    found = correlation.between_channels(correlation.standardised(np.stack([a, a + b], 1)), np.ones(3))
    assert found[0, 1] == pytest.approx(np.sqrt(0.5), abs=0.02)
    b[:, 1] = a[:, 1]
    found = correlation.between_channels(correlation.standardised(np.stack([a, b], 1)), np.array([1.0, 2.0, 1.0]))
    assert found[0, 1] == pytest.approx(0.5, abs=0.02)
    assert correlation.mean_off_diagonal(found) == pytest.approx(found[0, 1])


def test_correlation_falls_with_the_distance_at_which_points_differ():
    """Rows that vary as one along themselves alone: on the equator 90° are 10,008 km apart and correlate by 1."""
    rows = np.random.default_rng(2).standard_normal((2000, 1, 3, 1)) * np.ones((1, 1, 1, 4))
    only = correlation.standardised(rows)[:, :, 1:2]
    edges = np.array([0.0, 9e6, 11e6, 19e6, 21e6])
    found = correlation.over_distance(only, LATITUDE[1:2], LONGITUDE, edges, np.random.default_rng(0))
    np.testing.assert_allclose(found[0, [1, 3]], 1.0, rtol=1e-5)
    assert np.isnan(found[0, [0, 2]]).all()


def test_a_channel_without_differences_is_refused():
    dead = np.random.default_rng(0).standard_normal((10, 2, 3, 4))
    dead[:, 1, 0, 0] = 0.0
    with pytest.raises(ValueError, match=r"channels \[1\] vanish somewhere"):
        correlation.standardised(dead)


def test_an_affine_decoder_answers_in_proportion(float64):
    """Correlation and ratio 1 for every factor, to rounding."""
    matrix, offset = torch.randn(6, 4), torch.randn(6)
    factors = (-2.0, 0.1, 1.0, 30.0)
    found = linearity.responses(lambda z: _apply(matrix, z) + offset[:, None, None], *torch.randn(2, 4, 1, 1), factors)
    agreement = linearity.agreement(found, found[2], factors, torch.ones(1, 1))
    torch.testing.assert_close(agreement, torch.ones(2, 4, 6), rtol=1e-9, atol=1e-9)


def test_the_response_of_a_square_grows_as_the_square(float64):
    """D(z) = z² at z = 0: r(k) = k² r(1), so the ratio is |k| and the correlation its sign."""
    factors = (-2.0, 0.5, 1.0, 3.0)
    found = linearity.responses(torch.square, torch.zeros(2, 3, 3), torch.rand(2, 3, 3) + 1, factors)
    correlated, ratio = linearity.agreement(found, found[2], factors, torch.ones(3, 3))
    torch.testing.assert_close(ratio, torch.tensor([2.0, 0.5, 1.0, 3.0])[:, None].expand(4, 2))
    torch.testing.assert_close(correlated[:, 0], torch.tensor([-1.0, 1.0, 1.0, 1.0]))


def test_the_linear_range_ends_at_the_first_break_on_either_side():
    factors = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0]
    assert linearity.linear_range(factors, [0.95, 0.8, 1.0, 0.97, 0.85, 0.99]) == (1.0, 2.0)
    with pytest.raises(ValueError, match="lack 1"):
        linearity.linear_range([0.5, 2.0], [1.0, 1.0])


@pytest.fixture(scope="module")
def linear(world, tmp_path_factory):
    """The arrays of the small run whose reference works in the linear latent space."""
    values = worlds.changed("verification.reference", "pca")
    run = worlds.copied(world, tmp_path_factory.mktemp("linear") / "world", values)
    assert worlds.lara(run.layout.root, "measure-latent-space") == 0
    return RunWithNetworks.open(run.layout.root)


def load(run, name):
    return xr.load_dataset(run.layout.latent_space(name))


def test_a_linear_latent_space_is_affine_in_every_figure(linear):
    """Float32 decoding: 1e-4 of the response, of the smallest factor 1e-2."""
    found = load(linear, "fig6b_linear_range")
    np.testing.assert_allclose(found["correlation"], 1.0, atol=1e-2)
    np.testing.assert_allclose(found["ratio"].sel(factor=slice(0.5, None)), 1.0, atol=1e-2)
    assert float(found["high"].min()) == max(latent_space.FACTORS)
    assert load(linear, "fig6a_affine").attrs["error"] < 1e-3


def test_the_influence_of_a_linear_component_is_that_of_its_pattern(linear):
    """⟨|Q_k Δz_k|⟩ is positive for every component, and the same whatever the state; more for the leading ones."""
    found = load(linear, "fig5a_latent_influence")
    assert found.sizes == {"latent": 12, "channel": 6}
    assert (found["mean"] > 0).all()
    assert found["mean"][:3].sum() > found["mean"][-3:].sum()
    assert found.attrs["n"] == latent_space.PAIRS


def test_a_replaced_field_is_its_global_mean_and_the_output_is_between(linear):
    """Four variables that vary together: a part of the replaced one comes back."""
    found = load(linear, "fig5b_imbalanced_input")
    given = found["fields"].sel(kind="input", channel="z500")
    assert float(given.std()) == pytest.approx(0.0, abs=0.1)
    assert 0 < float(found["restored"].sel(channel="z500")) < 1


def test_the_error_structure_has_every_space_of_the_run(world):
    """Correlations are 1 on the diagonal, and each index is the inverse of what is shared."""
    found = error_structure.measure_error_structure(world)
    assert found["space"].values.tolist() == ["model", "main", "pca"]
    for space in ("model", "main", "pca"):
        np.testing.assert_allclose(np.diag(found[f"{space}_channels"]), 1.0, rtol=1e-5)
    np.testing.assert_allclose(found["diagonality"] * found["shared"], 1.0)
    assert found["elements"].values.tolist() == [6 * 8 * 16, 12 * 2 * 4, 12 * 2 * 4]
    assert list(np.atleast_1d(found.attrs["detail"])) == ["z500"]


def _apply(matrix, latent):
    return torch.einsum("ij,kjyx->kiyx", matrix, latent)
