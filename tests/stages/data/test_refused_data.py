"""Data that are wrong, missing or none at all: flagged by the first check that sees them, and hardly felt otherwise."""

import numpy as np
import pandas as pd
import pytest
import torch

import worlds
from lara import store
from lara.observations import table as tables
from lara.observations.table import Flag
from lara.variables import VARIABLES

SIGMAS = 50
OFF = {"gross_check": None, "background_check": None}
WINDOW = pd.Timestamp("2001-01-03")  # begin of the second window of every experiment used here


def observed_anew(world, folder, change, **quality):
    """The small run with its table of observations changed and screened again."""
    run = worlds.copied(world, folder, worlds.changed("quality_control", quality))
    change(run, run.layout.observations("test", "2001-01"))
    assert worlds.lara(run.layout.root, "screen-observations --month test/2001-01") == 0
    return run


def cycled_anew(run, name):
    """(feedback, ledger, archive) of an experiment."""
    assert worlds.lara(run.layout.root, f"cycle-experiment --experiment {name}") == 0
    feedback, ledger = tables.read_feedback(run.layout.feedback(name)), pd.read_parquet(run.layout.health(name))
    return feedback, ledger, store.open_archive(run.layout.archive(name))


def victim(table):
    """Number of the row that is made wrong: a temperature at 500 hPa at the first slot of the first window."""
    hit = (table["variable"] == "t") & (table[tables.PRESSURE] == 50000) & ~table["withheld"]
    return table.index[hit & (table[tables.TIME] == pd.Timestamp("2001-01-02"))][0]


def spoil(run, path):
    """Fifty σ away from climatology, on the side where the datum is already."""
    table = tables.read(path)
    row = victim(table)
    value, usual = table.loc[row, "ObsValue"], run.statistics.mean[run.channels.position("t500")].mean()
    table.loc[row, "ObsValue"] = value + np.sign(value - usual) * SIGMAS * table.loc[row, "ObsError"]
    tables.write([table], path)


def remove(run, path):
    """The same datum left out."""
    table = tables.read(path)
    tables.write([table.drop(index=victim(table))], path)


def nothing(run, path):
    """Observations as they are."""


def flag_of_victim(feedback):
    """What became of the datum: the farthest from the background."""
    return Flag(feedback.loc[(feedback["ombg"].abs() / feedback["ObsError"]).idxmax(), "EffectiveQC"])


# One datum wrong by fifty standard errors


@pytest.mark.parametrize(
    ("quality", "expected"),
    [({}, Flag.BOUNDS), ({"gross_check": None}, Flag.FGUESS), (OFF, Flag.PASS)],
    ids=["climatology", "background", "neither"],
)
def test_an_outlier_is_refused_by_the_first_check_that_is_on(world, tmp_path, quality, expected):
    """Screening before the assimilation, then the background check, then nobody; told in the feedback."""
    feedback, ledger, _ = cycled_anew(observed_anew(world, tmp_path / "w", spoil, **quality), "4dvar")
    assert flag_of_victim(feedback) == expected
    assert ledger[f"n: {expected.reason}"][0] >= 1


@pytest.mark.parametrize("name", ["4dvar", "l4dvar"])
def test_a_refused_outlier_is_as_if_it_had_not_been_observed(world, tmp_path, name):
    """Both archives are equal to float32: its infinite error contributes exactly zero."""
    found = [
        cycled_anew(observed_anew(world, tmp_path / change.__name__, change), name)[2] for change in (spoil, remove)
    ]
    np.testing.assert_allclose(found[0]["temperature"], found[1]["temperature"], rtol=1e-6)


def test_huber_feels_an_outlier_little(world, tmp_path):
    """Without any check: its weight is that of a datum fifty σ away, 2/50 or so, and it moves the analysis by less than
    a quarter of what it does in a Gaussian cost."""

    def moved(**norm):
        archives = [
            cycled_anew(observed_anew(world, tmp_path / f"{change.__name__}{norm}", change, **OFF, **norm), "4dvar")
            for change in (spoil, remove)
        ]
        (feedback, _, spoilt), (_, _, without) = archives
        difference = (spoilt["temperature"] - without["temperature"]).isel(time=slice(0, 4))
        return float(np.sqrt((difference**2).mean())), feedback["weight"].min()

    robust, weight = moved(huber=2.0)
    gaussian, whole = moved()
    assert weight < 3 * 2 / SIGMAS
    assert whole == 1.0
    assert 0 < robust < 0.25 * gaussian


# Missing data


def test_a_missing_datum_is_flagged_and_not_used(world, tmp_path):
    """NaN with an infinite error, as the table asks for: MISSING in the table and in the feedback."""

    def lose(run, path):
        table = tables.read(path)
        table.loc[victim(table), ["ObsValue", "ObsError"]] = [np.nan, np.inf]
        tables.write([table], path)

    run = observed_anew(world, tmp_path / "w", lose)
    screened = tables.read(run.layout.screened("test", "2001-01"))
    assert screened.loc[victim(screened), "PreQC"] == Flag.MISSING
    assert (screened["PreQC"] != Flag.PASS).sum() == 1
    feedback, ledger, _ = cycled_anew(run, "4dvar")
    lost = feedback[feedback["ObsValue"].isna()]
    assert lost["EffectiveQC"].tolist() == [Flag.MISSING]
    assert lost["reason"].tolist() == ["value or error missing"]
    assert np.isfinite(lost["hofx"]).all()
    assert ledger["n: value or error missing"][0] == 1


def test_a_nan_that_does_not_say_it_is_missing_is_refused(world, tmp_path, capsys):
    """The row and what it should carry; a silent skip would hide a broken reader."""
    run = worlds.copied(world, tmp_path / "w")
    path = run.layout.observations("test", "2001-01")
    table = pd.read_parquet(path)
    table.loc[7, "ObsValue"] = np.nan
    table.to_parquet(path)
    path.with_name(f"{path.name}.receipt.json").unlink()  # else it is refused for having changed
    capsys.readouterr()
    assert worlds.lara(run.layout.root, "screen-observations --month test/2001-01") == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "row 7: ObsValue = nan" in line
    assert "infinite ObsError" in line


# A window without data


def in_window(table):
    times = table[tables.TIME]
    half = pd.Timedelta("3h")
    return (times >= WINDOW - half) & (times < WINDOW + pd.Timedelta("1D") - half)


def empty(run, path):
    table = tables.read(path)
    tables.write([table[~in_window(table)]], path)


def absurd(run, path):
    """Every value of the window far too low by its standard errors, and yet such as some atmosphere has."""
    table = tables.read(path)
    table.loc[in_window(table), "ObsValue"] -= 120 * table["ObsError"]
    tables.write([table], path)


@pytest.mark.parametrize("name", ["4dvar", "block", "weak"])
@pytest.mark.parametrize(
    ("change", "quality", "flag"),
    [(empty, {}, None), (absurd, {}, Flag.BOUNDS), (absurd, {"gross_check": None}, Flag.FGUESS)],
    ids=["empty", "screened", "rejected"],
)
def test_a_window_without_data_keeps_its_background_and_the_cycle_goes_on(world, tmp_path, name, change, quality, flag):
    """NOTHING to minimise: χ = 0, so the analysis is the background in model space and the decoded background in a
    latent one, to the bit; the windows before and after it are analysed."""
    run = observed_anew(world, tmp_path / "w", change, **quality)
    values = worlds.changed("quality_control", quality)
    for each in values["experiments"].values():
        if each["days"] == 2:
            each["days"] = 3
    run = worlds.write_config(run.layout.root, values)
    feedback, ledger, archive = cycled_anew(run, name)
    assert ledger["reason"][1] == "nothing to minimise"
    assert (ledger["reason"].drop(1) != "nothing to minimise").all()
    assert (ledger["J_end"] < ledger["J_start"]).tolist() == [True, False, True]
    assert ledger["p"][1] == 0
    assert np.isnan(ledger["2J/p"][1])
    rows = feedback[(feedback["cycle"] == WINDOW) & ~feedback["withheld"]]
    assert set(rows["EffectiveQC"]) == (set() if flag is None else {flag})
    analysis, background = (states(run, archive.isel(time=slice(4, 8)), suffix) for suffix in ("", "_background"))
    assert torch.equal(analysis[:1], decoded(run, name, background[:1]))
    assert torch.equal(analysis[1:2], run.forecast_step(analysis[:1], archive["time"].values[4:5]))


def states(run, archive, suffix):
    """States (time, c, y, x) of an opened archive."""
    short = {f"{VARIABLES[name].archive_name}{suffix}": name for name in run.channels.variables}
    return torch.from_numpy(run.channels.from_dataset(archive[list(short)].rename(short).load()))


def decoded(run, name, background):
    """D(E(x_b)), x_b itself in model space."""
    chosen = run.config.experiments[name].autoencoder
    if chosen is None:
        return background
    encode, decode = run.encoding(chosen)
    with torch.no_grad():
        return decode(encode(background))
