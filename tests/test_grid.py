"""Exact areas and interpolation on Gaussian and equiangular grids."""

import json

import numpy as np
import pytest

from lara.grid import Grid

GRIDS = {
    "gaussian": Grid.gaussian(32, 64),
    "equiangular": Grid.equiangular(32, 64),
    "with poles": Grid.equiangular(33, 64, poles=True),
}


@pytest.fixture(params=GRIDS.values(), ids=GRIDS)
def grid(request):
    return request.param


def field(grid, function):
    """Flat field of `function(latitude, longitude)` in degrees."""
    return function(grid.latitude[:, None], grid.longitude[None, :]).ravel()


def interpolated(grid, values, latitude, longitude):
    index, weight = grid.interpolation(latitude, longitude)
    return (values[index] * weight).sum(axis=1)


def test_gaussian_rows_are_the_legendre_zeros_and_areas_the_quadrature_weights():
    """μ_k and w_k of P_32, area weight = w_k n/2 (Σ w = 2, mean 1); a few roundings of float64."""
    nodes, weights = np.polynomial.legendre.leggauss(32)
    grid = GRIDS["gaussian"]
    np.testing.assert_allclose(np.sin(np.deg2rad(grid.latitude)), nodes[::-1], atol=1e-15)
    np.testing.assert_allclose(grid.area_weights[:, 0], weights[::-1] * 16, rtol=1e-12)


def test_gaussian_area_weights_integrate_polynomials_exactly():
    """⟨μ²ᵏ⟩ = 1/(2k+1) for 2k ≤ 2n − 1, to rounding."""
    grid = GRIDS["gaussian"]
    for k in (1, 5, 15):
        power = field(grid, lambda lat, lon, k=k: np.sin(np.deg2rad(lat)) ** (2 * k) + 0 * lon)
        assert np.mean(power * grid.area_weights.ravel()) == pytest.approx(1 / (2 * k + 1), rel=1e-12)


def test_equiangular_areas_follow_from_sines_of_the_edges_by_hand():
    """Four rows without poles: edges ±90, ±45, 0; three rows with poles: edges ±90, ±45."""
    half = np.sqrt(0.5)
    without, with_poles = Grid.equiangular(4, 2), Grid.equiangular(3, 2, poles=True)
    np.testing.assert_allclose(without.area_weights[:, 0], np.array([1 - half, half, half, 1 - half]) * 2)
    np.testing.assert_allclose(with_poles.area_weights[:, 0], np.array([1 - half, 2 * half, 1 - half]) * 1.5)


def test_cells_tile_the_sphere_and_hold_their_centres(grid):
    """Edges run from pole to pole and around the circle without gap; mean weight 1 to rounding."""
    north, south = grid.latitude_bounds.T
    west, east = grid.longitude_bounds.T
    assert north[0] == 90 and south[-1] == -90 and np.array_equal(north[1:], south[:-1])
    assert np.all((south <= grid.latitude) & (grid.latitude <= north))
    np.testing.assert_allclose(west[1:], east[:-1])
    assert east[-1] - west[0] == pytest.approx(360)
    assert grid.area_weights.mean() == pytest.approx(1, abs=1e-14)
    assert grid.area_weights.shape == grid.shape


def test_interpolation_at_grid_points_is_the_grid_point_itself(grid):
    """One weight is exactly 1, the others exactly 0."""
    latitude, longitude = np.repeat(grid.latitude, 64), np.tile(grid.longitude, grid.shape[0])
    index, weight = grid.interpolation(latitude, longitude)
    assert np.array_equal(np.sort(weight, axis=1), np.tile([0.0, 0, 0, 1], (len(index), 1)))
    assert np.array_equal(index[weight == 1], np.arange(latitude.size))


def test_interpolation_is_exact_on_fields_linear_in_latitude_and_longitude(grid):
    """x = 1 + 2φ − 3λ away from the poles and the seam, to rounding of values near 1000."""
    rng = np.random.default_rng(1)
    latitude = rng.uniform(grid.latitude[-1], grid.latitude[0], 500)
    longitude = rng.uniform(0, grid.longitude[-1], 500)
    values = field(grid, lambda lat, lon: 1 + 2 * lat - 3 * lon)
    expected = 1 + 2 * latitude - 3 * longitude
    np.testing.assert_allclose(interpolated(grid, values, latitude, longitude), expected, atol=1e-10)


def test_interpolation_crosses_the_seam_and_takes_any_longitude(grid):
    """Half a cell beyond the last column is the mean of last and first; λ, λ − 360 and λ + 720 are one place."""
    values = np.random.default_rng(2).standard_normal(grid.shape)
    seam = grid.longitude[-1] + 180 / 64
    middle = interpolated(grid, values.ravel(), [grid.latitude[5]], [seam])
    assert middle[0] == pytest.approx((values[5, -1] + values[5, 0]) / 2)
    same = interpolated(grid, values.ravel(), np.full(3, 12.3), np.array([200.1, 200.1 - 360, 200.1 + 720]))
    np.testing.assert_allclose(same, same[0], rtol=1e-12)
    just_west = interpolated(grid, values.ravel(), [grid.latitude[3]], [-1e-17])
    assert just_west[0] == pytest.approx(values[3, 0])


def test_interpolation_beyond_the_last_row_uses_the_last_row(grid):
    values = field(grid, lambda lat, lon: np.sign(lat) * (lon + 1))
    found = interpolated(grid, values, [90, -90], [grid.longitude[7], grid.longitude[7]])
    np.testing.assert_allclose(found, [grid.longitude[7] + 1, -grid.longitude[7] - 1])


def test_interpolation_weights_are_a_partition_of_one(grid):
    rng = np.random.default_rng(3)
    index, weight = grid.interpolation(rng.uniform(-90, 90, 1000), rng.uniform(-720, 720, 1000))
    assert weight.min() >= 0 and index.min() >= 0 and index.max() < np.prod(grid.shape)
    np.testing.assert_allclose(weight.sum(axis=1), 1, atol=1e-15)


@pytest.mark.parametrize("latitude, longitude", [(90.1, 0), (np.nan, 0), (0, np.inf)])
def test_points_off_the_sphere_are_refused(latitude, longitude):
    with pytest.raises(ValueError, match="point 1 is not on the sphere"):
        GRIDS["gaussian"].interpolation([0, latitude], [0, longitude])


def test_attributes_restore_the_grid_exactly_through_json(grid):
    restored = Grid.from_attributes(json.loads(json.dumps(grid.to_attributes())))
    assert restored == grid and hash(restored) == hash(grid)
    assert restored != Grid.gaussian(16, 32)


@pytest.mark.parametrize(
    "kind, latitude, longitude, message",
    [
        ("icosahedral", [45, -45], [0, 180], "icosahedral"),
        ("equiangular", [-45, 45], [0, 180], "decreasing"),
        ("equiangular", [95, -45], [0, 180], "decreasing"),
        ("equiangular", [45, -45], [0, 90], "equal steps of 180"),
        ("gaussian", [45, -45], [0, 180], "Gaussian latitudes of 2 rows"),
    ],
)
def test_coordinates_that_are_no_global_grid_are_refused(kind, latitude, longitude, message):
    with pytest.raises(ValueError, match=message):
        Grid(kind, np.array(latitude), np.array(longitude))
