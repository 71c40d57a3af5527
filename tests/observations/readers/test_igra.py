"""IGRA's text of fixed width: values, missing ones, times, and every kind of damage named by its byte."""

import gzip

import pandas as pd
import pytest

from lara.observations import reports
from lara.observations.readers import igra
from lara.observations.readers.settings import Settings

HEAD = "#AUM00011035 2015 01 23 {hour:02d} {release:04d} {levels:4d} ncdc-gts ncdc-gts  482333   163500"
LEVELS = (
    "21     0  99200B-9999    38B-9999    22   300    50 ",
    "10   130  85000  1500   -52B  800    35   270   100 ",
    "20 -9999  70000 -9999  -101B-9999 -8888   280   150 ",
)


def text(*, hour=12, release=1134, levels=LEVELS, stated=None):
    head = HEAD.format(hour=hour, release=release, levels=len(levels) if stated is None else stated)
    return "\n".join([head, *levels, ""])


@pytest.fixture
def read(tmp_path):
    def read(content, name="station.txt"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return igra.read(tmp_path / name, Settings())

    return read


def test_an_ascent_is_read_level_by_level(read):
    table = read(text()).reports
    levels = [group.set_index("variable")["ObsValue"].to_dict() for _, group in table.groupby(reports.LEVEL)]
    assert levels[0] == pytest.approx({"ps": 99200.0, "t": 276.95, "q": levels[0]["q"], "u": 4.330127, "v": -2.5})
    assert levels[1]["t"] == pytest.approx(267.95) and levels[1]["z"] == pytest.approx(1500 * 9.80665)
    assert levels[1]["u"] == pytest.approx(10.0) and levels[1]["v"] == pytest.approx(0.0, abs=1e-9)
    assert "q" not in levels[2] and levels[2]["t"] == pytest.approx(263.05)


def test_levels_have_the_time_since_the_release(read):
    times = read(text()).reports.groupby(reports.LEVEL)["MetaData/dateTime"].first()
    assert times.tolist()[:2] == [pd.Timestamp("2015-01-23T11:34"), pd.Timestamp("2015-01-23T11:35:30")]


@pytest.mark.parametrize(
    ("hour", "release", "moment"),
    [
        (0, 2315, "2015-01-22T23:15"),
        (12, 9999, "2015-01-23T12:00"),
        (99, 1545, "2015-01-23T15:45"),
        (18, 1799, "2015-01-23T17:00"),
    ],
)
def test_a_balloon_is_released_within_half_a_day_of_its_nominal_hour(read, hour, release, moment):
    assert set(read(text(hour=hour, release=release)).reports[reports.RELEASE_TIME]) == {pd.Timestamp(moment)}


def test_an_ascent_without_temperatures_is_a_pilot_balloon_s(read):
    winds = tuple(f"20 -9999 {pressure:6d} -9999 -9999 -9999 -9999   280   150 " for pressure in (85000, 70000))
    assert set(read(text(levels=winds)).reports[reports.TYPE]) == {221}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (text(stated=4), "byte 0: an ascent of 4 levels has 3"),
        (text() + text(stated=2), r"byte \d+: an ascent of 2 levels has 3"),
        (text()[:150], r"byte \d+: "),
        (text().replace("2015 01", "2015 13"), "byte 0: no head of an ascent"),
        (text().replace("85000", "85O00"), r"byte \d+: levels from there on hold what is no MetaData/pressure"),
        (text().replace("85000", "8\x00\x0000"), r"byte \d+: b'\\x00' is no character of IGRA's"),
        (LEVELS[0], "byte 0: no line that begins with #"),
        ("", "byte 0: no line that begins with #"),
        (gzip.compress(text().encode())[:-20], "station.txt: "),
    ],
)
def test_damage_is_refused_with_its_byte(read, content, reason):
    with pytest.raises(ValueError, match=reason):
        read(content)


def test_half_a_year_of_vienna_is_read(shared_data):
    """321 ascents, 34,160 levels, from January to June 2015."""
    reading = igra.read(shared_data / "observations" / "igra" / "AUM00011035-data.txt.gz", Settings())
    assert (reading.ledger.frames, reading.ledger.levels) == (321, 34160)
    table = reports.validate(reading.reports)
    assert table["MetaData/dateTime"].min() > pd.Timestamp("2015-01-23") - pd.Timedelta(hours=1)
    assert table.loc[table["variable"] == "t", "ObsValue"].between(195, 310).all()
