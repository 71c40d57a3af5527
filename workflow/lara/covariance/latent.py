"""Latent background error covariance: one variance per latent element.

    B_z = diag( sum_i d_i² / (N - 1) ),   d_i = E(x_i^long) - E(x_i^short)

the estimate of Fan et al. (2026, doi:10.1126/sciadv.aea4248), without removal of the mean. A block B_z keeps these
variances and lets the channels of one location be correlated, by one matrix C = F Fᵀ for all locations:

    B_z^½ χ = std ∘ (F χ),   C = ⟨s sᵀ⟩,   s = d / std, ⟨⟩ the mean over samples and locations
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from lara.covariance.nmc import Pairs

_LEAST = 1e-3  # eigenvalue of a correlation matrix that is factorised


@dataclass(frozen=True)
class LatentVariance:
    """Diagonal of B_z with the valid times of its samples, correlations of channels, and of neighbours as a check."""

    variance: Float[np.ndarray, "l h w"]
    channel_correlation: Float[np.ndarray, "l l"]
    neighbour_correlation: Float[np.ndarray, " l"]
    wave_covariance: Complex[np.ndarray, "l m h h"]
    valid: np.ndarray

    @property
    def std(self) -> Float[np.ndarray, "l h w"]:
        """Square root of the variance."""
        return np.sqrt(self.variance)

    @property
    def factor(self) -> Float[np.ndarray, "l l"]:
        """F: lower Cholesky factor of the correlations of channels.

        They are drawn towards the identity, C ← (1 − ρ) C + ρ I, by the ρ that raises the least eigenvalue to 0.001
        where it is below, as with fewer samples than channels; variances stay (after Ledoit and Wolf 2004,
        doi:10.1016/S0047-259X(03)00096-4, who choose ρ otherwise).
        """
        least = np.linalg.eigvalsh(self.channel_correlation)[0]
        shrinkage = max(0.0, (_LEAST - least) / (1.0 - least))
        identity = np.eye(len(self.channel_correlation))
        return np.linalg.cholesky((1.0 - shrinkage) * self.channel_correlation + shrinkage * identity)

    @property
    def wave_factor(self) -> Complex[np.ndarray, "l m h h"]:
        """L_{l,m}: Cholesky factors of the rows' covariances of standardised differences at each zonal wavenumber.

        Drawn towards their diagonals like the channels' correlations, and real at the first and last wavenumber, where
        the waves of a real field are.
        """
        rows = np.eye(self.variance.shape[1])
        covariance = self.wave_covariance.copy()
        ends = [0, covariance.shape[1] - 1] if self.variance.shape[2] % 2 == 0 else [0]
        covariance[:, ends] = covariance[:, ends].real
        power = np.einsum("lmii->lm", covariance).real[..., None, None] / len(rows)
        return np.linalg.cholesky((1 - _LEAST) * covariance + _LEAST * power * rows)

    @property
    def off_diagonal(self) -> float:
        """Mean absolute correlation between different latent channels."""
        n = len(self.channel_correlation)
        return float((np.abs(self.channel_correlation).sum() - n) / (n * (n - 1)))


@torch.no_grad()
def estimate(pairs: Iterable[Pairs], encode: Callable[[Tensor], Tensor]) -> LatentVariance:
    """Variance and correlations of the latent differences; `encode` maps (b, c, y, x) in physical units."""
    differences, valid = [], []
    for pair in pairs:
        differences.append((encode(pair.long) - encode(pair.short)).double().cpu())
        valid.append(pair.valid)
    count = sum(map(len, valid))
    if count < 2:
        raise ValueError(
            f"background error needs at least 2 forecast pairs, not {count}: raise background_error.samples"
        )
    d = torch.cat(differences)
    variance = (d**2).sum(0) / (count - 1)
    return LatentVariance(
        variance.numpy(),
        _between_channels(d, variance),
        _between_neighbours(d, variance),
        _between_rows(d, variance),
        np.concatenate(valid),
    )


def _between_channels(d: Float[Tensor, "n l h w"], variance: Float[Tensor, "l h w"]) -> np.ndarray:
    standard = (d / variance.sqrt()).permute(1, 0, 2, 3).flatten(1)
    return (standard @ standard.T / (standard**2).sum(1).mean()).numpy()


def _between_neighbours(d: Float[Tensor, "n l h w"], variance: Float[Tensor, "l h w"]) -> np.ndarray:
    standard = d / variance.sqrt()
    east = torch.roll(standard, -1, dims=3)
    return ((standard * east).mean((0, 2, 3)) / (standard**2).mean((0, 2, 3))).numpy()


def _between_rows(d: Float[Tensor, "n l h w"], variance: Float[Tensor, "l h w"]) -> np.ndarray:
    """Covariance (l, m, h, h) of the zonal waves of standardised differences, their mean variance at a place 1."""
    waves = torch.fft.rfft(d / variance.sqrt(), norm="ortho")
    found = torch.einsum("nlim,nljm->lmij", waves, waves.conj()) / len(d)
    count = torch.full((found.shape[1],), 2.0, dtype=torch.float64)
    count[0] = 1.0
    if d.shape[3] % 2 == 0:
        count[-1] = 1.0
    variance_of_rows = torch.einsum("lmii,m->li", found, count.to(found)).real / d.shape[3]
    scale = variance_of_rows.sqrt()
    return (found / (scale[:, None, :, None] * scale[:, None, None, :])).numpy()
