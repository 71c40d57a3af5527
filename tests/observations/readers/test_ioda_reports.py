"""IODA files: reports that are written come back as they were; files of others and of older names are read."""

import netCDF4
import numpy as np
import pandas as pd
import pytest

from lara.observations import reports
from lara.observations.flags import Flag
from lara.observations.readers import ioda, prepbufr, prepbufr_rows
from lara.observations.readers.prepbufr_levels import levels_of
from lara.observations.readers.settings import Settings
from lara.observations.status import Policy, judged
from prepbufr_levels_by_hand import decoded, group, level, report, wind

CYCLE = np.datetime64("2020-11-01T12", "ns")


def ascent():
    """A level with a surface pressure, one with all kinds of values, an aircraft's."""
    temperature = group("T", (21.0, 2, 8, 1), (20.0, 2, 1, 100), TOE=1.2, TFC=20.0)
    humid = group("Q", (9000.0, 9, 8, 1), QOE=2.0, QFC=8000.0)
    ground = level(0, (980.0, 2, 1, 100), (16.4, 48.3, -0.5), T=temperature, Q=humid, W={"events": []})
    aloft = level(4, (700.0, 2, 1, 103), (17.0, 48.5, 0.25), T={"events": []}, Q={"events": []}, W=wind(3.0, -4.0))
    given = decoded(report(120, ground), report(220, aloft), report(431, aloft, station="x", RSRD=16.0))
    return judged(prepbufr_rows.rows(levels_of(given, Settings()), CYCLE, Settings()), Policy())


def test_reports_come_back_from_ioda_without_loss(tmp_path):
    table = ascent()
    ioda.write(table, tmp_path / "reports.nc")
    back = ioda.read(tmp_path / "reports.nc", Settings()).reports
    pd.testing.assert_frame_equal(back, reports.validate(table))


@pytest.mark.parametrize("name", ["ADPUPA_486008", "gdas.t12z.adpsfc", "gdas.t12z.sfcshp", "gdas.t12z.acft_profiles"])
def test_real_reports_come_back_from_ioda_without_loss(shared_data, tmp_path, name):
    path = shared_data / "observations" / "prepbufr" / f"{name}.prepbufr"
    table = reports.validate(prepbufr.read(path, Settings(temperature="virtual")).reports)
    ioda.write(table, tmp_path / "reports.nc")
    assert ioda.read(tmp_path / "reports.nc", Settings()).reports.equals(table)


def test_others_find_names_and_units_of_ioda_in_what_is_written(tmp_path):
    ioda.write(ascent(), tmp_path / "reports.nc")
    with netCDF4.Dataset(tmp_path / "reports.nc") as file:
        assert file.dimensions["Location"].size == 3
        assert file["ObsValue/airTemperature"].units == "K" and file["ObsValue/airTemperature"][0] == 293.15
        assert np.ma.is_masked(file["ObsValue/airTemperature"][1])
        assert file["ObsType/windEastward"][1:].tolist() == [220, 231]
        assert file["MetaData/dateTime"].units == "seconds since 1970-01-01T00:00:00Z"


def old_file(path, **groups):
    """A file with the names before version 3: strings of time, `air_pressure`, `station_id`."""
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("nlocs", 2)
        contents = {
            "MetaData/latitude": [10.0, 11.0],
            "MetaData/longitude": [-20.0, 359.5],
            "MetaData/air_pressure": [85000.0, 50000.0],
            "ObsValue/air_temperature": [280.0, 250.0],
            "ObsError/air_temperature": [1.0, 2.0],
            "PreQC/air_temperature": [2, 13],
            "ObsType/air_temperature": [120, 120],
            "GsiHofX/air_temperature": [281.0, 251.0],
        } | groups
        for name, values in contents.items():
            file.createVariable(name, np.asarray(values).dtype, ("nlocs",))[:] = values
        for name, values in (("station_id", ["94120", "MISSING*"]), ("datetime", ["2018-04-15T00:00:00Z"] * 2)):
            variable = file.createVariable(f"MetaData/{name}", str, ("nlocs",))
            variable[:] = np.array(values, dtype=object)
        file["MetaData/datetime"].units = "UTC Time in YYYY-MM-DDTHH:MM:SSZ format"


def test_older_names_are_read(tmp_path):
    old_file(tmp_path / "old.nc")
    table = ioda.read(tmp_path / "old.nc", Settings()).reports
    assert table["ObsValue"].tolist() == [280.0, 250.0] and table["FileBackground"].tolist() == [281.0, 251.0]
    assert table["MetaData/longitude"].tolist() == [340.0, 359.5]
    assert table["MetaData/stationIdentification"].tolist() == ["94120", ""]
    assert table["PreQC"].tolist() == [Flag.PASS, Flag.PREQC]
    assert set(table["MetaData/dateTime"]) == {pd.Timestamp("2018-04-15")}


def test_a_file_without_types_is_read_as_the_kind_that_is_named(tmp_path):
    old_file(tmp_path / "old.nc")
    with netCDF4.Dataset(tmp_path / "old.nc", "a") as file:
        file.renameGroup("ObsType", "Other")
    with pytest.raises(ValueError, match=r"old\.nc: no group ObsType: name the type"):
        ioda.read(tmp_path / "old.nc", Settings())
    assert set(ioda.read(tmp_path / "old.nc", Settings(kind=131)).reports[reports.TYPE]) == {131}


def test_gsi_s_humidities_and_departures_are_read(shared_data):
    """Their own names, epoch and types; the departures of q are those of GSI."""
    table = ioda.read(shared_data / "observations" / "ioda" / "sondes_q_hofx_2020121500_m.nc4", Settings()).reports
    assert len(table) == 102 and set(table["variable"]) == {"q"}
    assert table["MetaData/dateTime"].between(pd.Timestamp("2020-12-14T20:30"), pd.Timestamp("2020-12-15T03:30")).all()
    assert (table["ObsValue"] - table["FileBackground"]).abs().max() < 0.003


def test_a_dump_of_ncep_and_jedi_s_reading_of_it_agree(shared_data):
    """NC002001 of station 89664: temperatures and humidities to the float32 that IODA keeps."""
    from lara.observations.readers import ncep_dump

    folder = shared_data / "observations"
    dump = ncep_dump.read(folder / "ncep_dump" / "gdas.t12z.adpupa.tm00.bufr_d", Settings()).reports
    other = ioda.read(folder / "ioda" / "gdas.t12z.adpupa_bufr.tm00.nc", Settings(kind=120)).reports
    for variable, tolerance in (("t", 2e-5), ("q", 1e-9)):
        mine, theirs = (table[table["variable"] == variable] for table in (dump, other))
        key = ["MetaData/pressure", "ObsValue"]
        mine, theirs = (one[key].sort_values(key).to_numpy() for one in (mine, theirs))
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=tolerance)
        assert len(mine) == 50
