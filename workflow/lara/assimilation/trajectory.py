"""Trajectories of a window as functions of the control variable χ.

    strong constraint:  x_0 = D(z_b + B^½ χ)  or  x_b + (D(z_b + B^½ χ) − D(z_b)),   x_{k+1} = M(x_k, t_k)
    weak constraint:    x_k = f + D(E(f) + Q^½ χ_k) − D(E(f)),   f = M(x_{k−1}, t_{k−1}),   χ = (χ_0, χ_1, …)

The second is the increment form, which keeps in x what the autoencoder cannot represent. The weak constraint adds a
latent forcing of covariance Q at every slot after the first (Trémolet 2006, doi:10.1256/qj.05.224); χ_k = 0 leaves the
model's step as it is. The first axis counts independent windows.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lara.assimilation.control import Control

Map = Callable[[Tensor], Tensor]
Step = Callable[[Tensor, np.ndarray], Tensor]  # states (b, …) and their valid times (b,) to the states a slot later


def autonomous(step: Map) -> Step:
    """A model that does not know the time."""
    return lambda state, times: step(state)


class Trajectory(Protocol):
    """The map χ ↦ x_0 … x_{k−1}, differentiable twice."""

    @property
    def slots(self) -> int:
        """k, number of states."""

    def zeros(self) -> Float[Tensor, "b ..."]:
        """χ = 0."""

    def __call__(self, chi: Float[Tensor, "b ..."]) -> Float[Tensor, "b k ..."]:
        """The states at the slots."""

    def select(self, members: Int[Tensor, " s"]) -> "Trajectory":
        """The map of some of the windows."""


def integrate(step: Step, state: Float[Tensor, "b ..."], times: np.ndarray, recompute: bool = False) -> Tensor:
    """x_0 … x_{k−1} (b, k, …) at valid times (b, k) from x_0; recompute: keep no activations, run steps twice."""
    states = [state]
    for time in times.T[:-1]:
        states.append(_advance(step, states[-1], time, recompute))
    return torch.stack(states, 1)


def _advance(step: Step, state: Tensor, time: np.ndarray, recompute: bool) -> Tensor:
    return checkpoint(step, state, time, use_reentrant=False) if recompute else step(state, time)


@dataclass(frozen=True, eq=False)
class StrongConstraint:
    """x_0 … x_{k−1} from χ by a perfect model.

    background: z_b (b, …). control: B^½. decode: z ↦ x. step: (x_k, t_k) ↦ x_{k+1}. times: of the slots (b, k),
    datetime64. anchor: x_b and D(z_b) for the increment form, else None; apart, so that x_0 = x_b to the bit at χ = 0.
    recompute: save memory by running each step twice.
    """

    background: Float[Tensor, "b ..."]
    control: Control
    decode: Map
    step: Step
    times: np.ndarray
    anchor: tuple[Float[Tensor, "b ..."], Float[Tensor, "b ..."]] | None = None
    recompute: bool = False

    @property
    def slots(self) -> int:
        """k, number of states."""
        return self.times.shape[1]

    def zeros(self) -> Float[Tensor, "b ..."]:
        """χ = 0."""
        return self.control.zeros(len(self.background))

    def latent(self, chi: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """The latent state z = z_b + B^½ χ."""
        return self.background + self.control.apply(chi)

    def first(self, chi: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """x_0."""
        decoded = self.decode(self.latent(chi))
        if self.anchor is None:
            return decoded
        state, image = self.anchor
        return state + (decoded - image)

    def __call__(self, chi: Float[Tensor, "b ..."]) -> Float[Tensor, "b k ..."]:
        """x_0 … x_{k−1}."""
        return integrate(self.step, self.first(chi), self.times, self.recompute)

    def select(self, members: Int[Tensor, " s"]) -> "StrongConstraint":
        """Some of the windows."""
        anchor = None if self.anchor is None else (self.anchor[0][members], self.anchor[1][members])
        background, control = self.background[members], self.control.select(members)
        times = self.times[members.cpu().numpy()]
        return replace(self, background=background, control=control, times=times, anchor=anchor)


@dataclass(frozen=True, eq=False)
class WeakConstraint:
    """x_0 … x_{k−1} from χ (b, k, …), whose first part is that of `strong` and the others force the later slots.

    encode: x ↦ z. forcing: Q^½, with χ and δz of the shapes of B^½.
    """

    strong: StrongConstraint
    encode: Map
    forcing: Control

    @property
    def slots(self) -> int:
        """k, number of states."""
        return self.strong.slots

    def zeros(self) -> Float[Tensor, "b k ..."]:
        """χ = 0."""
        return torch.stack([self.strong.zeros()] * self.slots, 1)

    def __call__(self, chi: Float[Tensor, "b k ..."]) -> Float[Tensor, "b k ..."]:
        """x_0 … x_{k−1}."""
        strong, states = self.strong, [self.strong.first(chi[:, 0])]
        for k in range(1, self.slots):
            forecast = _advance(strong.step, states[-1], strong.times[:, k - 1], strong.recompute)
            latent = self.encode(forecast)
            forced = strong.decode(latent + self.forcing.apply(chi[:, k]))
            states.append(forecast + (forced - strong.decode(latent)))  # in this order: exact at χ = 0
        return torch.stack(states, 1)

    def select(self, members: Int[Tensor, " s"]) -> "WeakConstraint":
        """Some of the windows."""
        return replace(self, strong=self.strong.select(members), forcing=self.forcing.select(members))
