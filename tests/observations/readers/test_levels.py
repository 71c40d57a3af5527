"""Levels that become reports: humidity of dew points, wind of direction and speed, names near the ground, losses."""

import numpy as np
import pandas as pd
import pytest

from lara.observations import reports
from lara.observations.flags import Flag
from lara.observations.readers import levels as wide
from lara.observations.readers.settings import Settings
from lara.observations.reports import Coordinate
from lara.observations.status import Status

NOON = pd.Timestamp("2020-11-01T12")


def levels(kind=120, **columns):
    count = max(len(values) for values in columns.values())
    place = {"MetaData/latitude": 48.0, "MetaData/longitude": 16.0, "MetaData/dateTime": NOON}
    place = {name: value for name, value in place.items() if name not in columns}
    release = {reports.RELEASE_LATITUDE: 48.0, reports.RELEASE_LONGITUDE: 16.0, reports.RELEASE_TIME: NOON}
    table = pd.DataFrame({"MetaData/pressure": 85000.0} | columns, index=range(count))
    table = table.assign(
        **place, **release, **{reports.TYPE: kind, reports.CYCLE: NOON, "MetaData/stationIdentification": "a"}
    )
    return wide.numbered(table, ["MetaData/stationIdentification"])


def values(table):
    return table.set_index("variable")["ObsValue"].to_dict()


@pytest.mark.parametrize(("direction", "u", "v"), [(0, 0, -10), (90, -10, 0), (180, 0, 10), (270, 10, 0)])
def test_wind_blows_from_its_direction(direction, u, v):
    found = values(wide.to_reports(levels(direction=[float(direction)], speed=[10.0]), Settings()))
    assert (found["u"], found["v"]) == pytest.approx((u, v), abs=1e-9)


def test_a_dew_point_and_a_relative_humidity_become_the_same_specific_humidity():
    """15 °C of dew point is 1705 Pa of vapour; at 20 °C that is 73 % of 2339 Pa; our formula is
    within 0.3 % of it."""
    by_dew_point = values(wide.to_reports(levels(td=[288.15]), Settings()))["q"]
    by_share = values(wide.to_reports(levels(t=[293.15], rh=[0.729]), Settings()))["q"]
    assert by_dew_point == pytest.approx(0.622 * 1705 / (85000 - 0.378 * 1705), rel=3e-3)
    assert by_share == pytest.approx(by_dew_point, rel=3e-3)


def test_a_dew_point_of_more_vapour_than_air_is_beyond_what_the_atmosphere_does():
    assert values(wide.to_reports(levels(td=[333.15], **{"MetaData/pressure": [3000.0]}), Settings()))["q"] == 1.0


def test_what_was_observed_itself_is_preferred_to_what_is_derived():
    given = levels(u=[1.0, np.nan], v=[2.0, np.nan], direction=[90.0, 90.0], speed=[5.0, 5.0])
    table = wide.to_reports(given, Settings())
    assert table.loc[table["variable"] == "u", "ObsValue"].tolist() == pytest.approx([1.0, -5.0])


def test_stations_have_names_near_the_ground_and_winds_a_type_of_their_own():
    table = wide.to_reports(levels(181, t=[280.0], u=[1.0], v=[2.0], ps=[99000.0]), Settings())
    assert table.set_index("variable")[reports.TYPE].to_dict() == {"ps": 181, "t2m": 181, "u10": 281, "v10": 281}
    assert set(table[reports.COORDINATE]) == {Coordinate.GROUND}


def test_a_level_without_pressure_is_by_height():
    table = wide.to_reports(
        levels(221, u=[1.0], v=[2.0], **{"MetaData/pressure": [np.nan], reports.HEIGHT: [900.0]}), Settings()
    )
    assert set(table[reports.COORDINATE]) == {Coordinate.HEIGHT} and set(table[reports.TYPE]) == {221}


def test_marks_reject_and_missing_errors_are_known_as_such():
    given = levels(t=[280.0, 281.0, 282.0], **{"mark t": [13.0, np.nan, 1.0], "error t": [1.0, 1.0, np.nan]})
    table = wide.to_reports(given, Settings())
    assert table["PreQC"].tolist() == [Flag.PREQC, Flag.PASS, Flag.NO_ERROR]
    assert wide.to_reports(given, Settings(errors={"t": 2.0}))["ObsError"].tolist() == [1.0, 1.0, 2.0]


def test_backgrounds_stay_beside_their_values_where_other_levels_have_none():
    given = levels(t=[np.nan, 281.0, 282.0], **{"background t": [1.0, 2.0, 3.0]})
    assert wide.to_reports(given, Settings())["FileBackground"].tolist() == [2.0, 3.0]


def test_what_nothing_can_be_made_of_is_counted():
    given = levels(speed=[5.0, 5.0], direction=[90.0, np.nan], rh=[0.5, 0.5])
    lost = wide.lost(given, wide.to_reports(given, Settings()))
    assert lost == {"humidities without a pressure or temperature": 2, "winds without a direction": 1}


def test_levels_that_lie_nowhere_are_left_out_and_counted():
    given = levels(t=[280.0, 281.0, 282.0], **{"MetaData/latitude": [48.0, np.nan, -98.9]})
    table = wide.to_reports(given, Settings())
    assert table["ObsValue"].tolist() == [280.0]
    assert wide.lost(given, table) == {"levels without a place or time": 2}


def test_levels_of_no_value_are_no_reports():
    assert len(wide.to_reports(levels(t=[np.nan]), Settings())) == 0


def test_every_row_is_judged():
    table = wide.to_reports(levels(250, u=[1.0], v=[2.0]), Settings())
    assert set(table["status"]) == {Status.REJECT}
