"""BUFR of WMO: ascents, stations and aircraft, of messages encoded here and of real ones."""

import eccodes
import numpy as np
import pytest

from bufr_encoded import ascent, surface
from bufr_messages import message
from lara.observations import reports
from lara.observations.readers import bufr
from lara.observations.readers.bufr_message import standard_pressure
from lara.observations.readers.settings import Settings

MISSING = eccodes.CODES_MISSING_DOUBLE


@pytest.fixture
def read(tmp_path):
    def read(*messages, name="reports.bufr"):
        path = tmp_path / name
        path.write_bytes(b"".join(messages))
        return bufr.read(path, Settings())

    return read


@pytest.mark.parametrize("compressed", [False, True])
def test_each_subset_of_a_message_is_a_report(read, compressed):
    table = read(surface([35, 36, 90], [280.0, 281.5, 283.0], compressed=compressed)).reports
    temperatures = table[table["variable"] == "t2m"]
    assert temperatures["MetaData/stationIdentification"].tolist() == ["11035", "11036", "11090"]
    np.testing.assert_allclose(temperatures["ObsValue"], [280.0, 281.5, 283.0])
    one = table[table[reports.REPORT] == 0].set_index("variable")
    assert one["ObsValue"]["ps"] == 1e5 and one["ObsValue"]["u10"] == pytest.approx(10.0)
    assert one[reports.TYPE].to_dict() == {"ps": 181, "t2m": 181, "q2m": 181, "u10": 281, "v10": 281}
    assert one["MetaData/stationElevation"]["ps"] == 200.0
    assert str(one["MetaData/dateTime"]["ps"]) == "2020-11-01 12:00:00"


def test_reports_at_sea_have_a_type_of_their_own(read):
    assert set(read(surface([1], [280.0], category=1)).reports[reports.TYPE]) == {180, 280}


def test_parts_of_an_ascent_are_one_and_what_was_sent_twice_is_there_once(read):
    lower, upper = ascent([1e5, 8.5e4], [285.0, 275.0]), ascent([5e4, 2e4], [255.0, 220.0])
    reading = read(lower, upper, lower)
    table = reading.reports
    assert table[reports.REPORT].nunique() == 1 and len(table[table["variable"] == "t"]) == 4
    assert set(table["MetaData/longitude"]) == {344.0}
    assert reading.ledger.remarks["levels sent twice"] == 2
    assert read(lower, ascent([5e4], [255.0], station=36)).reports[reports.REPORT].nunique() == 2


def test_an_ascent_without_temperatures_is_a_pilot_balloon_s(read):
    table = read(ascent([8.5e4, 5e4], [MISSING, MISSING])).reports
    assert set(table["variable"]) == {"u", "v"} and set(table[reports.TYPE]) == {221}


def test_missing_values_are_no_data(read):
    table = read(ascent([8.5e4, 5e4], [280.0, MISSING], speeds=[MISSING, 7.0])).reports
    assert table.groupby("variable").size().to_dict() == {"t": 1, "u": 1, "v": 1}


def test_other_kinds_of_message_are_counted_and_a_file_of_these_alone_is_refused(read):
    reading = read(surface([35], [280.0]), message(category=21))
    assert reading.ledger.remarks["messages of category 21, which is not read"] == 1
    with pytest.raises(ValueError, match="none of its 1 messages is of a kind that is read"):
        read(message(category=21))


def test_a_message_that_cannot_be_decoded_is_named_by_its_byte(read):
    good = surface([35], [280.0])
    with pytest.raises(ValueError, match=rf"reports\.bufr: byte {len(good)}: message of category 0"):
        read(good, message(category=0, descriptors=((63, 255),)))


def test_flight_levels_are_pressures_of_the_standard_atmosphere():
    """FL 100, 300 and 390: 696.8, 300.9 and 196.8 hPa."""
    found = standard_pressure(0.3048 * np.array([10000.0, 30000.0, 39000.0]))
    np.testing.assert_allclose(found, [69682.0, 30090.0, 19677.0], rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "count", "stations"),
    [
        ("pdbufr_temp_small.bufr", {"t": 273, "u": 102}, 6),
        ("rubufr_2017083115_temp309052.bufr", {"t": 4878, "u": 4878}, 1),
        ("pdbufr_synop_wigos.bufr", {"t2m": 3, "u10": 1}, 3),
        ("pdbufr_aircraft_small.bufr", {"t": 10, "u": 10}, 10),
        ("pdbufr_obs_3day.bufr", {"t2m": 45, "ps": 42}, 48),
    ],
)
def test_real_files_are_read(shared_data, name, count, stations):
    reading = bufr.read(shared_data / "observations" / "bufr" / name, Settings())
    table = reports.validate(reading.reports)
    found = table.groupby("variable").size()
    assert {variable: found[variable] for variable in count} == count
    assert table[reports.REPORT].nunique() == stations


def test_a_high_resolution_ascent_drifts_level_by_level(shared_data):
    """309052 of Missoula: 4,879 levels in 100 minutes and up to 32 km."""
    path = shared_data / "observations" / "bufr" / "rubufr_2017083115_temp309052.bufr"
    table = bufr.read(path, Settings()).reports
    seconds = (table["MetaData/dateTime"] - table[reports.RELEASE_TIME]).dt.total_seconds()
    assert seconds.min() == 0 and 3600 < seconds.max() < 7800
    assert 0.05 < (table["MetaData/latitude"] - table[reports.RELEASE_LATITUDE]).abs().max() < 1
