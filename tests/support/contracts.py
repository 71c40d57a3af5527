"""Contracts every cost function must keep, measured: for toys and trained networks alike, window by window.

With G(χ) = R^{−½} H(x(χ)), one number per datum that is not missing, and G′ its derivative at χ:

    Taylor:   |J(χ + hd) − J(χ) − h ∇J·d| = O(h²)
    Adjoint:  ⟨G′ δχ, δy⟩ = ⟨δχ, G′ᵀ δy⟩, forward-mode against reverse-mode differentiation
    Kalman:   for innovations small enough that G is affine, χ_a = G′ᵀ (G′G′ᵀ + I)⁻¹ R^{−½}(y − H(x(0)))

The first axis of every tensor counts windows; where a measure is one number, it is that of the worst window.
"""

import warnings
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from lara.assimilation.cost import CostFunction, Observations, present


def taylor_remainders(cost: CostFunction, chi: Tensor, direction: Tensor, steps: list[float]) -> Tensor:
    """|J(χ + hd) − J(χ) − h ∇J·d| for each h, (b, h) in float64."""
    value, gradient = cost.value_and_gradient(chi)
    slope = _inner(gradient, direction)
    with torch.no_grad():
        values = [sum(cost.terms(chi + h * direction)) for h in steps]
    return torch.stack([(v - value - h * slope).abs() for h, v in zip(steps, values, strict=True)], 1)


def taylor_order(cost: CostFunction, chi: Tensor, direction: Tensor, steps: list[float]) -> float:
    """Slope of log remainder against log step: 2 for a right gradient, 1 for a wrong one; the farthest from 2."""
    remainders = taylor_remainders(cost, chi, direction, steps).log()
    log_steps = torch.tensor(steps, dtype=torch.float64).log()
    centred = (log_steps - log_steps.mean()).to(remainders)
    orders = remainders @ centred / centred.square().sum()
    return float(orders[(orders - 2).abs().argmax()])


def adjoint_gap(cost: CostFunction, chi: Tensor, increment: Tensor, data: Tensor) -> float:
    """|⟨G′ δχ, δy⟩ − ⟨δχ, G′ᵀ δy⟩| / (|G′ δχ| |δy|) at χ; `data` is δy (b, p), float64."""
    with sdpa_kernel(SDPBackend.MATH):
        with forward_ad.dual_level(), warnings.catch_warnings():
            # Forward mode loads torch's scripted decompositions, which torch itself deprecates.
            warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)
            forward = forward_ad.unpack_dual(_scaled(cost, forward_ad.make_dual(chi, increment))).tangent
        chi = chi.detach().requires_grad_(True)
        (backward,) = torch.autograd.grad(_scaled(cost, chi), chi, data)
    gap = (_inner(forward, data) - _inner(increment, backward)).abs()
    return float((gap / (forward.norm(dim=1) * data.norm(dim=1))).max())


def jacobian(cost: CostFunction, chi: Tensor) -> Tensor:
    """G′ at χ, (b, p, n) in float64, one gradient per datum."""
    chi = chi.detach().requires_grad_(True)
    scaled = _scaled(cost, chi).sum(0)  # windows are independent: a datum's gradient falls on its own χ alone
    rows = [torch.autograd.grad(each, chi, retain_graph=True)[0].flatten(1).double() for each in scaled]
    return torch.stack(rows, 1)


def kalman_control(cost: CostFunction) -> Tensor:
    """χ_a of the problems linearised at χ = 0, solved in observation space, one gradient per datum."""
    chi = cost.zeros()
    g = jacobian(cost, chi)
    with torch.no_grad():
        innovation = -cost.departure(chi)[..., None]
    identity = torch.eye(g.shape[1], dtype=g.dtype, device=g.device)
    solved = g.mT @ torch.linalg.solve(g @ g.mT + identity, innovation)
    return solved.reshape(chi.shape).to(chi.dtype)


def kalman_gap(cost: CostFunction, innovation: Tensor) -> float:
    """|∇J(χ_a)| / |∇J(0)| with y = H(x(0)) + innovation (b, p): zero for an affine G, O(|innovation|) otherwise."""
    cost = with_innovation(cost, innovation)
    start, end = (cost.value_and_gradient(chi)[1] for chi in (cost.zeros(), kalman_control(cost)))
    return float((end.double().flatten(1).norm(dim=1) / start.double().flatten(1).norm(dim=1)).max())


def with_innovation(cost: CostFunction, innovation: Tensor) -> CostFunction:
    """The same problems with y = H(x(0)) + innovation (b, p), in the data's units."""
    with torch.no_grad():
        value = cost.observations.hofx(cost.trajectory(cost.zeros())).double() + innovation
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

    def select(self, members: Tensor) -> "_Revalued":
        return _Revalued(self.original.select(members), self.value[members])


def _inner(a: Tensor, b: Tensor) -> Tensor:
    """aᵀb of each window, float64."""
    return (a.double() * b.double()).flatten(1).sum(1)


def _scaled(cost: CostFunction, chi: Tensor) -> Tensor:
    """G(χ), zero where a datum is missing."""
    hofx = cost.observations.hofx(cost.trajectory(chi)).double()
    return torch.where(present(cost.observations), hofx, 0.0) / cost.observations.error_std.double()
