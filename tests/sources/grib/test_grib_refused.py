"""Anything but the right file is refused, with the message, its field and what to do."""

import eccodes
import numpy as np
import pytest

import gribs
from grib_cases import CHANNELS, EDITIONS, POLES, TIMES, packing_error, refused, written
from gribs import Encoding
from lara.grid import Grid
from lara.sources import grib
from lara.sources.grib import Expected, GribError
from lara.state import Channel, Channels


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


@EDITIONS
def test_missing_values_are_refused_with_message_parameter_level_and_time(tmp_path, edition):
    truth = gribs.truth(CHANNELS, TIMES, POLES)
    truth[2, 3, 4, 5:8] = np.nan
    messages_ = gribs.delivery(CHANNELS, TIMES, truth, POLES, Encoding(edition))
    refused(tmp_path, messages_, r"message 16 \(q850, 1979-02-28T00:00\) lacks 3 of its 144 values")


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


def test_era5t_is_told_at_its_first_message_with_the_key_that_takes_it(tmp_path):
    truth = gribs.truth(CHANNELS, TIMES, POLES)
    late = gribs.delivery(CHANNELS, TIMES, truth, POLES, Encoding(expver="0005"))
    with pytest.raises(grib.PreliminaryError, match=r"message 1 .*source\.preliminary: mark") as fault:
        grib.check(written(tmp_path, late), Expected(CHANNELS, TIMES, POLES))
    assert str(fault.value).count("ERA5T") == 1


def test_more_than_was_asked_for_is_passed_over_where_it_may_be_there(tmp_path, parts):
    """An older file with one level and one time more, and a forecast; what was asked for is as strict as ever."""
    extra = [
        gribs.message(Channel("z", 500), TIMES[0], np.ones(POLES.shape), POLES),
        gribs.message(Channel("z", 850), "1979-03-01T00", np.ones(POLES.shape), POLES),
        gribs.message(Channel("msl"), TIMES[0], np.ones(POLES.shape), POLES),
    ]
    held = Expected(CHANNELS, TIMES, POLES, exactly=False)
    wanted = grib.read(written(tmp_path, parts), held).states
    assert np.array_equal(grib.read(written(tmp_path, [*extra, *parts]), held).states, wanted)
    refused(tmp_path, [*extra, *parts], "message 1 .* was not asked for")
    refused(tmp_path, [*extra, *parts[1:]], "1 of 36 fields are missing", held)
    refused(tmp_path, [*extra, *parts, parts[0]], "repeats message 4", held)


def test_another_experiment_or_a_forecast_is_refused(tmp_path, parts):
    states = gribs.truth(CHANNELS, TIMES, POLES)
    for encoding, fault in (
        (Encoding(expver="0079"), "is of experiment 0079"),
        (Encoding(keys=(("endStep", 6),)), "is a forecast of 6 h"),
    ):
        other = gribs.message(CHANNELS.channels[0], TIMES[0], states[0, 0], POLES, encoding)
        refused(tmp_path, [other, *parts[1:]], f"message 1 .*{fault}")


def test_a_message_that_says_it_has_no_length_is_refused(tmp_path, parts):
    """It would end where it begins, behind the "7777" of the one before."""
    refused(tmp_path, [*parts, b"GRIB\0\0\0\2" + bytes(8)], "message 37.* is cut off")


@pytest.mark.parametrize("keep", [-1, -5, 100, 20, 7])
def test_a_file_cut_anywhere_is_refused(tmp_path, parts, keep):
    """In the last "7777", the data, the header, or the first bytes of the last message."""
    refused(tmp_path, [*parts[:-1], parts[-1][:keep]], "message 36.* is cut off|message 36.* cannot be read|edition 0")


def test_a_zeroed_tail_is_refused_wherever_it_begins(tmp_path, parts):
    """Zeros between messages are padding, so a whole message of zeros is missed, and half a one is cut off."""
    size = len(parts[-1])
    refused(tmp_path, [*parts[:-1], bytes(size)], "1 of 36 fields are missing")
    refused(tmp_path, [*parts[:-1], parts[-1][: size // 2], bytes(size - size // 2)], "is cut off")


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
