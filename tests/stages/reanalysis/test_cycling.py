"""Cycled experiments of the small run: every way of analysing a window, and the files that it leaves."""

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import worlds
from lara import store
from lara.observations import table as tables
from lara.stages.reanalysis.first_background import first_background
from lara.stages.run import time

STEP = np.timedelta64(6, "h")
WINDOWS = {  # of each variational experiment
    **{"l4dvar": 5, "l3dvar": 20, "pca": 5},
    **{
        "3dvar": 8,
        "4dvar": 2,
        "block": 2,
        "horizontal": 2,
        "increments": 2,
        "weak": 2,
        "weak-4dvar": 2,
        "overlap": 3,
        "half-days": 2,
    },
}
MEMBERS = {"eda": 3, "posterior": 1}
CONTROLS = ["free", "autoencoder-only"]


def health(run, name):
    return pd.read_parquet(run.layout.health(name))


def feedback(run, name):
    return tables.read_feedback(run.layout.feedback(name))


def opened(run, name):
    return store.open_archive(run.layout.archive(name))


def times_of(run, name):
    return opened(run, name)["time"].values


def states(run, name, suffix=""):
    """States of an archive (time, c, y, x)."""
    archive = opened(run, name)
    short = {f"{channel.meta.archive_name}{suffix}": channel.variable for channel in run.channels.channels}
    return torch.from_numpy(run.channels.from_dataset(archive[list(short)].rename(short).load()))


def data_of_period(run, name):
    """Rows of the screened table that belong to the slots of an experiment."""
    chosen, (begin, end) = run.config.experiments[name], map(time, run.config.period(name))
    half = np.timedelta64(chosen.slot_hours, "h") // 2
    return tables.between(tables.read(run.layout.screened("test", "2001-01")), begin - half, end - half)


# Every way of analysing a window


@pytest.mark.parametrize(("name", "windows"), [*WINDOWS.items(), ("eda", 2), ("posterior", 2)])
def test_every_analysis_lowers_j(cycled, name, windows):
    """J(χ_a) < J(0) in each window and member, the gradient too; one row each, with what it cost."""
    run = cycled(name)
    ledger, members = health(run, name), MEMBERS.get(name, 1)
    assert ledger["member"].tolist() == list(range(members)) * windows
    assert ledger["begin"].nunique() == windows
    assert (ledger["J_end"] < ledger["J_start"]).all()
    assert (ledger["gradient_norm_end"] < ledger["gradient_norm_start"]).all()
    assert ledger["reason"].str.len().gt(0).all()
    assert (ledger[["R found/assumed", "HBHT found/assumed"]] > 0).all(axis=None)
    costs = pd.read_parquet(run.layout.timings(name))
    assert costs["begin"].tolist() == ledger["begin"].unique().tolist()
    assert (costs[["seconds", "peak_memory_MB"]] > 0).all(axis=None)
    np.testing.assert_allclose(ledger["J_end"], ledger["Jb_end"] + ledger["Jo_end"])


@pytest.mark.parametrize("name", [*WINDOWS, *MEMBERS, *CONTROLS])
def test_an_archive_covers_exactly_its_period(cycled, name):
    """Sealed whole, one time per slot of the period, no gap where windows meet or overlap."""
    run = cycled(name)
    begin, end = (time(moment) for moment in run.config.period(name))
    step = np.timedelta64(run.config.experiments[name].slot_hours, "h")
    assert store.verify_archive(run.layout.archive(name)) == []
    assert opened(run, name)["time"].values.tolist() == np.arange(begin, end, step).tolist()


@pytest.mark.parametrize("name", [*WINDOWS, *MEMBERS, *CONTROLS])
def test_every_datum_is_told_once_and_what_became_of_it(cycled, name):
    """Overlapping windows too: what screening left of the sites that are not withheld is used once, by the experiments
    that assimilate; departures of every datum, used or not."""
    run = cycled(name)
    found, expected = feedback(run, name), data_of_period(run, name)
    key = [tables.STATION, "variable", tables.TIME, tables.PRESSURE]
    pd.testing.assert_frame_equal(
        found[key].sort_values(key, ignore_index=True), expected[key].sort_values(key, ignore_index=True)
    )
    assert not found.duplicated(key).any()
    used = found["EffectiveQC"] == tables.Flag.PASS
    rejected = found["EffectiveQC"] == tables.Flag.FGUESS
    assert ((used | rejected) == (~found["withheld"] & (name not in CONTROLS))).all()
    assert rejected.mean() < 0.02
    assert (found["reason"] == found["EffectiveQC"].map(lambda flag: tables.Flag(flag).reason)).all()
    assert (np.isfinite(found["EffectiveError"]) == used).all()
    assert np.isfinite(found[["ombg", "oman"]]).all(axis=None)
    assert (found["weight"] == 1).all()


@pytest.mark.parametrize("name", ["l4dvar", "overlap", "eda", "free"])
def test_the_ledger_counts_the_data_by_reason(cycled, name):
    """Sums over windows are those of the feedback, which is member 0's; p counts the used."""
    run = cycled(name)
    ledger, found = health(run, name), feedback(run, name)
    ledger = ledger[ledger["member"] == 0]
    for reason, count in found["reason"].value_counts().items():
        assert ledger[f"n: {reason}"].sum() == count
    if name != "free":
        assert ledger["p"].sum() == (found["EffectiveQC"] == tables.Flag.PASS).sum()
        assert ledger["rejected"].sum() == (found["EffectiveQC"] == tables.Flag.FGUESS).sum()


@pytest.mark.parametrize("name", ["l4dvar", "l3dvar", "4dvar", "weak", "overlap"])
def test_degrees_of_freedom_are_told_for_every_second_window(cycled, name):
    """As configured; more than none and fewer than the data."""
    ledger = health(cycled(name), name)
    found = ledger["degrees_of_freedom"]
    assert found.notna().sum() in (len(ledger) // 2, (len(ledger) + 1) // 2)
    assert not (found.notna() & found.notna().shift(fill_value=False)).any()
    assert (found.dropna() > 0).all()
    assert (found.dropna() < ledger["p"][found.notna()]).all()


@pytest.mark.parametrize(
    "name", ["4dvar", "l4dvar", "block", "horizontal", "increments", "weak", "weak-4dvar", "overlap"]
)
def test_used_observations_are_fitted_closer(cycled, name):
    """rms of (y − H(x_a)) / σ below that of the background over the used data: what J asks for."""
    found = feedback(cycled(name), name)
    used = found[found["EffectiveQC"] == tables.Flag.PASS]
    before, after = (np.sqrt(np.square(used[key] / used["EffectiveError"]).mean()) for key in ("ombg", "oman"))
    assert after < before


def test_a_step_of_twelve_hours_is_two_of_the_forecasters(cycled):
    """Each background state is the forecast of two steps from the slot before; float32 by the same operations."""
    run = cycled("half-days")
    background = states(run, "half-days", "_background")
    assert torch.equal(background[1], run.forecast(background[:1], times_of(run, "half-days")[:1], 2)[0])


def test_where_windows_overlap_a_background_starts_from_the_analysis_at_the_begin(cycled):
    """Window 2 begins at slot 2 of window 1; what is published of it begins two forecast steps later. To the bit."""
    run = cycled("overlap")
    analysis, background = states(run, "overlap"), states(run, "overlap", "_background")
    assert torch.equal(background[4], run.forecast(analysis[2:3], times_of(run, "overlap")[2:3], 2)[0])


@pytest.mark.parametrize(
    ("name", "exact"), [("increments", True), ("4dvar", True), ("weak-4dvar", True), ("block", False)]
)
def test_j_starts_at_the_misfit_of_the_background_but_where_it_is_decoded(cycled, name, exact):
    """½ Σ (ombg / σ)² of the first window is J(0) in model space and increment form, to float32; D(E(x_b)) is another
    state, by more than a tenth of a per cent."""
    run = cycled(name)
    found = feedback(run, name)
    first = found[(found["cycle"] == found["cycle"].min()) & (found["EffectiveQC"] == tables.Flag.PASS)]
    misfit = 0.5 * np.square(first["ombg"] / first["EffectiveError"]).sum()
    assert (health(run, name)["J_start"][0] == pytest.approx(misfit, rel=1e-5)) == exact
    assert (health(run, name)["J_start"][0] == pytest.approx(misfit, rel=1e-3)) == exact


@pytest.mark.parametrize(("key", "value"), [("minimiser.method", "gauss-newton"), ("quality_control.huber", 1.0)])
def test_another_minimiser_or_norm_cycles_too(world, tmp_path, key, value):
    """J falls in every window; Gauss-Newton tells its products, Huber's weights are below one and some are."""
    run = worlds.copied(world, tmp_path / "world", worlds.changed(key, value))
    assert worlds.lara(run.layout.root, "cycle-experiment --experiment 4dvar") == 0
    ledger, found = health(run, "4dvar"), feedback(run, "4dvar")
    assert (ledger["J_end"] < ledger["J_start"]).all()
    assert (ledger["products"] > 0).all() == (value == "gauss-newton")
    assert (found["weight"] < 1).any() == (key == "quality_control.huber")
    assert found["weight"].between(0, 1, inclusive="right").all()


def test_saving_memory_changes_nothing(world, cycled, tmp_path):
    """The same operations, some of them twice: the same archive to the bit."""
    run = worlds.copied(world, tmp_path / "world", worlds.changed("minimiser.recompute", True))
    assert worlds.lara(run.layout.root, "cycle-experiment --experiment l4dvar") == 0
    xr.testing.assert_equal(opened(run, "l4dvar"), opened(cycled("l4dvar"), "l4dvar"))


# What is left and where it comes from


def test_observations_bring_the_analysis_nearer_to_the_truth_than_the_free_run(cycled):
    """Both begin at the same background; the patterns are large-scale, so 30 sites see most of them: 20 % at least."""
    cycled("l4dvar")
    cycled("pca")
    run = cycled("free")
    area, truth = run.grid.area_weights, run.store("test")

    def rmse(name):
        archive = opened(run, name)
        error = archive["geopotential"].sel(level=500).values - truth.at(archive["time"].values)[:, 2]
        return float(np.sqrt((area * error[4:] ** 2).mean()))

    assert rmse("l4dvar") < 0.8 * rmse("free")
    assert rmse("pca") < 0.8 * rmse("free")


@pytest.mark.parametrize("name", ["l4dvar", "4dvar", "eda", "posterior", "free"])
def test_cycling_twice_gives_the_same_archive(world, cycled, tmp_path, name):
    """Every file of archive, feedback and ledger, byte for byte; what it cost is told elsewhere."""
    run, again = cycled(name), worlds.copied(world, tmp_path / "again")
    assert worlds.lara(again.layout.root, f"cycle-experiment --experiment {name}") == 0
    first, second = run.layout.archive(name), again.layout.archive(name)
    files = sorted(file.relative_to(first) for file in first.rglob("*") if file.is_file())
    assert len(files) > 10
    assert sorted(file.relative_to(second) for file in second.rglob("*") if file.is_file()) == files
    assert [f for f in files if (first / f).read_bytes() != (second / f).read_bytes()] == []
    assert again.layout.feedback(name).read_bytes() == run.layout.feedback(name).read_bytes()
    assert again.layout.health(name).read_bytes() == run.layout.health(name).read_bytes()


@pytest.mark.parametrize("change", [{"minimiser": {"evaluations": 3}}, {"days": 6}, {"slots": 2}], ids=str)
def test_a_changed_setting_cycles_anew_over_the_old_archive(world, cycled, tmp_path, change):
    """The archive of the old setting is replaced: the result is that of a folder that never had one."""
    values = worlds.changed("minimiser", {**worlds.VALUES["minimiser"], **change.get("minimiser", {})})
    own = {key: value for key, value in change.items() if key != "minimiser"}
    changed = world.config.suite("reanalysis") if "days" in change else ["l4dvar"]  # all are of the same days
    for experiment in changed:
        values["experiments"][experiment].update(own)
    archives = []
    for name, source in (("over", cycled("l4dvar")), ("fresh", world)):
        run = worlds.copied(source, tmp_path / name, values)
        assert worlds.lara(run.layout.root, "cycle-experiment --experiment l4dvar") == 0
        archives.append(opened(run, "l4dvar"))
    xr.testing.assert_identical(*archives)


@pytest.mark.parametrize("name", [*WINDOWS, *CONTROLS])
def test_all_experiments_begin_from_one_background(cycled, name):
    """The forecast over 24 h from the first truth, the same for every method, to the bit."""
    run = cycled(name)
    assert opened(run, name)["time"].values[0] == time(run.config.period(name)[0])
    assert torch.equal(states(run, name, "_background")[0], first_background(run, "test", 24)[0])


def test_a_background_is_the_forecast_from_the_last_analysis(cycled):
    """Window after window, and the trajectory within one; float32 through the same network, so to the bit."""
    run = cycled("l4dvar")
    analysis, background, times = states(run, "l4dvar"), states(run, "l4dvar", "_background"), times_of(run, "l4dvar")
    for last in (3, 7, 11):
        start = slice(last, last + 1)
        assert torch.equal(background[last + 1], run.forecast_step(analysis[start], times[start])[0])
    assert torch.equal(background[1], run.forecast_step(background[:1], times[:1])[0])


@pytest.mark.parametrize("name", ["l4dvar", "4dvar", "half-days"])
def test_the_error_given_to_an_observation_has_all_its_parts(cycled, name):
    """R = σ_o² + representation² + model(lead of the slot)², by hand for every used datum, to float64 rounding; model
    space has no representation error."""
    run = cycled(name)
    chosen, used = run.config.experiments[name], feedback(run, name)
    used = used[used["EffectiveQC"] == tables.Flag.PASS]
    model = xr.load_dataset(run.layout.errors("forecaster"))["model_error"].values
    level = (used[tables.PRESSURE] / 100).map(lambda hpa: "" if np.isnan(hpa) else f"{hpa:.0f}")
    channel = [run.channels.position(name) for name in used["variable"] + level]
    slot = (used[tables.TIME] - used["cycle"]) / pd.Timedelta(chosen.slot_hours, "h")
    step = np.floor(slot + 0.5).astype(int) * chosen.slot_hours // 6
    assert step.max() == (chosen.slots - 1) * chosen.slot_hours // 6
    assert (model[0] == 0).all()
    assert (model[1:] > 0).all()
    squares = used["ObsError"] ** 2 + model[step, channel] ** 2
    if chosen.autoencoder:
        squares += xr.load_dataset(run.layout.errors("main"))["representation_error"].values[channel] ** 2
    np.testing.assert_allclose(used["EffectiveError"], np.sqrt(squares), rtol=1e-12)


def test_factors_multiply_the_variances(world, cycled, tmp_path):
    """R four times as large: twice the errors, to rounding; B nine times as large: a closer fit to the same data."""
    values = worlds.changed("experiments.4dvar.factors", {"observation": 4.0})
    run = worlds.copied(world, tmp_path / "r", values)
    assert worlds.lara(run.layout.root, "cycle-experiment --experiment 4dvar") == 0
    plain, doubtful = feedback(cycled("4dvar"), "4dvar"), feedback(run, "4dvar")
    both = (plain["EffectiveQC"] == tables.Flag.PASS) & (doubtful["EffectiveQC"] == tables.Flag.PASS)
    np.testing.assert_allclose(doubtful["EffectiveError"][both], 2 * plain["EffectiveError"][both], rtol=1e-12)
    run = worlds.copied(world, tmp_path / "b", worlds.changed("experiments.4dvar.factors", {"background": 9.0}))
    assert worlds.lara(run.layout.root, "cycle-experiment --experiment 4dvar") == 0
    assert health(run, "4dvar")["Jo_end"][0] < health(cycled("4dvar"), "4dvar")["Jo_end"][0]


def test_an_archive_tells_what_it_was_made_from(cycled):
    """The experiment, its factors, and digests of the files it read: model space has no autoencoder's."""
    run = cycled("4dvar")
    cycled("l4dvar")
    model, latent = opened(run, "4dvar").attrs, opened(run, "l4dvar").attrs
    assert model["title"] == "LARA world: 4dvar (4dvar)"
    assert '"background": 1.0' in model["factors"]
    assert {"digest_of_covariance_model_npz", "digest_of_observations_2001_01"} <= model.keys()
    assert "digest_of_models_main_weights_safetensors" in latent.keys() - model.keys()
