"""The data of windows as the assimilation sees them, and their departures d = (H(x) − y) / σ.

A missing or unused datum has σ = ∞ and a departure of zero, whatever its value, so no masks travel.
"""

from typing import Protocol, Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


class Observations(Protocol):
    """p data of each of b windows: y and σ in SI units, their slots, and the observation operator H."""

    @property
    def value(self) -> Float[Tensor, "b p"]:
        """y, anything where the datum is missing."""

    @property
    def error_std(self) -> Float[Tensor, "b p"]:
        """σ, total error std (square root of R), ∞ where the datum is missing."""

    @property
    def slot(self) -> Int[Tensor, "b p"]:
        """Position of each datum's time in the window's slots, from 0."""

    def hofx(self, trajectory: Float[Tensor, "b k ..."]) -> Float[Tensor, "b p"]:
        """H(x) in the units of y, differentiable twice."""

    def select(self, members: Int[Tensor, " s"]) -> Self:
        """The data of some of the windows."""

    def without(self, rejected: Bool[Tensor, "b p"]) -> Self:
        """The same data with σ = ∞ where rejected."""


def present(observations: Observations) -> Bool[Tensor, "b p"]:
    """True where a datum is not missing."""
    return torch.isfinite(observations.error_std)


def normalised_departure(observations: Observations, hofx: Float[Tensor, "b p"]) -> Float[Tensor, "b p"]:
    """(H(x) − y) / σ in float64, zero (and of zero gradient) where the datum is missing."""
    departure = hofx.double() - observations.value.double()
    return torch.where(present(observations), departure, 0.0) / observations.error_std.double()
