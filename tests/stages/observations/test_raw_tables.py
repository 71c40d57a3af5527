"""Observations as a provider may hand them in: bad rows get a reason, other units are refused, the rest is used."""

import pandas as pd
import pytest

import worlds
from lara.observations import table as tables
from lara.observations.table import Flag

MONTH = ("test", "2001-01")
WORDS = "screen-observations --month test/2001-01"


def raw(run, change):
    """Write the observations of the run as nobody has checked them, after a change."""
    path = run.layout.observations(*MONTH)
    table = pd.read_parquet(path)
    change(table)
    path.with_name(f"{path.name}.receipt.json").unlink()
    table.to_parquet(path, index=False)
    return table


@pytest.mark.parametrize("gross_check", [6.0, None])
@pytest.mark.parametrize(
    ("column", "value", "flag"),
    [
        ("ObsError", float("inf"), Flag.MISSING),
        ("ObsValue", -9999.0, Flag.IMPLAUSIBLE),
        ("ObsValue", 1e15, Flag.IMPLAUSIBLE),
        ("ObsValue", 12.5, Flag.IMPLAUSIBLE),
    ],
)
def test_a_bad_row_is_flagged_with_its_reason(world, tmp_path, capsys, gross_check, column, value, flag):
    """Ten temperatures, with and without a check against the climate; told in the job's words, too."""
    run = worlds.copied(world, tmp_path / "w", worlds.changed("quality_control", {"gross_check": gross_check}))
    rows = []

    def change(table):
        rows.extend(table.index[table["variable"] == "t"][:10])
        table.loc[rows, column] = value

    raw(run, change)
    capsys.readouterr()
    assert worlds.lara(run.layout.root, WORDS) == 0
    assert f"10 data: {flag.reason}" in capsys.readouterr().out
    flags = tables.read(run.layout.screened(*MONTH))["PreQC"]
    assert (flags[rows] == flag).all() and (flags.drop(rows) == Flag.PASS).mean() > 0.99


@pytest.mark.parametrize(
    ("variable", "factor", "offset"),
    [("t", 1, -273.15), ("t2m", 1.8, -459.67), ("msl", 0.01, 0), ("z", 1 / 9.80665, 0)],
)
def test_a_variable_in_other_units_is_refused_by_name(world, tmp_path, capsys, variable, factor, offset):
    run = worlds.copied(world, tmp_path / "w")

    def change(table):
        own = table["variable"] == variable
        table.loc[own, "ObsValue"] = factor * table.loc[own, "ObsValue"] + offset

    raw(run, change)
    capsys.readouterr()
    assert worlds.lara(run.layout.root, WORDS) == 2
    assert f"data of {variable} (" in (line := capsys.readouterr().err) and "units of the table" in line


@pytest.mark.parametrize("value", [-1.0, 0.0, float("nan")])
def test_an_error_that_is_none_is_refused(world, tmp_path, capsys, value):
    run = worlds.copied(world, tmp_path / "w")
    raw(run, lambda table: table.__setitem__("ObsError", value))
    assert worlds.lara(run.layout.root, WORDS) == 2
    assert f"ObsError = {value} must be positive" in capsys.readouterr().err
