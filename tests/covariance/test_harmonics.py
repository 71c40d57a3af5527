"""Spherical harmonics on every grid: analysis undoes synthesis; wind is what its potentials say, in sign and unit."""

import numpy as np
import pytest
import torch
from torch_harmonics import InverseRealSHT, RealSHT

from lara.covariance.harmonics import EARTH_RADIUS, Harmonics
from lara.grid import Grid

GRIDS = {
    "gaussian": Grid.gaussian(16, 32),
    "cell centres": Grid.equiangular(16, 32),
    "with poles": Grid.equiangular(17, 32, poles=True),
}
ROUNDING = 1e-11  # relative, of sums of a few hundred float64 numbers


@pytest.fixture(params=GRIDS)
def grid(request):
    return GRIDS[request.param]


def coefficients(number, count):
    """Random coefficients of real fields without global mean, (count, n, m)."""
    drawn = torch.randn(count, number, number, dtype=torch.complex128).tril()
    drawn[..., 0] = drawn[..., 0].real.to(drawn.dtype)
    drawn[:, 0] = 0
    return drawn


def places(grid):
    """Latitude and longitude of every cell, radians."""
    latitude, longitude = (torch.from_numpy(np.deg2rad(angle.copy())) for angle in (grid.latitude, grid.longitude))
    return torch.meshgrid(latitude, longitude, indexing="ij")


def test_analysis_undoes_synthesis(grid):
    """f_nm → f → f_nm is the identity below the truncation on all grids: the fit is a left inverse. Rounding."""
    harmonics = Harmonics.of(grid)
    drawn = coefficients(harmonics.truncation, 3)
    assert harmonics.truncation == 16
    torch.testing.assert_close(harmonics.analyse(harmonics.synthesise(drawn)), drawn, rtol=0, atol=ROUNDING)


def test_on_a_gaussian_grid_the_fit_is_the_quadrature():
    """There (AᵀWA)⁻¹ = I, so any field, resolved or not, has the coefficients torch-harmonics finds. Rounding."""
    harmonics, field = Harmonics.of(GRIDS["gaussian"]), torch.randn(2, 16, 32, dtype=torch.float64)
    theirs = RealSHT(16, 32, lmax=16, mmax=16, grid="legendre-gauss")(field)
    torch.testing.assert_close(harmonics.analyse(field), theirs, rtol=0, atol=ROUNDING)
    back = InverseRealSHT(16, 32, lmax=16, mmax=16, grid="legendre-gauss")(theirs)
    torch.testing.assert_close(harmonics.synthesise(theirs), back, rtol=0, atol=ROUNDING)


def test_solid_rotation_is_westerly_wind(grid):
    """ψ = −aU sin φ: u = −∂ψ/(a∂φ) = U cos φ, v = 0, for U = 10 m/s. Rounding."""
    latitude, _ = places(grid)
    u, v = Harmonics.of(grid).wind(-10 * EARTH_RADIUS * torch.sin(latitude), torch.zeros(grid.shape).double())
    torch.testing.assert_close(u, 10 * torch.cos(latitude), rtol=0, atol=10 * ROUNDING)
    torch.testing.assert_close(v, torch.zeros_like(v), rtol=0, atol=10 * ROUNDING)


def test_wind_is_the_derivative_of_its_potentials(grid):
    """f = a cos φ sin φ cos λ: ∂f/(a∂φ) = cos 2φ cos λ, ∂f/(a cos φ ∂λ) = −sin φ sin λ. With ψ = f: u = −∂f/∂y,
    v = ∂f/∂x; with χ = f: u = ∂f/∂x, v = ∂f/∂y. Rounding."""
    latitude, longitude = places(grid)
    field = EARTH_RADIUS * torch.cos(latitude) * torch.sin(latitude) * torch.cos(longitude)
    north, east = torch.cos(2 * latitude) * torch.cos(longitude), -torch.sin(latitude) * torch.sin(longitude)
    harmonics = Harmonics.of(grid)
    rotational, divergent = harmonics.wind(field, 0 * field), harmonics.wind(0 * field, field)
    for found, expected in zip((*rotational, *divergent), (-north, east, east, north), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=ROUNDING)


def test_potentials_undo_wind(grid):
    """ψ, χ → u, v → ψ, χ for random potentials up to the truncation; relative to their size, rounding."""
    harmonics = Harmonics.of(grid)
    psi, chi = EARTH_RADIUS * harmonics.synthesise(coefficients(harmonics.truncation, 2))
    for found, expected in zip(harmonics.potentials(*harmonics.wind(psi, chi)), (psi, chi), strict=True):
        assert float((found - expected).abs().max() / expected.abs().max()) < ROUNDING


def test_root_of_the_laplacian_has_the_energy_of_the_wind():
    """Area mean of ((−∇²)^½ ψ)² = that of u² + v² (Green; exact on a Gaussian grid), and `integral` inverts it."""
    grid = GRIDS["gaussian"]
    harmonics, area = Harmonics.of(grid), torch.from_numpy(grid.area_weights)
    psi = EARTH_RADIUS * harmonics.synthesise(coefficients(harmonics.truncation, 1)[0])
    u, v = harmonics.wind(psi, 0 * psi)
    speed = harmonics.differentiate(psi)
    assert float((speed**2 * area).mean()) == pytest.approx(float(((u**2 + v**2) * area).mean()), rel=ROUNDING)
    waves = torch.einsum("myz,zm->ym", harmonics.integral.to(torch.complex128), harmonics.waves(speed))
    torch.testing.assert_close(harmonics.rows(waves), psi, rtol=ROUNDING, atol=ROUNDING * EARTH_RADIUS)


def test_few_longitudes_limit_the_truncation():
    """8 longitudes tell m ≤ 3 from one another: N = 4, whatever the number of rows."""
    assert Harmonics.of(Grid.gaussian(16, 8)).truncation == 4
    assert Harmonics.of(Grid.gaussian(16, 9)).truncation == 5
