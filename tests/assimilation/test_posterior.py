"""The posterior of linear-Gaussian windows, where every number is known: H = I + G'ᵀG'."""

import math
from dataclasses import replace

import pytest
import torch

from lara.assimilation.posterior import degrees_of_freedom, krylov_spaces, posteriors
from lara.assimilation.quality import Huber
from toys import LinearGaussian, everyone, normal

MEMBERS, LATENT = 3, 8


@pytest.fixture(scope="module")
def problem():
    """Three windows of 18 data and 8 latent elements."""
    return LinearGaussian.random(seed=4, members=MEMBERS)


def hessian(problem):
    """I + G'ᵀG' of each window."""
    g = problem.scaled_operator()
    return torch.eye(LATENT, dtype=torch.float64) + g.mT @ g


def information(problem):
    """tr(HK) = tr(G'G'ᵀ (I + G'G'ᵀ)⁻¹) = l − tr(H⁻¹) of each window."""
    return LATENT - torch.linalg.inv(hessian(problem)).diagonal(dim1=1, dim2=2).sum(1)


def somewhere(problem):
    """χ at which the Hessian is asked for: any, as it is the same everywhere."""
    return normal(*problem.background.shape, seed=9)


def test_one_draw_of_the_degrees_of_freedom_is_its_quadratic_form(problem):
    """εᵀ G' H⁻¹ G'ᵀ ε exactly, with as many Lanczos vectors as latent elements; 1e-8 is the orthogonality kept."""
    noise = normal(MEMBERS, 18, seed=1)
    found = degrees_of_freedom(problem.cost(), somewhere(problem), noise, LATENT)
    pulled = (problem.scaled_operator().mT @ noise[..., None])[..., 0]
    exact = (pulled * torch.linalg.solve(hessian(problem), pulled)).sum(1)
    torch.testing.assert_close(found, exact, rtol=1e-8, atol=1e-8)


def test_the_mean_over_draws_is_the_trace_of_hk(problem):
    """Four hundred draws: within four of their standard errors, which are below 3 %."""
    one = problem.select(torch.tensor([1]))
    found = degrees_of_freedom(
        one.repeated(400).cost(), somewhere(one).expand(400, -1), normal(400, 18, seed=2), vectors=LATENT
    )
    exact, error = float(information(one)), float(found.std()) / math.sqrt(len(found))
    assert error < 0.03 * exact
    assert abs(float(found.mean()) - exact) < 4 * error
    assert 0 < exact < LATENT


def test_few_vectors_find_less_than_all_and_nearly_as_much(problem):
    """bᵀ Q T⁻¹ Qᵀ b grows with the space towards bᵀH⁻¹b (Golub & Meurant, Gauss quadrature from below); with half of
    the vectors 5 % are missing at most."""
    noise, chi = normal(MEMBERS, 18, seed=3), somewhere(problem)
    found = torch.stack([degrees_of_freedom(problem.cost(), chi, noise, k) for k in range(1, LATENT + 1)])
    assert (found.diff(dim=0) >= -1e-10).all()
    assert (found[LATENT // 2 - 1] > 0.95 * found[-1]).all()


def test_all_eigenvectors_give_draws_of_covariance_h_inverse(problem):
    """A draw is χ_a + S ξ; S found from unit vectors ξ has S Sᵀ = H⁻¹, to rounding times the condition of H."""
    chi = somewhere(problem)
    found = posteriors(problem.cost(), chi, normal(MEMBERS, LATENT, seed=5), LATENT)
    for one, center, h in zip(found, chi, hessian(problem), strict=True):
        root = one.draws(torch.eye(LATENT, dtype=torch.float64)) - center
        torch.testing.assert_close(root.T @ root, torch.linalg.inv(h), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("vectors", [1, 2, 4, 6])
def test_with_few_vectors_the_total_spread_is_never_smaller(problem, vectors):
    """tr(S Sᵀ) ≥ tr(H⁻¹) as Ritz values lie below the eigenvalues of their rank (Cauchy), and ≤ l, that of B."""
    chi = somewhere(problem)
    found = posteriors(problem.cost(), chi, normal(MEMBERS, LATENT, seed=5), vectors)
    for one, center, h in zip(found, chi, hessian(problem), strict=True):
        total = (one.draws(torch.eye(LATENT, dtype=torch.float64)) - center).square().sum()
        assert torch.linalg.inv(h).trace() - 1e-9 <= total <= LATENT + 1e-9


def test_exact_eigenvectors_leave_more_spread_in_every_direction(problem):
    """I − Σ (1 − 1/λ) u uᵀ − H⁻¹ has no negative eigenvalue, to rounding, however few of the leading pairs are kept."""
    chi = somewhere(problem)
    found = posteriors(problem.cost(), chi, normal(MEMBERS, LATENT, seed=5), LATENT)
    for one, h in zip(found, hessian(problem), strict=True):
        few = replace(one, values=one.values[:3], vectors=one.vectors[:3])
        root = few.draws(torch.eye(LATENT, dtype=torch.float64)) - few.chi
        assert torch.linalg.eigvalsh(root.T @ root - torch.linalg.inv(h))[0] > -1e-8


def test_windows_of_a_batch_do_not_mix(problem):
    """Each alone gives the same eigenvalues and degrees of freedom, to rounding."""
    chi, starts, noise = somewhere(problem), normal(MEMBERS, LATENT, seed=5), normal(MEMBERS, 18, seed=6)
    together = posteriors(problem.cost(), chi, starts, 5)
    informed = degrees_of_freedom(problem.cost(), chi, noise, 5)
    for i, member in enumerate(everyone(MEMBERS)):
        cost = problem.select(member).cost()
        (alone,) = posteriors(cost, chi[member], starts[member], 5)
        torch.testing.assert_close(alone.values, together[i].values, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(degrees_of_freedom(cost, chi[member], noise[member], 5)[0], informed[i])


def test_a_window_without_data_has_no_information_and_the_spread_of_b(problem):
    """All errors infinite: DFS is zero and a draw is its noise, exactly."""
    error = torch.full_like(problem.observations.error_std, math.inf)
    cost, chi = problem.observing(problem.observations.value, error).cost(), somewhere(problem)
    assert degrees_of_freedom(cost, chi, normal(MEMBERS, 18, seed=1)).tolist() == [0.0] * MEMBERS
    _, starts = cost.value_and_gradient(torch.zeros_like(chi))
    noise = normal(4, LATENT, seed=2)
    for one in posteriors(cost, chi, starts, 3):
        torch.testing.assert_close(one.draws(noise), one.chi + noise, rtol=0, atol=1e-12)


def test_what_huber_downweights_informs_less(problem):
    """W = min(1, c/|d|) enters the Hessian: exactly G'ᵀWG' where every datum is beyond the threshold."""
    cost, chi = replace(problem.cost(), norm=Huber(0.01)), somewhere(problem)
    with torch.no_grad():
        weight = cost.norm.weight(cost.departure(chi))
    assert (weight < 1).all()
    g = weight.sqrt()[..., None] * problem.scaled_operator()
    exact = torch.eye(LATENT, dtype=torch.float64) + g.mT @ g
    for space, h in zip(krylov_spaces(cost, chi, normal(MEMBERS, LATENT, seed=5), LATENT), exact, strict=True):
        torch.testing.assert_close(space.eigenpairs()[0], torch.linalg.eigvalsh(h).flip(0), rtol=1e-8, atol=1e-8)
