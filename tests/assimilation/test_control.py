"""Square roots of B: covariance, batches, and variances that are none."""

import math

import pytest
import torch

from lara.assimilation.control import BlockControl, DiagonalControl, HorizontalControl
from toys import everyone, normal


def channel_root(channels: int, seed: int):
    """L with L Lᵀ a correlation matrix."""
    covariance = normal(channels, channels, seed=seed) @ normal(channels, channels, seed=seed).T
    std = covariance.diagonal().sqrt()
    return torch.linalg.cholesky(covariance / std / std[:, None])


def diagonal(members: int) -> DiagonalControl:
    return DiagonalControl(normal(members, 3, 2, 2, seed=1).exp())


def block(members: int) -> BlockControl:
    return BlockControl(normal(members, 3, 2, 2, seed=1).exp(), channel_root(3, 2))


def horizontal(members: int) -> HorizontalControl:
    """Three channels on 2 × 2 places, so wavenumbers 0 and 1, which are real."""
    factor = torch.tril(normal(3, 2, 2, 2, seed=7)).to(torch.complex128)
    return HorizontalControl(normal(members, 3, 2, 2, seed=5).exp(), factor)


def test_the_horizontal_covariance_is_homogeneous_along_rows_and_keeps_channels_apart():
    """B from the columns B^½ e_i: Σ over waves of L L* by hand (rounding)."""
    control = replace_variance(horizontal(1), 1.0)
    columns = control.apply(torch.eye(12, dtype=torch.float64).reshape(12, 3, 2, 2)).flatten(1)
    covariance = (columns.T @ columns).reshape(3, 2, 2, 3, 2, 2)
    waves = torch.einsum("lmij,lmkj->lmik", control.factor.real, control.factor.real)
    for shift in (0, 1):
        expected = (waves[:, 0] + (-1) ** shift * waves[:, 1]) / 2
        found = torch.stack([covariance[i, :, 0, i, :, shift] for i in range(3)])
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(torch.stack([covariance[i, :, 1, i, :, 1 - shift] for i in range(3)]), expected)
    assert covariance[0, :, :, 1].abs().max() < 1e-14


def replace_variance(control: HorizontalControl, variance: float) -> HorizontalControl:
    """The same correlations with one variance everywhere."""
    return HorizontalControl(torch.full_like(control.variance, variance), control.factor)


def root(control, member: int = 0):
    """B^½ of one member as a matrix, from its columns."""
    unit = torch.eye(12, dtype=torch.float64).reshape(12, 3, 2, 2)
    return control.select(torch.full((12,), member)).apply(unit).flatten(1).T


@pytest.mark.parametrize("member", [0, 1])
def test_the_diagonal_control_squares_to_the_variance(member):
    """B^½ B^½ᵀ = diag(variance), from B^½ applied to unit vectors."""
    matrix = root(diagonal(2), member)
    torch.testing.assert_close(matrix @ matrix.T, torch.diag(diagonal(2).variance[member].flatten()))


@pytest.mark.parametrize("member", [0, 1])
def test_the_block_control_squares_to_the_correlations_of_the_channels_at_each_place(member):
    """B = diag(σ)(C ⊗ I)diag(σ), built by a Kronecker product; no covariance between places."""
    control = block(2)
    correlation = torch.kron(control.factor @ control.factor.T, torch.eye(4, dtype=torch.float64))
    std, matrix = control.variance[member].sqrt().flatten(), root(control, member)
    torch.testing.assert_close(matrix @ matrix.T, std[:, None] * correlation * std)


@pytest.mark.parametrize("make", [diagonal, block, horizontal])
def test_a_batch_of_controls_is_each_alone(make):
    """To the last bits: the products are the same, their order may not be."""
    control, chi = make(3), normal(3, 3, 2, 2, seed=4)
    alone = torch.cat([control.select(member).apply(chi[member]) for member in everyone(3)])
    torch.testing.assert_close(control.apply(chi), alone, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("make", [diagonal, block, horizontal])
def test_a_control_common_to_all_serves_any_batch(make):
    """One variance for five members, and selecting members changes nothing."""
    control = make(1)
    assert control.select(torch.tensor([3, 1])) is control
    chi = normal(5, 3, 2, 2, seed=4)
    assert torch.equal(control.apply(chi)[2:3], control.apply(chi[2:3]))


@pytest.mark.parametrize("make", [diagonal, block, horizontal])
def test_the_zero_of_a_control_has_its_precision_and_the_batch_that_was_asked_for(make):
    """(b, l, h, w) in float64, and in float32 where the variance is."""
    assert torch.equal(make(1).zeros(4), torch.zeros(4, 3, 2, 2, dtype=torch.float64))
    assert DiagonalControl(torch.ones(1, 5)).zeros(2).dtype == torch.float32


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("make", [DiagonalControl, lambda variance: BlockControl(variance, torch.eye(2))])
def test_a_variance_that_is_no_variance_is_refused_with_its_place(make, bad):
    """The element's index and value are in the message."""
    variance = torch.ones(1, 2, 2, 3)
    variance[0, 1, 0, 2] = bad
    with pytest.raises(ValueError, match=rf"\(0, 1, 0, 2\): {bad}"):
        make(variance)
