"""Formats found by what files hold; every file read or refused with a line; tables, NNJA's and ODB-2."""

import json

import numpy as np
import pandas as pd
import pytest

from damage import DAMAGES
from lara import receipts
from lara.observations import readers, reports
from lara.observations.flags import Flag
from lara.observations.readers.settings import Settings

UNREAD = {  # of the sample files, with a word of the reason
    "gsi": "",
    "imma": "no format that is read",
    "madis": "NetCDF-3",
    "text": "",
    "wrfda": "WRFDA",
    "docs": "",
}
SLOW = ("pdbufr_perf_synop.bufr", "pdbufr_perf_aircraft.bufr", "pdbufr_temp.bufr")
READ = {
    "prepbufr/gdas.t12z.adpsfc.prepbufr": "prepbufr",
    "ncep_dump/NC002005": "ncep_dump",
    "bufr/pdbufr_temp_small.bufr": "bufr",
    "ioda/sondes_q_hofx_2020121500_m.nc4": "ioda",
    "odb/odb_sonde_16019.odb": "odb",
    "igra/AUM00011035-data.txt.gz": "igra",
}


def test_every_sample_file_is_read_or_refused_with_a_line(shared_data):
    folder, read, refused = shared_data / "observations", [], {}
    for name in json.loads((folder / "manifest.json").read_text()):
        if name.endswith(SLOW):
            continue
        try:
            reading = readers.read(folder / name, Settings(kind=120))
            assert len(reports.validate(reading.reports)) and reading.ledger.levels
            read.append(name)
        except ValueError as error:
            refused[name] = str(error)
    assert all(str(folder / name) in line and "\n" not in line for name, line in refused.items())
    expected = ("geoval", "earthkit", ".txt", *(f"{part}/" for part in UNREAD))
    assert [name for name in refused if not any(part in name for part in expected)] == []
    assert {name.split("/")[0] for name in read} == {"prepbufr", "ncep_dump", "bufr", "ioda", "odb", "igra"}


@pytest.mark.parametrize(("name", "form"), READ.items())
def test_a_format_is_found_by_what_a_file_holds(shared_data, tmp_path, name, form):
    """Not by its name."""
    path = tmp_path / "file"
    path.write_bytes((shared_data / "observations" / name).read_bytes())
    assert readers.recognised(path) == form


@pytest.mark.parametrize("damage", ["empty", "halved", "text", "zeroed"])
@pytest.mark.parametrize("name", READ)
def test_damaged_copies_of_every_format_are_refused_and_named(shared_data, tmp_path, name, damage):
    path = tmp_path / name.split("/")[1]
    path.write_bytes(DAMAGES[damage]((shared_data / "observations" / name).read_bytes()))
    with pytest.raises(ValueError, match=path.name):
        readers.read(path, Settings(kind=120))


@pytest.mark.parametrize("name", READ)
def test_a_flipped_bit_anywhere_is_found_by_the_receipt_of_a_fetched_file(shared_data, tmp_path, name):
    path = tmp_path / name.split("/")[1]
    path.write_bytes((shared_data / "observations" / name).read_bytes())
    receipts.vouch(path)
    path.write_bytes(DAMAGES["a flipped bit"](path.read_bytes()))
    with pytest.raises(ValueError, match=path.name):
        readers.read(path, Settings(kind=120))


def test_an_absent_file_and_an_unknown_format_are_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="no observation file"):
        readers.read(tmp_path / "absent")
    with pytest.raises(ValueError, match="format 'grib' is unknown"):
        readers.read(tmp_path / "absent", form="grib")


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (b"\x00\x00\x0e\x40BUFR\x00\x0e\x3e\x03", "within records of Fortran"),
        (b"GRIB\x00\x00", "fields, no observations"),
        (b"CDF\x01", "NetCDF-3"),
        (b"ZCZC 123", "bulletins of text"),
        (b"\x7fELF", "7f 45 4c 46, are of no format"),
        (b"", "of which there are none"),
    ],
)
def test_a_file_of_no_format_is_refused_with_what_it_seems_to_be(tmp_path, first, reason):
    (tmp_path / "file").write_bytes(first)
    with pytest.raises(ValueError, match=rf"file: byte 0: .*{reason}"):
        readers.read(tmp_path / "file")


LONG = pd.DataFrame(
    {
        "id": ["a", "a", "b"],
        "when": ["2020-11-01T12:00Z", "2020-11-01T14:00+02:00", "2020-11-01T12:30Z"],
        "lat": [48.0, 48.0, -10.0],
        "lon": [16.0, 16.0, -70.0],
        "p": [85000.0, 50000.0, np.nan],
        "name": ["t", "t", "t2m"],
        "y": [280.0, 250.0, 299.0],
        "sigma": [1.0, np.nan, 2.0],
        "type": [120, 120, 181],
    }
)
COLUMNS = {
    "id": "MetaData/stationIdentification",
    "when": "MetaData/dateTime",
    "lat": "MetaData/latitude",
    "lon": "MetaData/longitude",
    "p": "MetaData/pressure",
    "name": "variable",
    "y": "ObsValue",
    "sigma": "ObsError",
    "type": reports.TYPE,
}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_long_table_is_read_by_a_map_of_its_columns(tmp_path, suffix):
    path = tmp_path / f"table.{suffix}"
    LONG.to_csv(path, index=False) if suffix == "csv" else LONG.to_parquet(path)
    table = readers.read(path, Settings(columns=COLUMNS)).reports
    assert table["ObsValue"].tolist() == [280.0, 250.0, 299.0]
    assert table["PreQC"].tolist() == [Flag.PASS, Flag.NO_ERROR, Flag.PASS]
    assert table["MetaData/dateTime"].dt.hour.tolist() == [12, 12, 12]
    assert table["MetaData/longitude"].tolist() == [16.0, 16.0, 290.0]
    assert table[reports.ASCENT].tolist() == [0, 0, 1] and table[reports.LEVEL].tolist() == [0, 1, 0]


def test_a_wide_table_is_read_too(tmp_path):
    wide = LONG.assign(t=LONG["y"], speed=5.0, direction=270.0).drop(columns=["name", "y", "sigma"])
    wide.to_parquet(tmp_path / "wide.parquet")
    columns = {name: column for name, column in COLUMNS.items() if name in wide}
    table = readers.read(tmp_path / "wide.parquet", Settings(columns=columns)).reports
    assert table.groupby("variable").size().to_dict() == {"t": 2, "t2m": 1, "u": 2, "u10": 1, "v": 2, "v10": 1}


def test_reports_that_lara_wrote_are_read_as_a_table(tmp_path):
    path = tmp_path / "long.csv"
    LONG.to_csv(path, index=False)
    table = readers.read(path, Settings(columns=COLUMNS)).reports
    reports.write([table], tmp_path / "reports.parquet")
    assert readers.read(tmp_path / "reports.parquet").reports.equals(reports.validate(table))


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({**COLUMNS, "height": "MetaData/height"}, r"no column\(s\) \['height'\], which `columns` maps"),
        ({name: one for name, one in COLUMNS.items() if name != "when"}, r"\['MetaData/dateTime'\] are missing"),
        ({name: one for name, one in COLUMNS.items() if name != "type"}, "no column MetaData/reportType"),
    ],
)
def test_a_table_that_lacks_a_column_is_refused_with_its_name(tmp_path, columns, reason):
    LONG.to_csv(tmp_path / "table.csv", index=False)
    with pytest.raises(ValueError, match=rf"table\.csv: .*{reason}"):
        readers.read(tmp_path / "table.csv", Settings(columns=columns))


def nnja(**columns):
    place = {"OBS_TIMESTAMP": pd.to_datetime(["2021-01-01T11:30Z", "2021-01-01T12:00Z"]), "LAT": [48.0, 50.0]}
    return pd.DataFrame({**place, "LON": [-16.0, 10.0], "RPID": ["11035 ", "10410"], "SELV": [198.0, 1e11], **columns})


def test_sondes_of_nnja_have_a_column_for_each_level(tmp_path):
    values = {"TMDB_PRLC50000": [250.0, 1e11], "TMDB_PRLC85000": [280.0, 281.0], "QMAT_PRLC85000": [2.0, 13.0]}
    values |= {"WSPD_PRLC85000": [10.0, 1e11], "WDIR_PRLC85000": [270.0, 1e11]}
    nnja(**values).to_parquet(tmp_path / "a.parquet")
    reading = readers.read(tmp_path / "a.parquet")
    table = reading.reports
    assert reading.ledger.format == "nnja"
    first = table[table[reports.REPORT] == 0]
    assert first["variable"].tolist() == ["t", "u", "v", "t"]
    assert first["MetaData/pressure"].tolist() == [85000.0, 85000.0, 85000.0, 50000.0]
    assert table.loc[table["ObsValue"] == 281.0, "PreQC"].tolist() == [Flag.PREQC]
    assert table["MetaData/stationIdentification"].unique().tolist() == ["11035", "10410"]


@pytest.mark.parametrize(("group", "kind"), [("TMPSQ1", 181), ("MTRTMP", 187), ("TEMHUMDA", 181)])
def test_stations_of_nnja_are_read_under_the_names_of_their_dump(tmp_path, group, kind):
    nnja(**{f"{group}.TMDB": [280.0, 281.0]}).to_parquet(tmp_path / "a.parquet")
    table = readers.read(tmp_path / "a.parquet").reports
    assert table["ObsValue"].tolist() == [280.0, 281.0] and set(table[reports.TYPE]) == {kind}
    assert table["MetaData/stationElevation"].isna().tolist() == [False, True]


def test_the_background_of_odb_is_the_value_less_its_departure(shared_data):
    """Met Office sondes: departures of 1 K and 2 m/s, active data alone good."""
    table = readers.read(shared_data / "observations" / "odb" / "odb_sonde_16019.odb", Settings(kind=120)).reports
    departure = (table["ObsValue"] - table["FileBackground"]).groupby(table["variable"]).std()
    assert departure["t"] < 1.5 and departure["u"] < 3.5
    assert set(table.loc[table["PreQC"] == Flag.PREQC, reports.MARK]) <= {13, 14, 15}


def test_parts_of_dumped_ascents_are_joined(shared_data):
    """NC002001: 643 parts of 641 ascents."""
    reading = readers.read(shared_data / "observations" / "ncep_dump" / "NC002001")
    assert reading.ledger.subsets == 643 and reading.reports[reports.REPORT].nunique() == 641


def test_several_files_are_one_table_in_which_no_aircraft_is_used_twice(tmp_path):
    """Ascents keep numbers of their own; profiles of a cycle yield to its single reports, or these to them."""
    rows = LONG.assign(type=131, name="t", p=50000.0, source=131)
    rows.to_csv(tmp_path / "single.csv", index=False)
    rows.assign(source=431).to_csv(tmp_path / "profile.csv", index=False)
    columns = {**COLUMNS, "source": reports.SOURCE_TYPE}
    paths = [tmp_path / "single.csv", tmp_path / "profile.csv"]
    for aircraft, used in (("reports", 131), ("profiles", 431)):
        table, ledgers = readers.read_all(paths, Settings(columns=columns, aircraft=aircraft))
        assert set(table.loc[table["status"] == 0, reports.SOURCE_TYPE]) == {used}
        assert table[reports.ASCENT].tolist() == [0, 0, 1, 2, 2, 3] and len(ledgers) == 2
    assert len(readers.read_all([])[0]) == 0


SCALES = {
    "airTemperature": (1, 273.15),
    "specificHumidity": (1e-6, 0),
    "stationPressure": (100, 0),
    "height": (9.80665, 0),
}
ENCODED = {"airTemperature": ("t", "t2m"), "windEastward": ("u", "u10"), "windNorthward": ("v", "v10")}
ENCODED |= {"specificHumidity": ("q", "q2m"), "stationPressure": ("ps",), "height": ("z",)}


@pytest.mark.parametrize("name", ENCODED)
def test_a_synthetic_prepbufr_file_is_read_as_it_was_encoded(shared_data, name):
    """Values and marks, of sensible temperatures under virtual ones, too; one aircraft's report is there twice."""
    table = readers.read(shared_data / "synth.gdas.t12z.prepbufr.nr").reports
    truth = pd.read_parquet(shared_data / "synth.gdas.t12z.prepbufr.nr.truth.parquet")
    encoded = truth[(truth["variable"] == name) & truth["obs"].notna()]
    key = ["MetaData/stationIdentification", reports.TYPE, reports.LEVEL, "variable"]
    read = table[table["variable"].isin(ENCODED[name]) & table[reports.TYPE].isin(encoded["typ"])].drop_duplicates(key)
    scale, offset = SCALES.get(name, (1, 0))
    np.testing.assert_allclose(
        np.sort(read["ObsValue"]), np.sort(scale * encoded["obs"] + offset), rtol=1e-6, atol=1e-6
    )
    assert read[reports.MARK].value_counts().to_dict() == encoded["qm"].value_counts().to_dict()
