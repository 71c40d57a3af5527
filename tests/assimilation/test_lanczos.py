"""Lanczos: the relation it keeps, the solutions and eigenpairs it yields."""

import pytest
import torch

from lara.assimilation.lanczos import Krylov, lanczos
from toys import answered, normal


def hessian(n: int = 60, leading: int = 20, dtype: torch.dtype = torch.float64):
    """I + V diag(λ) Vᵀ with λ = 1000 … 1, like an assimilation's: a few directions observed, the others not."""
    basis = torch.linalg.qr(normal(n, leading, seed=1))[0]
    extra = torch.logspace(3, 0, leading, dtype=torch.float64)
    matrix = torch.eye(n, dtype=torch.float64) + basis @ torch.diag(extra) @ basis.T
    return matrix.to(dtype), extra, basis.T


def krylov(matrix, start, limit: int, stop=lambda space: False) -> Krylov:
    """The space of H = `matrix`, whose G'ᵀWG' part is H − I."""

    def product(request):
        v = request.direction
        return (matrix @ v.flatten()).reshape(v.shape) - v

    return answered(lanczos(start, limit, stop), product)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_forty_vectors_are_orthonormal_also_in_float32(dtype, tolerance):
    """|QᵀQ − I| at rounding, though many Ritz pairs have converged, where the bare recurrence loses everything."""
    matrix, *_ = hessian(leading=60, dtype=dtype)
    basis = krylov(matrix, normal(60, seed=2).to(dtype), 40).basis.double()
    assert basis.shape == (40, 60)
    torch.testing.assert_close(basis @ basis.T, torch.eye(40, dtype=torch.float64), rtol=0, atol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_the_tridiagonal_matrix_is_the_hessian_in_the_basis(dtype, tolerance):
    """H Q = Q T + β q eᵀ: all columns but the last agree, the last differs by a vector of length β orthogonal to Q;
    relative to |H| = 10³."""
    matrix, *_ = hessian(leading=60, dtype=dtype)
    space = krylov(matrix, normal(60, seed=2).to(dtype), 15)
    basis = space.basis.double().T
    rest = matrix.double() @ basis - basis @ space.matrix
    assert float(rest[:, :-1].abs().max()) < tolerance * 1e3
    assert float(rest[:, -1].norm()) == pytest.approx(float(space.coupling[-1]), rel=10 * tolerance)
    assert float((basis.T @ rest[:, -1]).abs().max()) < tolerance * 1e3


def test_the_solution_is_that_of_a_direct_solver():
    """v with H v = b; 21 distinct eigenvalues end the recurrence after 21 vectors, and 1e-9 is |H| |H⁻¹| rounding."""
    matrix, *_ = hessian()
    right = normal(60, seed=2)
    space = krylov(matrix, right, 60)
    assert len(space.basis) <= 22
    torch.testing.assert_close(
        space.solution(float(right.norm())), torch.linalg.solve(matrix, right), rtol=1e-9, atol=1e-9
    )


def test_every_iterate_is_that_of_conjugate_gradients_and_its_residual_is_known():
    """Vectors from the textbook recurrence (Golub & Van Loan 11.3.3), and |b − Hv| computed; 1e-10 over ten steps."""
    matrix, *_ = hessian()
    right = normal(60, seed=2)
    iterate, residual = torch.zeros_like(right), right.clone()
    direction = residual.clone()
    for k in range(1, 11):
        step = (residual @ residual) / (direction @ matrix @ direction)
        iterate = iterate + step * direction
        following = residual - step * matrix @ direction
        direction = following + (following @ following) / (residual @ residual) * direction
        residual = following
        space, norm = krylov(matrix, right, k), float(right.norm())
        torch.testing.assert_close(space.solution(norm), iterate, rtol=1e-10, atol=1e-10)
        assert space.residual(norm) == pytest.approx(float((right - matrix @ iterate).norm()), rel=1e-8)


def test_the_eigenpairs_of_a_known_matrix_are_found_largest_first():
    """Twenty eigenvalues above 1 and one at 1, vectors up to sign, once the space is invariant; 1e-8."""
    matrix, extra, vectors = hessian()
    values, found, error = krylov(matrix, normal(60, seed=2), 60).eigenpairs()
    torch.testing.assert_close(values[:20], 1 + extra, rtol=1e-8, atol=0)
    assert values[20:].tolist() == pytest.approx([1.0] * len(values[20:]), abs=1e-8)
    torch.testing.assert_close((found[:20] * vectors).sum(1).abs(), torch.ones(20).double(), rtol=1e-8, atol=0)
    assert float(error.max()) < 1e-3


def test_the_error_of_an_eigenpair_is_its_residual():
    """|H u − θ u| of a space that is not invariant yet, computed; 1e-8 relative to |H|."""
    matrix, *_ = hessian()
    values, vectors, error = krylov(matrix, normal(60, seed=2), 8).eigenpairs()
    residual = (vectors @ matrix - values[:, None] * vectors).norm(dim=1)
    torch.testing.assert_close(error, residual, rtol=0, atol=1e-5)


def test_from_zero_the_solution_is_zero_and_the_space_still_one_of_the_hessian():
    """A window without data has H = I and b = 0: one vector, eigenvalue 1, v = 0; no number that is none."""
    space = krylov(torch.eye(60, dtype=torch.float64), torch.zeros(3, 4, 5, dtype=torch.float64), 10)
    assert not space.solution(0.0).any()
    values, vectors, error = space.eigenpairs()
    assert (values.tolist(), float(vectors.norm()), error.tolist()) == ([1.0], 1.0, [0.0])


def test_it_ends_where_the_caller_says():
    """Asked after every vector."""
    space = krylov(hessian()[0], normal(60, seed=2), 60, stop=lambda space: len(space.basis) == 5)
    assert len(space.basis) == 5


def test_the_shape_of_the_vectors_is_free():
    """A (3, 4, 5) start gives the space of the flat one, to the bit."""
    matrix, start = hessian()[0], normal(60, seed=2)
    flat, shaped = (krylov(matrix, each, 6) for each in (start, start.reshape(3, 4, 5)))
    assert torch.equal(flat.basis, shaped.basis)
