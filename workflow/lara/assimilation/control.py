"""Control variable transform: z = z_b + B^½ χ, so that the background term is ½ χᵀχ.

Bannister (2008), Q. J. R. Meteorol. Soc. 134, 1971–1996, doi:10.1002/qj.340. The diagonal transform is the paper's
B_z: one variance per latent element. The block transform adds the correlations of the channels at one place,

    B^½ = diag(σ) (L ⊗ I),   L Lᵀ = C, the channel correlation pooled over places,

the horizontal one those of each channel between places, homogeneous along latitude circles,

    B^½ = diag(σ) F* L_{l,m} F,   L_{l,m} L_{l,m}* the covariance of the rows at zonal wavenumber m of channel l.

Any other B only has to meet `Control`; the adjoint B^{½ᵀ} comes from autograd. The first axis counts independent
problems; a transform that is the same for all has length 1 there.
"""

from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor


class Control(Protocol):
    """A square root of B: linear, differentiable twice, and B = apply ∘ applyᵀ. χ may have any shape per problem."""

    def zeros(self, batch: int) -> Float[Tensor, "b ..."]:
        """χ = 0, the background of `batch` problems, with the dtype and device of the control."""

    def apply(self, chi: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """δz = B^½ χ."""

    def select(self, members: Int[Tensor, " s"]) -> "Control":
        """The transform of some of the problems."""


@dataclass(frozen=True, eq=False)
class _Scaled:
    """What the transforms with one variance per element share; χ and z have the same shape.

    variance: σ², (b, …) or (1, …), squared units of z. Raises ValueError where it is not finite and positive.
    """

    variance: Float[Tensor, "b ..."]

    def __post_init__(self) -> None:
        _require_variance(self.variance)

    def zeros(self, batch: int) -> Float[Tensor, "b ..."]:
        """χ = 0."""
        return self.variance.new_zeros(batch, *self.variance.shape[1:])

    def select(self, members: Int[Tensor, " s"]) -> Self:
        """The variances of some of the problems."""
        return self if len(self.variance) == 1 else replace(self, variance=self.variance[members])


@dataclass(frozen=True, eq=False)
class DiagonalControl(_Scaled):
    """B = diag(variance), B^½ χ = std · χ element by element, of any shape."""

    def apply(self, chi: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """δz = std · χ."""
        return self.variance.sqrt() * chi


@dataclass(frozen=True, eq=False)
class BlockControl(_Scaled):
    """B = diag(σ) (C ⊗ I) diag(σ) on (b, l, h, w): channels correlate at each place, places do not correlate.

    factor: L (l, l) with L Lᵀ = C.
    """

    factor: Float[Tensor, "l l"]

    def apply(self, chi: Float[Tensor, "b l h w"]) -> Float[Tensor, "b l h w"]:
        """δz = σ · (L χ)."""
        return self.variance.sqrt() * torch.einsum("ij,bjhw->bihw", self.factor, chi)


@dataclass(frozen=True, eq=False)
class HorizontalControl(_Scaled):
    """B = diag(σ) C diag(σ) on (b, l, h, w): places correlate in each channel, channels do not.

    factor: L (l, m, h, h), complex, of the wavenumbers m = 0 … w/2 of rows.
    """

    factor: Complex[Tensor, "l m h h"]

    def apply(self, chi: Float[Tensor, "b l h w"]) -> Float[Tensor, "b l h w"]:
        """δz = σ · F* L F χ."""
        waves = torch.einsum("lmij,bljm->blim", self.factor, torch.fft.rfft(chi, norm="ortho"))
        return self.variance.sqrt() * torch.fft.irfft(waves, n=chi.shape[-1], norm="ortho")


def _require_variance(variance: Float[Tensor, "b ..."]) -> None:
    bad = ~(torch.isfinite(variance) & (variance > 0))
    if bad.any():
        where = tuple(torch.nonzero(bad)[0].tolist())
        raise ValueError(
            f"background variance of {int(bad.sum())} elements is not positive and finite, the first at {where}: "
            f"{variance[where].item()}; estimate B from more samples or drop the constant element"
        )
