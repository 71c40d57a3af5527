"""The observation table made of reports: what an analysis can use, and why the rest stays behind."""

import numpy as np
import pandas as pd
import pytest

from lara.grid import Grid
from lara.observations import assimilated, batches, readers, reports
from lara.observations.flags import Flag
from lara.observations.status import Policy, Status, Why, judged
from lara.state import Channels

LEVELS = (50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000)
NOON = pd.Timestamp("2020-11-01T12")


def given(variable, pressure=85000.0, kind=120, flag=Flag.PASS):
    place = {"MetaData/latitude": 48.0, "MetaData/longitude": 16.0, "MetaData/dateTime": NOON}
    release = {reports.RELEASE_LATITUDE: 48.0, reports.RELEASE_LONGITUDE: 16.0}
    codes = {reports.COORDINATE: 0, reports.ORIGIN: 0, "status": 0, "why": 0, "MetaData/restriction": 0}
    values = {"variable": variable, "MetaData/pressure": pressure, "ObsValue": 1.0, "ObsError": 1.0, "PreQC": int(flag)}
    return judged(reports.make({**place, **release, **codes, **values, reports.TYPE: kind}, 1), Policy())


@pytest.mark.parametrize(
    ("variable", "pressure", "kind", "station_type"),
    [
        ("t", 85000.0, 120, "column"),
        ("u", 5000.0, 220, "column"),
        ("t2m", 99000.0, 180, "surface"),
        ("msl", np.nan, 181, "surface"),
    ],
)
def test_what_an_operator_observes_is_in_the_table(variable, pressure, kind, station_type):
    (row,) = assimilated.assimilated(given(variable, pressure, kind), LEVELS).to_dict("records")
    assert (row["MetaData/stationType"], row["variable"], row["PreQC"]) == (station_type, variable, Flag.PASS)
    assert np.isnan(row["MetaData/pressure"]) == (station_type == "surface")


@pytest.mark.parametrize(("variable", "pressure"), [("t", 84000.0), ("t", np.nan), ("ps", 99000.0), ("tv", 85000.0)])
def test_what_none_observes_stays_behind_with_the_reason(variable, pressure):
    rows = given(variable, pressure)
    assert assimilated.assimilated(rows, LEVELS).empty
    assert assimilated.observable(rows, LEVELS)["why"].tolist() == [Why.NO_OPERATOR]


def test_monitored_data_are_passive_and_rejected_ones_left_out():
    assert assimilated.assimilated(given("z"), LEVELS)["PreQC"].tolist() == [Flag.PASSIVE]
    assert assimilated.assimilated(given("u", kind=250), LEVELS).empty
    assert assimilated.assimilated(given("t", flag=Flag.PREQC), LEVELS)["PreQC"].tolist() == [Flag.PREQC]


def test_a_real_cycle_reaches_the_analysis(shared_data):
    """On 13 levels: 6,640 good temperatures, 3,522 humidities and 6,840 winds, a quarter of those in the file."""
    path = shared_data / "observations" / "prepbufr" / "ADPUPA_2932872.prepbufr"
    sondes = readers.read(path).reports
    table = assimilated.assimilated(sondes, LEVELS)
    marks = assimilated.observable(sondes, LEVELS)
    good = marks[marks[reports.MARK].between(0, 2) & (marks["status"] != Status.REJECT)].groupby("variable").size()
    assert (good["t"], good["q"], good["u"]) == (6640, 3522, 6840)
    channels = Channels.of([], list("zqtuv"), LEVELS)
    slots = np.array(["2020-11-01T12"], dtype="datetime64[ns]")
    batch = batches.from_table(table, Grid.equiangular(32, 64), channels, slots)
    assert int(batch.used.sum()) == int((table["PreQC"] == Flag.PASS).sum()) > 20000
