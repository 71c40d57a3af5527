"""LARA's solution of the linear-Gaussian problem: model-space 3D-Var and 4D-Var with `lara.assimilation`, in float64.

B^½ is a matrix or, where B is the same all round the circle, its spectrum:

    B^½ χ = F⁻¹ (a · F χ),   a² = eigenvalues of B, by wavenumber
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lara.assimilation.control import Control
from lara.assimilation.cycle import Model, Scheme, cost_function
from lara.assimilation.gaussnewton import GaussNewton
from lara.assimilation.lbfgs import LBFGS
from lara.assimilation.minimise import Minimum, minimise
from lara.assimilation.search import Descent, Tolerance
from lara.assimilation.window import Window
from lara.peers.problems import LinearGaussian

STEP = np.timedelta64(6, "h")  # 0.05 units of time of Lorenz-96; any step for a linear problem
BEGIN = np.datetime64("2000-01-01T00", "h")


@dataclass(frozen=True, eq=False)
class MatrixControl:
    """B^½ χ = factor χ, factor (n, n)."""

    factor: Float[Tensor, "n n"]

    def zeros(self, batch: int) -> Float[Tensor, "b n"]:
        """χ = 0."""
        return self.factor.new_zeros(batch, self.factor.shape[1])

    def apply(self, chi: Float[Tensor, "b n"]) -> Float[Tensor, "b n"]:
        """δx."""
        return chi @ self.factor.T

    def select(self, members: Int[Tensor, " s"]) -> "MatrixControl":
        """Common to all members."""
        return self


@dataclass(frozen=True, eq=False)
class CircleControl:
    """B^½ χ = F⁻¹ (amplitude · F χ); amplitude (b or 1, n/2 + 1) in units of x."""

    amplitude: Float[Tensor, "b m"]

    def zeros(self, batch: int) -> Float[Tensor, "b n"]:
        """χ = 0."""
        return self.amplitude.new_zeros(batch, 2 * (self.amplitude.shape[1] - 1))

    def apply(self, chi: Float[Tensor, "b n"]) -> Float[Tensor, "b n"]:
        """δx."""
        return torch.fft.irfft(self.amplitude * torch.fft.rfft(chi), n=chi.shape[1])

    def select(self, members: Int[Tensor, " s"]) -> "CircleControl":
        """The amplitudes of some of the members."""
        return self if len(self.amplitude) == 1 else CircleControl(self.amplitude[members])


@dataclass(frozen=True, eq=False)
class PointObservations:
    """The same places observed at consecutive slots, `first` the first of them.

    given, sigma: y and σ by slot and place. operator: H (q, n), None where every variable is observed.
    """

    given: Float[Tensor, "b k q"]
    sigma: Float[Tensor, "b k q"]
    first: int = 0
    operator: Float[Tensor, "q n"] | None = None

    @property
    def value(self) -> Float[Tensor, "b p"]:
        """y, slot after slot."""
        return self.given.flatten(1)

    @property
    def error_std(self) -> Float[Tensor, "b p"]:
        """σ."""
        return self.sigma.flatten(1)

    @property
    def slot(self) -> Int[Tensor, "b p"]:
        """Slots of the data."""
        batch, slots, places = self.given.shape
        return (self.first + torch.arange(slots)).repeat_interleave(places).expand(batch, -1)

    def hofx(self, trajectory: Float[Tensor, "b k n"]) -> Float[Tensor, "b p"]:
        """H x."""
        seen = trajectory[:, self.first : self.first + self.given.shape[1]]
        return (seen if self.operator is None else seen @ self.operator.T).flatten(1)

    def select(self, members: Int[Tensor, " s"]) -> Self:
        """The data of some of the windows."""
        return replace(self, given=self.given[members], sigma=self.sigma[members])

    def without(self, rejected: Bool[Tensor, "b p"]) -> Self:
        """The same data with σ = ∞ where rejected."""
        return replace(self, sigma=self.sigma.masked_fill(rejected.view_as(self.sigma), torch.inf))


TOLERANCES = (1e-6, 1e-7, 1e-8)  # of |∇J|
METHODS: dict[str, Callable[[Tolerance], Descent]] = {
    "L-BFGS": lambda tolerance: LBFGS(history=20, evaluations=1000, tolerance=tolerance),
    "Gauss-Newton": lambda tolerance: GaussNewton(
        evaluations=4, inner=500, inner_tolerance=tolerance.gradient, tolerance=tolerance
    ),
}
FACTORS: dict[str, Callable[[LinearGaussian], Control]] = {
    "B as a matrix": lambda problem: MatrixControl(torch.linalg.cholesky(torch.from_numpy(problem.covariance))),
    "B as a spectrum": lambda problem: CircleControl(torch.from_numpy(problem.spectrum).sqrt()[None]),
}


def solve(
    problem: LinearGaussian, factor: str, method: str, tolerance: float
) -> tuple[Float[np.ndarray, " n"], Minimum]:
    """The analysis at slot 0 and how it was reached; B^½ is taken anew from B or its spectrum."""
    background, matrix = torch.from_numpy(problem.background)[None], torch.from_numpy(problem.step).T
    scheme = Scheme(
        Model(lambda x, _: x @ matrix), FACTORS[factor](problem), METHODS[method](Tolerance(tolerance, 0.0))
    )
    given, operator = torch.from_numpy(problem.value)[None], torch.from_numpy(problem.operator)
    sigma = torch.full_like(given, problem.error_std)
    observations = PointObservations(given, sigma, problem.first, operator)
    cost = cost_function([Window(BEGIN, STEP, problem.slots)], background, observations, scheme)
    (found,) = minimise(cost, cost.zeros(), scheme.minimiser)
    return (background + scheme.control.apply(found.argument[None]))[0].numpy(), found


def measure(problem: LinearGaussian, factor: str, method: str, goal: float, repeats: int) -> dict[str, Any]:
    """As `adao_runner.measure`: tolerance, evaluations, times and analysis."""
    for tolerance in TOLERANCES:
        analysis, found = solve(problem, factor, method, tolerance)
        if problem.error(analysis) <= goal:
            break
    seconds, processor = [], []
    for _ in range(repeats):
        begin = time.perf_counter(), time.process_time()
        analysis, found = solve(problem, factor, method, tolerance)
        seconds.append(time.perf_counter() - begin[0])
        processor.append(time.process_time() - begin[1])
    return {
        "tolerance": tolerance,
        "evaluations": found.evaluations + found.products,
        "seconds": seconds,
        "processor": processor,
        "analysis": analysis,
    }
