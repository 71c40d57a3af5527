"""The meaning of a PrepBUFR report, on reports put together by hand: stacks of events, marks, drift, types."""

import numpy as np
import pytest

from lara.observations import reports
from lara.observations.flags import Flag
from lara.observations.humidity import saturation, sensible, virtual
from lara.observations.readers import prepbufr_rows
from lara.observations.readers.prepbufr_levels import levels_of
from lara.observations.readers.settings import Settings
from lara.observations.reports import Coordinate, Origin
from lara.observations.status import FAMILIES, Policy, Status, Why, judged, without_twice
from prepbufr_levels_by_hand import decoded, group, level, report, wind

CYCLE = np.datetime64("2020-11-01T12", "ns")
VIRTUAL_ON_TOP = ((21.0, 2, 8, 1), (20.0, 2, 1, 100))
NO_ERROR = ((12.0, 9, 4, 3), (12.0, 2, 1, 100))


def rows_of(*given, settings=None):
    settings = settings or Settings()
    return prepbufr_rows.rows(levels_of(decoded(*given), settings), CYCLE, settings)


def sonde(*events, settings=None, **groups):
    """Rows of a level of a sonde whose temperature has these events."""
    temperature = group("T", *events, TOE=1.2, TFC=20.0)
    return rows_of(report(120, level(1, (850.0, 2, 1, 100), T=temperature, **groups)), settings=settings)


def only(table, variable):
    (row,) = [row for _, row in table.iterrows() if row["variable"] == variable]
    return row


def test_a_temperature_is_the_first_that_is_not_virtual_and_by_choice_the_virtual_one():
    assert only(sonde(*VIRTUAL_ON_TOP), "t")["ObsValue"] == pytest.approx(293.15)
    by_choice = sonde(*VIRTUAL_ON_TOP, settings=Settings(temperature="virtual"))
    assert only(by_choice, "tv")["ObsValue"] == pytest.approx(294.15)
    assert "t" not in set(by_choice["variable"])


def test_corrections_above_the_first_event_are_kept():
    """Program 6 is the correction for radiation, beneath it lies what was sent."""
    assert only(sonde((20.4, 2, 8, 1), (19.9, 2, 6, 1), (20.0, 2, 1, 100)), "t")["ObsValue"] == pytest.approx(293.05)
    assert only(sonde((19.9, 2, 6, 1), (20.0, 2, 1, 100)), "t")["ObsValue"] == pytest.approx(293.05)


def test_a_temperature_that_is_virtual_alone_is_no_sensible_one():
    assert "t" not in set(sonde((21.0, 2, 8, 1))["variable"])


@pytest.mark.parametrize(
    ("events", "flag"),
    [
        (((20.0, 0, 1, 100),), Flag.PASS),
        (((20.0, 2, 1, 100),), Flag.PASS),
        (((20.0, 3, 5, 9), (20.0, 2, 1, 100)), Flag.PREQC),
        (((20.0, 13, 5, 9), (20.0, 2, 1, 100)), Flag.PREQC),
        (NO_ERROR, Flag.NO_ERROR),
        (((13.0, 9, 8, 4), *NO_ERROR), Flag.NO_ERROR),
        (((12.0, 9, 4, 4), (12.0, 2, 1, 100)), Flag.PREQC),
        (((12.0, 9, 4, 3), (12.0, 14, 1, 100)), Flag.PREQC),
        (((12.0, 9, 4, 3), (12.0, 3, 1, 100)), Flag.PREQC),
    ],
)
def test_mark_9_rejects_but_where_it_says_that_no_error_is_known(events, flag):
    assert only(sonde(*events), "t")["PreQC"] == flag


def test_a_virtual_temperature_made_of_bad_humidity_stays_rejected():
    events = (21.0, 8, 8, 2), (20.0, 9, 4, 3), (20.0, 2, 1, 100)
    assert only(sonde(*events, settings=Settings(temperature="virtual")), "tv")["PreQC"] == Flag.PREQC
    assert only(sonde(*events), "t")["PreQC"] == Flag.NO_ERROR


def test_own_errors_make_good_exactly_what_lacks_an_error():
    own = Settings(errors={"t2m": 1.5})
    for events, expected in (
        (NO_ERROR, (Flag.PASS, 1.5)),
        (((12.0, 9, 4, 4), (12.0, 2, 1, 100)), (Flag.PREQC, np.inf)),
    ):
        land = level(0, (1000.0, 2, 1, 100), T=group("T", *events))
        row = only(rows_of(report(181, land), settings=own), "t2m")
        assert (row["PreQC"], row["ObsError"]) == expected


def test_a_suspect_mark_is_good_where_the_configuration_says_so():
    row = only(sonde((20.0, 3, 5, 9), (20.0, 2, 1, 100), settings=Settings(greatest_mark=3)), "t")
    assert row["PreQC"] == Flag.PASS and row["QualityMarker"] == 3


def test_nothing_is_good_at_a_level_whose_pressure_is_rejected():
    """SYNDATA (program 2) marks the pressures of a report near a tropical storm, and no other value."""
    stormy = ((850.0, 10, 2, 10), (850.0, 2, 1, 100))
    temperature = group("T", (20.0, 2, 1, 100), TOE=1.2, TFC=20.0)
    row = only(rows_of(report(120, level(1, stormy, T=temperature))), "t")
    assert row["PreQC"] == Flag.LEVEL and row["QualityMarker"] == 2


def test_data_without_a_place_or_time_are_left_out_and_a_pressure_of_zero_is_none():
    """NCEP marks such levels 8; the table has no row that could lie nowhere."""
    temperature = group("T", (20.0, 8, 4, 2), TOE=1.2, TFC=20.0)
    here = level(1, (0.0, 8, 4, 2), T=temperature)
    nan = float("nan")
    table = rows_of(report(120, here), report(120, here, sequence=2, YOB=nan), report(120, here, sequence=3, DHR=nan))
    table = reports.validate(judged(table, Policy()))
    assert table[reports.REPORT].unique().tolist() == [0] and np.isnan(table["MetaData/pressure"]).all()


def test_an_error_of_relative_humidity_becomes_one_of_specific_humidity():
    """2 tenths of saturation at the sensible temperature, not at the virtual one."""
    humid = group("Q", (9000.0, 2, 8, 1), (9000.0, 2, 1, 100), QOE=2.0, QFC=8000.0)
    row = only(sonde(*VIRTUAL_ON_TOP, Q=humid), "q")
    expected = 0.2 * saturation(np.array([293.15]), np.array([85000.0]))[0]
    assert row["ObsError"] == pytest.approx(expected) and row["ObsValue"] == pytest.approx(0.009)
    assert expected == pytest.approx(0.2 * 0.01731, rel=0.01)


def test_saturation_is_that_of_tables_over_water_and_ice():
    """Goff and Gratch: 2339 Pa at 20 °C, 610.7 Pa at 0 °C, over ice 38.0 Pa at −30 °C."""
    celsius, pressure = np.array([20.0, 0.01, -30.0]), np.full(3, 1e5)
    humidity = saturation(celsius + 273.15, pressure)
    vapour = humidity * pressure / (0.622 + 0.378 * humidity)
    np.testing.assert_allclose(vapour, [2339.0, 611.0, 38.0], rtol=0.005)


def test_virtual_and_sensible_temperature_are_each_others_inverse():
    temperature, humidity = np.array([250.0, 300.0]), np.array([1e-4, 0.02])
    np.testing.assert_allclose(sensible(virtual(temperature, humidity), humidity), temperature)
    assert virtual(temperature, humidity)[1] == pytest.approx(303.65, abs=0.01)


@pytest.mark.parametrize(
    ("drift", "place", "seconds", "refused"),
    [
        ((17.0, 48.5, 0.75), (17.0, 48.5), 2700, 0),
        ((359.9, 48.5, 0.75), (359.9, 48.5), 2700, 1),
        ((17.0, 59.0, 0.75), (16.36, 48.25), 2700, 1),
        ((17.0, 48.5, 4.1), (17.0, 48.5), 0, 1),
        (None, (16.36, 48.25), 0, 0),
    ],
)
def test_a_balloon_is_where_it_drifted_within_reason(drift, place, seconds, refused):
    temperature = group("T", (20.0, 2, 1, 100))
    given = decoded(report(120, level(1, (850.0, 2, 1, 100), drift, T=temperature), DHR=0.0))
    levels = levels_of(given, Settings())
    row = only(prepbufr_rows.rows(levels, CYCLE, Settings()), "t")
    if drift == (359.9, 48.5, 0.75):
        place = (16.36, 48.25)  # 16.5 degrees of longitude at this latitude are 10.9 of a great circle
    assert (row["MetaData/longitude"], row["MetaData/latitude"]) == pytest.approx(place)
    assert row["MetaData/dateTime"] == CYCLE + np.timedelta64(seconds, "s")
    assert int(levels.drift_refused.sum()) == refused


def test_a_pressure_made_of_height_is_known_as_such():
    codes = {100: Origin.REPORTED, 103: Origin.HYDROSTATIC, 116: Origin.STANDARD}
    for code, origin in codes.items():
        table = rows_of(report(220, level(4, ((850.0, 8, 4, 1), (850.0, 2, 1, code)), W=wind(3.0, 4.0))))
        expected = Coordinate.PRESSURE if origin == Origin.REPORTED else Coordinate.HEIGHT
        assert set(table[reports.ORIGIN]) == {origin} and set(table[reports.COORDINATE]) == {expected}


def test_mass_and_wind_of_an_ascent_share_its_number_and_other_ascents_do_not():
    mass = level(1, (850.0, 2, 1, 100), T=group("T", (20.0, 2, 1, 100)), W={"events": []})
    moving = level(3, (840.0, 2, 1, 100), T={"events": []}, W=wind(3.0, 4.0))
    table = rows_of(
        report(120, mass), report(220, moving), report(120, mass, sequence=2), report(120, mass, station="10410")
    )
    assert table.groupby(reports.REPORT)[reports.ASCENT].first().tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize("kind", [331, 431, 531, 333, 434, 535])
def test_profiles_of_aircraft_get_the_types_of_single_reports(kind):
    flight = level(2, (700.0, 2, 1, 100), T=group("T", (5.0, 2, 1, 100)), W=wind(9.0, 1.0))
    table = rows_of(report(kind, flight))
    assert table.set_index("variable")[reports.TYPE].to_dict() == {
        "t": 100 + kind % 100,
        "u": 200 + kind % 100,
        "v": 200 + kind % 100,
    }
    assert set(table[reports.SOURCE_TYPE]) == {kind}


@pytest.mark.parametrize(("keep", "used"), [("reports", {131}), ("profiles", {431})])
def test_an_aircraft_read_as_profile_and_as_single_report_is_used_once(keep, used):
    flight = level(2, (700.0, 2, 1, 100), T=group("T", (5.0, 2, 1, 100)))
    both = judged(reports.join([rows_of(report(431, flight)), rows_of(report(131, flight))]), Policy())
    table = without_twice(both, keep)
    assert set(table.loc[table["status"] == Status.USE, reports.SOURCE_TYPE]) == used
    assert set(table.loc[table["status"] != Status.USE, "why"]) == {Why.PROFILE_TWICE}
    one = judged(rows_of(report(431, flight)), Policy())
    assert (without_twice(one, keep)["status"] == Status.USE).all()


def test_restricted_data_keep_their_bits_and_are_left_out_on_request():
    flight = level(2, (700.0, 2, 1, 100), T=group("T", (5.0, 2, 1, 100)))
    table = rows_of(report(131, flight, RSRD=128.0, EXPRSRD=48.0))
    assert (table["MetaData/restriction"].tolist(), table["MetaData/restrictionHours"].tolist()) == ([128], [48.0])
    assert judged(table, Policy())["status"].tolist() == [Status.USE]
    assert judged(table, Policy(restricted=False))["why"].tolist() == [Why.RESTRICTED]


def test_heights_of_a_sonde_are_watched_and_never_used_beside_its_temperatures():
    table = judged(rows_of(report(120, level(1, (850.0, 2, 1, 100), Z=group("Z", (1500.0, 2, 1, 100))))), Policy())
    row = only(table, "z")
    assert row["ObsValue"] == pytest.approx(1500 * 9.80665)
    assert (row["status"], row["why"]) == (Status.MONITOR, Why.DOUBLED)


def test_every_type_of_the_wind_and_mass_tables_is_in_one_family():
    listed = [kind for family in FAMILIES.values() for kind in family.types]
    assert len(listed) == len(set(listed))


def test_a_type_of_no_family_is_rejected_as_such_and_the_configuration_may_use_it():
    temperature = group("T", (5.0, 2, 1, 100))
    table = rows_of(report(199, level(1, (700.0, 2, 1, 100), T=temperature)))
    assert judged(table, Policy())["why"].tolist() == [Why.UNKNOWN_TYPE]
    assert judged(table, Policy(types={("t2m", 199): Status.USE}))["why"].tolist() == [Why.USED]


def test_reports_that_are_written_are_read_back(tmp_path):
    table = judged(sonde(*VIRTUAL_ON_TOP, Q=group("Q", (9000.0, 2, 8, 1), QOE=2.0)), Policy())
    reports.write([table], tmp_path / "reports.parquet")
    assert reports.read(tmp_path / "reports.parquet").equals(reports.validate(table))


@pytest.mark.parametrize(
    ("column", "value"),
    [("MetaData/latitude", 91.0), ("variable", "w"), ("ObsValue", np.nan), ("ObsError", 0.0), ("status", 7)],
)
def test_a_bad_value_is_refused_with_its_column_and_row(column, value):
    table = judged(sonde(*VIRTUAL_ON_TOP), Policy())
    table.loc[0, column] = value
    with pytest.raises(ValueError, match=f"row 0: {column} = "):
        reports.validate(table)
