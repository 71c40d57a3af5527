"""Outliers are found and downweighted as the formulas say, and the diagnostics recover errors that are known."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

import wind_speed
from lara.assimilation.quality import (
    GAUSSIAN,
    BackgroundDraws,
    Huber,
    background_check,
    desroziers,
)
from lara.config.quality import QualityControl
from lara.grid import Grid
from lara.observations import batches, operators
from lara.state import Channels
from lorenz import opposite
from tables import SLOTS, table_of

GRID = Grid.gaussian(8, 16)
CHANNELS = Channels.of(["msl"], ["z"], [500])


def observed(**columns):
    """Two members with the same data."""
    n = len(columns["ObsValue"])
    return batches.from_table(table_of([0.0] * n, [0.0] * n, **columns), GRID, CHANNELS, SLOTS).repeat(2)


def departures(number=41, largest=8.0):
    return torch.tensor(np.linspace(-largest, largest, number))


def test_the_huber_norm_by_hand():
    """c = 2: within, 1.5^2 / 2 = 1.125; beyond, 2 * 5 - 2 = 8 with weight 2/5."""
    norm, d = Huber(2.0), torch.tensor([0.0, 1.5, -5.0], dtype=torch.float64)
    assert norm.value(d).tolist() == [0.0, 1.125, 8.0]
    assert norm.weight(d).tolist() == [1.0, 1.0, 0.4]


@pytest.mark.parametrize("norm", [GAUSSIAN, Huber(1.7)], ids=["gaussian", "huber"])
def test_the_gradient_of_a_norm_is_weight_times_departure(norm):
    """rho' = w d by definition of w, to rounding."""
    d = departures().requires_grad_(True)
    (slope,) = torch.autograd.grad(norm.value(d).sum(), d)
    assert torch.allclose(slope, norm.weight(d.detach()) * d.detach(), atol=1e-15)


@pytest.mark.parametrize("norm", [GAUSSIAN, Huber(1.7)], ids=["gaussian", "huber"])
def test_the_second_derivative_of_a_norm_is_one_inside_and_zero_beyond(norm):
    """Also at d = 0, where that of |d| does not exist."""
    d = departures().requires_grad_(True)
    (slope,) = torch.autograd.grad(norm.value(d).sum(), d, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), d)
    inside = torch.ones_like(d) if norm is GAUSSIAN else (d.abs() <= 1.7).double()
    assert torch.equal(curvature, inside.detach())


def test_the_huber_norm_and_its_slope_are_continuous_at_the_threshold():
    """Either side of c they differ by no more than the slope (c) and the curvature (1) allow over 2e-9."""
    norm, d = Huber(2.0), torch.tensor([2.0 - 1e-9, 2.0 + 1e-9], dtype=torch.float64)
    value, slope = norm.value(d), norm.weight(d) * d
    assert abs(value[1] - value[0]) < 5e-9
    assert abs(slope[1] - slope[0]) < 3e-9


def test_a_huber_norm_of_great_threshold_is_gaussian():
    assert torch.equal(Huber(100.0).value(departures()), GAUSSIAN.value(departures()))


@pytest.mark.parametrize("threshold", [0.0, -1.0, np.inf, np.nan])
def test_an_impossible_huber_threshold_is_refused(threshold):
    with pytest.raises(ValueError, match="must be positive and finite"):
        Huber(threshold)


def test_the_background_std_of_draws_of_known_variance_is_recovered():
    """Each place pools 40 draws turned 64 ways: 4 standard errors of a std, 4 / sqrt(2 * 39 * 64) = 6 %."""
    grid, channels = Grid.gaussian(8, 64), Channels.of(["msl", "t2m"], [], [])
    known = torch.tensor([0.5, 3.0])[:, None, None, None] * torch.tensor([1.0, 100.0])[:, None, None]
    known = known * torch.linspace(1, 2, 8)[:, None]
    draws = 5e5 + known * torch.randn(40, 2, 2, 8, 64, generator=torch.Generator().manual_seed(0)).double()
    slots, names = (axis.ravel() for axis in np.meshgrid([0, 1], ["msl", "t2m"], indexing="ij"))
    table = table_of(
        np.tile(grid.latitude, 4),
        np.zeros(32),
        variable=np.repeat(names, 8),
        pressure=np.nan,
        time=np.repeat(SLOTS[slots.astype(int)], 8),
    )
    h = batches.from_table(table, grid, channels, SLOTS[:2])
    found = BackgroundDraws.of(draws[None], turns=64).std(h, torch.zeros(1, 2, 2, 8, 64, dtype=torch.float64))
    expected = known.flatten()[None].double()
    assert torch.allclose(found / expected, torch.ones_like(found), atol=0.06)


def test_one_draw_has_no_spread():
    with pytest.raises(ValueError, match=r"1 draw.* have no spread: draw at least 2"):
        BackgroundDraws.of(torch.zeros(2, 1, 2, 3, 4, 5))


def test_the_background_std_is_read_at_each_members_slot_channel_and_place():
    """Draws of one sign: on a row of the grid the std there, half way between two rows the mean of both. (H of the
    variance would take errors of neighbouring rows as independent and give the root mean square.)"""
    std = torch.rand(2, 4, 2, 8, 1, dtype=torch.float64) + 0.5
    middle = GRID.latitude[3:5].mean()
    table = table_of([GRID.latitude[2], middle], [33.0, 44.0], time=SLOTS[[1, 3]])
    h = batches.from_table(table, GRID, CHANNELS, SLOTS).repeat(2)
    expected = torch.stack([std[:, 1, 1, 2, 0], std[:, 3, 1, 3:5, 0].mean(1)], dim=1)
    background, each = torch.zeros(2, 4, 2, 8, 16, dtype=torch.float64), std.expand(-1, -1, -1, -1, 16)
    assert torch.allclose(opposite(each).std(h, background), expected, atol=1e-12)
    assert torch.allclose(opposite(each[:1]).std(h, background), expected[:1].expand(2, 2), atol=1e-12)


def test_the_background_std_of_a_nonlinear_operator_is_that_of_its_own_values(monkeypatch):
    """Wind (3, 4) m/s with an error of 0.1 m/s in one component: 0.06 of the speed in u, 0.08 in v, to the second order
    in the error; each member about its own background, so that wind (0, 5) does not feel u. H of the variances, the
    speed of (0.01, 0), would be 0.1 and know neither."""
    monkeypatch.setitem(operators.KINDS, "scatterometer", wind_speed)
    channels = Channels.of(["u10", "v10"], [], [])
    table = table_of([10.0], [20.0], variable="wind_speed", pressure=np.nan)
    table["MetaData/stationType"] = "scatterometer"
    h = batches.from_table(table, GRID, channels, SLOTS).repeat(2)
    winds = torch.tensor([[3.0, 4.0], [0.0, 5.0]], dtype=torch.float64)
    background = winds[:, None, :, None, None].expand(-1, 4, -1, 8, 16)
    for component, expected in ((0, [0.06, 0.0]), (1, [0.08, 0.1])):
        std = torch.zeros(1, 4, 2, 8, 16, dtype=torch.float64)
        std[:, :, component] = 0.1
        assert opposite(std).std(h, background)[:, 0].tolist() == pytest.approx(expected, abs=1e-4)


def test_draws_turned_about_the_poles_are_other_draws_of_the_same_errors():
    """One meridian has all the error: turned all ways, every longitude has its root mean square."""
    std = torch.zeros(1, 4, 2, 8, 16, dtype=torch.float64)
    std[..., 5] = 4.0
    turned = BackgroundDraws(opposite(std).errors, turns=16)
    h = batches.from_table(table_of([GRID.latitude[2]] * 2, GRID.longitude[[0, 5]]), GRID, CHANNELS, SLOTS)
    background = torch.zeros(1, 4, 2, 8, 16, dtype=torch.float64)
    assert opposite(std).std(h, background)[0].tolist() == pytest.approx([0.0, 4.0])
    assert turned.std(h, background)[0].tolist() == pytest.approx([1.0, 1.0])


def test_the_background_check_rejects_beyond_c_standard_deviations_of_the_innovation():
    """sigma_b 3, sigma_o 4: innovations have a standard deviation of 5, and 4 of them are 20."""
    h = observed(ObsValue=[0.0, 19.9, 20.1, -250.0], ObsError=4.0)
    kept, rejected = background_check(h, torch.zeros(2, 4), torch.full((2, 4), 3.0), 4.0)
    assert rejected.tolist() == [[False, False, True, True]] * 2
    assert torch.equal(kept.used, ~rejected)
    assert torch.equal(kept.value, h.value)


def test_members_are_checked_against_their_own_background():
    h = observed(ObsValue=[0.0, 50.0], ObsError=1.0)
    background = torch.tensor([[0.0, 0.0], [50.0, 50.0]])
    rejected = background_check(h, background, torch.zeros(2, 2), 4.0)[1]
    assert rejected.tolist() == [[False, True], [True, False]]


def test_missing_and_withheld_data_are_never_counted_as_rejected():
    """A member that misses the datum is not told that it was bad."""
    h = observed(ObsValue=[np.nan, 1e6, 1e6], ObsError=1.0, withheld=[False, True, False], PreQC=[0, 0, 12])
    assert not background_check(h, torch.zeros(2, 3), torch.ones(2, 3), 4.0)[1].any()


def test_all_data_may_be_rejected_and_none_may_be_there():
    outliers = observed(ObsValue=[50.0, -50.0])
    kept, rejected = background_check(outliers, torch.zeros(2, 2), torch.zeros(2, 2), 4.0)
    assert rejected.all() and not kept.used.any()
    none = observed(ObsValue=[])
    assert background_check(none, torch.zeros(2, 0), torch.zeros(2, 0), 4.0)[1].shape == (2, 0)
    assert opposite(torch.ones(1, 4, 2, 8, 16)).std(none, torch.zeros(2, 4, 2, 8, 16)).shape == (2, 0)


def errors_of(p, sigma_b, sigma_o, seed):
    """Departures of the optimal scalar analyses of p data with standard errors assumed to be 1 and 2."""
    rng = torch.Generator().manual_seed(seed)
    eps_b, eps_o = torch.randn(2, 2, p, dtype=torch.float64, generator=rng)
    ombg = sigma_o * eps_o - sigma_b * eps_b
    return ombg, ombg * 4.0 / (1.0 + 4.0)


@pytest.mark.parametrize(("sigma_b", "sigma_o"), [(1.0, 2.0)])
def test_desroziers_ratios_are_one_where_the_assumed_errors_are_right(sigma_b, sigma_o):
    """Ratios are sample variances of p innovations over the assumed: 4 standard errors, 4 sqrt(2 / p)."""
    p = 20_000
    ombg, oman = errors_of(p, sigma_b, sigma_o, seed=0)
    ratios = desroziers(ombg, oman, torch.full((2, p), 2.0), torch.ones(2, p))
    assert torch.allclose(torch.stack(ratios), torch.ones(2, 2, dtype=torch.float64), atol=4 * np.sqrt(2 / p))


def test_desroziers_ratios_scale_with_errors_that_are_all_assumed_too_small():
    """Twice the errors assumed: four times the variance, in both."""
    p = 20_000
    ombg, oman = errors_of(p, 2.0, 4.0, seed=1)
    ratios = desroziers(ombg, oman, torch.full((2, p), 2.0), torch.ones(2, p))
    assert torch.allclose(torch.stack(ratios) / 4, torch.ones(2, 2, dtype=torch.float64), atol=4 * np.sqrt(2 / p))


def test_desroziers_ratios_do_not_depend_on_units_nor_on_data_that_are_not_used():
    """A power of two as the factor of units keeps every rounding."""
    ombg, oman = errors_of(6, 1.0, 2.0, seed=2)
    error, sigma_b = torch.full((2, 6), 2.0, dtype=torch.float64), torch.ones(2, 6, dtype=torch.float64)
    units = torch.tensor([1.0, 1024.0, 1.0, 1024.0, 1.0, 1.0])
    unused = torch.tensor([False] * 5 + [True])
    want = desroziers(ombg[:, :5], oman[:, :5], error[:, :5], sigma_b[:, :5])
    spoilt = (torch.where(unused, np.nan, d * units) for d in (ombg, oman))
    found = desroziers(*spoilt, torch.where(unused, np.inf, error * units), sigma_b * units)
    assert torch.allclose(torch.stack(found), torch.stack(want), rtol=1e-14)


def test_a_member_without_data_has_no_desroziers_ratio():
    ratios = desroziers(torch.zeros(1, 2), torch.zeros(1, 2), torch.full((1, 2), np.inf), torch.ones(1, 2))
    assert torch.stack(ratios).isnan().all()


def test_the_default_quality_control_checks_but_neither_thins_nor_downweights():
    default = QualityControl()
    assert (default.gross_check, default.background_check) == (6.0, 4.0)
    assert (default.huber, default.thinning, default.blacklist) == (None, "none", None)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"gross_check": 0.0}, "greater than 0"),
        ({"huber": -1.0}, "greater than 0"),
        ({"thinning": "some"}, "'none', 'thin' or 'superob'"),
        ({"thinning_degrees": 60.0}, "60 exceed 45.*choose fewer"),
        ({"blacklist": "bad.txt"}, r"bad.txt' is no \.csv file"),
        ({"black_list": "bad.csv"}, "Extra inputs"),
    ],
)
def test_a_wrong_quality_control_is_refused_with_the_remedy(values, message):
    with pytest.raises(ValidationError, match=message):
        QualityControl(**values)


def test_checks_can_be_switched_off():
    assert QualityControl(gross_check=None, background_check=None).gross_check is None
