"""A real cycle of GDAS (2020-11-01 12 UTC): counts, meaning, and two other decoders' readings of it.

Numbers are those of the manifest of the sample files and of `docs` there, not of this reader.
"""

import json
import time

import numpy as np
import pandas as pd
import pytest

from damage import DAMAGES, flip
from lara import receipts
from lara.observations import reports
from lara.observations.flags import Flag
from lara.observations.readers import frames, prepbufr, prepbufr_rows
from lara.observations.readers.nested import gather, path_to
from lara.observations.readers.prepbufr_levels import BESIDE, levels_of, separation
from lara.observations.readers.settings import Settings
from lara.observations.reports import Origin
from ncep_dumps import levels
from prepbufr_levels_by_hand import CODES, decoded, report

GLOBAL, SMALL = "ADPUPA_2932872.prepbufr", "ADPUPA_486008.prepbufr"
FILES = [SMALL, "ADPUPA_913752.prepbufr", GLOBAL]
FILES += [f"gdas.t12z.{name}.prepbufr" for name in ("adpsfc", "sfcshp", "acft_profiles")]
GROSS = {"t": (8.0, 1.3, 5.6), "u": (8.0, 1.4, 6.1), "ps": (5.0, 100.0, 300.0)}  # GSI's limit, least, greatest error
MNEMONICS = ("CAT", "POB", "PQM", "QOB", "QQM", "TOB", "TQM", "TPC", "ZOB", "UOB", "VOB", "WQM", "HRDR")


@pytest.fixture(scope="module")
def folder(shared_data):
    return shared_data / "observations" / "prepbufr"


@pytest.fixture(scope="module")
def readings(folder):
    """Every file with sensible temperatures."""
    return {name: prepbufr.read(folder / name, Settings()) for name in FILES}


@pytest.fixture(scope="module")
def sondes(readings):
    return readings[GLOBAL].reports


@pytest.mark.parametrize("name", FILES)
def test_counts_and_sums_are_those_of_the_manifest(shared_data, readings, name):
    manifest = json.loads((shared_data / "observations" / "manifest.json").read_text())[f"prepbufr/{name}"]
    ledger, table = readings[name].ledger, readings[name].reports
    assert (ledger.frames, ledger.subsets, ledger.levels) == tuple(
        manifest[key] for key in ("messages", "subsets", "rows")
    )
    for mnemonic in ("POB", "QOB", "TOB", "UOB", "ZOB"):
        stated = manifest[mnemonic]
        assert (ledger.count(mnemonic), ledger.count(mnemonic, 2)) == (stated["n"], stated["good_qm_le2"])
    pressures = ledger.values[ledger.values["observation"] == "POB"].groupby("type")["count"].sum()
    assert {str(kind): count for kind, count in pressures.items()} == manifest["levels_by_type"]
    total = 1e6 * table.loc[table["variable"].isin(("q", "q2m")), "ObsValue"].sum()
    assert total == pytest.approx(manifest["QOB"]["sum"], abs=1)


def test_the_cycle_is_read_in_two_seconds_of_processor_time(folder):
    begin = time.process_time()
    for name in (GLOBAL, "gdas.t12z.adpsfc.prepbufr", "gdas.t12z.sfcshp.prepbufr"):
        prepbufr.read(folder / name, Settings())
    assert time.process_time() - begin < 2.0


def test_good_values_are_as_many_as_gdas_marked(sondes):
    good = sondes[sondes[reports.MARK].between(0, 2)].groupby("variable").size()
    assert (good["t"], good["q"], good["u"], good["v"], good["ps"]) == (29283, 13010, 36511, 36511, 585)


def test_a_sensible_temperature_lies_under_every_virtual_one(folder, sondes):
    """17,164 of them; virtual temperatures exceed the others by 0.43 K on average and by 4.1 K at most."""
    newest = prepbufr.read(folder / GLOBAL, Settings(temperature="virtual")).reports
    both = newest[newest["variable"] == "tv"].merge(
        sondes[sondes["variable"] == "t"], on=[reports.REPORT, reports.LEVEL], suffixes=("_tv", "_t")
    )
    excess = both["ObsValue_tv"] - both["ObsValue_t"]
    assert len(both) == (newest["variable"] == "tv").sum() == 17164
    assert (both["QualityMarker_tv"] == both["QualityMarker_t"]).all()
    assert (round(excess.mean(), 2), round(excess.max(), 1)) == (0.43, 4.1)


def test_balloons_drift_as_far_and_long_as_the_file_says(sondes):
    column = "MetaData/"
    places = [
        sondes[f"{column}{name}"].to_numpy()
        for name in ("releaseLatitude", "releaseLongitude", "latitude", "longitude")
    ]
    level = ~sondes.duplicated([reports.REPORT, reports.LEVEL])
    km = 111.195 * separation(*places)[level]
    assert round(np.quantile(km, 0.95)) == 121 and km.max() == pytest.approx(271, rel=0.01)
    hours = (sondes["MetaData/dateTime"] - sondes["MetaData/cycle"]) / pd.Timedelta(hours=1)
    assert (round(hours.min(), 2), round(hours.max(), 2)) == (-2.45, 2.21)


def test_pressures_made_of_heights_are_as_many_as_reasons_103_and_116(sondes):
    """116 lies at the top of 700 levels, and beneath a rejection of two more."""
    winds = sondes.loc[sondes["variable"] == "u", reports.ORIGIN].value_counts()
    assert (winds[Origin.HYDROSTATIC], winds[Origin.STANDARD]) == (10748, 702)


def test_all_627_twins_of_mass_and_wind_share_an_ascent(sondes):
    kinds = sondes.groupby(reports.ASCENT)[reports.TYPE].agg(lambda types: frozenset(types.unique()))
    assert (kinds == {120, 220}).sum() == 627


def test_gross_limits_of_gsi_against_the_file_s_own_background_find_few(sondes):
    """A test of units and signs that needs no model: 9 temperatures, 31 eastward winds, 4 surface pressures."""
    found = {}
    for variable, (limit, least, greatest) in GROSS.items():
        own = sondes[(sondes["variable"] == variable) & (sondes[reports.MARK] <= 2)]
        ratio = (own["ObsValue"] - own["FileBackground"]).abs() / own["ObsError"].clip(least, greatest)
        found[variable] = int((ratio > limit).sum())
    assert found == {"t": 9, "u": 31, "ps": 4}


def test_errors_of_all_good_data_are_given_and_those_of_humidity_are_shares_of_saturation(sondes):
    good = sondes[(sondes[reports.MARK] <= 2) & (sondes["variable"] != "z")]
    assert np.isfinite(good["ObsError"]).all()
    ps, q = (good.loc[good["variable"] == name, "ObsError"] for name in ("ps", "q"))
    assert set(ps) == {100.0} and 0 < q.min() < q.max() < 0.01


def test_land_stations_lack_nothing_but_an_error(readings):
    """Mark 9 with reason 3, in words of NCEP's table 10; those of reason 4 and others stay rejected."""
    land = readings["gdas.t12z.adpsfc.prepbufr"].reports
    lacking = land[land["PreQC"].isin([Flag.NO_ERROR, Flag.LEVEL])].groupby("variable").size()
    assert (lacking["t2m"], lacking["u10"], lacking["q2m"]) == (701 + 26 + 13, 725 + 26, 701)
    levels = land[land["PreQC"] == Flag.LEVEL].groupby("variable").size()
    assert (levels["t2m"], levels["u10"], levels["q2m"]) == (37, 5, 10)
    own = {"t2m": 2.0, "u10": 2.5, "v10": 2.5}
    assert not land.loc[land["variable"].isin(own), "PreQC"].isin([Flag.PASS]).any()


def test_every_datum_that_is_not_used_has_a_reason(readings):
    for reading in readings.values():
        table = reports.validate(reading.reports)
        used = (table["PreQC"] == Flag.PASS) & (table["status"] == 0)
        assert ((reports.objections(table) == "") == used).all()


def test_kinds_of_message_may_follow_each_other_in_one_file_as_they_do_in_gdas(folder, tmp_path, readings):
    names = [SMALL, *FILES[3:]]
    path = tmp_path / "gdas.prepbufr"
    path.write_bytes(b"".join((folder / name).read_bytes() for name in names))
    reading = prepbufr.read(path, Settings())
    assert reading.ledger.levels == sum(readings[name].ledger.levels for name in names)
    assert len(reading.reports) == sum(len(readings[name].reports) for name in names)
    assert reading.reports[reports.REPORT].nunique() == sum(
        readings[name].reports[reports.REPORT].nunique() for name in names
    )


@pytest.mark.parametrize("damage", ["empty", "halved", "text", "zeroed", "a zeroed block", "a zeroed tail"])
def test_damaged_files_are_refused_with_the_byte(folder, tmp_path, damage):
    path = tmp_path / SMALL
    path.write_bytes(DAMAGES[damage]((folder / SMALL).read_bytes()))
    with pytest.raises(ValueError, match=rf"{SMALL}: byte \d+: "):
        prepbufr.read(path, Settings())


def test_blocks_of_64_zeros_within_reports_are_found_wherever_they_lie(folder, tmp_path):
    raw, path = (folder / SMALL).read_bytes(), tmp_path / SMALL
    for begin in np.random.default_rng(0).integers(60000, len(raw) - 100, 8):
        path.write_bytes(raw[:begin] + bytes(64) + raw[begin + 64 :])
        with pytest.raises(ValueError, match=r"byte \d+: "):
            prepbufr.read(path, Settings())


def test_a_flipped_bit_of_a_value_is_found_by_the_receipt_of_the_fetched_file(folder, tmp_path):
    path = tmp_path / SMALL
    path.write_bytes((folder / SMALL).read_bytes())
    receipts.vouch(path)
    flip(path, 300000)
    with pytest.raises(receipts.ReceiptError, match=SMALL):
        prepbufr.read(path, Settings())


def test_what_ncep_s_own_dump_shows_of_neumayer_is_in_the_rows_value_by_value(folder):
    """Station 89512 in another cycle: values, errors, marks, codes, place and time of all 31 levels."""
    header, *dump = levels(folder / "adpupa.prepbufr.subset.txt")
    given = report(
        120, *map(_decoded, dump), station="89512", **{name: header[name][0] for name in ("XOB", "YOB", "DHR")}
    )
    found = prepbufr_rows.rows(levels_of(decoded(given), Settings()), np.datetime64("2020-11-01T00", "ns"), Settings())
    compared = 0
    for number, level in enumerate(dump):
        here = found[found[reports.LEVEL] == number].set_index("variable")
        expected = _expected(level)
        assert set(here.index) == set(expected)
        for name, columns in expected.items():
            values = [here.loc[name, column] for column in columns]
            assert values == pytest.approx(list(columns.values()), rel=1e-9, abs=1e-6)
            compared += len(columns)
    assert len(dump) == 31 and compared > 31 * 10


def _decoded(level):
    """A level of the dump as the decoder would give it."""
    parts = {}
    for letter, code in CODES.items():
        names = [code, f"{letter}QM", f"{letter}PC", f"{letter}RC"]
        parts[letter] = (
            {"events": [dict(zip(names, event, strict=True)) for event in zip(*map(level.get, names), strict=True)]}
            if code in level
            else {"events": []}
        )
    beside = {name: values[0] for name, values in level.items() if name in BESIDE}
    return {**beside, **parts}


def _expected(level):
    """Columns of the rows of a level, from what the dump says of it, in SI units."""
    common = {
        "MetaData/pressure": 100 * level["POB"][0],
        "MetaData/longitude": level["XDR"][0],
        "MetaData/latitude": level["YDR"][0],
    }
    rows = {}
    if "TOB" in level:
        event = next(i for i, program in enumerate(level["TPC"]) if program != 8)
        values = {
            "ObsValue": level["TOB"][event] + 273.15,
            "ObsError": level["TOE"][0],
            reports.MARK: level["TQM"][event],
        }
        rows["t"] = common | values | {reports.PROGRAM: level["TPC"][event], reports.REASON: level["TRC"][event]}
    if "QOB" in level:
        values = {
            "ObsValue": 1e-6 * level["QOB"][0],
            "FileBackground": 1e-6 * level["QFC"][0],
            reports.MARK: level["QQM"][0],
        }
        rows["q"] = common | values | {reports.PROGRAM: level["QPC"][0], reports.REASON: level["QRC"][0]}
    if "ZOB" in level and level["CAT"] != [4.0]:
        values = {"ObsValue": 9.80665 * level["ZOB"][0], reports.MARK: level["ZQM"][0]}
        rows["z"] = common | values | {"MetaData/height": level["ZOB"][0]}
    if level["CAT"] == [0.0]:
        errors = {"ObsError": 100 * level["POE"][0], "FileBackground": 100 * level["PFC"][0]}
        rows["ps"] = common | errors | {"ObsValue": 100 * level["POB"][0], reports.MARK: level["PQM"][0]}
    return rows


@pytest.mark.parametrize("messages", [6, pytest.param(None, marks=pytest.mark.slow)])
def test_another_decoder_reads_the_same_values_of_13_mnemonics(folder, tmp_path, messages):
    decoder = pytest.importorskip("pybufrkit.decoder", reason="pybufrkit is not installed")
    earth2bufr = pytest.importorskip("earth2bufr")
    raw = (folder / SMALL).read_bytes()
    walked = frames.walk(raw)
    tables = [frame for frame in walked if frame.category == frames.DICTIONARY]
    held = frames.data(walked)[:messages]
    path = tmp_path / "piece.prepbufr"
    path.write_bytes(b"".join(raw[frame.offset : frame.end] for frame in (*tables, *held)))
    (batch,) = [one.to_struct_array() for one in earth2bufr.read_bufr(path)]
    others = _values(decoder, path.read_bytes())
    for name in MNEMONICS:
        _, values = gather(batch, path_to(batch.type, name))
        np.testing.assert_array_equal(values.to_numpy(zero_copy_only=False), np.array(others[name]), err_msg=name)


def _values(decoder, raw):
    """All values of each mnemonic in their order, by pybufrkit."""
    found = {name: [] for name in MNEMONICS}
    for message in decoder.generate_bufr_message(decoder.Decoder(), raw):
        if message.data_category.value == frames.DICTIONARY:
            continue
        data = message.template_data.value
        for kinds, values in zip(data.decoded_descriptors_all_subsets, data.decoded_values_all_subsets, strict=True):
            for kind, value in zip(kinds, values, strict=True):
                name = getattr(kind, "name", "").split(" ")[0]
                if name in found:
                    found[name].append(np.nan if value is None else float(value))
    return found
