"""Configurations that run, and the one line each that does not run is refused with."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lara import config_table
from lara.config import ConfigError, load, parse
from lara.state import Channels

CONFIGS = Path(__file__).parents[1] / "config"
SHIPPED = sorted(CONFIGS.glob("*.yaml"))


@pytest.fixture
def values():
    """The default configuration as plain values, to be spoiled by a test."""
    return yaml.safe_load((CONFIGS / "config.yaml").read_text())


def change(values, key, value):
    """Values with one dotted key set, its sections made where absent."""
    changed = copy.deepcopy(values)
    *path, last = key.split(".")
    section = changed
    for part in path:
        section = section.setdefault(part, {})
    section[last] = value
    return changed


def refusal(values):
    """The message a configuration is refused with: one line."""
    with pytest.raises(ConfigError) as caught:
        parse(values)
    message = str(caught.value)
    assert "\n" not in message
    return message


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


CHANGES = [  # one key set, and what the refusal must name: the key, the value, and the remedy or what it clashes with
    ("datasets.test.end", "2000-12-01", ["datasets.test", "2000-12-01", "2001-01-01", "later end"]),
    ("datasets.test.member", 1, ["datasets.test", "datasets.training-1", "member 1", "give it another member"]),
    ("forecaster.network", {"patch": 5}, ["grid.latitudes 32", "forecaster.network.patch 5", "divides the grid"]),
    ("autoencoders.main.network", {"patch": 3}, ["autoencoders.main.network.patch 3", "divides the grid"]),
    ("forecaster.network", {"windows": [[8, 5]]}, ["forecaster.network.windows", "5", "16 tokens", "divisor"]),
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
    ("datasets.test.use", "training", ["datasets", "'test'", "add one"]),
    ("seed", "luck", ["seed", "'luck'"]),
    ("name", "../elsewhere", ["name", "../elsewhere", "letters"]),
    ("grid.latitudes", 64, ["64", "truncation 21", "32 x 64"]),
]


@pytest.mark.parametrize(("key", "value", "named"), CHANGES, ids=lambda part: part if isinstance(part, str) else None)
def test_a_configuration_that_cannot_run_is_refused_with_key_value_and_remedy(values, key, value, named):
    """One changed key each; the line must hold all that a user needs to mend it."""
    message = refusal(change(values, key, value))
    assert [part for part in named if part not in message] == [], message


def test_stretches_of_different_members_may_be_of_the_same_days(values):
    """Members are independent, so only overlap within a member spoils the test period."""
    parse(change(values, "datasets.test.member", 9))


def test_stretches_of_one_member_may_touch(values):
    """The end is exclusive: 2002-01-01 may end one stretch and begin the next."""
    follow = {"use": "test", "member": 1, "begin": "2002-01-01", "end": "2002-03-02"}
    parse(change(values, "datasets.test", follow))


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


UNITLESS = {"`source.truncation`", "`source.layers`"}  # orders of a truncation


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
