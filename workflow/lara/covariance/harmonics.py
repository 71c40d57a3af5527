"""Spherical harmonics on any latitude-longitude grid: analysis, synthesis, and wind from its two potentials.

    f(θ, λ) = Σ_{m} Σ_{n ≥ m} f_nm P_nm(cos θ) e^{imλ},   0 ≤ m ≤ n < N,   θ colatitude, P_nm orthonormal
    u = (∂χ/∂λ / sin θ + ∂ψ/∂θ) / a,   v = (∂ψ/∂λ / sin θ − ∂χ/∂θ) / a          (Helmholtz)

The Legendre functions P_nm and their derivatives are torch-harmonics' (Bonev et al. 2023, arXiv:2306.03838), taken at
the grid's own rows, because its transforms know no grid of cell centres. Analysis is the area-weighted least-squares
fit, one matrix for each m (Sneeuw 1994, doi:10.1111/j.1365-246X.1994.tb03995.x): on a Gaussian grid exactly its
quadrature, on equiangular ones exact for what synthesis can make. With D = ∂P/∂θ/a and Z = mP/(a sin θ) the two
components decouple, u ∓ iv = (D ± Z)(ψ ± iχ), which are the harmonics of spin ±1 (Newman and Penrose 1966,
doi:10.1063/1.1931221).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from lara.grid import Grid

EARTH_RADIUS = 6.371e6
"""Mean radius a of the Earth, m."""


@dataclass(frozen=True, eq=False)
class Harmonics:
    """Tables of the harmonics n, m < N of one grid, for every m (rows y, float64).

    Attributes: `columns` number of longitudes; `scalar` P (m, y, n) and its left inverse `fit` (m, n, y); `meridional`
    D and `zonal` Z (m, y, n), m⁻¹; left inverses `plus` and `minus` of D ± Z (m, n, y), m.
    """

    columns: int
    scalar: Float[Tensor, "m y n"]
    fit: Float[Tensor, "m n y"]
    meridional: Float[Tensor, "m y n"]
    zonal: Float[Tensor, "m y n"]
    plus: Float[Tensor, "m n y"]
    minus: Float[Tensor, "m n y"]

    @classmethod
    def of(cls, grid: Grid) -> Self:
        """Harmonics of triangular truncation, as many as rows (one less with poles) and longitudes tell apart."""
        from torch_harmonics.legendre import dlegpoly, legpoly  # here: seconds, which most commands need not spend

        colatitude = torch.from_numpy(np.deg2rad(90.0 - grid.latitude))
        weights = torch.from_numpy(grid.area_weights[:, 0].copy())
        poles = bool((np.abs(grid.latitude) > 90.0 - 1e-6).any())
        number = min(grid.shape[0] - poles, (grid.shape[1] + 1) // 2)
        scalar = legpoly(number, number, torch.cos(colatitude)).transpose(1, 2)
        d, z = dlegpoly(number, number, colatitude).transpose(2, 3) / EARTH_RADIUS
        plus, minus = _left_inverse(d + z, weights, 1), _left_inverse(d - z, weights, 1)
        return cls(grid.shape[1], scalar, _left_inverse(scalar, weights, 0), d, z, plus, minus)

    @property
    def truncation(self) -> int:
        """N: total wavenumbers n = 0 … N − 1."""
        return self.scalar.shape[0]

    @property
    def wavenumber(self) -> Float[Tensor, " n"]:
        """√(n(n + 1))/a, the square root of −∇² for every n, m⁻¹."""
        n = torch.arange(self.truncation, dtype=self.scalar.dtype, device=self.scalar.device)
        return torch.sqrt(n * (n + 1)) / EARTH_RADIUS

    @property
    def integral(self) -> Float[Tensor, "m y y"]:
        """(−∇²)^−½ of waves along rows, mean 0, m."""
        inverse = torch.where(self.wavenumber > 0, 1 / self.wavenumber, 0.0)
        return (self.scalar * inverse) @ self.fit

    def differentiate(self, field: Float[Tensor, "*batch y x"]) -> Float[Tensor, "*batch y x"]:
        """(−∇²)^½ of fields, m⁻¹ times their unit: of ψ or χ, a wind speed with as much energy as their wind."""
        return self.synthesise(self.analyse(field) * self.wavenumber[:, None])

    def waves(self, field: Float[Tensor, "*batch y x"]) -> Complex[Tensor, "*batch y m"]:
        """Fourier coefficients along every row, m < N."""
        return torch.fft.rfft(field, norm="forward")[..., : self.truncation]

    def rows(self, waves: Complex[Tensor, "*batch y m"]) -> Float[Tensor, "*batch y x"]:
        """Fields from their Fourier coefficients along rows, undoing `waves`."""
        return torch.fft.irfft(waves, n=self.columns, norm="forward")

    def analyse(self, field: Float[Tensor, "*batch y x"]) -> Complex[Tensor, "*batch n m"]:
        """Coefficients f_nm of fields."""
        return self.fitted(self.waves(field))

    def fitted(self, waves: Complex[Tensor, "*batch y m"]) -> Complex[Tensor, "*batch n m"]:
        """Coefficients f_nm from Fourier coefficients along rows."""
        return _contract(self.fit, waves)

    def synthesise(self, coefficients: Complex[Tensor, "*batch n m"]) -> Float[Tensor, "*batch y x"]:
        """Fields of coefficients f_nm."""
        return self.rows(_contract(self.scalar, coefficients))

    def potentials(
        self, u: Float[Tensor, "*batch y x"], v: Float[Tensor, "*batch y x"]
    ) -> tuple[Float[Tensor, "*batch y x"], Float[Tensor, "*batch y x"]]:
        """Streamfunction ψ and velocity potential χ (m² s⁻¹, global mean 0) of winds (m s⁻¹)."""
        east, north = self.waves(u), self.waves(v)
        plus, minus = _contract(self.plus, east - 1j * north), _contract(self.minus, east + 1j * north)
        return self.synthesise((plus + minus) / 2), self.synthesise((plus - minus) / 2j)

    def wind(
        self, psi: Float[Tensor, "*batch y x"], chi: Float[Tensor, "*batch y x"]
    ) -> tuple[Float[Tensor, "*batch y x"], Float[Tensor, "*batch y x"]]:
        """Winds (m s⁻¹) of a streamfunction and a velocity potential (m² s⁻¹)."""
        rotational, divergent = self.analyse(psi), self.analyse(chi)
        u = _contract(self.meridional, rotational) + 1j * _contract(self.zonal, divergent)
        v = 1j * _contract(self.zonal, rotational) - _contract(self.meridional, divergent)
        return self.rows(u), self.rows(v)


def _contract(table: Float[Tensor, "m i j"], waves: Complex[Tensor, "*batch j m"]) -> Complex[Tensor, "*batch i m"]:
    return torch.einsum("mij,...jm->...im", table.to(waves.dtype), waves)


def _left_inverse(table: Float[Tensor, "m y n"], weights: Float[Tensor, " y"], lowest: int) -> Float[Tensor, "m n y"]:
    """(AᵀWA)⁻¹AᵀW for every m of the harmonics n ≥ max(m, `lowest`) that exist, zero for the others."""
    inverse = torch.zeros_like(table.transpose(1, 2))
    root = weights.sqrt()
    for m, columns in enumerate(table):
        first = max(m, lowest)
        inverse[m, first:] = torch.linalg.pinv(root[:, None] * columns[:, first:]) * root
    return inverse
