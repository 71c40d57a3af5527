"""H is bilinear interpolation of the right channel at the right time for every member, and autograd through it is its
adjoint.
"""

import numpy as np
import pytest
import torch

from lara.grid import Grid
from lara.observations import batches
from lara.state import Channels
from tables import SLOTS, table_of

GRIDS = {
    "gaussian": Grid.gaussian(32, 64),
    "cell centres": Grid.equiangular(18, 36),
    "with poles": Grid.equiangular(19, 36, poles=True),
}
CHANNELS = Channels.of(["msl", "t2m"], ["z", "t"], [500, 850])


@pytest.fixture(params=GRIDS)
def grid(request):
    return GRIDS[request.param]


def linear(grid, north=0.7, east=-0.3):
    """A field linear in latitude and longitude, except across the seam at 0 degrees."""
    return 5.0 + north * grid.latitude[:, None] + east * grid.longitude[None, :]


def states(field):
    """One member with one slot in which every channel holds the same field."""
    return torch.from_numpy(np.broadcast_to(field, (1, 1, len(CHANNELS), *field.shape)).copy())


def random_observations(grid, number=200, seed=0):
    rng = np.random.default_rng(seed)
    surface = rng.uniform(size=number) < 0.3
    return table_of(
        rng.uniform(-90, 90, number),
        rng.uniform(0, 360, number),
        variable=np.where(surface, rng.choice(["msl", "t2m"], number), rng.choice(["z", "t"], number)),
        pressure=np.where(surface, np.nan, rng.choice([50000.0, 85000.0], number)),
        time=rng.choice(SLOTS, number),
    )


def test_h_is_exact_on_fields_linear_in_latitude_and_longitude(grid):
    """Bilinear weights reproduce any linear function inside the grid; 1e-9 is rounding of values near 100."""
    rng = np.random.default_rng(1)
    latitude = rng.uniform(grid.latitude[-1], grid.latitude[0], 300)
    longitude = rng.uniform(0, grid.longitude[-1], 300)
    h = batches.from_table(table_of(latitude, longitude), grid, CHANNELS, SLOTS[:1])
    expected = torch.from_numpy(5.0 + 0.7 * latitude - 0.3 * longitude)
    assert torch.allclose(h.hofx(states(linear(grid)))[0], expected, atol=1e-9)


def test_h_at_a_grid_point_is_the_value_there_exactly(grid):
    """One weight is one and three are zero: equality, no tolerance."""
    latitude, longitude = (a.ravel() for a in np.meshgrid(grid.latitude, grid.longitude, indexing="ij"))
    field = np.random.default_rng(2).standard_normal(grid.shape)
    h = batches.from_table(table_of(latitude, longitude), grid, CHANNELS, SLOTS[:1])
    assert torch.equal(h.hofx(states(field))[0], torch.from_numpy(field.ravel()))


def test_h_interpolates_between_the_last_and_the_first_meridian(grid):
    """A quarter of the way from the last meridian to 360 E: 0.75 last + 0.25 first."""
    field = np.random.default_rng(3).standard_normal(grid.shape)
    gap = 360.0 - grid.longitude[-1]
    h = batches.from_table(table_of([grid.latitude[4]], [grid.longitude[-1] + 0.25 * gap]), grid, CHANNELS, SLOTS[:1])
    expected = 0.75 * field[4, -1] + 0.25 * field[4, 0]
    assert h.hofx(states(field)).item() == pytest.approx(expected, abs=1e-12)


def test_h_is_continuous_across_the_date_line_and_greenwich(grid):
    """Both sides of either meridian differ by no more than the slope allows."""
    field = np.random.default_rng(4).standard_normal(grid.shape)
    table = table_of([10.0] * 4, [180 - 1e-7, 180 + 1e-7, 360 - 1e-7, 1e-7])
    h = batches.from_table(table, grid, CHANNELS, SLOTS[:1]).hofx(states(field))[0]
    assert abs(h[0] - h[1]) < 1e-5
    assert abs(h[2] - h[3]) < 1e-5


def test_h_at_the_poles_takes_the_nearest_row(grid):
    """Poleward of the last row there is nothing to interpolate with."""
    field = np.random.default_rng(5).standard_normal(grid.shape)
    table = table_of([90.0, -90.0], [grid.longitude[3], grid.longitude[7]])
    h = batches.from_table(table, grid, CHANNELS, SLOTS[:1]).hofx(states(field))[0]
    assert torch.equal(h, torch.tensor([field[0, 3], field[-1, 7]]))


def test_each_observation_reads_its_own_channel_and_slot(grid):
    """Fields constant in space and equal to 10 slot + channel identify where the value came from."""
    table = random_observations(grid)
    marks = 10.0 * torch.arange(4)[:, None] + torch.arange(len(CHANNELS))
    trajectory = marks.double()[None, ..., None, None].expand(1, -1, -1, *grid.shape)
    h = batches.from_table(table, grid, CHANNELS, SLOTS)
    slot = np.searchsorted(SLOTS, table["MetaData/dateTime"].to_numpy())
    level = [None if np.isnan(p) else int(p / 100) for p in table["MetaData/pressure"]]
    channel = [CHANNELS.index(v, lev) for v, lev in zip(table["variable"], level, strict=True)]
    assert torch.allclose(h.hofx(trajectory)[0], torch.from_numpy(10.0 * slot + channel), atol=1e-12)


def batch(grid, sizes=(200, 50, 120)):
    """Members with different data in different numbers."""
    tables = [random_observations(grid, number, seed) for seed, number in enumerate(sizes)]
    return batches.stack([batches.from_table(table, grid, CHANNELS, SLOTS) for table in tables])


def trajectories(grid, members, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(members, 4, len(CHANNELS), *grid.shape, dtype=torch.float64, generator=generator)


def test_autograd_is_the_adjoint_of_h(grid):
    """<H x, y> = <x, H^T y> in float64 for members with data of their own, relative to the size of the product."""
    h, x = batch(grid), trajectories(grid, 3).requires_grad_(True)
    y = torch.randn(h.value.shape, dtype=torch.float64)
    hx = h.hofx(x)
    (adjoint,) = torch.autograd.grad(hx, x, y)
    assert (hx.detach() * y).sum().item() == pytest.approx((x.detach() * adjoint).sum().item(), rel=1e-12)


def test_the_derivative_of_the_adjoint_is_h_again(grid):
    """H^T y is linear in y, and its derivative in the direction v is H v: how Gauss-Newton multiplies by H."""
    h, x, v = batch(grid), trajectories(grid, 3).requires_grad_(True), trajectories(grid, 3, seed=1)
    y = torch.zeros(h.value.shape, dtype=torch.float64, requires_grad=True)
    (adjoint,) = torch.autograd.grad(h.hofx(x), x, y, create_graph=True)
    (tangent,) = torch.autograd.grad(adjoint, y, v)
    assert torch.allclose(tangent, h.hofx(v), atol=1e-12)


def test_every_slots_observations_move_the_gradient_of_their_member_and_slot_only():
    grid = GRIDS["gaussian"]
    parts = [batches.from_table(table_of([10.0], [20.0], time=time), grid, CHANNELS, SLOTS) for time in SLOTS]
    x = torch.zeros(4, 4, len(CHANNELS), *grid.shape, dtype=torch.float64, requires_grad=True)
    batches.stack(parts).hofx(x).sum().backward()
    moved = x.grad.abs().sum(dim=(2, 3, 4)) > 0
    assert torch.equal(moved, torch.eye(4, dtype=torch.bool))


def test_h_of_a_batch_is_exact_on_each_members_linear_field(grid):
    """Members differ in slope and sites; over the date line, and at the poles, where the nearest row is taken."""
    rng = np.random.default_rng(6)
    slopes, tables, expected = [(0.7, -0.3), (-0.2, 0.5), (1.1, 0.0)], [], []
    for north, east in slopes:
        latitude = np.concatenate([rng.uniform(-90, 90, 100), [90.0, -90.0]])
        longitude = np.concatenate([rng.uniform(170, 190, 100), [20.0, 200.0]])
        tables.append(table_of(latitude, longitude))
        inside = np.clip(latitude, grid.latitude[-1], grid.latitude[0])
        expected.append(5.0 + north * inside + east * longitude)
    h = batches.stack([batches.from_table(table, grid, CHANNELS, SLOTS[:1]) for table in tables])
    x = torch.cat([states(linear(grid, *slope)) for slope in slopes])
    assert torch.allclose(h.hofx(x), torch.from_numpy(np.stack(expected)), atol=1e-9)


def cost(h, x):
    """J_o of each member."""
    return 0.5 * ((torch.where(h.used, h.hofx(x) - h.value, 0.0) / h.error_std) ** 2).sum(-1)


def test_stacking_pads_with_data_that_change_neither_h_nor_the_cost(grid):
    """H of the real data to the last bit; sums over longer rows may round differently, hence 1e-12."""
    x = trajectories(grid, 4)
    tables = [random_observations(grid, number, seed) for seed, number in enumerate((30, 0, 80, 1))]
    parts = [batches.from_table(table, grid, CHANNELS, SLOTS) for table in tables]
    h = batches.stack(parts)
    for member, part in enumerate(parts):
        size = part.value.shape[1]
        assert torch.equal(h.hofx(x)[member, :size], part.hofx(x[member, None])[0])
        assert torch.count_nonzero(h.hofx(x)[member, size:]) == 0
        assert not h.used[member, size:].any()
        assert cost(h, x)[member].item() == pytest.approx(cost(part, x[member, None]).item(), rel=1e-12)


def test_nothing_to_stack_is_refused():
    with pytest.raises(ValueError, match="no observations to stack"):
        batches.stack([])


def test_members_are_selected_in_the_order_asked_for(grid):
    h, x, members = batch(grid), trajectories(grid, 3), torch.tensor([2, 0])
    assert torch.equal(h.select(members).hofx(x[members]), h.hofx(x)[members])
    assert torch.equal(h.select(members).error_std, h.error_std[members])


def tensors(h):
    """Every tensor of a batch."""
    return [h.slot, h.value, h.error_std, *(field for part in h.parts for field in (part.column, *part.rows.values()))]


def test_a_repeated_member_shares_its_memory(grid):
    h = batches.from_table(random_observations(grid), grid, CHANNELS, SLOTS)
    x = trajectories(grid, 3)
    assert torch.equal(h.repeat(3).hofx(x), torch.cat([h.hofx(member[None]) for member in x]))
    assert [field.data_ptr() for field in tensors(h.repeat(3))] == [field.data_ptr() for field in tensors(h)]


def test_several_members_are_not_repeated(grid):
    with pytest.raises(ValueError, match="of 3 members cannot be repeated"):
        batch(grid).repeat(2)


def test_a_trajectory_of_other_members_is_refused(grid):
    with pytest.raises(ValueError, match="trajectory of 4 members meets observations of 3"):
        batch(grid).hofx(trajectories(grid, 4))


def test_perturbed_observations_have_the_variance_of_their_error():
    """Normalised by sigma_o: mean and standard deviation within 4 standard errors; what is not used stays."""
    n = 20_000
    table = table_of(np.zeros(n), np.zeros(n), ObsValue=5.0, ObsError=np.where(np.arange(n) % 2, 3.0, 0.5))
    table["withheld"] = np.arange(n) >= n - 10
    h = batches.from_table(table, GRIDS["gaussian"], CHANNELS, SLOTS).repeat(2)
    perturbed = h.perturbed([np.random.default_rng(seed) for seed in (1, 2)])
    noise = ((perturbed.value - h.value) / h.error_std)[:, :-10]
    assert (noise.mean(1).abs() < 4 / np.sqrt(n)).all()
    assert ((noise.std(1) - 1).abs() < 4 / np.sqrt(2 * n)).all()
    assert abs(torch.corrcoef(noise)[0, 1]) < 4 / np.sqrt(n)
    assert torch.equal(perturbed.value[:, -10:], h.value[:, -10:])


def test_a_members_perturbation_depends_neither_on_the_other_members_nor_on_padding(grid):
    def generator(member):
        return np.random.default_rng([7, member])

    h = batch(grid, (50, 200))
    alone = batches.from_table(random_observations(grid, 50, 0), grid, CHANNELS, SLOTS).perturbed([generator(0)])
    together = h.perturbed([generator(0), generator(1)])
    assert torch.equal(together.value[0, :50], alone.value[0])
    assert torch.equal(h.select(torch.tensor([1])).perturbed([generator(1)]).value, together.value[1:])


def test_a_generator_too_few_is_refused(grid):
    with pytest.raises(ValueError, match="2 generators for 3 members"):
        batch(grid).perturbed([np.random.default_rng(0)] * 2)


def test_data_taken_out_have_infinite_errors_and_the_others_theirs(grid):
    h = batch(grid)
    out = torch.rand(h.value.shape) < 0.5
    assert torch.equal(h.without(out).used, h.used & ~out)
    assert torch.equal(h.without(out).error_std[~out], h.error_std[~out])


def test_observations_move_to_another_precision_without_their_places(grid):
    """Only real numbers change their type; indexes stay whole."""
    h = batch(grid).to("cpu", torch.float32)
    assert h.hofx(trajectories(grid, 3).float()).dtype == torch.float32
    (part,) = h.parts
    assert part.rows["index"].dtype == part.column.dtype == h.slot.dtype == torch.int64


def test_an_observation_belongs_to_the_half_open_interval_around_its_slot():
    """21:00 is the end of the 18 UTC slot and the beginning of the next; the last slot ends before 15:00."""
    times = np.array(["2001-01-31T15:00", "2001-01-31T20:59", "2001-01-31T21:00"], "datetime64[ns]")
    h = batches.from_table(table_of([0.0] * 3, [0.0] * 3, time=times), GRIDS["gaussian"], CHANNELS, SLOTS)
    assert h.slot.tolist() == [[0, 0, 1]]


@pytest.mark.parametrize("time", ["2001-01-31T14:59", "2001-02-01T15:00"])
def test_an_observation_outside_the_window_is_refused(time):
    table = table_of([0.0], [0.0], time=np.datetime64(time, "ns"))
    with pytest.raises(ValueError, match="lies in no slot"):
        batches.from_table(table, GRIDS["gaussian"], CHANNELS, SLOTS)


def test_an_observation_at_a_level_the_state_lacks_is_refused():
    with pytest.raises(ValueError, match=r"z at 700 hPa.*500, 850"):
        batches.from_table(table_of([0.0], [0.0], pressure=70000.0), GRIDS["gaussian"], CHANNELS, SLOTS)


def test_missing_rejected_and_withheld_observations_have_infinite_error_and_finite_value():
    """So that ((H(x) - y) / sigma)^2 and its gradient are exactly zero."""
    table = table_of([0.0] * 4, [0.0] * 4, ObsValue=[1.0, np.nan, 1.0, 1.0], PreQC=[0, 0, 12, 0])
    table["withheld"] = [False, False, False, True]
    h = batches.from_table(table, GRIDS["gaussian"], CHANNELS, SLOTS)
    assert h.used.tolist() == [[True, False, False, False]]
    assert torch.isfinite(h.value).all()
    x = torch.ones(1, 4, len(CHANNELS), *GRIDS["gaussian"].shape, dtype=torch.float64, requires_grad=True)
    (((h.hofx(x) - h.value) / h.error_std) ** 2)[:, 1:].sum().backward()
    assert torch.count_nonzero(x.grad) == 0


def test_error_inflation_adds_variances_by_slot_and_channel():
    """3-4-5; a withheld observation stays unused."""
    table = table_of([0.0] * 2, [0.0] * 2, time=SLOTS[2], ObsError=3.0)
    table["withheld"] = [False, True]
    h = batches.from_table(table, GRIDS["gaussian"], CHANNELS, SLOTS)
    extra = torch.zeros(4, len(CHANNELS))
    extra[2, CHANNELS.position("z500")] = 4.0
    assert h.inflate(extra).error_std.tolist() == [[5.0, np.inf]]


def test_observations_used_by_an_earlier_window_are_not_used_again():
    """Half-open: the datum at the instant itself is fresh."""
    table = table_of([0.0] * 3, [0.0] * 3, time=SLOTS[:3])
    h = batches.from_table(table, GRIDS["gaussian"], CHANNELS, SLOTS, fresh_from=SLOTS[1])
    assert h.used.tolist() == [[False, True, True]]


def test_an_empty_window_gives_no_observations():
    h = batches.from_table(table_of([], []), GRIDS["gaussian"], CHANNELS, SLOTS)
    assert h.hofx(torch.zeros(1, 4, len(CHANNELS), 32, 64)).shape == (1, 0)
    several = batches.stack([h, h]).perturbed([np.random.default_rng(0)] * 2).inflate(torch.zeros(4, len(CHANNELS)))
    assert several.hofx(torch.zeros(2, 4, len(CHANNELS), 32, 64)).shape == (2, 0)
