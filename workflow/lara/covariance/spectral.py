"""Model-space background error covariance: balance, standard deviations, vertical modes, isotropic spectra.

    B = B^½ B^{½ᵀ},   B^½ χ = W K(φ) Λ V(φ) S b^½ χ,   V(φ) = Σ(φ) C(φ)^½ E

χ ~ N(0, I) are harmonics of independent vertical modes, b_k(n) the variance of mode k at every harmonic of total
wavenumber n (correlations isotropic and homogeneous, variance 1), S their synthesis on the grid, E the eigenvectors of
each group's mean vertical correlations, C those at one latitude, so that V Vᵀ is the vertical covariance there, Σ its
standard deviations, Λ = (−∇²)^−½ for ψ and χ and 1 for the others, K the balance of `lara.covariance.balance`, W wind
from its potentials. All come from the differences d = M_48h x − M_24h x, without removal of the mean, as the latent B.

ECMWF models vorticity ∇²ψ (Derber and Bouttier 1999, doi:10.3402/tellusa.v51i2.12316), WRFDA ψ (Descombes et al. 2015,
doi:10.5194/gmd-8-669-2015). (−∇²)^½ψ lies between: it has the energy of the wind, so that Σ(φ) gives wind its variance
at every latitude, where Σ of ψ leaves it to a length scale that is the same everywhere. Length scale L = (8 var f / var
∇²f)^¼ (Wu et al. 2002, doi:10.1175/1520-0493(2002)130<2905:TDVAWS>2.0.CO;2).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lara.covariance import balance
from lara.covariance.balance import Fields
from lara.covariance.harmonics import EARTH_RADIUS, Harmonics
from lara.covariance.nmc import Pairs
from lara.covariance.spectralcontrol import SpectralControl
from lara.grid import Grid
from lara.state import Channels

_SMOOTHING = 4.0  # degrees of latitude, standard deviation of the average over rows
_RIDGE = 1e-3  # least variance of anything inverted, where variables have variance 1
_FLOOR = 1e-6  # of a mode's mean power: no harmonic is without variance


@dataclass(frozen=True, eq=False)
class SpectralCovariance:
    """B of states on y rows: f fields (as many as channels), k = f vertical modes, n total wavenumbers.

    Attributes: `operator` K, SI units; `vertical` V, a block for each group, SI units, those of (−∇²)^½ψ and (−∇²)^½χ
    m s⁻¹; `spectrum` b, Σ (2n + 1) b = 4π; `explained` fraction of each field's variance that balance accounts for;
    `valid` times of the samples, datetime64[ns].
    """

    channels: Channels
    grid: Grid
    operator: Float[np.ndarray, "y f f"]
    vertical: Float[np.ndarray, "y f k"]
    spectrum: Float[np.ndarray, "k n"]
    explained: Float[np.ndarray, "f y"]
    valid: np.ndarray

    @cached_property
    def fields(self) -> Fields:
        """Names, groups and order of the fields."""
        return Fields(self.channels)

    @property
    def std(self) -> Float[np.ndarray, "f y"]:
        """Σ: standard deviations of the unbalanced parts."""
        return np.sqrt(np.square(self.vertical).sum(2)).T

    @property
    def lengths(self) -> Float[np.ndarray, " k"]:
        """Length scale L of every vertical mode, m."""
        return length_scale(self.spectrum)

    def control(self, dtype: torch.dtype = torch.float32) -> SpectralControl:
        """The square root of this B, working in `dtype`."""
        h = Harmonics.of(self.grid)
        return SpectralControl(
            spectrum=torch.tensor(self.spectrum),
            synthesis=h.scalar,
            vertical=torch.tensor(self.vertical),
            integral=h.integral,
            operator=torch.tensor(self.operator),
            meridional=h.meridional @ h.fit,
            zonal=h.zonal @ h.fit,
            order=torch.tensor(self.fields.order),
            winds=len(self.fields.east),
            columns=h.columns,
        ).to(dtype)

    def arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays from which `from_arrays` restores this B exactly."""
        grid = {"kind": np.array(self.grid.kind), "latitude": self.grid.latitude, "longitude": self.grid.longitude}
        own = {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return {"channels": np.array(self.channels.names), **grid, **own}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """B written as `arrays`. Raises KeyError naming an absent array."""
        place: dict[str, Any] = {
            "channels": Channels.parse(arrays["channels"].tolist()),
            "grid": Grid(str(arrays["kind"]), arrays["latitude"], arrays["longitude"]),
        }
        return cls(**place | {f.name: arrays[f.name] for f in fields(cls) if f.name not in place})


@torch.no_grad()
def estimate(pairs: Iterable[Pairs], grid: Grid, channels: Channels) -> SpectralCovariance:
    """B of the differences long − short; keeps the fields of all samples, n c y x numbers in float32.

    Raises ValueError for fewer than 2 pairs, a channel without differences, or wind with one component.
    """
    members, harmonics, kernel = Fields(channels), Harmonics.of(grid), _kernel(grid)
    samples, valid = _read(pairs, members, harmonics)
    law = balance.regress(_covariance(samples), members, kernel, _RIDGE)
    inverse = torch.from_numpy(law.inverse)
    samples = [_unbalanced(part, inverse, len(members.east), harmonics) for part in samples]
    covariance = np.einsum("yz,zfg->yfg", kernel, _covariance(samples))
    vertical, whiten = _vertical(covariance, members, grid.area_weights[:, 0])
    rows = torch.from_numpy(whiten)
    spectrum = _spectrum(np.sum([_power(part, rows, harmonics) for part in samples], axis=0))
    return SpectralCovariance(channels, grid, law.operator, vertical, spectrum, law.explained, valid)


def length_scale(spectrum: Float[np.ndarray, "*k n"]) -> Float[np.ndarray, "*k"]:
    """L = (8 var f / var ∇²f)^¼ of variances b(n) per harmonic, m."""
    n = np.arange(spectrum.shape[-1])
    eigenvalue = n * (n + 1) / EARTH_RADIUS**2
    return (8 * (spectrum @ (2 * n + 1)) / (spectrum @ ((2 * n + 1) * eigenvalue**2))) ** 0.25


def _kernel(grid: Grid) -> Float[np.ndarray, "y y"]:
    """Average over nearby rows, weighted by area and a Gaussian of distance; its rows sum to 1."""
    distance = (grid.latitude[:, None] - grid.latitude) / _SMOOTHING
    kernel = np.exp(-0.5 * distance**2) * grid.area_weights[:, 0]
    return kernel / kernel.sum(1, keepdims=True)


def _read(
    pairs: Iterable[Pairs], fields: Fields, harmonics: Harmonics
) -> tuple[list[Float[Tensor, "n f y x"]], np.ndarray]:
    """Fields of the differences, batch by batch, and their valid times."""
    samples, valid = [], []
    for pair in pairs:
        samples.append(fields.of((pair.long - pair.short).cpu().double(), harmonics).float())
        valid.append(pair.valid)
    count = sum(map(len, samples))
    if count < 2:
        raise ValueError(
            f"background error needs at least 2 forecast pairs, not {count}: raise background_error.samples"
        )
    _require_differences(samples, fields)
    return samples, np.concatenate(valid)


def _require_differences(samples: list[Float[Tensor, "n f y x"]], fields: Fields) -> None:
    variance = torch.stack([part.double().square().mean((0, 3)) for part in samples]).sum(0)
    alive = (torch.isfinite(variance) & (variance > 0)).all(1).tolist()
    if not all(alive):
        dead = [name for name, good in zip(fields.names, alive, strict=True) if not good]
        raise ValueError(
            f"forecast differences of {', '.join(dead)} vanish along a row or are not finite:"
            " check the forecaster, or drop these channels"
        )


def _unbalanced(
    fields: Float[Tensor, "n f y x"], inverse: Float[Tensor, "y f f"], winds: int, harmonics: Harmonics
) -> Float[Tensor, "n f y x"]:
    """Λ⁻¹ K⁻¹ x: unbalanced parts, those of ψ and χ turned into wind speeds."""
    parts = torch.einsum("ygf,nfyx->ngyx", inverse, fields.double())
    if not winds:
        return parts.float()
    speeds = harmonics.differentiate(parts[:, : 2 * winds])
    return torch.cat([speeds, parts[:, 2 * winds :]], dim=1).float()


def _covariance(samples: list[Float[Tensor, "n f y x"]]) -> Float[np.ndarray, "y f f"]:
    """Σ x xᵀ / (N − 1) over samples about zero, mean over longitudes."""
    total = np.sum([_products(part) for part in samples], axis=0)
    return total / ((sum(map(len, samples)) - 1) * samples[0].shape[-1])


def _products(fields: Float[Tensor, "n f y x"]) -> Float[np.ndarray, "y f f"]:
    x = fields.double().permute(2, 1, 0, 3).flatten(2)
    return (x @ x.transpose(1, 2)).numpy()


def _vertical(
    covariance: Float[np.ndarray, "y f f"], fields: Fields, weights: Float[np.ndarray, " y"]
) -> tuple[Float[np.ndarray, "y f k"], Float[np.ndarray, "y k f"]]:
    """V = Σ C^½ E and its inverse, group by group; eigenvalues of C are raised to the ridge."""
    vertical, inverse = np.zeros_like(covariance), np.zeros_like(covariance)
    for first, last in fields.groups.values():
        group = slice(first, last)
        own = covariance[:, group, group]
        std = np.sqrt(np.diagonal(own, axis1=1, axis2=2))
        correlation = own / (std[:, :, None] * std[:, None, :])
        modes = np.linalg.eigh(np.tensordot(weights, correlation, 1))[1][:, ::-1]
        values, vectors = np.linalg.eigh(correlation)
        root = np.sqrt(values.clip(_RIDGE))[:, None, :]
        vertical[:, group, group] = std[:, :, None] * ((vectors * root) @ vectors.transpose(0, 2, 1) @ modes)
        inverse[:, group, group] = modes.T @ (vectors / root) @ vectors.transpose(0, 2, 1) / std[:, None, :]
    return vertical, inverse


def _power(
    fields: Float[Tensor, "n f y x"], rows: Float[Tensor, "y k f"], harmonics: Harmonics
) -> Float[np.ndarray, "k n"]:
    """Σ over samples of the mean square of the 2n + 1 harmonics of every vertical mode."""
    waves = torch.einsum("ykf,sfym->skym", rows.to(torch.complex128), harmonics.waves(fields.double()))
    square = harmonics.fitted(waves).abs().square().sum(0)
    return ((2 * square.sum(-1) - square[..., 0]) / (2 * torch.arange(harmonics.truncation) + 1)).numpy()


def _spectrum(power: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k n"]:
    """Power raised to the floor and scaled so that the variance on the grid, Σ (2n + 1) b / 4π, is 1."""
    floored = np.maximum(power, _FLOOR * power.mean(1, keepdims=True))
    return 4 * np.pi * floored / (floored @ (2 * np.arange(power.shape[1]) + 1))[:, None]
