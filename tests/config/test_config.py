"""Configurations that run, and the one line each that does not run is refused with."""

import subprocess
import sys

import pytest
import yaml

from configurations import CONFIGS, change, refusal
from lara import config_table
from lara.config import Config, ConfigError, load, parse, sources
from lara.sources import simulated
from lara.state import Channels

SHIPPED = sorted(CONFIGS.glob("*.yaml"))


@pytest.fixture
def values():
    """The default configuration as plain values, to be spoiled by a test."""
    return yaml.safe_load((CONFIGS / "config.yaml").read_text())


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_configuration_is_valid(path):
    """Parsing raises nothing; the default and the tiny one are among them."""
    assert load(path).name
    assert {"config", "tiny"} <= {found.stem for found in SHIPPED}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_resolved_configuration_survives_yaml(path):
    """parse ∘ yaml ∘ dump is the identity: what is written beside the results is what ran."""
    resolved = load(path)
    text = yaml.safe_dump(resolved.model_dump(mode="json"), sort_keys=False)
    assert parse(yaml.safe_load(text)) == resolved


def test_a_configuration_cannot_be_changed_once_read(values):
    """Components built from one configuration must not see another."""
    with pytest.raises(ValueError, match="frozen"):
        parse(values).name = "other"


@pytest.mark.parametrize("key", ["sede", "forecaster.block", "autoencoders.main.network.widht", "grid.lats"])
def test_an_unknown_key_is_refused_by_its_full_name(values, key):
    """A misspelt key would otherwise be a silent default; every depth."""
    message = refusal(change(values, key, 7))
    assert f"'{key}'" in message
    assert "7" in message


STEP = {"steps": 1, "learning_rate": 1e-3}
CHANGES = [  # one key set, and what the refusal must name: the key, the value, and the remedy or what it clashes with
    ("datasets.test.end", "2000-12-01", ["datasets.test", "2000-12-01", "2001-01-01", "later end"]),
    ("datasets.test.member", 1, ["datasets.test", "datasets.training-1", "member 1", "give it another member"]),
    ("forecaster.network", {"patch": 5}, ["grid.latitudes 32", "forecaster.network.patch 5", "divides the grid"]),
    ("autoencoders.main.network", {"patch": 3}, ["autoencoders.main.network.patch 3", "divides the grid"]),
    ("forecaster.network", {"heads": 5}, ["forecaster.network", "heads 5", "192", "divisor"]),
    ("experiments.l4dvar.autoencoder", "mian", ["experiments.l4dvar.autoencoder", "'mian'", "main"]),
    ("experiments.l4dvar.autoencoder", None, ["experiments.l4dvar", "l4dvar", "needs an autoencoder"]),
    ("experiments.l3dvar.slots", 4, ["experiments.l3dvar", "one slot", "4", "slots: 1"]),
    ("experiments.free.dataset", "training-1", ["experiments.free.dataset", "'training-1'", "test"]),
    ("experiments.free.days", 80, ["experiments.free.days 80", "past the end of datasets.test", "shorten"]),
    ("experiments.free.background_hours", 25, ["experiments.free.background_hours 25", "step_hours 6"]),
    ("experiments.free.slots", 3 * 7, ["experiments.free", "21 slots", "windows"]),
    ("experiments.forecasts", {"method": "free"}, ["experiments.forecasts", "taken", "choose another"]),
    ("autoencoders.forecaster", {"kind": "pca"}, ["autoencoders.forecaster", "taken", "choose another"]),
    ("verification.reference", "best", ["verification.reference", "'best'", "l4dvar"]),
    ("verification.headline", ["z510"], ["verification.headline", "z510", "z500"]),
    ("observations.error_std", {"msl": 80.0}, ["observations.error_std", "u10", "name the channel"]),
    ("forecaster.training", {"phases": [], "channel_weights": {"w": 2}}, ["forecaster", "channel_weights", "'w'"]),
    ("background_error.lead_hours", [48, 24], ["background_error.lead_hours", "48", "[24, 48]"]),
    ("state.levels", [500, 500], ["state", "500", "once"]),
    ("state.surface", ["z"], ["state", "'z'", "surface", "msl"]),
    ("datasets.test.use", "training", ["datasets", "'test'", "two-years"]),
    ("seed", "luck", ["seed", "'luck'"]),
    ("name", "../elsewhere", ["name", "../elsewhere", "letters"]),
    ("grid.latitudes", 64, ["64", "truncation 21", "32 x 64", "set grid.kind"]),
    ("grid.kind", "equiangular", ["equiangular", "truncation 21", "gaussian grid of 32 x 64"]),
    ("source.truncation", 31, ["truncation 31", "32, 64", "48 x 96"]),
    ("source.truncation", 20, ["source.truncation 20", "21, 31, 42, 63, 85]"]),
    ("step_hours", 12, ["step_hours 12", "6"]),
    ("datasets.test.begin", "2001-01-01T06:00", ["datasets.test.begin", "06:00", "00:00 UTC"]),
    ("datasets.test.end", "2001-03-02T18:00", ["datasets.test.end", "18:00", "00:00 UTC"]),
    ("autoencoders.main.latent_channels", 600, ["autoencoders.main.latent_channels 600", "544", "at most 544"]),
    ("autoencoders.main.network", {"halo": 5}, ["autoencoders.main.network.halo 5", "patch 4", "at most 4"]),
    ("forecaster.network", {"halo": 6}, ["forecaster.network.halo 6", "patch 4", "at most 4"]),
    (
        "autoencoders.main.training.phases",
        [STEP, {**STEP, "rollout": 2}],
        ["autoencoders.main", "phases.1.rollout 2", "1"],
    ),
    ("verification.spin_up_days", 40, ["verification.spin_up_days 40", "40 days", "shorten"]),
    ("verification.lead_days", 1.1, ["verification.lead_days 1.1", "steps of 6 h", "multiple"]),
    ("verification.lead_days", 0, ["verification.lead_days", "0", "greater than 0"]),
    ("verification.lead_days", 60, ["verification.lead_days 60", "0 forecasts", "datasets.test", "shorten"]),
    ("verification.forecast_every_days", 0.5, ["verification.forecast_every_days 0.5", "windows of 24 h", "multiple"]),
    ("verification.forecast_every_days", 7, ["forecast_every_days 7", "3 forecasts", "4 are needed", "shorten"]),
    ("verification.reference", "free", ["verification.reference 'free'", "method free", "l3dvar or l4dvar"]),
    ("verification.reference", "autoencoder-only", ["'autoencoder-only'", "increment", "l3dvar or l4dvar"]),
    ("verification.headline", [], ["verification.headline", "at least 1"]),
    ("experiments.pca.days", 30, ["experiments.pca.days 30", "40", "experiments.l4dvar", "the same"]),
    ("experiments.pca.background_hours", 24, ["experiments.pca.background_hours 24", "120", "the same"]),
    ("observations.columns", 1025, ["observations.columns 1025", "half the cells", "at most 1024"]),
    ("observations.surface_stations", 2000, ["observations.surface_stations 2000", "at most 1024"]),
    ("minimiser.gradient_reduction", 0.1, ["unknown key 'minimiser.gradient_reduction'", "0.1"]),
    ("background_error.scale", 3.0, ["unknown key 'background_error.scale'", "3.0", "config/README.md"]),
    ("minimiser.method", "adam", ["minimiser.method", "'adam'", "'lbfgs' or 'gauss-newton'"]),
    ("experiments.osse-4dvar.method", "5dvar", ["experiments.osse-4dvar.method", "'5dvar'", "'3dvar'"]),
    ("experiments.osse-4dvar.suite", "all", ["experiments.osse-4dvar.suite", "'all'", "'osse'"]),
    ("experiments.osse-4dvar.autoencoder", "main", ["experiments.osse-4dvar", "no use", "'main'", "remove it"]),
    ("experiments.free.autoencoder", "main", ["experiments.free", "no use", "'main'", "remove it"]),
    ("experiments.osse-3dvar.slots", 4, ["experiments.osse-3dvar", "3dvar has one slot", "4", "slots: 1"]),
    ("experiments.l4dvar.overlap", 4, ["experiments.l4dvar", "overlap 4", "4", "choose less"]),
    ("experiments.eda.overlap", 1, ["experiments.eda", "30 days", "4 slots", "18 h apart"]),
    ("experiments.l4dvar.slot_hours", 9, ["experiments.l4dvar.slot_hours 9", "step_hours 6"]),
    ("experiments.l4dvar.factors", {"background": 0}, ["experiments.l4dvar.factors.background", "0", "greater than 0"]),
    ("experiments.l4dvar.factors", {"scale": 3}, ["experiments.l4dvar.factors.scale", "3"]),
    ("experiments.l4dvar.model_error", 0, ["experiments.l4dvar.model_error", "0", "greater than 0"]),
    ("experiments.free.members", 3, ["experiments.free", "'free'", "members: 1"]),
    ("experiments.l4dvar.inflation", 0.5, ["experiments.l4dvar", "inflation", "members above 1"]),
    ("experiments.l4dvar.flow_dependence", 0.5, ["experiments.l4dvar", "flow_dependence", "members above 1"]),
    ("experiments.eda.flow_dependence", 1.0, ["experiments.eda.flow_dependence", "1.0", "less than 1"]),
    (
        "experiments.eda",
        {"method": "4dvar", "suite": "ensemble", "members": 2, "flow_dependence": 0.5, "days": 30},
        ["experiments.eda", "flow_dependence", "l3dvar or l4dvar"],
    ),
    (
        "experiments.eda",
        {
            **{"method": "l4dvar", "autoencoder": "main", "suite": "ensemble", "days": 30},
            **{"members": 2, "flow_dependence": 0.5, "latent_covariance": "block"},
        },
        ["experiments.eda", "flow_dependence", "diagonal"],
    ),
    ("osse.reference", None, ["osse.reference is not set", "name one", "osse-4dvar"]),
    ("osse.reference", "l4dvar", ["osse.reference 'l4dvar'", "osse-4dvar"]),
    ("ensemble.reference", "l4dvar", ["ensemble.reference 'l4dvar'", "eda"]),
    ("verification.reference", "osse-l4dvar", ["verification.reference 'osse-l4dvar'", "'l4dvar'"]),
    ("experiments.osse-3dvar.days", 40, ["experiments.osse-3dvar.days 40", "70", "osse-4dvar", "the same"]),
    ("osse.spin_up_days", 70, ["osse.spin_up_days 70", "70 days", "experiments.osse-", "shorten"]),
    ("ensemble.spin_up_days", 30, ["ensemble.spin_up_days 30", "30 days", "experiments.eda", "shorten"]),
    ("tuning.dataset", "test", ["tuning.dataset 'test'", "['validation']"]),
    ("tuning.days", 60, ["tuning.days 60", "past the end of datasets.validation", "shorten"]),
    ("tuning.background_hours", 25, ["tuning.background_hours 25", "step_hours 6"]),
    ("tuning.spin_up_days", 16, ["tuning.spin_up_days 16", "days", "shorten"]),
    ("tuning.background", [1.0, -1.0], ["tuning.background.1", "-1.0", "greater than 0"]),
    ("experiments.osse-4dvar.slots", 9, ["experiments.osse-4dvar", "70 days", "9 slots", "54 h apart"]),
    ("experiments.osse-4dvar.slots", 7, ["tuning.days", "whole number of windows", "experiments.osse-4dvar"]),
    ("observed_once", [], ["observed_once names no experiment", "name some"]),
    ("observed_once", ["free"], ["observed_once", "'free'", "variational", "l4dvar"]),
    ("observed_once", ["l5dvar"], ["observed_once", "'l5dvar'", "l4dvar"]),
    ("single_observations.china.level", 510, ["single_observations.china", "'z510'", "z500"]),
    ("single_observations.china.variable", "w", ["single_observations.china", "'w500'", "z500"]),
    ("single_observations.china.latitude", 91, ["single_observations.china.latitude", "91"]),
    ("single_observations.a b", {}, ["single_observations", "'a b'", "letters"]),
    ("quality_control.huber", 0, ["quality_control.huber", "0", "greater than 0"]),
    ("quality_control.gross_check", -1, ["quality_control.gross_check", "-1", "greater than 0"]),
    ("quality_control.thinning", "some", ["quality_control.thinning", "'some'", "'superob'"]),
    ("quality_control.thinning_degrees", 60, ["quality_control", "thinning_degrees 60", "45", "fewer"]),
    ("quality_control.blacklist", "bad.txt", ["quality_control", "'bad.txt'", "CSV", "station"]),
    ("autoencoders.main.corrections", -1, ["autoencoders.main.corrections", "-1"]),
]


@pytest.mark.parametrize(("key", "value", "named"), CHANGES, ids=lambda part: part if isinstance(part, str) else None)
def test_a_configuration_that_cannot_run_is_refused_with_key_value_and_remedy(values, key, value, named):
    """One changed key each; the line must hold all that a user needs to mend it."""
    message = refusal(change(values, key, value))
    assert [part for part in named if part not in message] == [], message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("experiments.l4dvar.overlap", 2),
        ("experiments.l4dvar.overlap", 3),
        ("experiments.l4dvar.factors", None),
        ("experiments.free.factors", None),
        ("experiments.l4dvar", {"method": "l4dvar", "autoencoder": "main", "slots": 2, "slot_hours": 12}),
        ("experiments.l3dvar.latent_covariance", "block"),
        ("osse.reference", "osse-free"),
        ("ensemble.reference", "eda"),
        ("quality_control", {"gross_check": None, "background_check": None, "huber": 2.0, "thinning": "superob"}),
        ("autoencoders.main.corrections", 0),
    ],
    ids=str,
)
def test_what_can_run_is_not_refused(values, key, value):
    """The neighbours of what is refused above."""
    parse(change(values, key, value))


def test_what_nobody_asks_for_is_not_checked(values):
    """Without experiments to tune the search needs no validation stretch of its length; without cases, none to show
    them; without its experiments, a suite needs no reference."""
    values["experiments"] = {
        key: e for key, e in values["experiments"].items() if not key.startswith(("osse-", "from-", "size-"))
    }
    values |= {"observed_once": [], "single_observations": {}, "osse": {}, "bootstrap": {}}
    parse(change(values, "tuning.days", 600))
    assert parse(values).suite("osse") == []


def test_factors_of_an_experiment_are_one_unless_named_and_null_to_be_tuned(values):
    """Absent: as estimated. A part: the rest one. null: those found on the validation period."""
    parsed = parse(values).experiments
    assert parsed["l4dvar"].factors.model_dump() == {"background": 3.0, "length": 1.0, "observation": 1.0}
    assert parsed["free"].factors.background == 1.0
    assert parsed["osse-4dvar"].factors is None


def test_each_suite_has_its_spin_up_and_its_experiments(values):
    """The default one has that of `verification`."""
    parsed = parse(values)
    assert [parsed.spin_up_days(name) for name in ("l4dvar", "osse-4dvar", "eda")] == [20, 10, 10]
    names = ("reanalysis", "osse", "ensemble", "sizes", "bootstrap", "production")
    suites = [parsed.suite(name) for name in names]
    assert sorted(name for suite in suites for name in suite) == sorted(parsed.experiments)
    assert suites[0] == ["free", "autoencoder-only", "l4dvar", "l3dvar", "pca"]


def test_stretches_of_different_members_may_be_of_the_same_days(values):
    """Members are independent, so only overlap within a member spoils the test period."""
    parse(change(values, "datasets.test.member", 9))


@pytest.mark.parametrize("begin", ["2002-01-01", "2011-01-01"])
def test_a_member_serves_one_dataset_whatever_the_years(values, begin):
    """A simulated member starts from its number alone: in another year it is the same run under another calendar."""
    follow = {"use": "test", "member": 1, "begin": begin, "end": "2012-01-01"}
    message = refusal(change(values, "datasets.test", follow))
    for part in ("datasets.test", "datasets.training-1", "member 1 is the same run in any year", "another member"):
        assert part in message


def test_an_overlap_is_told_as_an_overlap(values):
    """The clearer of the two reasons against a shared member."""
    message = refusal(change(values, "datasets.test.member", 1))
    assert "datasets.test (test, 2001-01-01 to 2001-03-22) overlaps datasets.training-1" in message


def test_training_periods_count_together_and_must_last_a_month(values):
    """16 + 14 days are enough for statistics, 15 + 14 are not."""
    short = change(values, "datasets.training-1.end", "2001-01-17")
    parse(change(short, "datasets.training-2.end", "2001-01-15"))
    shorter = change(values, "datasets.training-1.end", "2001-01-16")
    message = refusal(change(shorter, "datasets.training-2.end", "2001-01-15"))
    assert "datasets training-1, training-2: 29 training days are too few" in message
    assert "at least 30" in message


@pytest.mark.parametrize("name", ["z510", "geopotential", "w500"])
def test_an_error_for_what_is_not_observed_is_refused(values, name):
    """A misspelt name would leave the channel at its variable's error."""
    given = parse(values).observations.error_std
    message = refusal(change(values, "observations.error_std", {**given, name: 3.0}))
    assert f"observations.error_std.{name} 3 is for no variable" in message
    assert "correct the name" in message


def test_an_error_for_a_variable_that_the_state_leaves_out_is_no_fault(values):
    """The default names every variable; a smaller state uses some."""
    values = change(values, "observations", {})
    assert "v" in parse(change(values, "state", {"upper_air": ["z", "q", "t", "u"]})).observations.error_std


def test_every_truncation_of_the_source_has_its_grid(values):
    """The table of config, which may not import the source, is the source's."""
    assert sources.LATITUDES.items() >= simulated.LATITUDES.items()
    for truncation, rows in simulated.LATITUDES.items():
        grown = change(values, "grid", {"latitudes": rows, "longitudes": 2 * rows})
        parse(change(grown, "source.truncation", truncation))


@pytest.mark.parametrize("windows", [[[8, 5]], [[24, 24], [12, 48], [48, 12]]], ids=str)
def test_windows_may_leave_a_remainder(values, windows):
    """They are padded: the paper's on its 32 × 64 tokens, and those larger than the grid."""
    parse(change(values, "forecaster.network", {"windows": windows}))


def test_forecasts_are_counted_from_the_last_slots_of_windows(values):
    """40 days in windows of a day, 20 of spin-up: starts at 20.75 … 39.75 days. 80 days of states less 5 before begin
    end with one at 74.75, so that a lead of 51 days leaves four starts, 20.75 … 23.75, and 54 days leave one."""
    parse(change(values, "verification.lead_days", 51))
    assert "3 forecasts fit" in refusal(change(values, "verification.lead_days", 52))
    assert "1 forecasts fit" in refusal(change(values, "verification.lead_days", 54))
    parse(change(values, "verification.forecast_every_days", 6))


def test_faults_of_one_kind_are_told_at_once(values):
    """Both counts of sites, each with its remedy."""
    message = refusal(change(values, "observations", {"columns": 5000, "surface_stations": 6000}))
    assert "observations.columns 5000" in message
    assert "observations.surface_stations 6000" in message


def test_members_part_by_a_large_perturbation_and_a_season_by_default():
    """10 K and 90 days, so that members are independent when they begin."""
    source = Config.model_fields["source"].default
    assert (source.perturbation, source.spin_up_days) == (10.0, 90)


def test_every_fault_of_a_configuration_is_told_at_once(values):
    """Mending one fault per attempt wastes the user's time."""
    message = refusal(change(change(values, "sede", 1), "grid.latitudes", "many"))
    assert "sede" in message
    assert "grid.latitudes" in message


def test_times_with_a_zone_are_turned_into_utc(values):
    """2001-01-01T02:00+02:00 is the default's begin."""
    zoned = parse(change(values, "datasets.test.begin", "2001-01-01T02:00:00+02:00"))
    assert zoned == parse(values)


def test_the_configuration_and_the_state_agree_on_channel_order(values):
    """`State.channels` exists because config may not import `lara.state`; the two must not drift apart."""
    values = change(values, "observations", {})
    state = parse(change(values, "state.levels", [850, 200, 500])).state
    assert list(state.channels) == Channels.of(state.surface, state.upper_air, state.levels).names


@pytest.mark.parametrize("text", ["a: [1", "- 1\n- 2\n", "just words"])
def test_a_file_that_is_no_configuration_is_refused_by_its_name(tmp_path, text):
    """Broken YAML and YAML that is no mapping: one line with the path."""
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"broken\.yaml") as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_the_key_table_is_current():
    """config/README.md holds what the models say; `python -m lara.config_table` renews it."""
    page = (CONFIGS / "README.md").read_text()
    assert config_table.renewed(page) == page, "run: python -m lara.config_table"
    assert config_table.describe() in page


def test_every_key_has_a_meaning_and_every_number_a_unit():
    """Every row of the table ends with text, and rows of float or int keys with a unit in brackets."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in config_table.describe().splitlines()[2:]]
    assert len(rows) > 80
    assert [row[0] for row in rows if not row[3]] == []
    numbers = [row for row in rows if row[1] in ("int", "float") and row[0] not in UNITLESS]
    assert [row[0] for row in numbers if not row[3].endswith("]")] == []


UNITLESS = {"`source (simulated).truncation`", "`source (simulated).layers`"}  # orders of a truncation


def test_the_entry_point_renews_the_table_and_nothing_else(tmp_path):
    """The text around the marks survives; a page without marks is an error."""
    page = tmp_path / "README.md"
    page.write_text(f"before\n{config_table.BEGIN}old\n{config_table.END}after\n")
    subprocess.run([sys.executable, "-m", "lara.config_table", page], check=True)
    assert page.read_text() == f"before\n{config_table.BEGIN}\n{config_table.describe()}\n{config_table.END}after\n"
    with pytest.raises(ValueError, match="no place for the table"):
        config_table.renewed("no marks")


def test_reading_a_configuration_needs_no_numerical_library():
    """A wrong configuration must fail in seconds, before anything heavy is imported."""
    code = "import sys, lara.config; print(*{'torch', 'jax', 'xarray', 'zarr', 'numpy'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


def test_autoencoders_of_the_sweep_alone_are_no_part_of_the_default_target(values):
    """Those of other experiments, and those that none uses, are."""
    assert parse(values).default_autoencoders == ["main", "pca"]
    moved = change(values, "experiments.size-22.suite", "reanalysis")
    moved["experiments"]["size-22"]["days"] = moved["experiments"].get("l4dvar", {}).get("days", 40)
    assert parse(moved).default_autoencoders == ["main", "pca", "size-22"]
