"""Analysis of one window: its trajectories, its fit to the data, its cost, and how it was minimised if it was."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lara.assimilation.departure import Observations, normalised_departure
from lara.assimilation.minimise import Minimum
from lara.assimilation.quality import Norm
from lara.assimilation.window import Window


@dataclass(frozen=True)
class Terms:
    """J_b and J_o; `total` is J."""

    background: float
    observations: float

    @property
    def total(self) -> float:
        """J = J_b + J_o."""
        return self.background + self.observations


@dataclass(frozen=True, eq=False)
class Fit:
    """A window's data beside its trajectories, each (p,), one number per datum, missing or not.

    hofx_…: H of the background and of the analysis. error_std: σ in the analysis, ∞ where unused. rejected: by the
    background check. weight: what the norm left of each datum's influence, 1 where Gaussian. background_std: σ_b
    as the check assumes it, NaN without one.
    """

    hofx_background: Float[Tensor, " p"]
    hofx_analysis: Float[Tensor, " p"]
    value: Float[Tensor, " p"]
    error_std: Float[Tensor, " p"]
    rejected: Bool[Tensor, " p"]
    weight: Float[Tensor, " p"]
    background_std: Float[Tensor, " p"]
    slot: Int[Tensor, " p"]

    @property
    def used(self) -> int:
        """Number of data that are not missing."""
        return int(torch.isfinite(self.error_std).sum())


@dataclass(frozen=True, eq=False)
class Analysis:
    """One window's background and analysis.

    background, analysis: trajectories of x at the window's slots (k, …). start, end: J at χ = 0 and at the analysis.
    assimilated: whether the observations were used; in a control they were not, and J is the fit to them alone.
    minimum: None where nothing was minimised, in a control or by a method without a cost function such as an ensemble
    Kalman filter. failure: why the background stands for an analysis that failed; empty for all others.
    degrees_of_freedom and draws: information used, and trajectories from draws of the posterior
    (m, k, …), where somebody computed them.
    """

    window: Window
    background: Float[Tensor, "k ..."]
    analysis: Float[Tensor, "k ..."]
    fit: Fit
    start: Terms
    end: Terms
    assimilated: bool
    minimum: Minimum | None = None
    degrees_of_freedom: float | None = None
    draws: Float[Tensor, "m k ..."] | None = None
    failure: str = ""


def fits(
    before: Tensor, after: Tensor, observations: Observations, rejected: Tensor, norm: Norm, spread: Tensor
) -> list[Fit]:
    """The fits of all members, from H(x_b), H(x_a), rejections and (HBHᵀ)^½, (b, p) each."""
    weight = norm.weight(normalised_departure(observations, after))
    data = (observations.value, observations.error_std, rejected, weight, spread, observations.slot)
    columns = (before, after, *data)
    return [Fit(*row) for row in zip(*columns, strict=True)]


def terms(minimum: Minimum) -> tuple[Terms, Terms]:
    """J at χ = 0 and at the minimum."""
    background = 0.5 * float(minimum.argument.double().square().sum())
    return Terms(0.0, minimum.start_value), Terms(background, minimum.value - background)
