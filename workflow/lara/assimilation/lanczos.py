"""Lanczos tridiagonalisation of the Hessian H = I + G'ᵀ W G', and what follows from it.

    H Q = Q T + β q eᵀ,   Qᵀ Q = I,   T tridiagonal,   Q's first column b/|b|

Golub & Van Loan, Matrix Computations, 4th ed. (2013), §10.1. Q T⁻¹ e₁ |b| is the iterate of conjugate gradients for
H v = b, and the eigenpairs of T approach those of H. All vectors are orthogonalised against all before, twice, since
float32 would lose orthogonality after a few converged pairs.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lara.assimilation.search import Multiply, Request


@dataclass(frozen=True, eq=False)
class Krylov:
    """Q (k, n), T by its diagonals α (k,) and β (k,), whose last element couples to the vector not in Q."""

    basis: Float[Tensor, "k n"]
    diagonal: Float[Tensor, " k"]
    coupling: Float[Tensor, " k"]

    @property
    def matrix(self) -> Float[Tensor, "k k"]:
        """T, float64."""
        off = self.coupling[:-1]
        return torch.diag(self.diagonal) + torch.diag(off, 1) + torch.diag(off, -1)

    def coefficients(self, norm: float) -> Float[Tensor, " k"]:
        """Coordinates in Q of the solution of H v = b, |b| = norm."""
        right = torch.zeros_like(self.diagonal)
        right[0] = norm
        return torch.linalg.solve(self.matrix, right)

    def residual(self, norm: float) -> float:
        """|b − H v| of that solution."""
        return float((self.coupling[-1] * self.coefficients(norm)[-1]).abs())

    def solution(self, norm: float) -> Float[Tensor, " n"]:
        """That solution v."""
        return self.coefficients(norm).to(self.basis) @ self.basis

    def eigenpairs(self) -> tuple[Float[Tensor, " k"], Float[Tensor, "k n"], Float[Tensor, " k"]]:
        """Ritz values of H (largest first, float64), vectors as rows, and the residual norm of each."""
        values, vectors = torch.linalg.eigh(self.matrix)
        values, vectors = values.flip(0), vectors.flip(1)
        return values, (vectors.T.to(self.basis) @ self.basis), (self.coupling[-1] * vectors[-1]).abs()


def lanczos(start: Float[Tensor, "..."], limit: int, stop: Callable[[Krylov], bool]) -> Generator[Request, Any, Krylov]:
    """The Krylov space of H from b = `start`, of `limit` vectors at most; ends where `stop` says so."""
    vector = start.flatten()
    if not vector.any():  # a window without data: any vector spans a space of H = I, where v = 0
        vector = torch.eye(1, vector.numel()).to(vector)[0]
    vector = vector / vector.double().norm().to(vector)
    basis, diagonal, coupling = [vector], [], []
    while True:
        product = yield Multiply(basis[-1].reshape(start.shape))
        image = basis[-1] + product.flatten()
        diagonal.append(torch.dot(image.double(), basis[-1].double()))
        known = torch.stack(basis)
        for _ in range(2):
            image = image - (known @ image) @ known
        coupling.append(image.double().norm())
        space = Krylov(known, torch.stack(diagonal), torch.stack(coupling))
        if len(basis) == limit or coupling[-1] <= 1e-6 * diagonal[0].abs() or stop(space):
            return space
        basis.append(image / coupling[-1].to(image))
