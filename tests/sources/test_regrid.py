"""Regridding keeps area integrals, constants and signs, over poles and the date line, on any pair of our grids."""

from itertools import permutations

import numpy as np
import pytest
import scipy.sparse as sp

from lara.grid import Grid
from lara.sources.regrid import METHODS, regridding

GRIDS = {
    "fine with poles": Grid.equiangular(61, 120, poles=True),
    "cell centres": Grid.equiangular(32, 64),
    "from the date line": Grid(
        "equiangular", Grid.equiangular(24, 50).latitude, Grid.equiangular(24, 50).longitude - 180
    ),
    "gaussian": Grid.gaussian(32, 64),
    "coarse": Grid.equiangular(3, 2),
    "one column": Grid.equiangular(5, 1, poles=True),
}
PAIRS = [pair for pair in permutations(GRIDS, 2) if "one column" not in pair or "coarse" in pair]
PAIRS = pytest.mark.parametrize("names", PAIRS, ids=" to ".join)
ROUNDING = 5e-7  # of short sums in float32, twice
BOTH = pytest.mark.parametrize("method", METHODS)


def noise(grid, *batch):
    return np.random.default_rng(1).uniform(0.1, 1, (*batch, *grid.shape)).astype(np.float32)


def integral(field, grid):
    """Mean over the sphere, by exact cell areas."""
    return np.mean(field.astype(np.float64) * grid.area_weights, axis=(-1, -2))


@PAIRS
def test_conservative_regridding_keeps_the_area_integral(names):
    """Σ |cell| x on both grids, for white noise; 1e-6 is promised."""
    source, target = (GRIDS[name] for name in names)
    fields = noise(source, 3)
    np.testing.assert_allclose(
        integral(regridding("conservative", source, target)(fields), target), integral(fields, source), rtol=ROUNDING
    )


@PAIRS
def test_conservative_weights_keep_the_area_of_each_source_cell(names):
    """Σ_j |cell j| W_ji = |cell i| for every i, not just on the whole; rounding of float64."""
    source, target = (GRIDS[name] for name in names)
    change = regridding("conservative", source, target)
    weights = sp.kron(change.rows, change.columns)
    size = target.area_weights.ravel() / target.area_weights.size
    np.testing.assert_allclose(
        size @ weights, source.area_weights.ravel() / source.area_weights.size, rtol=1e-10, atol=1e-15
    )


@BOTH
@PAIRS
def test_constants_stay_what_they_are(method, names):
    """To the last bits of float32, in which sums run."""
    source, target = (GRIDS[name] for name in names)
    for value in (101325.3, 1e-7, -3.3):
        constant = np.full(source.shape, value, np.float32)
        np.testing.assert_allclose(regridding(method, source, target)(constant), value, rtol=ROUNDING)


@BOTH
@PAIRS
def test_no_new_extremes_and_nothing_negative_from_what_is_not(method, names):
    """Humidity of single wet cells among dry ones: within [min, max] to rounding, zero or more exactly."""
    source, target = (GRIDS[name] for name in names)
    wet = np.where(noise(source) > 0.9, noise(source), 0.0).astype(np.float32)
    result = regridding(method, source, target)(wet)
    assert result.min() >= 0.0 and result.max() <= wet.max() * (1 + ROUNDING)


@BOTH
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_a_grid_onto_itself_changes_nothing(method, grid):
    """W is the identity; coordinates that meet to rounding leave no neighbours' traces."""
    fields = noise(grid, 2)
    np.testing.assert_allclose(regridding(method, grid, grid)(fields), fields, rtol=2e-7)


def test_overlaps_by_hand():
    """Four columns onto two shifted by 45°: (x₁ + x₂)/2 and so on; rows of edges ±90, ±45 onto hemispheres."""
    source = Grid("equiangular", np.array([67.5, 0.0, -67.5]), np.array([0.0, 90.0, 180.0, 270.0]))
    target = Grid("equiangular", np.array([45.0, -45.0]), np.array([45.0, 225.0]))
    fields = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    edge = np.sin(np.deg2rad(33.75))  # half way between 67.5° and 0°
    north, south = (1 - edge) * fields[0] + edge * fields[1], edge * fields[1] + (1 - edge) * fields[2]
    by_hand = [[row[[0, 1]].mean(), row[[2, 3]].mean()] for row in (north, south)]
    np.testing.assert_allclose(regridding("conservative", source, target)(fields), by_hand, rtol=1e-6)


def test_a_cell_across_the_date_line_or_greenwich_sees_both_sides():
    """A single wet column at 0° E is halved between two columns that meet there, none of it lost."""
    source, target = (
        Grid.equiangular(4, 8),
        Grid("equiangular", Grid.equiangular(4, 8).latitude, np.arange(8) * 45 + 22.5),
    )
    wet = np.zeros(source.shape, np.float32)
    wet[:, 0] = 1.0
    result = regridding("conservative", source, target)(wet)
    np.testing.assert_allclose(result[:, [0, -1]], 0.5, rtol=1e-6)
    assert np.all(result[:, 1:-1] == 0)


def test_rows_of_poles_average_to_cell_centres_by_the_area_of_their_caps():
    """129 rows onto 128: the first is the cap north of 89.30° and the northern part of the next row, by sin φ."""
    source, target = Grid.equiangular(129, 4, poles=True), Grid.equiangular(128, 4)
    rows = np.random.default_rng(2).normal(size=129).astype(np.float32)
    sine = np.sin(np.deg2rad([90.0, 90 - 0.703125, 90 - 1.40625]))
    by_hand = ((sine[0] - sine[1]) * rows[0] + (sine[1] - sine[2]) * rows[1]) / (sine[0] - sine[2])
    result = regridding("conservative", source, target)(np.repeat(rows[:, None], 4, axis=1))
    np.testing.assert_allclose(result[0], by_hand, rtol=1e-6)


def test_bilinear_is_the_grids_own_interpolation_at_the_target_points():
    source, target = GRIDS["fine with poles"], GRIDS["gaussian"]
    fields = noise(source)
    latitude, longitude = (axis.ravel() for axis in np.meshgrid(target.latitude, target.longitude, indexing="ij"))
    index, weight = source.interpolation(latitude, longitude)
    expected = (fields.ravel()[index] * weight).sum(axis=1).reshape(target.shape)
    np.testing.assert_allclose(regridding("bilinear", source, target)(fields), expected, rtol=1e-6)


@BOTH
def test_smooth_fields_keep_their_shape(method):
    """A planetary wave from 3° to Gaussian T21, compared with its values there; cells average over 5.6°."""
    source, target = GRIDS["fine with poles"], GRIDS["gaussian"]

    def wave(grid):
        latitude, longitude = np.deg2rad(grid.latitude)[:, None], np.deg2rad(grid.longitude)
        return (np.cos(latitude) ** 2 * np.cos(2 * longitude) + np.sin(latitude)).astype(np.float32)

    assert np.abs(regridding(method, source, target)(wave(source)) - wave(target)).max() < 0.01


@BOTH
def test_leading_axes_are_kept_and_do_not_matter(method):
    """(time, channel, latitude, longitude) at once = field by field, bit by bit; float32 comes out."""
    change = regridding(method, GRIDS["fine with poles"], GRIDS["cell centres"])
    fields = noise(change.source, 2, 3)
    result = change(fields)
    assert result.shape == (2, 3, 32, 64) and result.dtype == np.float32
    assert all(np.array_equal(result[i, j], change(fields[i, j])) for i in range(2) for j in range(3))
    assert np.array_equal(result[0, 0], change(fields[0, 0][::-1].copy()[::-1]))  # views of any stride
    assert change(fields[:0]).shape == (0, 3, 32, 64)


def test_what_does_not_fit_is_refused():
    source, target = GRIDS["gaussian"], GRIDS["cell centres"]
    with pytest.raises(ValueError, match="'cubic' is unknown; choose one of conservative, bilinear"):
        regridding("cubic", source, target)
    with pytest.raises(ValueError, match=r"\(32, 63\) do not end in the source grid's \(32, 64\)"):
        regridding("bilinear", source, target)(np.zeros((32, 63), np.float32))
