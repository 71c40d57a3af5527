"""Bad and surplus rows are flagged before the assimilation, each for the first reason that applies."""

import numpy as np
import pandas as pd
import pytest

from lara.bounds import bounds
from lara.observations import screening
from lara.observations import table as tables
from lara.observations.screening import Climate, Entry
from lara.observations.table import LATITUDE, LONGITUDE, PRESSURE, STATION, TIME, Flag
from lara.observations.thinning import Thinning
from tables import SLOTS, table_of

HOUR = np.timedelta64(1, "h")


def climate_of(table, threshold=6.0):
    """Mean 0, std 2."""
    return Climate(np.zeros(len(table)), np.full(len(table), 2.0), threshold)


def crowd(number=400, seed=0):
    """Many data of two variables and two levels in few cells and slots, at places that rarely tie."""
    rng = np.random.default_rng(seed)
    table = table_of(
        rng.uniform(-90, 90, number),
        rng.uniform(0, 360, number),
        variable=rng.choice(["u", "v"], number),
        pressure=rng.choice([50000.0, 85000.0], number),
        time=SLOTS[0] + rng.integers(-180, 180 + 360, number) * np.timedelta64(1, "m"),
        ObsValue=rng.standard_normal(number),
        ObsError=rng.choice([1.0, 2.0], number),
        withheld=rng.uniform(size=number) < 0.1,
    )
    return tables.validate(table)


def shuffled(table, seed=1):
    return table.iloc[np.random.default_rng(seed).permutation(len(table))].reset_index(drop=True)


def by_key(table):
    return table.sort_values([STATION, "variable", PRESSURE, TIME]).reset_index(drop=True)


def occupancy(table, degrees):
    """Number of usable data by variable, level, slot and cell."""
    good = table[(table["PreQC"] == Flag.PASS) & ~table["withheld"]]
    places = Thinning("thin", degrees)._places(good)
    keys = [good["variable"], good[PRESSURE], *(places[name] for name in ("slot", "row", "column"))]
    return good.groupby(keys, dropna=False).size()


def test_a_value_or_error_that_is_missing_is_flagged_and_the_table_becomes_valid():
    raw = table_of([0.0] * 4, [0.0] * 4, ObsValue=[1.0, np.nan, np.inf, 1.0], ObsError=[1.0, 1.0, 1.0, np.nan])
    found = screening.missing(raw)
    assert found["PreQC"].tolist() == [0, 10, 10, 10]
    assert tables.validate(found)["ObsError"].tolist() == [1.0, 1.0, 1.0, np.inf]


def test_an_outlier_of_fifty_standard_deviations_fails_the_gross_check():
    """Exactly c standard deviations pass."""
    table = table_of([0.0] * 3, [0.0] * 3, ObsValue=[1.0, 100.0, -12.0])
    assert screening.gross(table, climate_of(table))["PreQC"].tolist() == [0, Flag.BOUNDS, 0]


def test_all_rows_may_fail_the_gross_check():
    table = table_of([0.0] * 3, [0.0] * 3, "u", ObsValue=300.0)
    assert (screening.screen(table, climate=climate_of(table))["PreQC"] == Flag.BOUNDS).all()


@pytest.mark.parametrize(
    ("variable", "pressure", "value"),
    [
        *(("t", 85000.0, value) for value in (-9999.0, 12.5, 1e15, -1e20)),
        *(("msl", np.nan, value) for value in (1013.2, -9999.0, 0.0)),
        *(("z", 50000.0, value) for value in (-9999.0, 5500.0, 550.0)),
        *(("q", 85000.0, value) for value in (6.0, -999.0)),
        *(("u", 30000.0, value) for value in (9999.0, -999.9)),
    ],
)
def test_a_value_that_no_atmosphere_has_is_flagged_with_its_reason(variable, pressure, value):
    """Stand-ins for missing values and other units, among rows that are as they should be."""
    usual = {"t": 281.0, "msl": 1.01e5, "z": 5.5e4, "q": 6e-3, "u": 30.0}[variable]
    table = table_of(np.arange(8.0), [0.0] * 8, variable, pressure, ObsValue=[*[usual] * 7, value])
    found = screening.screen(table)
    assert found["PreQC"].tolist() == [*[Flag.PASS] * 7, Flag.IMPLAUSIBLE]
    assert Flag.IMPLAUSIBLE.reason == "beyond what the atmosphere does"


def test_rows_that_are_all_one_stand_in_are_flagged():
    """A day on which nothing was measured is not a day in other units."""
    table = table_of(np.arange(5.0), [0.0] * 5, "t2m", np.nan, ObsValue=-9999.0)
    assert (screening.screen(table)["PreQC"] == Flag.IMPLAUSIBLE).all()


@pytest.mark.parametrize(
    ("variable", "pressure", "factor", "offset"),
    [
        ("t", [85000.0, 50000.0], 1, -273.15),
        ("t2m", np.nan, 1.8, -459.67),
        ("msl", np.nan, 0.01, 0),
        ("z", [85000.0, 30000.0], 1 / 9.80665, 0),
        ("q", [85000.0, 85000.0], 1000, 0),
    ],
    ids=["Celsius", "Fahrenheit", "hPa", "metres", "grams"],
)
def test_a_variable_in_other_units_is_refused_as_a_whole(variable, pressure, factor, offset):
    """Naming it, its units, how many of its data and what they are; other variables are no excuse."""
    usual = {"t": [281.0, 253.0], "t2m": [290.0, 280.0], "msl": [1e5, 1.02e5], "z": [1.4e4, 9e4], "q": [6e-3, 9e-3]}
    values = factor * (np.tile(usual[variable], 10) * np.linspace(0.99, 1.01, 20)) + offset
    level = pressure if np.isscalar(pressure) else np.tile(pressure, 10)
    bad = table_of(np.arange(20.0), [0.0] * 20, variable, level, ObsValue=values)
    good = table_of(np.arange(40.0), [9.0] * 40, "u", 50000.0)
    with pytest.raises(ValueError, match=rf"of 20 data of {variable} \(.* bring them to the units of the table"):
        screening.screen(pd.concat([good, bad], ignore_index=True))


def test_stations_in_other_units_may_be_blacklisted():
    table = table_of(np.arange(4.0), [0.0] * 4, "t", 85000.0, ObsValue=[8.0, 9.0, 10.0, 281.0])
    found = screening.screen(table, tuple(Entry(f"s{number}") for number in range(3)))
    assert found["PreQC"].tolist() == [Flag.BLACK] * 3 + [Flag.PASS]


def test_bounds_let_the_extremes_that_were_measured_pass():
    """Records of the surface, jets, a polar vortex, a typhoon of 870 hPa: lowest and highest of each."""
    records = {
        ("t2m", None): (183.9, 330.0),
        ("msl", None): (8.7e4, 1.085e5),
        ("u10", None): (-113.0, 113.0),
        ("u", 250): (-150.0, 170.0),
        ("t", 50): (170.0, 260.0),
        ("q", 1000): (0.0, 0.035),
        ("z", 1000): (-1.2e4, 6e3),
        ("z", 500): (4.4e4, 6.1e4),
        ("z", 50): (1.75e5, 2.1e5),
    }
    for (name, level), extremes in records.items():
        low, high = bounds(name, level)
        assert low < extremes[0] and extremes[1] < high, name


def test_a_good_row_without_climate_is_refused_and_a_flagged_one_is_not():
    table = table_of([0.0] * 2, [0.0] * 2, PreQC=[Flag.BLACK, 0])
    climate = Climate(np.array([np.nan, 0.0]), np.array([1.0, 1.0]), 6.0)
    assert screening.gross(table, climate)["PreQC"].tolist() == [Flag.BLACK, 0]
    with pytest.raises(ValueError, match=r"climate at row 1: mean 0\.0, std 0\.0"):
        screening.gross(table, Climate(np.zeros(2), np.zeros(2), 6.0))


def test_a_climate_of_another_table_is_refused():
    with pytest.raises(ValueError, match="climate of 2 means and 2 stds for 3 rows"):
        screening.gross(table_of([0.0] * 3, [0.0] * 3), climate_of([0, 1]))


def test_of_duplicates_the_first_is_kept_and_conflicting_ones_are_told_apart():
    """Other variables, times, levels and stations are no duplicates; at the surface NaN equals NaN."""
    rows = [
        ("a", "z", 0, 50000.0, 1.0, Flag.PASS),
        ("a", "z", 0, 50000.0, 1.0, Flag.DUPLICATE),
        ("a", "z", 0, 50000.0, 2.0, Flag.CONFLICT),
        ("a", "t", 0, 50000.0, 1.0, Flag.PASS),
        ("a", "z", 1, 50000.0, 1.0, Flag.PASS),
        ("a", "z", 0, 85000.0, 1.0, Flag.PASS),
        ("b", "z", 0, 50000.0, 1.0, Flag.PASS),
        ("a", "msl", 0, np.nan, 1.0, Flag.PASS),
        ("a", "msl", 0, np.nan, 1.0, Flag.DUPLICATE),
    ]
    station, variable, slot, pressure, value, expected = (list(column) for column in zip(*rows, strict=True))
    table = table_of([0.0] * 9, [0.0] * 9, variable, pressure, SLOTS[slot], ObsValue=value).assign(**{STATION: station})
    assert screening.duplicates(table)["PreQC"].tolist() == expected


def test_a_gross_error_does_not_displace_the_good_row_it_contradicts():
    table = table_of([0.0] * 2, [0.0] * 2, "u", ObsValue=[300.0, 1.0]).assign(**{STATION: "a"})
    assert screening.screen(table, climate=climate_of(table))["PreQC"].tolist() == [Flag.BOUNDS, Flag.PASS]


def test_a_datum_carries_the_first_reason_against_it():
    """A missing value and a stand-in on the blacklist, a stand-in that is no climate, a gross error, a good one."""
    table = table_of([0.0] * 5, [0.0] * 5, "u", ObsValue=[np.nan, 1e3, 1e3, 300.0, 1.0])
    table[STATION] = ["a", "b", "c", "d", "e"]
    found = screening.screen(table, (Entry("a"), Entry("b")), climate_of(table), Thinning("thin", 30.0))
    assert found["PreQC"].tolist() == [Flag.MISSING, Flag.BLACK, Flag.IMPLAUSIBLE, Flag.BOUNDS, Flag.PASS]


def test_a_blacklist_entry_reaches_as_far_as_it_says():
    table = table_of([0.0] * 4, [0.0] * 4, variable=["z", "t", "z", "z"], time=SLOTS[[0, 0, 1, 2]])
    table[STATION] = "a"
    entries = {
        (Entry("a"),): [14, 14, 14, 14],
        (Entry("b"),): [0, 0, 0, 0],
        (Entry("a", "t"),): [0, 14, 0, 0],
        (Entry("a", "z", SLOTS[1], SLOTS[2]),): [0, 0, 14, 0],
        (Entry("a", None, None, SLOTS[1]), Entry("a", None, SLOTS[2])): [14, 14, 0, 14],
    }
    for chosen, expected in entries.items():
        assert screening.blacklisted(table, chosen)["PreQC"].tolist() == expected


def test_a_blacklist_is_read_with_its_times_in_utc(tmp_path):
    path = tmp_path / "black.csv"
    path.write_text("station,variable,begin,end\nA 1,,,\n\nB,z,2001-01-31,2001-02-01T03:00+02:00\nC\n")
    entries = screening.read_blacklist(path)
    begin, end = np.datetime64("2001-01-31", "ns"), np.datetime64("2001-02-01T01:00", "ns")
    assert entries == (Entry("A 1"), Entry("B", "z", begin, end), Entry("C"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"line 1: the columns are \[\]"),
        ("variable\nz\n", "line 1: .* a blacklist has `station`"),
        ("station,reason\na,old\n", r"line 1: the columns are \['station', 'reason'\]"),
        ("station,station\na,b\n", "line 1"),
        ("station,variable\na,z\n,t\n", "line 3: no station"),
        ("station,variable\na,temperature\n", "line 2: variable 'temperature' is unknown: use one of"),
        ("station,begin\na,1 May\n", "line 2: '1 May' is no time: write it like 2001-03-30"),
        ("station,begin,end\na,2002-01-01,2001-01-01\n", "line 2: end .* is not after begin"),
        ("station\na,b\n", r"line 2: \['b'\] lie beyond the last column"),
    ],
)
def test_a_wrong_blacklist_is_refused_with_file_and_line(text, message, tmp_path):
    path = tmp_path / "black.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"black.csv, {message}"):
        screening.read_blacklist(path)


def test_a_missing_blacklist_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv: correct quality_control\.blacklist"):
        screening.read_blacklist(tmp_path / "none.csv")


@pytest.mark.parametrize("method", ["thin", "superob"])
def test_thinning_leaves_at_most_one_datum_in_a_cell_and_no_cell_empty(method):
    before, after = crowd(), Thinning(method, 30.0)(crowd())
    assert occupancy(before, 30.0).max() > 3
    assert (occupancy(after, 30.0) == 1).all()
    assert occupancy(after, 30.0).index.equals(occupancy(before, 30.0).index)
    pd.testing.assert_frame_equal(tables.validate(after), after)


@pytest.mark.parametrize("method", ["thin", "superob"])
def test_thinning_does_not_depend_on_the_order_of_the_rows(method):
    once, again = Thinning(method, 30.0)(crowd()), Thinning(method, 30.0)(shuffled(crowd()))
    pd.testing.assert_frame_equal(by_key(once), by_key(again), check_exact=True)


@pytest.mark.parametrize("method", ["thin", "superob"])
def test_withheld_and_flagged_rows_neither_thin_nor_are_thinned(method):
    table = table_of([10.0] * 4, [10.0] * 4, withheld=[True, False, True, False], PreQC=[0, 0, 0, Flag.BLACK])
    assert Thinning(method, 30.0)(table)["PreQC"].tolist() == [0, 0, 0, Flag.BLACK]


def test_the_most_accurate_datum_is_kept_and_of_equals_the_nearest_to_the_centre():
    """Cells of 30 degrees: from 60 to 30 N, of width 360/8 = 45 degrees at 45 N, with a centre at 22.5 E."""
    table = table_of([45.0, 40.0, 35.0, 32.0], [22.5, 22.5, 22.5, 22.5], ObsError=[2.0, 1.0, 1.0, 1.0])
    assert Thinning("thin", 30.0)(table)["PreQC"].tolist() == [Flag.THINNED, 0, Flag.THINNED, Flag.THINNED]


def test_a_cell_has_one_datum_for_each_slot_and_the_nearest_in_time():
    """15:00 opens the 18 UTC slot and 21:00 the next; with an anchor of 15 UTC both are centres."""
    times = SLOTS[0] + np.array([-3, 1, 3]) * HOUR
    table = table_of([10.0] * 3, [10.0] * 3, time=times)
    assert Thinning("thin", 30.0)(table)["PreQC"].tolist() == [Flag.THINNED, 0, 0]
    anchored = Thinning("thin", 30.0, anchor=SLOTS[0] - 3 * HOUR)
    assert anchored(table)["PreQC"].tolist() == [0, Flag.THINNED, 0]


def test_a_superobservation_of_equal_values_keeps_the_value_and_divides_the_error():
    """n = 4, sigma 2: error 2 / sqrt(4)."""
    times = SLOTS[0] + np.arange(4) * np.timedelta64(30, "m")
    table = table_of([10.0] * 4, [10.0] * 4, time=times, ObsValue=7.0, ObsError=2.0)
    found = Thinning("superob", 30.0)(table)
    assert found["PreQC"].tolist() == [Flag.SUPEROB] * 4 + [Flag.PASS]
    mean = found.iloc[-1]
    assert (mean["ObsValue"], mean["ObsError"]) == (7.0, 1.0)
    assert mean[LATITUDE] == pytest.approx(10.0, abs=1e-12)
    assert mean[LONGITUDE] == pytest.approx(10.0, abs=1e-12)
    assert mean[TIME] == pd.Timestamp("2001-01-31T18:45")
    assert mean[STATION].startswith("superob-")


def test_a_superobservations_error_is_that_of_the_mean_of_independent_data():
    """Errors 3 and 4: sqrt(9 + 16) / 2."""
    found = Thinning("superob", 30.0)(table_of([10.0] * 2, [10.0] * 2, ObsValue=[1.0, 2.0], ObsError=[3.0, 4.0]))
    assert found["ObsError"].iloc[-1] == pytest.approx(2.5)
    assert found["ObsValue"].iloc[-1] == pytest.approx(1.5)


def test_a_datum_alone_in_its_cell_is_left_as_it_is():
    table = table_of([10.0, -50.0], [10.0, 200.0])
    pd.testing.assert_frame_equal(Thinning("superob", 30.0)(table), table)


def test_superobservations_stand_on_the_globe_whatever_they_average():
    """Two data either side of 60 E, 1 degree from the pole, have their mean nearer to it; 360 E is not reached."""
    last = np.nextafter(360.0, 0.0)
    table = table_of([89.0, 89.0, 10.0, 10.0, -90.0, -90.0], [1.0, 119.0, last, last, last, 300.0])
    means = tables.validate(Thinning("superob", 60.0)(table)).query("PreQC == 0")
    assert len(means) == 3
    assert means[LONGITUDE].iloc[0] == pytest.approx(60.0, abs=1e-9)
    assert means[LATITUDE].iloc[0] > 89.4
    assert means[LATITUDE].iloc[2] == pytest.approx(-90.0, abs=1e-9)


def test_a_table_without_rows_passes_every_check():
    """Types and columns stay."""
    empty = table_of([], [])
    for method in ("thin", "superob"):
        found = screening.screen(empty, (Entry("a", "z", SLOTS[0]),), climate_of(empty), Thinning(method, 5.0))
        pd.testing.assert_frame_equal(tables.validate(found), empty)


def test_checks_leave_the_table_they_are_given_alone():
    table = crowd()
    before = table.copy()
    screening.screen(table, (Entry("s1"),), climate_of(table, 1.0), Thinning("superob", 30.0))
    pd.testing.assert_frame_equal(table, before)


def test_the_flags_of_screening_survive_parquet(tmp_path):
    table = crowd()
    found = screening.screen(table, (Entry("s1"),), climate_of(table, 1.0), Thinning("superob", 30.0))
    tables.write([found], tmp_path / "observations.parquet")
    read = tables.read(tmp_path / "observations.parquet")
    assert read["PreQC"].tolist() == found["PreQC"].tolist()
    assert {Flag.PASS, Flag.BLACK, Flag.BOUNDS, Flag.SUPEROB} == set(read["PreQC"])
