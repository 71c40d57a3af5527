"""Observation types: what every operator must keep, and that one file and its row in the table's kinds make a type."""

import numpy as np
import pandas as pd
import pytest
import torch

import wind_speed
from lara.grid import Grid
from lara.observations import batches, operators
from lara.observations import table as tables
from lara.observations.columns import STATION_TYPE
from lara.observations.table import Flag
from lara.state import Channels
from tables import SLOTS, table_of

GRIDS = {"gaussian": Grid.gaussian(16, 32), "with poles": Grid.equiangular(19, 36, poles=True)}
CHANNELS = Channels.of(["msl", "u10", "v10", "t2m"], ["z", "t"], [500, 850])
EVERYWHERE = ([90.0, -90.0, 10.0, 10.0, 35.2, -61.7], [13.0, 200.0, 179.99, 180.01, 359.99, 0.01])


@pytest.fixture(params=GRIDS)
def grid(request):
    return GRIDS[request.param]


@pytest.fixture(autouse=True)
def _scatterometer(monkeypatch):
    """The type that LARA has not: its row in the table's kinds."""
    monkeypatch.setitem(operators.KINDS, "scatterometer", wind_speed)


ROWS = {  # some of what each type observes, at both poles, over the date line and over Greenwich
    "surface": lambda: table_of(
        *EVERYWHERE, variable=["msl", "t2m", "u10"] * 2, pressure=np.nan, time=SLOTS[[0, 1, 3] * 2]
    ),
    "column": lambda: table_of(*EVERYWHERE, variable=["z", "t"] * 3, pressure=[50000.0, 85000.0] * 3, time=SLOTS[1]),
    "scatterometer": lambda: table_of(*EVERYWHERE, variable="wind_speed", pressure=np.nan, time=SLOTS[[0, 1, 3] * 2]),
}


def rows_of(kind):
    return tables.validate(ROWS[kind]().assign(**{STATION_TYPE: kind}))


def batch_of(kind, grid):
    return batches.from_table(rows_of(kind), grid, CHANNELS, SLOTS)


def states(grid, seed, members=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(members, len(SLOTS), len(CHANNELS), *grid.shape, dtype=torch.float64, generator=generator)


def test_every_kind_of_the_table_is_tried():
    """A type that is added without rows here fails."""
    assert set(operators.KINDS) == set(ROWS)


@pytest.mark.parametrize("kind", ROWS)
def test_h_of_a_field_that_is_the_same_everywhere_is_known_at_poles_and_over_the_date_line(kind, grid):
    """To rounding: weights sum to one at every place; of wind (3, 4) the speed is 5 to the size of CALM."""
    x = torch.arange(len(CHANNELS), dtype=torch.float64)[:, None, None].expand(1, 4, -1, *grid.shape).clone()
    x[:, :, CHANNELS.position("u10")], x[:, :, CHANNELS.position("v10")] = 3.0, 4.0
    value = {"wind_speed": 5.0, "u10": 3.0}
    names = [
        variable if np.isnan(p) else f"{variable}{p / 100:g}"
        for variable, p in zip(*rows_of(kind)[["variable", tables.PRESSURE]].T.to_numpy(), strict=True)
    ]
    expected = [value[name] if name in value else float(CHANNELS.position(name)) for name in names]
    assert batch_of(kind, grid).hofx(x)[0].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", ROWS)
def test_the_adjoint_of_h_is_that_of_its_derivative(kind, grid):
    """<H' v, y> = <v, H'^T y> at a state x, H' v from differentiating the adjoint once more: 1e-12 relative."""
    h, x, v = batch_of(kind, grid), states(grid, 0).requires_grad_(True), states(grid, 1)
    weights = torch.zeros(h.value.shape, dtype=torch.float64, requires_grad=True)
    (adjoint,) = torch.autograd.grad(h.hofx(x), x, weights, create_graph=True)
    (tangent,) = torch.autograd.grad(adjoint, weights, v)
    y = torch.linspace(-1, 1, h.value.shape[1], dtype=torch.float64)[None]
    (back,) = torch.autograd.grad(h.hofx(x), x, y)
    assert (tangent * y).sum().item() == pytest.approx((v * back).sum().item(), rel=1e-12)
    assert tangent.abs().min() > 0


@pytest.mark.parametrize("kind", ROWS)
def test_the_derivative_of_h_is_that_of_differences(kind, grid):
    """Central differences of 1e-5, whose error is of its square."""
    h, x, v = batch_of(kind, grid), states(grid, 2), states(grid, 3)
    (tangent,) = torch.autograd.functional.jvp(h.hofx, x, v)[1:]
    difference = (h.hofx(x + 1e-5 * v) - h.hofx(x - 1e-5 * v)) / 2e-5
    torch.testing.assert_close(tangent, difference, rtol=1e-6, atol=1e-6)


def test_types_meet_in_one_batch_and_stay_in_the_order_of_the_table(grid):
    """Rows of all types in turn: H of each is that of its own type alone, to the bit, whoever is stacked beside it."""
    whole = pd.concat([rows_of(kind) for kind in ROWS]).sort_values("MetaData/stationIdentification", kind="stable")
    mixed = batches.from_table(whole.reset_index(drop=True), grid, CHANNELS, SLOTS)
    x = states(grid, 4, members=2)
    stacked = batches.stack([batch_of("column", grid), mixed])
    for kind in ROWS:
        own = torch.tensor((whole[STATION_TYPE] == kind).tolist())
        expected = batch_of(kind, grid).hofx(x[1:])
        assert torch.equal(mixed.hofx(x[1:])[:, own], expected)
        assert torch.equal(stacked.hofx(x)[1, own], expected[0])
    assert torch.equal(stacked.hofx(x)[0, :6], batch_of("column", grid).hofx(x[:1])[0])
    assert torch.count_nonzero(stacked.hofx(x)[0, 6:]) == 0


def test_padding_moves_no_gradient(grid):
    """A window without any wind speed beside one with: its gradient is that of its own data, and finite."""
    stacked = batches.stack([batch_of("column", grid), batch_of("scatterometer", grid)])
    x = torch.zeros(2, 4, len(CHANNELS), *grid.shape, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(stacked.hofx(x).sum(), x)
    assert torch.isfinite(gradient).all()
    alone = x[:1].detach().requires_grad_(True)
    assert torch.equal(gradient[:1], torch.autograd.grad(batch_of("column", grid).hofx(alone).sum(), alone)[0])


def test_errors_of_the_state_are_told_in_the_units_of_each_type():
    """3-4-5: sigma_o of 3 and an error of 4 in the larger wind component make 5; z has none."""
    grid, std = GRIDS["gaussian"], torch.zeros(4, len(CHANNELS))
    std[:, CHANNELS.position("u10")], std[:, CHANNELS.position("v10")] = 4.0, 1.0
    both = pd.concat([rows_of("column"), rows_of("scatterometer")], ignore_index=True).assign(ObsError=3.0)
    inflated = batches.from_table(both, grid, CHANNELS, SLOTS).inflate(std)
    assert inflated.error_std.tolist() == [[3.0] * 6 + [5.0] * 6]


def test_a_type_is_written_read_and_fed_back_like_any_other(tmp_path):
    """Through parquet, and with what became of each datum."""
    tables.write([rows_of("scatterometer")], tmp_path / "winds.parquet")
    rows = tables.read(tmp_path / "winds.parquet")
    flags = np.full(len(rows), int(Flag.PASS))
    outcome = tables.Outcome(*np.full((2, len(rows)), 4.0), np.full(len(rows), 1.0), flags, np.ones(len(rows)))
    assert (tables.feedback(rows, outcome, SLOTS[0])["reason"] == "used").all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {STATION_TYPE: "satellite"},
            r"stationType = satellite must be one of \['surface', 'column', 'scatterometer'\]",
        ),
        ({STATION_TYPE: "column"}, "variable = wind_speed must be one that its station type observes"),
        ({tables.PRESSURE: 100000.0}, "MetaData/pressure = 100000.0 must be positive .* aloft and NaN at the surface"),
    ],
)
def test_rows_that_no_type_observes_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        tables.validate(rows_of("scatterometer").assign(**change))


def test_a_state_without_what_a_type_observes_is_refused_by_name():
    with pytest.raises(KeyError, match="no channel 'u10'"):
        batches.from_table(rows_of("scatterometer"), GRIDS["gaussian"], Channels.of(["msl"], ["z"], [500]), SLOTS)
