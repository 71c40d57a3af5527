"""Deliveries in GRIB are read as eccodes encodes them: every order of points, edition and packing."""

from time import perf_counter

import eccodes
import numpy as np
import pytest

import gribs
from grib_cases import ASKED, CHANNELS, EDITIONS, FINE, POLES, SURFACE, TIMES, packing_error, written
from gribs import Encoding
from lara.grid import Grid
from lara.sources import grib
from lara.sources.grib import Expected, GribError
from lara.sources.messages import messages
from lara.sources.regrid import regridding
from lara.state import Channels


@EDITIONS
@pytest.mark.parametrize("channels", [CHANNELS, SURFACE], ids=["pressure levels", "single levels"])
@pytest.mark.parametrize("grid", [POLES, Grid.gaussian(8, 16)], ids=["with poles", "gaussian"])
def test_a_delivery_is_read_as_it_was_encoded(month, edition, channels, grid):
    """States = truth to half a packing step, in our order of channels and times."""
    path, truth = month(Encoding(edition), channels, grid)
    delivery = grib.read(path, Expected(channels, TIMES, grid))
    assert delivery.states.dtype == np.float32 and not delivery.preliminary.any()
    assert np.all(np.abs(delivery.states - truth) <= packing_error(truth))


@EDITIONS
@pytest.mark.parametrize("scan", [(0, 1, 0, 0), (1, 0, 0, 0), (0, 0, 1, 0), (1, 1, 1, 0)])
def test_any_order_of_points_gives_the_same_fields(month, edition, scan):
    """Rows from the south, columns from the east, column by column: the points are where they were."""
    path, truth = month(Encoding(edition, scan=scan))
    states = grib.read(path, ASKED).states
    assert np.all(np.abs(states - truth) <= packing_error(truth))


@pytest.mark.parametrize("scan", [(0, 0, 0, 1), (1, 1, 1, 1)])
def test_rows_that_run_to_and_fro_are_straightened(month, scan):
    """Boustrophedonic order, which only edition 2 has."""
    path, truth = month(Encoding(2, scan=scan))
    states = grib.read(path, ASKED).states
    assert np.all(np.abs(states - truth) <= packing_error(truth))


@EDITIONS
def test_longitudes_from_minus_180_are_turned_to_ours_and_back(tmp_path, edition):
    """Columns that begin at the date line reach a grid that begins at Greenwich, and the other way round."""
    western = Grid("equiangular", POLES.latitude, POLES.longitude - 180.0)
    for delivered, asked in ((western, POLES), (POLES, western)):
        truth = gribs.truth(SURFACE, TIMES, delivered)
        path = written(tmp_path, gribs.delivery(SURFACE, TIMES, truth, delivered, Encoding(edition)))
        states = grib.read(path, Expected(SURFACE, TIMES, asked)).states
        turned = np.roll(truth, 8, axis=-1)
        assert np.all(np.abs(states - turned) <= packing_error(turned))


@EDITIONS
@pytest.mark.parametrize("increments", [True, False], ids=["given", "missing"])
def test_three_decimals_of_a_degree_are_the_grid_that_was_asked_for(month, edition, increments):
    """In edition 1 eccodes itself puts rows of the 1.40625° grid up to 0.03° off; ours is exact by construction."""
    one = Channels.parse(["t850"])
    path, truth = month(Encoding(edition, increments=increments), one, FINE, TIMES[:1])
    states = grib.read(path, Expected(one, TIMES[:1], FINE)).states
    assert np.all(np.abs(states - truth) <= packing_error(truth))
    with path.open("rb") as stream:
        handle = eccodes.codes_grib_new_from_file(stream)
        rows = eccodes.codes_get_double_array(handle, "distinctLatitudes")
        eccodes.codes_release(handle)
    off = np.abs(np.sort(rows)[::-1] - FINE.latitude).max()
    assert (off > 0.01) == (edition == 1 and increments)  # the trap is there


def test_a_last_point_computed_from_the_rounded_step_is_still_the_grid(tmp_path):
    """0° + 255 × 1.406° = 358.530°, 0.064° short of the true 358.594°."""
    one, keys = Channels.parse(["t850"]), (("longitudeOfLastGridPoint", 255 * 1406),)
    truth = gribs.truth(one, TIMES[:1], FINE)
    path = written(tmp_path, gribs.delivery(one, TIMES[:1], truth, FINE, Encoding(keys=keys)))
    grib.check(path, Expected(one, TIMES[:1], FINE))


def test_levels_in_pascals_are_ours_in_hectopascals(tmp_path):
    """50 Pa is no level of ours; 5000 Pa is 50 hPa, though edition 2 may write either."""
    one = Channels.parse(["q50"])
    truth = gribs.truth(one, TIMES[:1], POLES)
    for pascals in (5000, 50):
        keys = (("scaleFactorOfFirstFixedSurface", 0), ("scaledValueOfFirstFixedSurface", pascals))
        path = written(tmp_path, gribs.delivery(one, TIMES[:1], truth, POLES, Encoding(2, keys=keys)))
        if pascals == 5000:
            grib.check(path, Expected(one, TIMES[:1], POLES))
        else:
            with pytest.raises(GribError, match=r"level 50 of isobaricInPa.* was not asked for"):
                grib.check(path, Expected(one, TIMES[:1], POLES))


def test_a_bitmap_that_misses_nothing_is_no_fault(tmp_path):
    one = Channels.parse(["t850"])
    truth = gribs.truth(one, TIMES[:1], POLES)
    path = written(tmp_path, gribs.delivery(one, TIMES[:1], truth, POLES, Encoding(keys=(("bitmapPresent", 1),))))
    states = grib.read(path, Expected(one, TIMES[:1], POLES)).states
    assert np.all(np.abs(states - truth) <= packing_error(truth))


def test_padding_of_archives_is_no_fault(tmp_path, parts):
    """ECMWF's archive fills messages up to multiples of 120 bytes."""
    path = written(tmp_path, [part + bytes(-len(part) % 120) for part in parts])
    grib.check(path, ASKED)


def test_humidity_below_zero_by_packing_is_set_to_zero(tmp_path):
    one = Channels.parse(["q50", "t850"])
    truth = gribs.truth(one, TIMES[:1], POLES)
    truth[0, 0] -= 1e-6 + truth[0, 0].min()
    states = grib.read(
        written(tmp_path, gribs.delivery(one, TIMES[:1], truth, POLES)), Expected(one, TIMES[:1], POLES)
    ).states
    assert states[0, 0].min() == 0 and np.all(np.abs(states - truth) <= 1.1e-6 + packing_error(truth))


def test_fields_are_regridded_on_the_way_into_a_part_of_a_larger_array(month):
    """Two files fill one array of states; the same as reading first and regridding afterwards."""
    change = regridding("conservative", POLES, Grid.gaussian(8, 16))
    whole = np.full((len(TIMES), len(CHANNELS) + 2, 8, 16), -1.0, np.float32)
    path, _ = month()
    steps = []
    expected = ASKED
    grib.read(path, expected, change, whole[:, 2:], lambda done, total: steps.append((done, total)))
    np.testing.assert_allclose(whole[:, 2:], change(grib.read(path, expected).states), rtol=2e-7)
    assert np.all(whole[:, :2] == -1) and steps[-1] == (36, 36)
    with pytest.raises(ValueError, match="do not fit"):
        grib.read(path, expected, change, whole)


def test_one_message_is_in_memory_at_a_time(month):
    """Handles are released as the next message is taken: the ten times larger file takes no more."""
    many = np.arange("1979-02", "1979-03", np.timedelta64(6, "h"), dtype="datetime64[h]")
    path, _ = month(Encoding(), CHANNELS, POLES, many)
    alive = [message.handle for message in messages(path)]
    assert len(alive) == 672 and len(set(alive)) < 50  # addresses are used again


def test_checking_keeps_pace_with_eccodes_alone(month, record_property):
    """At most twice the time of eccodes' bare loop (measured 0.8 to 0.95 of its rate; a busy machine scatters)."""
    many = np.arange("1979-02", "1979-03", np.timedelta64(6, "h"), dtype="datetime64[h]")
    path, _ = month(Encoding(), CHANNELS, Grid.equiangular(17, 32, poles=True), many)
    expected = Expected(CHANNELS, many, Grid.equiangular(17, 32, poles=True))

    def bare():
        with path.open("rb") as stream:
            while (handle := eccodes.codes_grib_new_from_file(stream)) is not None:
                eccodes.codes_get_values(handle)
                eccodes.codes_release(handle)

    ours, theirs = (min(timed(run) for _ in range(5)) for run in (lambda: grib.check(path, expected), bare))
    record_property("messages per second", round(672 / ours))
    record_property("of eccodes alone", round(theirs / ours, 2))
    assert ours < 2 * theirs


def timed(run):
    begin = perf_counter()
    run()
    return perf_counter() - begin
