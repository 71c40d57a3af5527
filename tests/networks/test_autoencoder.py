"""The autoencoder starts at the PCA, the PCA is the best linear map, and training can reach every parameter."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from lara.autoencoder import Autoencoder, consistent, principal_components
from shapes import SHAPE

SIZE, RANK = 48, 10


def normal(*sizes, seed=0):
    """Standard normal float64 numbers."""
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def problem():
    """Covariance of correlated values, and weights: float64."""
    root = normal(SIZE, SIZE) * torch.linspace(2.0, 0.1, SIZE, dtype=torch.float64)
    return root @ root.T / SIZE, normal(SIZE, seed=1).exp()


def error(covariance, weights, encode, decode):
    """E‖W^½ (x − decode encode x)‖² for x of this covariance."""
    left = torch.eye(SIZE, dtype=torch.float64) - decode @ encode
    return float(torch.trace(torch.diag(weights) @ left @ covariance @ left.T))


def fitted(depth):
    """An autoencoder on the principal components of random patches."""
    module = Autoencoder(SHAPE, RANK, depth)
    root = normal(SIZE, SIZE)
    encode, decode = principal_components(root @ root.T, torch.ones(SIZE, dtype=torch.float64), RANK)
    module.linear.set(encode.float(), decode.float(), normal(SIZE, seed=2).float())
    return module


def test_an_untrained_transformer_is_the_pca_exactly():
    """Its residuals end in layers of zeros, and x + 0 = x to the bit."""
    transformer, pca = fitted((1, 2)), fitted((0, 0))
    x = torch.randn(2, 3, 8, 16)
    assert torch.equal(transformer.encode(x), pca.encode(x))
    assert torch.equal(transformer(x), pca(x))


def test_the_linear_path_keeps_its_precision_in_bf16_training():
    """Under autocast the untrained output is that of float32 to the bit, where bf16 alone would err by 1e-3."""
    module, x = fitted((1, 1)), torch.randn(2, 3, 8, 16)
    full = module(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(module(x), full)


def test_the_pca_loses_the_discarded_eigenvalues_and_no_more(problem):
    """Eckart & Young: the error is Σ of the eigenvalues of W^½ C W^½ left out, to float64 rounding."""
    covariance, weights = problem
    root = weights.sqrt()
    discarded = torch.linalg.eigvalsh(root[:, None] * covariance * root)[:-RANK].sum()
    encode, decode = principal_components(covariance, weights, RANK)
    assert error(covariance, weights, encode, decode) == pytest.approx(float(discarded), rel=1e-10)


def test_no_other_linear_map_of_the_rank_does_better(problem):
    """The least error over 50 random subspaces, each with its best decoder, and over 50 small changes of the PCA's own
    encoder, is above the PCA's."""
    covariance, weights = problem
    encode, decode = principal_components(covariance, weights, RANK)
    least = error(covariance, weights, encode, decode)

    def best_decoder(p):
        return covariance @ p.T @ torch.linalg.inv(p @ covariance @ p.T)

    rivals = [normal(RANK, SIZE, seed=seed) for seed in range(50)]
    rivals += [encode * (1 + 0.1 * normal(RANK, SIZE, seed=seed)) for seed in range(50)]
    assert min(error(covariance, weights, p, best_decoder(p)) for p in rivals) > least * (1 + 1e-6)


def test_latent_elements_have_variance_one_and_no_correlation(problem):
    """P C Pᵀ = I, leading component first; float64 rounding over the condition of C."""
    covariance, weights = problem
    encode, decode = principal_components(covariance, weights, RANK)
    torch.testing.assert_close(encode @ covariance @ encode.T, torch.eye(RANK, dtype=torch.float64), rtol=0, atol=1e-9)
    explained = (decode * weights.sqrt()[:, None]).square().sum(0)
    assert explained.tolist() == sorted(explained.tolist(), reverse=True)


def test_encoding_what_was_decoded_changes_no_latent_state():
    """P Q = I for the PCA, to float32 rounding of sums of 48 terms of order 30."""
    module, latent = fitted((0, 0)), torch.randn(2, RANK, 2, 4)
    torch.testing.assert_close(module.encode(module.decode(latent)), latent, rtol=0, atol=1e-4)


def test_a_second_reconstruction_by_the_pca_changes_nothing():
    """D E is a projection; float32 rounding of values of order 1."""
    module, x = fitted((0, 0)), torch.randn(2, 3, 8, 16)
    torch.testing.assert_close(module(module(x)), module(x), rtol=0, atol=1e-4)


def test_corrections_find_what_a_state_was_decoded_from():
    """With E(D(z)) = z + ρ sin z each of them multiplies the error by ρ at most."""
    latent, rho = normal(100), 0.2
    gap = [
        float((consistent(lambda x: x + rho * x.sin(), lambda z: z, n)(latent) - latent).abs().max()) for n in range(6)
    ]
    assert all(after <= rho * before for before, after in pairwise(gap))
    assert gap[0] > 0.1


def test_gradients_reach_every_parameter_after_one_step():
    """At the start the zero layers block them; one step later no parameter is idle."""
    module, x = fitted((1, 1)), torch.randn(2, 3, 8, 16)
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-3)
    for _ in range(2):
        optimiser.zero_grad()
        (module(x) - x).square().mean().backward()
        optimiser.step()
    idle = [name for name, p in module.named_parameters() if not (p.grad.isfinite().all() and p.grad.any())]
    assert idle == []


def test_a_latent_state_has_one_vector_per_patch_and_is_as_small_as_it_says():
    """48 values of a patch over 10 latent channels."""
    module = fitted((0, 0))
    assert tuple(module.encode(torch.randn(1, 3, 8, 16)).shape[1:]) == module.latent_shape == (RANK, 2, 4)
    assert module.compression == pytest.approx(4.8)


def test_more_latent_channels_than_values_are_refused():
    """Eigenvectors beyond the size of a patch do not exist."""
    with pytest.raises(ValueError, match="latent_channels 49 exceed the 48 values of a patch: choose fewer"):
        Autoencoder(SHAPE, 49, (0, 0))
    assert Autoencoder(replace(SHAPE, channels=4), 49, (0, 0)).latent_channels == 49
