"""Balance: fields in their order, a known law recovered, and nothing of the predictors left in what it leaves."""

import numpy as np
import pytest
import torch

from lara.covariance.balance import Fields, regress
from lara.covariance.harmonics import Harmonics
from lara.grid import Grid
from lara.state import Channels

GRID = Grid.gaussian(16, 32)
CORIOLIS = 2 * 7.292e-5 * np.sin(np.deg2rad(GRID.latitude))
FULL = Channels.of(["msl", "u10", "v10", "t2m"], ["z", "q", "u", "v", "t"], [500, 850])


def spread(rows=16, fields=5, count=400):
    """Samples of independent fields (count, fields, rows, 32) of variance 1."""
    return np.random.default_rng(0).standard_normal((count, fields, rows, 32))


def covariance(samples):
    return np.einsum("nfyx,ngyx->yfg", samples, samples) / (samples.shape[0] * samples.shape[3])


def test_fields_follow_the_order_of_balance():
    """ψ, χ at every level and 10 m, mass, temperature, humidity; as many fields as channels."""
    fields = Fields(FULL)
    assert fields.names[:6] == ["psi500", "psi850", "psi10", "chi500", "chi850", "chi10"]
    assert fields.names[6:] == ["z500", "z850", "msl", "t500", "t850", "t2m", "q500", "q850"]
    assert list(fields.groups) == ["psi", "chi", "mass", "temperature", "humidity"]
    assert [last - first for first, last in fields.groups.values()] == [3, 3, 3, 3, 2]


def test_fields_and_back_to_channels_is_the_identity():
    """Wind of the potentials, then scalars, put in `order`: the state again, for winds that harmonics resolve."""
    fields, harmonics = Fields(FULL), Harmonics.of(GRID)
    state = harmonics.synthesise(harmonics.analyse(torch.randn(2, len(FULL), *GRID.shape).double()))
    potentials = 1e6 * state[:, : 2 * len(fields.east)]
    winds = harmonics.wind(*potentials.chunk(2, dim=1))
    state[:, fields.east], state[:, fields.north] = winds
    found = fields.of(state, harmonics)
    again = torch.cat([*harmonics.wind(*found[:, :6].chunk(2, dim=1)), found[:, 6:]], dim=1)[:, fields.order]
    torch.testing.assert_close(again, state, rtol=0, atol=1e-10)


def test_a_state_without_wind_has_no_potentials():
    """Groups without members vanish, mass comes first, and fields are the channels in another order."""
    fields = Fields(Channels.of(["msl", "t2m"], ["z", "t"], [500]))
    assert fields.names == ["z500", "msl", "t500", "t2m"]
    assert list(fields.groups) == ["mass", "temperature"]
    state = torch.randn(1, 4, *GRID.shape, dtype=torch.float64)
    assert torch.equal(fields.of(state, Harmonics.of(GRID))[:, fields.order], state)


@pytest.mark.parametrize(
    ("surface", "upper_air", "message"),
    [
        ([], ["u", "z"], r"wind u500 has no partner v500.*add v500.*or drop u500"),
        ([], ["v", "z"], r"wind v500 has no partner u500"),
        (["u10"], ["u", "v"], r"wind u10 has no partner v10"),
    ],
)
def test_one_component_of_wind_alone_is_refused(surface, upper_air, message):
    """Half a wind has no streamfunction; both names and the remedy are said."""
    with pytest.raises(ValueError, match=message):
        Fields(Channels.of(surface, upper_air, [500]))


def test_geostrophic_balance_is_recovered():
    """z = f ψ + r with var(fψ) of a few var(r): R(φ) = f to 4 standard errors σ_r/(σ_ψ√n), n = 400·32, and the
    ridge's 1/1000; explained is ρ² = f²σ_ψ²/(f²σ_ψ² + σ_r²) to 4 standard errors 2ρ(1 − ρ²)/√n ≤ 0.77/√n on all rows.
    """
    fields = Fields(Channels.of([], ["u", "v", "z"], [500]))
    psi, chi, rest = (spread()[:, k] for k in range(3))
    samples = np.stack([1e6 * psi, 1e6 * chi, CORIOLIS[:, None] * 1e6 * psi + 50 * rest], axis=1)
    law = regress(covariance(samples), fields, np.eye(16), 1e-3)
    error = 50 / (1e6 * np.sqrt(400 * 32))
    assert np.abs(law.operator[:, 2, 0] - CORIOLIS).max() < 4 * error + 1e-3 * CORIOLIS.max()
    assert np.abs(law.operator[:, 2, 1]).max() < 4 * error
    expected = (1e6 * CORIOLIS) ** 2 / ((1e6 * CORIOLIS) ** 2 + 50**2)
    np.testing.assert_allclose(law.explained[2], expected, atol=4 * 0.77 / np.sqrt(400 * 32))


def test_unbalanced_parts_are_uncorrelated_with_what_predicts_them():
    """⟨r_g r_pᵀ⟩ = 0 for every group and every earlier one without ridge; K K⁻¹ = I; K is 1 within groups. Rounding."""
    fields = Fields(Channels.of(["t2m"], ["u", "v", "z", "t"], [500]))
    mix = np.random.default_rng(1).standard_normal((16, 5, 5))
    samples = np.einsum("yfg,ngyx->nfyx", mix, spread())
    law = regress(covariance(samples), fields, np.eye(16), 0.0)
    left = law.inverse @ covariance(samples) @ law.inverse.transpose(0, 2, 1)
    np.testing.assert_allclose(law.operator @ law.inverse, np.broadcast_to(np.eye(5), (16, 5, 5)), atol=1e-12)
    for first, last in fields.groups.values():
        size = np.sqrt(np.diagonal(left, axis1=1, axis2=2))
        correlation = left / (size[:, :, None] * size[:, None, :])
        assert np.abs(correlation[:, first:last, :first]).max(initial=0.0) < 1e-10
        within = law.operator[:, first:last, first:last]
        np.testing.assert_array_equal(within, np.broadcast_to(np.eye(last - first), within.shape))


def test_rows_nearby_share_what_little_they_know():
    """From 4 samples of 8 longitudes the law z = ψ + 3r of all rows is known to 3/√32 on each; an average over all 16
    rows quarters that error."""
    fields = Fields(Channels.of([], ["u", "v", "z"], [500]))
    few = spread(count=4)[..., :8]
    samples = np.stack([few[:, 0], few[:, 1], few[:, 0] + 3 * few[:, 2]], axis=1)
    alone, shared = (
        regress(covariance(samples), fields, kernel, 1e-3).operator[:, 2, 0] - 1
        for kernel in (np.eye(16), np.full((16, 16), 1 / 16))
    )
    assert np.abs(shared).max() < 4 * 3 / np.sqrt(32 * 16)
    assert np.sqrt((shared**2).mean()) < 0.5 * np.sqrt((alone**2).mean())
