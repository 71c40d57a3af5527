"""Variational cost function in natural units.

Ide et al. (1997), doi:10.2151/jmsj1965.75.1B_181; Fan et al. (2026), arXiv:2502.02884.

    J(χ) = J_b + J_o,   J_b = ½ χᵀχ,   J_o = Σ_i ρ(d_i),   d_i = (H_i(x_k(i)(χ)) − y_i) / σ_i,   ρ(d) = ½ d²

for each of b independent windows at once (first axis), or with another ρ where outliers are to count less. A missing
observation has σ = ∞ and contributes exactly zero to J and to its gradient, whatever its value. One slot is L3DVar,
several are L4DVar; in model space they are 3D-Var and 4D-Var. Near χ, J is approximated by

    J(χ + v) ≈ J + ∇Jᵀv + ½ vᵀ(I + G'ᵀ W G') v,   G' = ∂d/∂χ,   W = diag(ρ'(d)/d)     (Gauss–Newton)
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from lara.assimilation import AssimilationError
from lara.assimilation.departure import Observations, normalised_departure, present
from lara.assimilation.quality import GAUSSIAN, Norm
from lara.assimilation.trajectory import Trajectory


def observation_term(
    observations: Observations, hofx: Float[Tensor, "b p"], norm: Norm = GAUSSIAN
) -> Float[Tensor, " b"]:
    """J_o = Σ ρ((H(x) − y) / σ), float64."""
    return norm.value(normalised_departure(observations, hofx)).sum(-1)


def background_term(chi: Float[Tensor, "b ..."]) -> Float[Tensor, " b"]:
    """J_b = ½ χᵀχ, float64."""
    return 0.5 * chi.double().square().flatten(1).sum(1)


@dataclass(frozen=True, eq=False)
class Linearisation:
    """J, ∇J and the Gauss–Newton curvature G'ᵀ W G' at one χ, kept as graphs that every product walks again.

    The tangent linear G'v is the derivative of u ↦ G'ᵀu, since forward mode would run the whole trajectory again.
    """

    value: Float[Tensor, " b"]
    gradient: Float[Tensor, "b ..."]
    _argument: Tensor
    _departure: Tensor
    _weight: Tensor
    _dual: Tensor
    _pulled: Tensor

    def multiply(self, direction: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """G'ᵀ W G' v."""
        with sdpa_kernel(SDPBackend.MATH):
            (tangent,) = torch.autograd.grad(self._pulled, self._dual, direction, retain_graph=True)
            return torch.autograd.grad(self._departure, self._argument, self._weight * tangent, retain_graph=True)[0]


@dataclass(frozen=True, eq=False)
class CostFunction:
    """J(χ) of b windows.

    trajectory: χ ↦ x_0 … x_{k−1}. norm: ρ. Raises AssimilationError for a datum with a non-finite value or an error
    that is not positive, ValueError for a slot outside the window.
    """

    trajectory: Trajectory
    observations: Observations
    norm: Norm = GAUSSIAN

    def __post_init__(self) -> None:
        _check_observations(self.observations, self.trajectory.slots)

    def zeros(self) -> Float[Tensor, "b ..."]:
        """χ = 0, the backgrounds."""
        return self.trajectory.zeros()

    def select(self, members: Int[Tensor, " s"]) -> "CostFunction":
        """J of some of the windows."""
        return replace(self, trajectory=self.trajectory.select(members), observations=self.observations.select(members))

    def departure(self, chi: Float[Tensor, "b ..."]) -> Float[Tensor, "b p"]:
        """D, departures of the trajectory in units of σ, float64."""
        return normalised_departure(self.observations, self.observations.hofx(self.trajectory(chi)))

    def terms(self, chi: Float[Tensor, "b ..."]) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """(J_b, J_o) in float64, differentiable in χ."""
        return background_term(chi), self.norm.value(self.departure(chi)).sum(-1)

    def value_and_gradient(self, chi: Float[Tensor, "b ..."]) -> tuple[Float[Tensor, " b"], Float[Tensor, "b ..."]]:
        """J (float64) and ∇J, the gradient with the shape and dtype of χ."""
        chi = chi.detach().requires_grad_(True)
        with torch.enable_grad():
            background, observed = self.terms(chi)
            value = background + observed
            (gradient,) = torch.autograd.grad(value.sum(), chi)
        return value.detach(), gradient

    def pull(self, chi: Float[Tensor, "b ..."], noise: Float[Tensor, "b p"]) -> Float[Tensor, "b ..."]:
        """G'ᵀ W^½ ε at χ: what noise of one σ per datum does to the gradient."""
        chi = chi.detach().requires_grad_(True)
        with torch.enable_grad():
            departure = self.departure(chi)
            root = self.norm.weight(departure).detach().sqrt()
            (gradient,) = torch.autograd.grad(departure, chi, root * noise.to(departure))
        return gradient

    def linearise(self, chi: Float[Tensor, "b ..."]) -> Linearisation:
        """J, ∇J and the curvature of J_o at χ."""
        chi = chi.detach().requires_grad_(True)
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            departure = self.departure(chi)
            value = background_term(chi) + self.norm.value(departure).sum(-1)
            weight = self.norm.weight(departure).detach()
            dual = (weight * departure).detach().requires_grad_(True)  # where it stands does not matter: linear in it
            (pulled,) = torch.autograd.grad(departure, chi, dual, create_graph=True)
        return Linearisation(value.detach(), (chi + pulled).detach(), chi, departure, weight, dual, pulled)


def _check_observations(observations: Observations, slots: int) -> None:
    error, used = observations.error_std, present(observations)
    unusable = ~(error > 0) | (used & ~torch.isfinite(observations.value))
    if unusable.any():
        member, i = torch.nonzero(unusable)[0].tolist()
        raise AssimilationError(
            f"observation {i} of member {member} has value {observations.value[member, i].item()} and error "
            f"{error[member, i].item()}; errors are positive, and a missing datum has an infinite error"
        )
    outside = (observations.slot < 0) | (observations.slot >= slots)
    if outside.any():
        member, i = torch.nonzero(outside)[0].tolist()
        raise ValueError(
            f"observation {i} of member {member} belongs to slot {int(observations.slot[member, i])}, the window has "
            f"{slots}; select the window's observations first"
        )
