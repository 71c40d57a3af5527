"""Variational cost function in natural units.

Ide et al. (1997), doi:10.2151/jmsj1965.75.1B_181; Fan et al. (2026), arXiv:2502.02884.

    J(χ) = J_b + J_o,   J_b = ½ χᵀχ,   J_o = ½ Σ_i ((H_i(x_k(i)) − y_i) / σ_i)²
    z = z_b + B^½ χ,    x_0 = D(z),    x_{k+1} = M(x_k)

A missing observation has σ = ∞ and contributes exactly zero to J and to its gradient, whatever its value.
One slot is L3DVar, several are L4DVar; with D the identity they are 3D-Var and 4D-Var.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lara.assimilation import AssimilationError
from lara.assimilation.control import Control

Map = Callable[[Tensor], Tensor]


class Observations(Protocol):
    """p data of a window: y and σ in SI units, their slots, and the observation operator H."""

    @property
    def value(self) -> Float[Tensor, " p"]:
        """y, anything where the datum is missing."""

    @property
    def error_std(self) -> Float[Tensor, " p"]:
        """σ, total error std (square root of R), ∞ where the datum is missing."""

    @property
    def slot(self) -> Int[Tensor, " p"]:
        """Position of each datum's time in the window's slots, from 0."""

    def hofx(self, trajectory: Float[Tensor, "k ..."]) -> Float[Tensor, " p"]:
        """H(x) in the units of y, differentiable in the trajectory."""


def present(observations: Observations) -> Bool[Tensor, " p"]:
    """True where a datum is not missing."""
    return torch.isfinite(observations.error_std)


def normalised_departure(observations: Observations, hofx: Float[Tensor, " p"]) -> Float[Tensor, " p"]:
    """(H(x) − y) / σ in float64, zero (and of zero gradient) where the datum is missing."""
    departure = hofx.double() - observations.value.double()
    return torch.where(present(observations), departure, 0.0) / observations.error_std.double()


def observation_term(observations: Observations, hofx: Float[Tensor, " p"]) -> Float[Tensor, ""]:
    """J_o = ½ Σ ((H(x) − y) / σ)², float64."""
    return 0.5 * normalised_departure(observations, hofx).square().sum()


def integrate(step: Map, state: Float[Tensor, "..."], slots: int) -> Float[Tensor, "k ..."]:
    """x_0 … x_{k−1} from x_0 by x_{k+1} = M(x_k)."""
    states = [state]
    for _ in range(slots - 1):
        states.append(step(states[-1]))
    return torch.stack(states)


def increment_form(decode: Map, latent: Float[Tensor, "..."], state: Float[Tensor, "..."]) -> Map:
    """The map z ↦ x_b + D(z) − D(z_b), which keeps in x what the autoencoder cannot represent."""
    with torch.no_grad():
        decoded = decode(latent)
    return lambda z: state + (decode(z) - decoded)


@dataclass(frozen=True, eq=False)
class CostFunction:
    """J(χ) of one window.

    background: z_b. control: B^½. decode: z ↦ x. step: x_k ↦ x_{k+1}. slots: k, number of states in the
    trajectory. Raises AssimilationError for a datum with a non-finite value or an error that is not positive,
    ValueError for a slot outside the window.
    """

    background: Float[Tensor, "..."]
    control: Control
    decode: Map
    step: Map
    slots: int
    observations: Observations

    def __post_init__(self) -> None:
        _check_observations(self.observations, self.slots)

    def latent(self, chi: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The latent state z = z_b + B^½ χ."""
        return self.background + self.control.apply(chi)

    def trajectory(self, chi: Float[Tensor, "..."]) -> Float[Tensor, "k ..."]:
        """x_0 … x_{k−1} from x_0 = D(z_b + B^½ χ)."""
        return integrate(self.step, self.decode(self.latent(chi)), self.slots)

    def terms(self, chi: Float[Tensor, "..."]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """(J_b, J_o) in float64, differentiable in χ."""
        hofx = self.observations.hofx(self.trajectory(chi))
        return 0.5 * chi.double().square().sum(), observation_term(self.observations, hofx)

    def value_and_gradient(self, chi: Float[Tensor, "..."]) -> tuple[float, Float[Tensor, "..."]]:
        """J and ∇J, the gradient with the shape and dtype of χ."""
        chi = chi.detach().requires_grad_(True)
        with torch.enable_grad():
            value = torch.stack(self.terms(chi)).sum()
            (gradient,) = torch.autograd.grad(value, chi)
        return value.item(), gradient


def _check_observations(observations: Observations, slots: int) -> None:
    error, used = observations.error_std, present(observations)
    unusable = ~(error > 0) | (used & ~torch.isfinite(observations.value))
    if unusable.any():
        i = int(torch.nonzero(unusable)[0])
        raise AssimilationError(
            f"observation {i} has value {observations.value[i].item()} and error {error[i].item()};"
            " errors are positive, and a missing datum has an infinite error"
        )
    outside = (observations.slot < 0) | (observations.slot >= slots)
    if outside.any():
        i = int(torch.nonzero(outside)[0])
        raise ValueError(
            f"observation {i} belongs to slot {int(observations.slot[i])}, the window has {slots};"
            " select the window's observations first"
        )
