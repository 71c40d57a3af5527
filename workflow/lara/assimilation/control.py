"""Control variable transform: z = z_b + B^½ χ, so that the background term is ½ χᵀχ.

Bannister (2008), Q. J. R. Meteorol. Soc. 134, 1971–1996, doi:10.1002/qj.340. The diagonal transform is the
paper's B_z: one variance per latent element. Any other B only has to meet `Control`; the adjoint B^{½ᵀ} comes
from autograd.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor


class Control(Protocol):
    """A square root of B: linear, differentiable, and B = apply ∘ applyᵀ.

    χ may have any shape; increments have the shape of z. `inverse` is a right inverse, apply(inverse(δz)) =
    δz for δz in the range of B^½.
    """

    @property
    def variance(self) -> Float[Tensor, "..."]:
        """diag(B), shape and squared units of z."""

    def zeros(self) -> Float[Tensor, "..."]:
        """χ = 0: the background, with the shape, dtype and device of the control."""

    def apply(self, chi: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """δz = B^½ χ."""

    def inverse(self, increment: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """χ with B^½ χ = δz."""


@dataclass(frozen=True, eq=False)
class DiagonalControl:
    """B = diag(variance), B^½ χ = std · χ element by element; χ and z have the same shape.

    Raises ValueError for a variance that is not finite and positive.
    """

    variance: Float[Tensor, "..."]

    def __post_init__(self) -> None:
        bad = ~(torch.isfinite(self.variance) & (self.variance > 0))
        if bad.any():
            where = tuple(torch.nonzero(bad)[0].tolist())
            raise ValueError(
                f"background variance of {int(bad.sum())} elements is not positive and finite, the first at"
                f" {where}: {self.variance[where].item()};"
                " estimate B from more samples or drop the constant element"
            )

    def zeros(self) -> Float[Tensor, "..."]:
        """χ = 0."""
        return torch.zeros_like(self.variance)

    def apply(self, chi: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """δz = std · χ."""
        return self.variance.sqrt() * chi

    def inverse(self, increment: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """χ = δz / std."""
        return increment / self.variance.sqrt()
