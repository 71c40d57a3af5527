"""Control variable transform of the spectral B: B^½ χ = W K(φ) Λ V(φ) S b^½ χ, computed wave by wave.

χ holds the real and imaginary parts of harmonics (n, m); harmonic (n, m) of mode k has variance b_k(n), half of it in
each part where m > 0. V and K mix fields at one latitude, so they commute with the Fourier series along the row, and so
do synthesis S, Λ = (−∇²)^−½ and the derivatives in W: only the last step leaves wavenumbers m for longitudes.

A factor L on the length scale stretches the spectrum, b(n; L) ∝ b(nL) with log b linear between wavenumbers,
renormalised to the same Σ (2n + 1) b. So the variances of unbalanced fields and of wind stay; ψ, an integral of wind,
grows with L, and the mass and temperature that balance it too.
"""

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class SpectralControl:
    """Square root of a spectral B for states (b, c, y, x) in SI units; χ has shape (b, k, n, m, 2).

    Entries of χ with m > n and imaginary parts of m = 0 belong to no harmonic and are not used. Attributes: `spectrum`
    b; `synthesis` P; `vertical` V, SI units; `integral` Λ of ψ and χ, m; `operator` K; `meridional`, `zonal` ∂/∂θ/a and
    1/i ∂/∂λ/(a sin θ) of waves, m⁻¹; `order` of channels among u, v and scalar fields; `winds` number of u channels;
    `columns` of the grid; `scale` factor on B and `length` factor on its length scale, one for each member or one for
    all. Raises ValueError for a factor that is not positive and finite.
    """

    spectrum: Float[Tensor, "k n"]
    synthesis: Float[Tensor, "m y n"]
    vertical: Float[Tensor, "y f k"]
    integral: Float[Tensor, "m y y"]
    operator: Float[Tensor, "y f f"]
    meridional: Float[Tensor, "m y y"]
    zonal: Float[Tensor, "m y y"]
    order: Int[Tensor, " c"]
    winds: int
    columns: int
    scale: Float[Tensor, " b"] = field(default_factory=lambda: torch.ones(1))
    length: Float[Tensor, " b"] = field(default_factory=lambda: torch.ones(1))

    def __post_init__(self) -> None:
        for name in ("scale", "length"):
            factor = getattr(self, name)
            if factor.ndim != 1 or not bool((torch.isfinite(factor) & (factor > 0)).all()):
                raise ValueError(f"background error {name} must be a vector of positive finite factors, not {factor}")

    def zeros(self, batch: int) -> Float[Tensor, "b k n m 2"]:
        """χ = 0 of `batch` members."""
        modes, n = self.spectrum.shape
        return self.vertical.new_zeros((batch, modes, n, len(self.synthesis), 2))

    def apply(self, chi: Float[Tensor, "b k n m 2"]) -> Float[Tensor, "b c y x"]:
        """δx = B^½ χ, SI units."""
        waves = torch.einsum("bknmr,myn->bkymr", chi * self._amplitude, self.synthesis)
        parts = torch.einsum("yfk,bkymr->bfymr", self.vertical, waves)
        potentials = _along_meridian(self.integral, parts[:, : 2 * self.winds])
        parts = torch.cat([potentials, parts[:, 2 * self.winds :]], dim=1)
        balanced = torch.einsum("yfg,bgymr->bfymr", self.operator, parts)
        state = torch.cat([self._wind(balanced[:, : 2 * self.winds]), balanced[:, 2 * self.winds :]], dim=1)
        channels = state.index_select(1, self.order)
        return torch.fft.irfft(torch.view_as_complex(channels.contiguous()), n=self.columns, norm="forward")

    def with_factors(self, scale: Float[Tensor, " b"], length: Float[Tensor, " b"]) -> Self:
        """The same B with variances times `scale` and length scales times `length`, each (1,) or (b,)."""
        return replace(self, scale=scale, length=length)

    def select(self, members: Int[Tensor, " b"]) -> Self:
        """The control of a sub-batch; itself where its factors are common to all members."""
        if len(self.scale) == len(self.length) == 1:
            return self
        scale, length = (factor[members] if len(factor) > 1 else factor for factor in (self.scale, self.length))
        return self.with_factors(scale, length)

    def to(self, target: torch.dtype | torch.device) -> Self:
        """The same control in another precision or on another device."""
        moved: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        tensors = {name: value for name, value in moved.items() if isinstance(value, Tensor)}
        if isinstance(target, torch.dtype):
            tensors.pop("order")
        return replace(self, **moved | {name: value.to(target) for name, value in tensors.items()})

    @cached_property
    def _amplitude(self) -> Float[Tensor, "b k n m 2"]:
        """√variance of every entry of χ: √b for m = 0, √(b/2) for the two parts of m > 0, 0 where none exists."""
        b = stretched(self.spectrum.double(), self.length.double()) * self.scale.double()[:, None, None]
        n, m = torch.meshgrid(torch.arange(b.shape[2]), torch.arange(len(self.synthesis)), indexing="ij")
        real = torch.where(m == 0, 1.0, 0.5) * (m <= n)
        parts = torch.stack([real, torch.where(m == 0, 0.0, real)], dim=-1).to(b)
        return (b[..., None, None] * parts).sqrt().to(self.vertical)

    def _wind(self, potentials: Float[Tensor, "b 2p y m 2"]) -> Float[Tensor, "b 2p y m 2"]:
        """Waves of u, then v, from those of ψ, then χ."""
        psi_north, chi_north = _along_meridian(self.meridional, potentials).chunk(2, dim=1)
        psi_east, chi_east = _along_meridian(self.zonal, potentials).chunk(2, dim=1)
        return torch.cat([psi_north + _times_i(chi_east), _times_i(psi_east) - chi_north], dim=1)


def stretched(spectrum: Float[Tensor, "k n"], length: Float[Tensor, " b"]) -> Float[Tensor, "b k n"]:
    """Spectra b(nL) for every factor L, of unchanged Σ (2n + 1) b; beyond the last n they fall as its last quarter.

    b(0) stays apart, as wind has none.
    """
    n = torch.arange(spectrum.shape[1], dtype=spectrum.dtype, device=spectrum.device)
    last, log = len(n) - 1, spectrum.log()
    quarter = max(1, last // 4)
    fall = ((log[:, last] - log[:, last - quarter]) / quarter).clamp(max=0)
    position = torch.maximum(length[:, None] * n, n.clamp(max=1))
    left = position.floor().clamp(max=last - 1).long()
    fraction = (position - left).clamp(max=1)
    inside = torch.lerp(log[:, left], log[:, left + 1], fraction)
    power = (inside + fall[:, None, None] * (position - last).clamp(min=0)).exp().transpose(0, 1)
    return power * ((spectrum @ (2 * n + 1)) / (power @ (2 * n + 1)))[..., None]


def _along_meridian(table: Float[Tensor, "m y y"], waves: Float[Tensor, "b p y m 2"]) -> Float[Tensor, "b p y m 2"]:
    return torch.einsum("myz,bpzmr->bpymr", table, waves)


def _times_i(waves: Float[Tensor, "*w 2"]) -> Float[Tensor, "*w 2"]:
    return torch.stack([-waves[..., 1], waves[..., 0]], dim=-1)
