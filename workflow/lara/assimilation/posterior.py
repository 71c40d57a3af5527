"""Posterior of χ by the eigenpairs of the Hessian at the analysis, and the degrees of freedom for signal.

    cov(χ | y) = H⁻¹ ≈ I − Σ_i (1 − 1/λ_i) u_i u_iᵀ,   H = I + G'ᵀ W G' at the analysis     (Fisher & Courtier 1995)
    DFS = tr(KH) = E[bᵀ H⁻¹ b],   b = G'ᵀ W^½ ε,   ε ~ N(0, I)     (Girard 1989, doi:10.1007/BF01395775)

both from the Lanczos process: from b, bᵀH⁻¹b = |b|² e₁ᵀ T⁻¹ e₁ after few steps (Golub & Meurant 2010, Matrices, Moments
and Quadrature, §6). A draw of the posterior is χ_a + (I − Σ (1 − λ_i^−½) u_i u_iᵀ) ξ; directions that no eigenpair
spans keep the spread of the background, so too few vectors make the total variance too large, never too small.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lara.assimilation.cost import CostFunction
from lara.assimilation.lanczos import Krylov, lanczos
from lara.assimilation.minimise import minimise
from lara.assimilation.search import Linearise, Outcome, Point, Reason, Search


@dataclass(frozen=True)
class Explore:
    """A search that stays where it is and builds the Krylov space of its `memory`, a vector, by `vectors` products."""

    vectors: int
    evaluations: int = 3

    def search(self, first: Point, memory: Any = None) -> Search:
        """The space in `Outcome.memory`."""
        yield Linearise(first.argument)
        space = yield from lanczos(memory, self.vectors, lambda _: False)
        return Outcome(0, Reason.DONE, space)


def krylov_spaces(
    cost: CostFunction, chi: Float[Tensor, "b ..."], starts: Float[Tensor, "b ..."], vectors: int
) -> list[Krylov]:
    """The Krylov space of the Hessian at χ from one vector per window."""
    return [least.memory for least in minimise(cost, chi, Explore(vectors), list(starts))]


def degrees_of_freedom(
    cost: CostFunction, chi: Float[Tensor, "b ..."], noise: Float[Tensor, "b p"], vectors: int = 12
) -> Float[Tensor, " b"]:
    """DFS of each window by one draw `noise` of N(0, I) per datum; 0 … p."""
    starts = cost.pull(chi, noise)
    spaces = krylov_spaces(cost, chi, starts, vectors)
    norms = starts.double().flatten(1).norm(dim=1).tolist()
    found = [norm * space.coefficients(norm)[0] for space, norm in zip(spaces, norms, strict=True)]
    return torch.stack(found)


@dataclass(frozen=True, eq=False)
class Posterior:
    """Leading eigenvalues λ (k,) and eigenvectors u (k, n) of one window's Hessian at its analysis χ_a."""

    chi: Float[Tensor, "..."]
    values: Float[Tensor, " k"]
    vectors: Float[Tensor, "k n"]

    def draws(self, noise: Float[Tensor, "m ..."]) -> Float[Tensor, "m ..."]:
        """χ_a + H^−½ ξ for draws ξ = `noise` of N(0, I)."""
        flat = noise.flatten(1)
        shrink = (1 - self.values.rsqrt()).to(flat)
        kept = flat - ((flat @ self.vectors.T) * shrink) @ self.vectors
        return self.chi + kept.reshape(noise.shape)


def posteriors(
    cost: CostFunction, chi: Float[Tensor, "b ..."], starts: Float[Tensor, "b ..."], vectors: int
) -> Sequence[Posterior]:
    """The posterior of each window from `vectors` Lanczos steps that begin at `starts`, e.g. the first gradients."""
    spaces = krylov_spaces(cost, chi, starts, vectors)
    pairs = [space.eigenpairs() for space in spaces]
    return [Posterior(a, values.clamp(min=1.0), u) for a, (values, u, _) in zip(chi, pairs, strict=True)]
