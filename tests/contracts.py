"""Contracts every cost function must keep, measured: for toys and trained networks alike.

With G(χ) = R^{−½} H(x(χ)), one number per datum that is not missing, and G′ its derivative at χ:

    Taylor:   |J(χ + hd) − J(χ) − h ∇J·d| = O(h²)
    Adjoint:  ⟨G′ δχ, δy⟩ = ⟨δχ, G′ᵀ δy⟩, forward-mode against reverse-mode differentiation
    Kalman:   for innovations small enough that G is affine, χ_a = G′ᵀ (G′G′ᵀ + I)⁻¹ R^{−½}(y − H(x(0)))
"""

import warnings
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from lara.assimilation.cost import CostFunction, Observations, normalised_departure, present


def taylor_remainders(cost: CostFunction, chi: Tensor, direction: Tensor, steps: list[float]) -> list[float]:
    """|J(χ + hd) − J(χ) − h ∇J·d| for each h."""
    value, gradient = cost.value_and_gradient(chi)
    slope = float((gradient.double() * direction.double()).sum())
    with torch.no_grad():
        values = [float(sum(cost.terms(chi + h * direction))) for h in steps]
    return [abs(other - value - h * slope) for h, other in zip(steps, values, strict=True)]


def taylor_order(cost: CostFunction, chi: Tensor, direction: Tensor, steps: list[float]) -> float:
    """Slope of log remainder against log step: 2 for a right gradient, 1 for a wrong one."""
    remainders = torch.tensor(taylor_remainders(cost, chi, direction, steps), dtype=torch.float64).log()
    log_steps = torch.tensor(steps, dtype=torch.float64).log()
    centred = log_steps - log_steps.mean()
    return float((centred * remainders).sum() / centred.square().sum())


def adjoint_gap(cost: CostFunction, chi: Tensor, increment: Tensor, data: Tensor) -> float:
    """|⟨G′ δχ, δy⟩ − ⟨δχ, G′ᵀ δy⟩| / (|G′ δχ| |δy|) at χ; `data` is δy, one number per datum, float64."""
    with sdpa_kernel(SDPBackend.MATH):
        with forward_ad.dual_level(), warnings.catch_warnings():
            # Forward mode loads torch's scripted decompositions, which torch itself deprecates.
            warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)
            forward = forward_ad.unpack_dual(_scaled(cost, forward_ad.make_dual(chi, increment))).tangent
        chi = chi.detach().requires_grad_(True)
        (backward,) = torch.autograd.grad(_scaled(cost, chi), chi, data)
    left, right = (forward * data).sum(), (increment.double() * backward.double()).sum()
    return float((left - right).abs() / (forward.norm() * data.norm()))


def kalman_control(cost: CostFunction) -> Tensor:
    """χ_a of the problem linearised at χ = 0, solved in observation space, one gradient per datum."""
    chi = cost.control.zeros().requires_grad_(True)
    departure = normalised_departure(cost.observations, cost.observations.hofx(cost.trajectory(chi)))
    rows = [torch.autograd.grad(d, chi, retain_graph=True)[0].flatten().double() for d in departure]
    g = torch.stack(rows)
    identity = torch.eye(len(g), dtype=g.dtype, device=g.device)
    solved = g.T @ torch.linalg.solve(g @ g.T + identity, -departure.detach())
    return solved.reshape(chi.shape).to(chi.dtype)


def kalman_gap(cost: CostFunction, innovation: Tensor) -> float:
    """|∇J(χ_a)| / |∇J(0)| with y = H(x(0)) + innovation: zero for an affine G, O(|innovation|) otherwise."""
    cost = with_innovation(cost, innovation)
    start, end = (cost.value_and_gradient(chi)[1] for chi in (cost.control.zeros(), kalman_control(cost)))
    return float(end.double().norm() / start.double().norm())


def with_innovation(cost: CostFunction, innovation: Tensor) -> CostFunction:
    """The same problem with y = H(x(0)) + innovation, in the data's units."""
    with torch.no_grad():
        value = cost.observations.hofx(cost.trajectory(cost.control.zeros())).double() + innovation
    return replace(cost, observations=_Revalued(cost.observations, value))


@dataclass(frozen=True, eq=False)
class _Revalued:
    """Other values for the same observations."""

    original: Observations
    value: Tensor

    @property
    def error_std(self) -> Tensor:
        return self.original.error_std

    @property
    def slot(self) -> Tensor:
        return self.original.slot

    def hofx(self, trajectory: Tensor) -> Tensor:
        return self.original.hofx(trajectory)


def _scaled(cost: CostFunction, chi: Tensor) -> Tensor:
    """G(χ), zero where a datum is missing."""
    hofx = cost.observations.hofx(cost.trajectory(chi)).double()
    return torch.where(present(cost.observations), hofx, 0.0) / cost.observations.error_std.double()
