"""H is bilinear interpolation of the right channel at the right time, and autograd through it is its
adjoint.
"""

import numpy as np
import pandas as pd
import pytest
import torch

from lara.grid import Grid
from lara.observations import operators
from lara.observations.table import COLUMNS
from lara.state import Channels

GRIDS = {
    "gaussian": Grid.gaussian(32, 64),
    "cell centres": Grid.equiangular(18, 36),
    "with poles": Grid.equiangular(19, 36, poles=True),
}
CHANNELS = Channels.of(["msl", "t2m"], ["z", "t"], [500, 850])
SLOTS = np.datetime64("2001-01-31T18", "ns") + np.arange(4) * np.timedelta64(6, "h")


@pytest.fixture(params=GRIDS)
def grid(request):
    return GRIDS[request.param]


def table_of(latitude, longitude, variable="z", pressure=50000.0, time=SLOTS[0], **columns):
    n = len(latitude)
    rows = pd.DataFrame({"MetaData/latitude": latitude, "MetaData/longitude": longitude})
    rows = rows.assign(
        **{"MetaData/stationIdentification": [f"s{i}" for i in range(n)], "MetaData/stationType": "column"}
    )
    rows = rows.assign(**{"variable": variable, "MetaData/pressure": pressure, "MetaData/dateTime": time})
    rows = rows.assign(ObsValue=0.0, ObsError=1.0, PreQC=0, withheld=False)
    return rows.assign(**columns)[list(COLUMNS)]


def linear(grid, north=0.7, east=-0.3):
    """A field linear in latitude and longitude, except across the seam at 0 degrees."""
    return 5.0 + north * grid.latitude[:, None] + east * grid.longitude[None, :]


def states(fields):
    """One slot in which every channel holds the same field."""
    return torch.from_numpy(np.broadcast_to(fields, (1, len(CHANNELS), *fields.shape)).copy())


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
    h = operators.from_table(table_of(latitude, longitude), grid, CHANNELS, SLOTS[:1])
    expected = torch.from_numpy(5.0 + 0.7 * latitude - 0.3 * longitude)
    assert torch.allclose(h.hofx(states(linear(grid))), expected, atol=1e-9)


def test_h_at_a_grid_point_is_the_value_there_exactly(grid):
    """One weight is one and three are zero: equality, no tolerance."""
    latitude, longitude = (a.ravel() for a in np.meshgrid(grid.latitude, grid.longitude, indexing="ij"))
    field = np.random.default_rng(2).standard_normal(grid.shape)
    h = operators.from_table(table_of(latitude, longitude), grid, CHANNELS, SLOTS[:1])
    assert torch.equal(h.hofx(states(field)), torch.from_numpy(field.ravel()))


def test_h_interpolates_between_the_last_and_the_first_meridian(grid):
    """A quarter of the way from the last meridian to 360 E: 0.75 last + 0.25 first."""
    field = np.random.default_rng(3).standard_normal(grid.shape)
    gap = 360.0 - grid.longitude[-1]
    h = operators.from_table(table_of([grid.latitude[4]], [grid.longitude[-1] + 0.25 * gap]), grid, CHANNELS, SLOTS[:1])
    expected = 0.75 * field[4, -1] + 0.25 * field[4, 0]
    assert h.hofx(states(field)).item() == pytest.approx(expected, abs=1e-12)


def test_h_is_continuous_across_the_date_line_and_greenwich(grid):
    """Both sides of either meridian differ by no more than the slope allows."""
    field = np.random.default_rng(4).standard_normal(grid.shape)
    table = table_of([10.0] * 4, [180 - 1e-7, 180 + 1e-7, 360 - 1e-7, 1e-7])
    h = operators.from_table(table, grid, CHANNELS, SLOTS[:1]).hofx(states(field))
    assert abs(h[0] - h[1]) < 1e-5
    assert abs(h[2] - h[3]) < 1e-5


def test_h_at_the_poles_takes_the_nearest_row(grid):
    """Poleward of the last row there is nothing to interpolate with."""
    field = np.random.default_rng(5).standard_normal(grid.shape)
    table = table_of([90.0, -90.0], [grid.longitude[3], grid.longitude[7]])
    h = operators.from_table(table, grid, CHANNELS, SLOTS[:1]).hofx(states(field))
    assert torch.equal(h, torch.tensor([field[0, 3], field[-1, 7]]))


def test_each_observation_reads_its_own_channel_and_slot(grid):
    """Fields constant in space and equal to 10 slot + channel identify where the value came from."""
    table = random_observations(grid)
    marks = 10.0 * torch.arange(4)[:, None] + torch.arange(len(CHANNELS))
    trajectory = marks.double()[..., None, None].expand(-1, -1, *grid.shape).contiguous()
    h = operators.from_table(table, grid, CHANNELS, SLOTS)
    slot = np.searchsorted(SLOTS, table["MetaData/dateTime"].to_numpy())
    level = [None if np.isnan(p) else int(p / 100) for p in table["MetaData/pressure"]]
    channel = [CHANNELS.index(v, lev) for v, lev in zip(table["variable"], level, strict=True)]
    assert torch.allclose(h.hofx(trajectory), torch.from_numpy(10.0 * slot + channel), atol=1e-12)


def test_autograd_is_the_adjoint_of_h(grid):
    """<H x, y> = <x, H^T y> in float64, relative to the size of the product."""
    h = operators.from_table(random_observations(grid), grid, CHANNELS, SLOTS)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, len(CHANNELS), *grid.shape, dtype=torch.float64, generator=generator, requires_grad=True)
    y = torch.randn(len(h.value), dtype=torch.float64, generator=generator)
    hx = h.hofx(x)
    (adjoint,) = torch.autograd.grad(hx, x, y)
    assert torch.dot(hx.detach(), y).item() == pytest.approx((x.detach() * adjoint).sum().item(), rel=1e-12)


def test_every_slots_observations_move_the_gradient_of_their_slot_only():
    grid = GRIDS["gaussian"]
    for k in range(4):
        h = operators.from_table(table_of([10.0], [20.0], time=SLOTS[k]), grid, CHANNELS, SLOTS)
        x = torch.zeros(4, len(CHANNELS), *grid.shape, dtype=torch.float64, requires_grad=True)
        h.hofx(x).sum().backward()
        moved = x.grad.abs().sum(dim=(1, 2, 3)) > 0
        assert moved.tolist() == [i == k for i in range(4)]


def test_members_of_a_batch_are_observed_one_by_one(grid):
    h = operators.from_table(random_observations(grid), grid, CHANNELS, SLOTS)
    x = torch.randn(3, 4, len(CHANNELS), *grid.shape, dtype=torch.float64)
    assert torch.equal(h.hofx(x), torch.stack([h.hofx(member) for member in x]))


def test_an_observation_belongs_to_the_half_open_interval_around_its_slot():
    """21:00 is the end of the 18 UTC slot and the beginning of the next; the last slot ends before 15:00."""
    times = np.array(["2001-01-31T15:00", "2001-01-31T20:59", "2001-01-31T21:00"], "datetime64[ns]")
    h = operators.from_table(table_of([0.0] * 3, [0.0] * 3, time=times), GRIDS["gaussian"], CHANNELS, SLOTS)
    assert h.slot.tolist() == [0, 0, 1]


@pytest.mark.parametrize("time", ["2001-01-31T14:59", "2001-02-01T15:00"])
def test_an_observation_outside_the_window_is_refused(time):
    table = table_of([0.0], [0.0], time=np.datetime64(time, "ns"))
    with pytest.raises(ValueError, match="lies in no slot"):
        operators.from_table(table, GRIDS["gaussian"], CHANNELS, SLOTS)


def test_an_observation_at_a_level_the_state_lacks_is_refused():
    with pytest.raises(ValueError, match=r"z at 700 hPa.*500, 850"):
        operators.from_table(table_of([0.0], [0.0], pressure=70000.0), GRIDS["gaussian"], CHANNELS, SLOTS)


def test_missing_rejected_and_withheld_observations_have_infinite_error_and_finite_value():
    """So that ((H(x) - y) / sigma)^2 and its gradient are exactly zero."""
    table = table_of([0.0] * 4, [0.0] * 4, ObsValue=[1.0, np.nan, 1.0, 1.0], PreQC=[0, 0, 3, 0])
    table["withheld"] = [False, False, False, True]
    h = operators.from_table(table, GRIDS["gaussian"], CHANNELS, SLOTS)
    assert h.used.tolist() == [True, False, False, False]
    assert torch.isfinite(h.value).all()
    x = torch.ones(4, len(CHANNELS), *GRIDS["gaussian"].shape, dtype=torch.float64, requires_grad=True)
    (((h.hofx(x) - h.value) / h.error_std) ** 2)[1:].sum().backward()
    assert torch.count_nonzero(x.grad) == 0


def test_error_inflation_adds_variances_by_slot_and_channel():
    """3-4-5; a withheld observation stays unused."""
    table = table_of([0.0] * 2, [0.0] * 2, time=SLOTS[2], ObsError=3.0)
    table["withheld"] = [False, True]
    h = operators.from_table(table, GRIDS["gaussian"], CHANNELS, SLOTS)
    extra = torch.zeros(4, len(CHANNELS))
    extra[2, CHANNELS.position("z500")] = 4.0
    assert h.inflate(extra).error_std.tolist() == [5.0, np.inf]


def test_an_empty_window_gives_no_observations():
    h = operators.from_table(table_of([], []), GRIDS["gaussian"], CHANNELS, SLOTS)
    assert h.hofx(torch.zeros(4, len(CHANNELS), 32, 64)).shape == (0,)
