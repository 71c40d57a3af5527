"""Quality control inside the analysis: outliers refused or downweighted, and whether the errors assumed are right.

Background check (Järvinen and Undén 1997, ECMWF Tech. Memo. 236): a datum is rejected where

    (y − H(x_b))² > c² (σ_b² + σ_o²),   σ_b² = var_i H(x_b + δx_i)

with δx_i draws of B put through the model (Fisher and Courtier 1995, ECMWF Tech. Memo. 220). So σ_b has the units of
the datum for any H; for a linear one it is (HBHᵀ)_ii, which knows how errors of neighbouring points correlate. What
passes may be downweighted in the cost J_o = Σ ρ(d), d = (H(x) − y) / σ_o (Huber 1964, doi:10.1214/aoms/1177703732;
Tavolato and Isaksen 2015, doi:10.1002/qj.2440):

    ρ(d) = ½ d²  for |d| ≤ c,   c |d| − ½ c²  beyond;   weight = ρ'(d) / d = min(1, c / |d|)
"""

import math
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lara.assimilation.departure import Observations


class Norm(Protocol):
    """ρ of the normalised departure d, elementwise and in its dtype; J_o = Σ ρ((H(x) − y) / σ_o)."""

    def value(self, departure: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """ρ(d), convex, ½ d² near zero, twice differentiable by autograd."""

    def weight(self, departure: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """ρ'(d) / d in (0, 1], 1 at zero."""


@dataclass(frozen=True)
class Gaussian:
    """ρ(d) = ½ d²: every datum counts in full."""

    def value(self, departure: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """½ d²."""
        return 0.5 * departure.square()

    def weight(self, departure: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """One everywhere."""
        return torch.ones_like(departure)


GAUSSIAN = Gaussian()


@dataclass(frozen=True)
class Huber:
    """ρ quadratic up to `threshold` (in units of σ_o), linear beyond. ValueError unless it is positive and finite."""

    threshold: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.threshold) and self.threshold > 0):
            raise ValueError(
                f"Huber threshold {self.threshold}: must be positive and finite [σ_o]; without one, use GAUSSIAN"
            )

    def value(self, departure: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """½ d² for |d| ≤ c, c |d| − ½ c² beyond."""
        size = departure.abs()
        # Written with d², not |d|², so that the second derivative at d = 0 is 1 and not that of |d|.
        return torch.where(
            size <= self.threshold, 0.5 * departure.square(), self.threshold * (size - 0.5 * self.threshold)
        )

    def weight(self, departure: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """min(1, c / |d|)."""
        return self.threshold / departure.abs().clamp(min=self.threshold)


Data = TypeVar("Data", bound=Observations)


@dataclass(frozen=True, eq=False)
class BackgroundDraws:
    """Draws δx_i of the error of a window's background states, which tell σ_b of any datum.

    errors: (b, n, k, …), mean zero over n; first axis 1 for the same draws in every window. turns: each draw counts as
    so many, turned by equal parts of the last axis. Two dozen draws give a σ_b uncertain by a seventh, and on a globe
    B itself (climatological) hardly depends on longitude, so that a draw turned about the poles is another draw.
    """

    errors: Float[Tensor, "b n k ..."]
    turns: int = 1

    @classmethod
    def of(cls, trajectories: Float[Tensor, "b n k ..."], turns: int = 1) -> Self:
        """Draws from n trajectories of each window, begun from draws of B. ValueError for fewer than two."""
        if (count := trajectories.shape[1]) < 2:
            raise ValueError(f"{count} draw(s) of the background have no spread: draw at least 2, better 10")
        return cls(trajectories - trajectories.mean(1, keepdim=True), turns)

    def std(self, observations: Observations, background: Float[Tensor, "b k ..."]) -> Float[Tensor, "b p"]:
        """σ_b (float64, units of the datum) about the backgrounds: the root of the variance, mean over turns."""
        columns = background.shape[-1] // self.turns
        variances = [self._variance(observations, background, turn * columns) for turn in range(self.turns)]
        return torch.stack(variances).mean(0).sqrt()

    def _variance(self, observations: Observations, background: Tensor, columns: int) -> Float[Tensor, "b p"]:
        """Variance over the draws, turned by so many columns."""
        turned = self.errors.roll(columns, -1).unbind(1)
        hofx = torch.stack([observations.hofx(background + error).double() for error in turned])
        return (hofx - hofx.mean(0)).square().sum(0) / (len(hofx) - 1)


def background_check(
    observations: Data, hofx: Float[Tensor, "b p"], sigma_b: Float[Tensor, "b p"], threshold: float
) -> tuple[Data, Bool[Tensor, "b p"]]:
    """The data that pass, the others with infinite errors, and which were rejected.

    hofx: H(x_b). sigma_b: its standard error. threshold: c, in standard deviations of the innovation. Data not used
    before are not counted as rejected.
    """
    departure = observations.value.double() - hofx.double()
    variance = sigma_b.double().square() + observations.error_std.double().square()
    rejected = departure.square() > threshold**2 * variance
    return observations.without(rejected), rejected


def desroziers(
    ombg: Float[Tensor, "b p"],
    oman: Float[Tensor, "b p"],
    error_std: Float[Tensor, "b p"],
    sigma_b: Float[Tensor, "b p"],
) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
    """Per member, R and HBHᵀ as the departures show them over those assumed; both are 1 where the errors are right.

        Σ d_oa d_ob / σ_o²  /  p    and    Σ d_ab d_ob / σ_o²  /  Σ σ_b² / σ_o²,    d_ab = d_ob − d_oa

    (Desroziers et al. 2005, doi:10.1256/qj.05.108), d_ob = y − H(x_b), d_oa = y − H(x_a) in SI, over the p data with
    finite error. Division by σ_o² makes data of different units comparable. NaN where no datum is used.
    """
    used = torch.isfinite(error_std)
    precision = torch.where(used, error_std.double(), torch.inf).square().reciprocal()
    d_ob, d_oa = (torch.where(used, d.double(), 0.0) for d in (ombg, oman))
    observation = (d_oa * d_ob * precision).sum(-1) / used.sum(-1)
    assumed = (torch.where(used, sigma_b.double(), 0.0).square() * precision).sum(-1)
    return observation, ((d_ob - d_oa) * d_ob * precision).sum(-1) / assumed
