"""The observation table, the network of sites, and the observations of a twin experiment."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

from lara import store
from lara.grid import Grid
from lara.observations import network, table
from lara.observations.simulate import simulate
from lara.observations.table import Flag
from lara.state import Channels
from tables import table_of

GRID = Grid.gaussian(32, 64)
CHANNELS = Channels.of(["msl", "t2m"], ["z", "q"], [500, 850])
TIMES = np.datetime64("2001-03-30", "ns") + np.arange(12) * np.timedelta64(6, "h")
ERROR_STD = {"msl": 100.0, "t2m": 1.0, "z500": 100.0, "z850": 70.0, "q850": 1e-3}


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    path = tmp_path_factory.mktemp("truth") / "truth.zarr"
    states = np.random.default_rng(0).standard_normal((len(TIMES), len(CHANNELS), *GRID.shape)).astype(np.float32)
    store.create(path, GRID, CHANNELS, TIMES)
    store.write_block(path, 0, states)
    store.seal(path, "all", 0, len(TIMES))
    return store.open_state(path)


@pytest.fixture(scope="module")
def sites():
    return network.draw_network(GRID, 20, 50, 0.1, np.random.default_rng(1))


@pytest.fixture(scope="module")
def simulated(truth, sites):
    return simulate(truth, sites, TIMES, ERROR_STD, seed=3)


def test_the_network_has_the_sites_asked_for_and_keeps_the_share_withheld(sites):
    assert sites.groupby("type").size().to_dict() == {"column": 20, "surface": 50}
    assert sites.groupby("type")["withheld"].sum().to_dict() == {"column": 2, "surface": 5}
    assert sites["station"].is_unique


def test_the_network_depends_on_the_generator_alone(sites):
    again = network.draw_network(GRID, 20, 50, 0.1, np.random.default_rng(1))
    pd.testing.assert_frame_equal(sites, again)


def test_sites_are_off_the_grid_points_and_at_most_one_per_cell():
    sites = network.draw_network(GRID, 90, 250, 0.1, np.random.default_rng(2))
    for _, group in sites.groupby("type"):
        index, weight = GRID.interpolation(group["latitude"].to_numpy(), group["longitude"].to_numpy())
        assert len(set(index[np.arange(len(group)), weight.argmax(axis=1)])) == len(group)
    assert not np.isin(sites["longitude"], GRID.longitude).any()


def test_northern_land_is_the_most_densely_observed():
    """Sites per unit area over northern land are several times those elsewhere; thinning narrows the
    factor of 10.
    """
    sites = network.draw_network(GRID, 0, 250, 0.1, np.random.default_rng(4))
    rng = np.random.default_rng(5)
    latitude, longitude = np.rad2deg(np.arcsin(rng.uniform(-1, 1, 100_000))), rng.uniform(0, 360, 100_000)

    def northern_land(latitude, longitude):
        return network.is_land(latitude, longitude) & (latitude > 20)

    area = northern_land(latitude, longitude).mean()
    share = northern_land(sites["latitude"].to_numpy(), sites["longitude"].to_numpy()).mean()
    assert (share / area) / ((1 - share) / (1 - area)) > 3


@pytest.mark.parametrize(
    ("place", "latitude", "longitude", "land"),
    [
        ("Berlin", 52, 13, True),
        ("Accra", 6, 359.8, True),
        ("Chicago", 42, 272, True),
        ("Kalgoorlie", -31, 121, True),
        ("North Pacific", 40, 180, False),
        ("Southern Ocean", -55, 90, False),
        ("Azores", 38, 330, False),
    ],
)
def test_the_boxes_of_land_hold_known_places(place, latitude, longitude, land):
    assert network.is_land(np.array([latitude]), np.array([longitude]))[0] == land, place


def test_too_many_sites_for_the_grid_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        network.draw_network(Grid.gaussian(8, 16), 200, 0, 0.1, np.random.default_rng(0))


def test_columns_observe_upper_air_channels_and_stations_the_surface(simulated, sites):
    """20 columns x 3 channels + 50 stations x 2 at each of 12 times; q500 has no error and is not
    observed.
    """
    assert len(simulated) == 12 * (20 * 3 + 50 * 2)
    kinds = simulated.groupby("MetaData/stationType")["variable"].unique()
    assert set(kinds["column"]) == {"z", "q"}
    assert set(kinds["surface"]) == {"msl", "t2m"}
    assert set(simulated.loc[simulated["variable"] == "q", "MetaData/pressure"]) == {85000.0}
    assert simulated.groupby("MetaData/stationIdentification")["withheld"].first().sum() == sites["withheld"].sum()


def test_observation_errors_have_the_stated_standard_deviation_and_no_bias(truth, sites, simulated):
    """Against nearly error-free observations; 4 standard errors of a mean and of a standard deviation."""
    exact = simulate(truth, sites, TIMES, dict.fromkeys(ERROR_STD, 1e-12), seed=3)
    error = (simulated["ObsValue"] - exact["ObsValue"]) / simulated["ObsError"]
    for _, sample in error.groupby([simulated["variable"], simulated["MetaData/pressure"]], dropna=False):
        assert abs(sample.mean()) < 4 / np.sqrt(len(sample))
        assert abs(sample.std() - 1) < 4 / np.sqrt(2 * len(sample))


def test_a_subset_of_times_and_channels_gives_the_same_values(truth, sites, simulated):
    some = simulate(truth, sites, TIMES[[7, 3]], {"msl": 100.0, "z500": 100.0}, seed=3)
    key = [table.STATION, "variable", table.PRESSURE, table.TIME]
    both = some.merge(simulated, on=key, suffixes=("", "_all"))
    assert len(both) == len(some)
    assert (both["ObsValue"] == both["ObsValue_all"]).all()


def test_another_seed_gives_other_errors(truth, sites, simulated):
    assert (simulate(truth, sites, TIMES[:1], ERROR_STD, seed=4)["ObsValue"] != simulated["ObsValue"][:160]).all()


@pytest.mark.parametrize(("error_std", "message"), [({"z700": 1.0}, "z700"), ({"z500": 0.0}, "must be positive")])
def test_an_impossible_observation_error_is_refused(truth, sites, error_std, message):
    with pytest.raises(ValueError, match=message):
        simulate(truth, sites, TIMES[:1], error_std, seed=0)


def test_the_table_survives_parquet(simulated, tmp_path):
    table.write([simulated], tmp_path / "new" / "observations.parquet")
    pd.testing.assert_frame_equal(table.read(tmp_path / "new" / "observations.parquet"), simulated)


def test_a_table_written_in_parts_reads_back_whole_and_by_stretches(simulated, tmp_path):
    """Half-open in time; what lies outside is not even read: a row group is of one time here."""
    path = tmp_path / "observations.parquet"
    table.write((part for _, part in simulated.groupby(table.TIME)), path)
    pd.testing.assert_frame_equal(table.read(path), simulated)
    stretch = table.between(simulated, TIMES[1], TIMES[3]).reset_index(drop=True)
    pd.testing.assert_frame_equal(table.read(path, TIMES[1], TIMES[3]), stretch)
    assert parquet.ParquetFile(path).num_row_groups == len(np.unique(simulated[table.TIME]))


def test_bytes_of_feedback_do_not_depend_on_the_parts_it_is_written_in(simulated, tmp_path):
    """A row group per cycle, so that jobs cut anywhere leave the same file; read cycle by cycle, or one alone."""
    seen = simulated[~simulated["withheld"]]
    cycles = [table.feedback(seen, outcome_of(seen, np.ones(len(seen))), time) for time in TIMES[:3]]
    one, many = tmp_path / "one.parquet", tmp_path / "many.parquet"
    table.write_feedback([pd.concat(cycles, ignore_index=True)], one)
    table.write_feedback([pd.concat(cycles[:2], ignore_index=True), cycles[2]], many)
    assert one.read_bytes() == many.read_bytes()
    assert [part["cycle"].unique().tolist() for part in table.feedback_parts(one)] == [
        [pd.Timestamp(time)] for time in TIMES[:3]
    ]
    assert set(table.read_feedback(one, cycle=TIMES[1])["cycle"]) == {pd.Timestamp(TIMES[1])}


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("MetaData/latitude", 91.0, "row 5: MetaData/latitude = 91.0"),
        ("MetaData/longitude", 360.0, r"row 5: MetaData/longitude = 360.0 .*\[0, 360\)"),
        ("MetaData/pressure", -1.0, "row 5: MetaData/pressure = -1.0"),
        ("MetaData/dateTime", pd.NaT, "row 5: MetaData/dateTime"),
        ("variable", "temperature", "row 5: variable = temperature"),
        ("PreQC", 3, "row 5: PreQC = 3 must be a Flag.*11"),
        ("ObsError", 0.0, "row 5: ObsError = 0.0 must be positive"),
        ("ObsValue", np.nan, "row 5: ObsValue = nan"),
    ],
)
def test_a_bad_value_is_refused_with_its_row_and_column(simulated, column, value, message):
    broken = simulated.copy()
    broken.loc[5, column] = value
    with pytest.raises(ValueError, match=message):
        table.validate(broken)


def test_a_missing_column_is_refused_by_name(simulated):
    with pytest.raises(ValueError, match="ObsError"):
        table.validate(simulated.drop(columns="ObsError"))


def test_a_missing_observation_file_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.parquet.*lara simulate-observations"):
        table.read(tmp_path / "none.parquet")


def test_a_broken_observation_file_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 cut short")
    with pytest.raises(ValueError, match=r"broken\.parquet.*rerun"):
        table.read(tmp_path / "broken.parquet")


def test_a_window_is_cut_half_open(simulated):
    cut = table.between(simulated, TIMES[2], TIMES[4])
    assert set(cut["MetaData/dateTime"]) == set(TIMES[2:4])


def outcome_of(rows, error_std, rejected=False, fresh_from=None):
    """Background 4, analysis 4.5."""
    p = len(rows)
    flags = table.effective_flags(table.prior_flags(rows, fresh_from), error_std, np.full(p, rejected))
    return table.Outcome(np.full(p, 4.0), np.full(p, 4.5), error_std, flags, np.ones(p))


def test_feedback_states_departures_as_observation_minus_model_and_survives_parquet(simulated, tmp_path):
    rows = simulated.iloc[:3].assign(withheld=[False, True, False], PreQC=[0, 0, 12], ObsValue=5.0)
    departures = table.feedback(rows, outcome_of(rows, np.array([2.0, np.inf, np.inf])), TIMES[0])
    assert departures["ombg"].tolist() == [1.0, 1.0, 1.0]
    assert departures["oman"].tolist() == [0.5, 0.5, 0.5]
    assert departures["EffectiveQC"].tolist() == [Flag.PASS, Flag.PASSIVE, Flag.BOUNDS]
    table.write_feedback([departures], tmp_path / "feedback.parquet")
    pd.testing.assert_frame_equal(
        table.read_feedback(tmp_path / "feedback.parquet"), departures.astype(table.FEEDBACK_COLUMNS)
    )


def test_every_flag_has_a_reason_of_its_own():
    assert len({flag.reason for flag in Flag}) == len(Flag) == len(table.REASONS)


def test_the_first_reason_against_a_datum_is_the_one_it_is_given():
    """Screening, then missing, then seen before, then withheld; only what is left is up to the background check."""
    rows = table_of(
        [0.0] * 6,
        [0.0] * 6,
        time=TIMES[[0, 0, 0, 1, 1, 1]],
        ObsValue=[1.0, np.nan, 1.0, 1.0, 1.0, 1.0],
        PreQC=[Flag.BLACK, 0, 0, 0, 0, 0],
        withheld=[True, True, True, True, False, False],
    )
    prior = table.prior_flags(rows, fresh_from=TIMES[1])
    expected = [Flag.BLACK, Flag.MISSING, Flag.USED_BEFORE, Flag.PASSIVE, Flag.PASS, Flag.PASS]
    assert prior.tolist() == expected
    error = np.array([np.inf] * 5 + [1.0])
    final = table.effective_flags(prior, error, np.array([True] * 5 + [False]))
    assert final.tolist() == [*expected[:4], Flag.FGUESS, Flag.PASS]


def test_where_nothing_was_minimised_every_good_datum_is_passive():
    rows = table_of([0.0] * 2, [0.0] * 2, PreQC=[0, Flag.THINNED])
    assert outcome_of(rows, np.full(2, np.inf)).flags.tolist() == [Flag.PASSIVE, Flag.THINNED]


def test_counts_by_reason_add_up_to_the_rows(simulated):
    rows = simulated.assign(PreQC=np.where(np.arange(len(simulated)) % 7, 0, Flag.THINNED))
    error = np.where(rows["withheld"] | (rows["PreQC"] != 0), np.inf, rows["ObsError"])
    counts = table.feedback(rows, outcome_of(rows, error), TIMES[0])["reason"].value_counts()
    assert counts.sum() == len(rows)
    assert counts["thinned"] == -(-len(rows) // 7)
    assert set(counts.index) == {"used", "thinned", "passive: compared, not assimilated"}


def test_feedback_of_an_empty_window_has_no_rows(tmp_path):
    rows = table_of([], [])
    table.write_feedback([table.feedback(rows, outcome_of(rows, np.zeros(0)), TIMES[0])], tmp_path / "none.parquet")
    assert len(table.read_feedback(tmp_path / "none.parquet")) == 0
    assert [len(part) for part in table.feedback_parts(tmp_path / "none.parquet")] == [0]


def test_everything_rejected_is_reported_as_such():
    rows = table_of([0.0] * 3, [0.0] * 3)
    reported = table.feedback(rows, outcome_of(rows, np.full(3, np.inf), rejected=True), TIMES[0])
    assert set(reported["reason"]) == {Flag.FGUESS.reason}


def test_a_flag_that_contradicts_the_error_is_refused():
    rows = table_of([0.0] * 2, [0.0] * 2)
    outcome = replace(outcome_of(rows, np.ones(2)), error_std=np.array([1.0, np.inf]))
    with pytest.raises(ValueError, match=r"row 1: flag 0 and error inf .* effective_flags"):
        table.feedback(rows, outcome, TIMES[0])
