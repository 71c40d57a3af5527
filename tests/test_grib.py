"""Deliveries in GRIB: what eccodes encodes and prints is what is read, and anything but the right file is refused."""

from time import perf_counter

import eccodes
import numpy as np
import pytest

import gribs
from gribs import Encoding
from lara.grid import Grid
from lara.sources import grib
from lara.sources.grib import Expected, GribError
from lara.sources.messages import messages
from lara.sources.regrid import regridding
from lara.state import Channel, Channels

POLES = Grid.equiangular(9, 16, poles=True)
FINE = Grid.equiangular(129, 256, poles=True)  # 1.40625°, which three decimals cannot hold
CHANNELS = Channels.of([], ["z", "q", "t"], [50, 850])
SURFACE = Channels.of(["msl", "u10", "v10", "t2m"], [], [])
TIMES = np.arange("1979-02-27T12", "1979-03-01T00", np.timedelta64(6, "h"), dtype="datetime64[h]")
ASKED = Expected(CHANNELS, TIMES, POLES)
EDITIONS = pytest.mark.parametrize("edition", [1, 2])


def packing_error(truth, bits=16):
    """Half the step of simple packing (a power of two no larger than twice the range over 2^bits), and float32."""
    spread = truth.max(axis=(-1, -2), keepdims=True) - truth.min(axis=(-1, -2), keepdims=True)
    return spread / 2**bits + 2.0**-22 * np.abs(truth)


def written(tmp_path, parts):
    path = tmp_path / "month.grib"
    path.write_bytes(b"".join(parts))
    return path


@pytest.fixture
def month(tmp_path):
    """Function (encoding, channels, grid) → path and truth of a few times in that encoding."""

    def make(encoding=gribs.USUAL, channels=CHANNELS, grid=POLES, times=TIMES):
        truth = gribs.truth(channels, times, grid)
        return written(tmp_path, gribs.delivery(channels, times, truth, grid, encoding)), truth

    return make


@pytest.fixture
def parts():
    """The messages of a good delivery."""
    return gribs.delivery(CHANNELS, TIMES, gribs.truth(CHANNELS, TIMES, POLES), POLES)


def refused(tmp_path, parts, match, expected=ASKED):
    path = written(tmp_path, parts)
    with pytest.raises(GribError, match=match) as caught:
        grib.check(path, expected)
    assert str(path) in str(caught.value) and "download it again" in str(caught.value)


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


@EDITIONS
@pytest.mark.parametrize(
    "declared",
    [
        Grid.equiangular(9, 16),
        Grid("equiangular", POLES.latitude, POLES.longitude + 11.25),
        Grid.equiangular(17, 16, poles=True),
        Grid.gaussian(8, 16),
    ],
    ids=["cell centres", "half a cell east", "more rows", "gaussian"],
)
def test_another_grid_is_refused(tmp_path, edition, declared):
    """The error shows the grid delivered and the one asked for."""
    truth = gribs.truth(CHANNELS, TIMES, declared)
    refused(tmp_path, gribs.delivery(CHANNELS, TIMES, truth, declared, Encoding(edition)), "on another grid.*asked for")


def test_who_asks_for_cell_centres_is_told_to_ask_for_poles(tmp_path, parts):
    refused(tmp_path, parts, "ask for those and regrid", Expected(CHANNELS, TIMES, Grid.equiangular(8, 16)))


def test_a_grid_that_is_not_regular_is_refused(tmp_path, parts):
    handle = eccodes.codes_grib_new_from_samples("reduced_gg_pl_32_grib1")
    parts[0] = eccodes.codes_get_message(handle)
    eccodes.codes_release(handle)
    refused(tmp_path, parts, "message 1 .*reduced_gg.*regular")


def test_a_missing_field_is_named(tmp_path, parts):
    refused(tmp_path, parts[:7] + parts[8:], "1 of 36 fields are missing, the first is z850 at 1979-02-27T18:00")


def test_a_repeated_field_is_refused_by_both_its_messages(tmp_path, parts):
    refused(tmp_path, [*parts, parts[3]], r"message 37 \(q850, 1979-02-27T12:00\) repeats message 4")


def test_an_extra_time_level_or_parameter_is_refused(tmp_path, parts):
    """Also a parameter that is ours but lies on the wrong kind of level, and one that is not ours at all."""
    for channel, time, keys, title in (
        (Channel("z", 50), "1979-03-01T00", (), "z50, 1979-03-01T00:00"),
        (Channel("z", 500), TIMES[0], (), "z500, 1979"),
        (Channel("msl"), TIMES[0], (), "msl, 1979"),
        (Channel("t2m"), TIMES[0], (("paramId", 129),), "z, paramId 129, level 0 of surface"),
        (Channel("t2m"), TIMES[0], (("paramId", 134),), "sp, paramId 134"),
    ):
        extra = gribs.message(channel, time, np.ones(POLES.shape), POLES, Encoding(keys=keys))
        refused(tmp_path, [*parts, extra], rf"message 37 \({title}.* was not asked for")


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


@EDITIONS
def test_missing_values_are_refused_with_message_parameter_level_and_time(tmp_path, edition):
    truth = gribs.truth(CHANNELS, TIMES, POLES)
    truth[2, 3, 4, 5:8] = np.nan
    messages_ = gribs.delivery(CHANNELS, TIMES, truth, POLES, Encoding(edition))
    refused(tmp_path, messages_, r"message 16 \(q850, 1979-02-28T00:00\) lacks 3 of its 144 values")


def test_a_bitmap_that_misses_nothing_is_no_fault(tmp_path):
    one = Channels.parse(["t850"])
    truth = gribs.truth(one, TIMES[:1], POLES)
    path = written(tmp_path, gribs.delivery(one, TIMES[:1], truth, POLES, Encoding(keys=(("bitmapPresent", 1),))))
    states = grib.read(path, Expected(one, TIMES[:1], POLES)).states
    assert np.all(np.abs(states - truth) <= packing_error(truth))


def test_nan_in_fields_of_plain_floats_is_refused(tmp_path):
    """IEEE packing can carry NaN without a bitmap: four bytes of the last field are overwritten."""
    one = Channels.parse(["t850"])
    truth = gribs.truth(one, TIMES[:1], POLES)
    raw = bytearray(gribs.delivery(one, TIMES[:1], truth, POLES, Encoding(2, keys=(("packingType", "grid_ieee"),)))[0])
    raw[-8:-4] = b"\x7f\xc0\x00\x00"
    refused(tmp_path, [bytes(raw)], "lacks 1 of its 144 values", Expected(one, TIMES[:1], POLES))


@EDITIONS
def test_era5t_is_refused_or_marked(tmp_path, edition):
    """Experiment version 5 in the last times of a month; accepted, it is marked by time."""
    truth = gribs.truth(CHANNELS, TIMES, POLES)
    kept = gribs.delivery(CHANNELS, TIMES[:4], truth[:4], POLES, Encoding(edition))
    late = gribs.delivery(CHANNELS, TIMES[4:], truth[4:], POLES, Encoding(edition, expver="0005"))
    refused(tmp_path, kept + late, r"message 25 .*ERA5T.*wait for ERA5")
    marked = Expected(CHANNELS, TIMES, POLES, preliminary=True)
    assert grib.check(written(tmp_path, kept + late), marked).tolist() == [False] * 4 + [True] * 2


def test_another_experiment_or_a_forecast_is_refused(tmp_path, parts):
    states = gribs.truth(CHANNELS, TIMES, POLES)
    for encoding, fault in (
        (Encoding(expver="0079"), "is of experiment 0079"),
        (Encoding(keys=(("endStep", 6),)), "is a forecast of 6 h"),
    ):
        other = gribs.message(CHANNELS.channels[0], TIMES[0], states[0, 0], POLES, encoding)
        refused(tmp_path, [other, *parts[1:]], f"message 1 .*{fault}")


@pytest.mark.parametrize("keep", [-1, -5, 100, 20, 7])
def test_a_file_cut_anywhere_is_refused(tmp_path, parts, keep):
    """In the last "7777", the data, the header, or the first bytes of the last message."""
    refused(tmp_path, [*parts[:-1], parts[-1][:keep]], "message 36.* is cut off|message 36.* cannot be read|edition 0")


def test_a_zeroed_tail_is_refused_wherever_it_begins(tmp_path, parts):
    """Zeros between messages are padding, so a whole message of zeros is missed, and half a one is cut off."""
    size = len(parts[-1])
    refused(tmp_path, [*parts[:-1], bytes(size)], "1 of 36 fields are missing")
    refused(tmp_path, [*parts[:-1], parts[-1][: size // 2], bytes(size - size // 2)], "is cut off")


def test_padding_of_archives_is_no_fault(tmp_path, parts):
    """ECMWF's archive fills messages up to multiples of 120 bytes."""
    path = written(tmp_path, [part + bytes(-len(part) % 120) for part in parts])
    grib.check(path, ASKED)


def test_what_is_no_grib_is_refused(tmp_path, parts):
    refused(tmp_path, [b"<!DOCTYPE html><html>down for maintenance</html>"], "no GRIB message .*DOCTYPE")
    refused(tmp_path, [*parts[:3], b"<html>", *parts[3:]], "no GRIB message where number 4 should begin, .*<html>")
    refused(tmp_path, [b""], "is empty")


@EDITIONS
def test_an_inverted_byte_of_the_header_is_refused_or_harmless(tmp_path, edition):
    """Each byte before the section on packing in turn; changes of packing itself only a checksum can find."""
    one = Channels.parse(["t850"])
    truth = gribs.truth(one, TIMES[:1], POLES)
    raw = gribs.delivery(one, TIMES[:1], truth, POLES, Encoding(edition))[0]
    header = len(raw) - 2 * truth.size - {1: 16, 2: 30}[edition]
    harmless = 0
    for position in range(header):
        broken = raw[:position] + bytes([raw[position] ^ 255]) + raw[position + 1 :]
        try:
            states = grib.read(written(tmp_path, [broken]), Expected(one, TIMES[:1], POLES)).states
        except GribError:
            continue
        assert np.all(np.abs(states - truth) <= packing_error(truth)), position
        harmless += 1
    assert harmless < 0.5 * header


def test_values_that_no_atmosphere_has_are_refused(tmp_path, parts):
    """Celsius for kelvin, and hectopascals for pascals."""
    celsius = gribs.message(Channel("t", 850), TIMES[0], np.full(POLES.shape, 15.0), POLES)
    refused(tmp_path, [*parts[:5], celsius, *parts[6:]], r"message 6 \(t850, .* has values from 15 to 15, beyond")
    hectopascals = gribs.message(Channel("msl"), TIMES[0], np.full(POLES.shape, 1013.0), POLES)
    refused(tmp_path, [hectopascals], "beyond the plausible", Expected(Channels.parse(["msl"]), TIMES[:1], POLES))


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


def points(handle):
    """(latitude, longitude, value) of each point of a message, as `grib_get_data` prints them."""
    iterator, rows = eccodes.codes_grib_iterator_new(handle, 0), []
    while row := eccodes.codes_grib_iterator_next(iterator):
        rows.append(row)
    eccodes.codes_grib_iterator_delete(iterator)
    return np.array(rows)


def printed(path):
    """The points of all messages by name, level, date, time and ensemble member, by eccodes' iterator over points."""
    keys, found = ("shortName", "level", "dataDate", "dataTime", "perturbationNumber"), {}
    with path.open("rb") as stream:
        while (handle := eccodes.codes_grib_new_from_file(stream)) is not None:
            found[tuple(eccodes.codes_get_string(handle, key) for key in keys)] = points(handle)
            eccodes.codes_release(handle)
    return found


def test_real_era5_on_levels_is_what_eccodes_prints(shared_data):
    """z and t at 500 and 850 hPa of ten members, 3°, each point where eccodes puts it; float32 rounds, no more."""
    path = shared_data / "cfgrib_era5-levels-members.grib"
    channels, world = Channels.of([], ["z", "t"], [500, 850]), Grid.equiangular(61, 120, poles=True)
    times = np.arange("2017-01-01", "2017-01-03", np.timedelta64(12, "h"), dtype="datetime64[h]")
    found = printed(path)
    assert len(found) == 160
    latitude, longitude = (axis.ravel() for axis in np.meshgrid(world.latitude, world.longitude, indexing="ij"))
    for member in range(10):
        states = grib.read(path, Expected(channels, times, world, member=member)).states
        for time, state in zip(times, states, strict=True):
            day, hour = str(time.astype("M8[D]")).replace("-", ""), str(time)[11:13]
            for channel, field in zip(channels.channels, state, strict=True):
                rows = found[channel.variable, str(channel.level), day, f"{hour}00", str(member)]
                np.testing.assert_array_equal(rows.T, [latitude, longitude, rows[:, 2]])
                np.testing.assert_array_equal(field.ravel(), rows[:, 2].astype(np.float32))


def test_an_ensemble_is_refused_where_one_reanalysis_is_expected(shared_data):
    path = shared_data / "cfgrib_era5-levels-members.grib"
    channels = Channels.of([], ["z", "t"], [500, 850])
    times = np.arange("2017-01-01", "2017-01-03", np.timedelta64(12, "h"), dtype="datetime64[h]")
    with pytest.raises(GribError, match=r"message 2 \(z500, 2017-01-01T00:00\) repeats message 1 .*member 1"):
        grib.check(path, Expected(channels, times, Grid.equiangular(61, 120, poles=True)))


def test_real_era5_of_a_region_is_what_eccodes_prints(shared_data):
    """2 m temperature, 0.25°, 60 to 30° N: read point by point, and refused as a global field."""
    path = shared_data / "cfgrib_era5-single-level-scalar-time.grib"
    (message,) = [(str(found), found.mesh, found.values()) for found in messages(path)]
    title, mesh, values = message
    (rows,) = printed(path).values()
    assert title == "message 1 (t2m, 2017-01-01T12:00)" and mesh.shape == (121, 201)
    np.testing.assert_array_equal(values.ravel(), rows[:, 2])
    assert rows[0, :2].tolist() == [60, -10] and rows[-1, :2].tolist() == [30, 40]
    with pytest.raises(GribError, match="another grid"):
        asked = Expected(Channels.parse(["t2m"]), np.array(["2017-01-01T12"], "M8[h]"), Grid.equiangular(9, 16))
        grib.check(path, asked)


def test_real_era5_that_is_truncated_is_refused(shared_data):
    path = shared_data / "cfgrib_era5-levels-corrupted.grib"
    with pytest.raises(GribError, match=r'message 1, from byte 0 of 44136, is cut off: it has no "7777" where'):
        grib.check(path, ASKED)


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
