"""A small run from datasets to scores, and the contracts of assimilation on the networks that are used in it."""

import copy
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import worlds
from contracts import adjoint_gap, kalman_gap, taylor_order
from lara import store
from lara.assimilation.control import DiagonalControl
from lara.assimilation.cost import CostFunction
from lara.autoencoder import Autoencoder
from lara.experiment import cycling, drawing, learning, scoring
from lara.experiment.run import Run, time
from lara.observations import table as tables
from lara.observations.operators import from_table
from toys import normal

EXPERIMENTS = list(worlds.VALUES["experiments"])
DATA = 24


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The small run with every experiment cycled and scored."""
    run = worlds.tiny_run(tmp_path_factory.mktemp("world") / "world")
    for name in EXPERIMENTS:
        for command in ("cycle", "score"):
            assert worlds.lara(run.layout.root, f"{command}-experiment --experiment {name}") == 0
    return run


def health(run, name):
    return pd.read_parquet(run.layout.health(name))


# Contracts on the networks themselves


def problem(run, name, slots=4):
    """J of the first window with the run's own modules made nonlinear, in float64, and two dozen observations."""
    module, forecaster = worlds.nonlinear(run.new_autoencoder(name)), worlds.nonlinear(run.new_forecaster())
    module.linear.load_state_dict(run.autoencoder(name).double().linear.state_dict())
    mean, scale = run.normaliser.mean.double(), run.normaliser.scale.double()
    truth = run.store("test")
    states = torch.from_numpy(truth.read(slice(0, slots))).double()
    table = tables.read(run.layout.observations("test"))
    rows = tables.between(table[~table["withheld"]], truth.times[0], truth.times[slots])
    rows = rows.iloc[:: -(-len(rows) // DATA)]

    def encode(x):
        return module.encode(((x - mean) / scale)[None])[0]

    latent = encode(states[0])
    with np.load(run.layout.background_error(name)) as file:
        variance = torch.from_numpy(file["variance"]).double()
    return CostFunction(
        latent.detach() + 0.1 * normal(*latent.shape, seed=1),
        DiagonalControl(variance),
        lambda z: mean + scale * module.decode(z[None])[0],
        lambda x: mean + scale * forecaster(((x - mean) / scale)[None])[0],
        slots,
        from_table(rows, run.grid, run.channels, truth.times[:slots]),
    )


@pytest.mark.parametrize("name", ["main", "pca"])
def test_the_gradient_through_the_networks_passes_the_taylor_test(run, name):
    """Slope 2 of the remainder, h = 1e-1 … 1e-4 in float64; third-order terms bend it by less than 0.1."""
    cost = problem(run, name)
    shape = cost.background.shape
    steps = [10.0**-k for k in (1, 2, 3, 4)]
    assert taylor_order(cost, normal(*shape, seed=2), normal(*shape, seed=3), steps) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("name", ["main", "pca"])
def test_the_gradient_through_the_networks_is_the_adjoint_of_their_tangent_linear(run, name):
    """⟨G′δχ, δy⟩ = ⟨δχ, G′ᵀδy⟩ through decoder, three forecast steps and H, to float64 rounding of sums of ~1000."""
    cost = problem(run, name)
    shape, count = cost.background.shape, len(cost.observations.value)
    gap = adjoint_gap(cost, normal(*shape, seed=4), normal(*shape, seed=5), normal(count, seed=6))
    assert gap < 1e-12


@pytest.mark.parametrize("name", ["main", "pca"])
def test_the_networks_approach_the_kalman_solution_as_innovations_shrink(run, name):
    """|∇J(χ_a)| / |∇J(0)| is the networks' second derivative times the increment: a tenth of the innovation, a tenth of
    the gap (30 %), down to a thousandth of σ_o, where the linear solution is right to 1 %."""
    cost = problem(run, name)
    innovation = cost.observations.error_std * normal(len(cost.observations.value), seed=7)
    large, small = kalman_gap(cost, 1e-2 * innovation), kalman_gap(cost, 1e-3 * innovation)
    assert small < 1e-2
    assert large / small == pytest.approx(10, rel=0.3)


def test_a_linear_chain_is_the_kalman_smoother(run):
    """The PCA with persistence is affine: the gap is float64 rounding times the condition of G′G′ᵀ + I."""
    cost = problem(run, "pca")
    affine = CostFunction(cost.background, cost.control, cost.decode, lambda x: x, cost.slots, cost.observations)
    innovation = cost.observations.error_std * normal(len(cost.observations.value), seed=7)
    assert kalman_gap(affine, innovation) < 1e-9


def test_every_slot_moves_the_gradient(run):
    """An observation of any of the four slots pulls on χ through the forecaster."""
    cost = problem(run, "main")
    _, whole = cost.value_and_gradient(cost.control.zeros())
    for slot in range(4):
        error = torch.where(cost.observations.slot == slot, torch.inf, cost.observations.error_std)
        kept = type(cost.observations)(**{**vars(cost.observations), "error_std": error})
        without = CostFunction(cost.background, cost.control, cost.decode, cost.step, 4, kept)
        assert (without.value_and_gradient(cost.control.zeros())[1] - whole).abs().max() > 1e-6 * whole.abs().max()


# The linear path and what training leaves


def test_the_linear_path_is_the_pca_of_the_training_states(run):
    """Latent elements of the training states have mean 0 and, area-weighted, variance 1 and no correlation; float32."""
    module = run.autoencoder("pca")
    states = run.normaliser.normalise(torch.from_numpy(run.stores("training")[0].read(slice(None))))
    latent = module.encode(states).double().permute(0, 2, 3, 1)
    area = run.area_weights().double().unfold(0, 4, 4).unfold(1, 4, 4).mean((-1, -2))
    share = area / area.sum() / len(states)
    mean = torch.einsum("nhwl,hw->l", latent, share)
    second = torch.einsum("nhwl,nhwm,hw->lm", latent, latent, share)
    torch.testing.assert_close(mean, torch.zeros(12).double(), rtol=0, atol=1e-4)
    torch.testing.assert_close(second, torch.eye(12).double(), rtol=0, atol=1e-3)


def test_a_transformer_starts_where_the_pca_is(run):
    """Fitted on the same states, before its residual is trained: the same reconstruction to the bit."""
    module = run.new_autoencoder("main")
    learning.fit_linear_path(run, module, learning.channel_weights(run, run.config.autoencoders["main"].training))
    pca: Autoencoder = run.autoencoder("pca")
    states = run.normaliser.normalise(torch.from_numpy(run.store("test").read([0, 9])))
    assert torch.equal(module(states), pca(states))


def test_measured_errors_are_those_by_hand(run):
    """Area-weighted RMSE over all test states per channel, in SI; float32 sums."""
    errors = xr.load_dataset(run.layout.errors("pca"))
    states = torch.from_numpy(run.store("test").read(slice(None)))
    encode, decode = run.encoding("pca")
    squares = (decode(encode(states)) - states).double() ** 2 * run.area_weights()
    by_hand = squares.mean((0, 2, 3)).sqrt().numpy()
    np.testing.assert_allclose(errors["rmse"], by_hand, rtol=1e-4)
    np.testing.assert_allclose(errors["pca_rmse"], by_hand, rtol=1e-4)
    forecast = xr.load_dataset(run.layout.errors("forecaster"))
    assert (forecast["rmse"][0] == 0).all()
    assert (np.diff(forecast["persistence_rmse"][:4], axis=0) > 0).all()


def test_training_again_gives_the_same_weights(run, tmp_path):
    """Initial weights, samples and arithmetic are a function of the configuration: byte for byte."""
    for part in ("config.yaml", "data"):
        source = run.layout.root / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / part)
    again = Run.open(tmp_path)
    for name, words in (("main", "train-autoencoder --autoencoder main"), ("forecaster", "train-forecaster")):
        torch.manual_seed(99)
        assert worlds.lara(tmp_path, words) == 0
        assert again.layout.weights(name).read_bytes() == run.layout.weights(name).read_bytes()


# Cycled experiments


@pytest.mark.parametrize("name", ["l4dvar", "l3dvar", "pca"])
def test_every_analysis_lowers_j(run, name):
    """J(χ_a) < J(0) in each window, the gradient too, and the stop reason is stored."""
    ledger = health(run, name)
    assert len(ledger) == (20 if name == "l3dvar" else 5)
    assert (ledger["J_end"] < ledger["J_start"]).all()
    assert (ledger["gradient_norm_end"] < ledger["gradient_norm_start"]).all()
    assert ledger["reason"].str.len().gt(0).all()


def test_observations_bring_the_analysis_nearer_to_the_truth_than_the_free_run(run):
    """Both begin at the same background; the patterns are large-scale, so 30 sites see most of them: 20 % at least."""
    area, truth = run.grid.area_weights, run.store("test")

    def rmse(name):
        archive = store.open_archive(run.layout.archive(name))
        error = archive["geopotential"].sel(level=500).values - truth.at(archive["time"].values)[:, 2]
        return float(np.sqrt((area * error[4:] ** 2).mean()))

    assert rmse("l4dvar") < 0.8 * rmse("free")
    assert rmse("pca") < 0.8 * rmse("free")


@pytest.mark.parametrize("name", ["l4dvar", "free"])
def test_cycling_twice_gives_the_same_archive(run, tmp_path, name):
    """Every file of archive, feedback and health, byte for byte."""
    shutil.copytree(run.layout.root, tmp_path / "again", ignore=shutil.ignore_patterns("archive", "cycles"))
    assert worlds.lara(tmp_path / "again", f"cycle-experiment --experiment {name}") == 0
    again = Run.open(tmp_path / "again").layout
    first, second = run.layout.archive(name), again.archive(name)
    files = sorted(file.relative_to(first) for file in first.rglob("*") if file.is_file())
    assert len(files) > 10
    assert sorted(file.relative_to(second) for file in second.rglob("*") if file.is_file()) == files
    assert [f for f in files if (first / f).read_bytes() != (second / f).read_bytes()] == []
    assert again.feedback(name).read_bytes() == run.layout.feedback(name).read_bytes()
    assert again.health(name).read_bytes() == run.layout.health(name).read_bytes()


@pytest.mark.parametrize("change", [{"minimiser": {"evaluations": 2}}, {"days": 6}, {"slots": 2}], ids=str)
def test_a_changed_setting_cycles_anew_over_the_old_archive(run, tmp_path, change):
    """The archive of the old setting is replaced: the result is that of a folder that never had one."""
    values = copy.deepcopy(worlds.VALUES)
    values.update({key: value for key, value in change.items() if key in values})
    changed = values["experiments"] if "days" in change else ["l4dvar"]  # all are of the same days
    for experiment in changed:
        values["experiments"][experiment].update({key: value for key, value in change.items() if key not in values})
    archives = []
    for name, left_out in (("over", ()), ("fresh", ("archive", "cycles"))):
        folder = tmp_path / name
        shutil.copytree(run.layout.root, folder, ignore=shutil.ignore_patterns(*left_out))
        worlds.write_config(folder, values)
        assert worlds.lara(folder, "cycle-experiment --experiment l4dvar") == 0
        archives.append(store.open_archive(Run.open(folder).layout.archive("l4dvar")))
    xr.testing.assert_identical(*archives)


def test_all_experiments_begin_from_one_background(run):
    """The forecast over 24 h from the first truth, the same for every method, to the bit."""
    expected = cycling.first_background(run, "free").numpy()
    for name in EXPERIMENTS:
        archive = store.open_archive(run.layout.archive(name)).isel(time=[0])
        assert archive["time"].values[0] == time(run.config.period(name)[0])
        found = archive["geopotential_background"].values[0]
        assert np.array_equal(found, expected[2:4])


def test_a_background_is_the_forecast_from_the_last_analysis(run):
    """Window after window, and the trajectory within one; float32 through the same network, so to the bit."""
    archive = store.open_archive(run.layout.archive("l4dvar"))
    names = {"msl": "mean_sea_level_pressure", "t2m": "2m_temperature", "z": "geopotential", "t": "temperature"}

    def states(suffix):
        chosen = archive[[f"{long}{suffix}" for long in names.values()]]
        renamed = chosen.rename({f"{long}{suffix}": short for short, long in names.items()})
        return torch.from_numpy(run.channels.from_dataset(renamed.load()))

    analysis, background = states(""), states("_background")
    for last in (3, 7, 11):
        assert torch.equal(background[last + 1], run.forecast_step(analysis[last : last + 1])[0])
    assert torch.equal(background[1], run.forecast_step(background[:1])[0])


def test_controls_use_no_observation_and_the_others_all_that_are_not_withheld(run):
    """Quality flags of the feedback, and departures of every datum, used or not."""
    for name in EXPERIMENTS:
        feedback = tables.read_feedback(run.layout.feedback(name))
        used = feedback["EffectiveQC"] == tables.USED
        expected = ~feedback["withheld"] if "dvar" in name or name == "pca" else np.zeros(len(feedback), bool)
        assert (used == expected).all()
        assert np.isfinite(feedback[["ombg", "oman"]]).all(axis=None)


def test_the_error_given_to_an_observation_has_all_its_parts(run):
    """R = σ_o² + representation² + model(slot)², by hand for every used datum, to float64 rounding."""
    feedback = tables.read_feedback(run.layout.feedback("l4dvar"))
    feedback = feedback[feedback["EffectiveQC"] == tables.USED]
    representation = xr.load_dataset(run.layout.errors("main"))["representation_error"].values
    model = xr.load_dataset(run.layout.errors("forecaster"))["model_error"].values
    level = (feedback[tables.PRESSURE] / 100).map(lambda hpa: "" if np.isnan(hpa) else f"{hpa:.0f}")
    channel = [run.channels.position(name) for name in feedback["variable"] + level]
    slot = ((feedback[tables.TIME] - feedback["cycle"]) / pd.Timedelta("6h")).astype(int)
    assert (model[0] == 0).all()
    assert (model[1:] > 0).all()
    expected = np.sqrt(feedback["ObsError"] ** 2 + representation[channel] ** 2 + model[slot, channel] ** 2)
    np.testing.assert_allclose(feedback["EffectiveError"], expected, rtol=1e-12)


@pytest.fixture(scope="module")
def summary(run):
    """The summary of the run, and with it the scores of the forecasts."""
    for words in ("score-forecasts", "summarise"):
        assert worlds.lara(run.layout.root, words) == 0
    return json.loads(run.layout.summary.read_text(), parse_constant=pytest.fail)


def test_the_summary_collects_every_experiment_and_network(run, summary):
    """Machine-readable, and its numbers are those of the scores."""
    assert set(summary["experiments"]) == set(EXPERIMENTS)
    assert set(summary["autoencoders"]) == {"main", "pca"}
    assert summary["autoencoders"]["main"]["compression"] == 8.0
    assert summary["forecasts"]["rmse"]["perfect start"]["z500"]["0 d"] == 0.0
    for name in EXPERIMENTS:
        finished = pd.read_csv(run.layout.finished_scores(name)).set_index(["kind", "channel"])
        assert len(finished) == 2 * len(run.channels)
        for kind in ("analysis", "background"):
            for score in ("rmse", "bias", "acc"):
                expected = finished.loc[(kind, "z500"), score]
                assert summary["experiments"][name][kind][score]["z500"] == pytest.approx(expected)
        assert summary["experiments"][name]["n"] == finished["n"].iloc[0]


def test_finished_scores_are_those_of_the_archive_after_the_spin_up(run):
    """RMSE and bias of z850 by hand from the archive and the truth; float32 fields."""
    finished = pd.read_csv(run.layout.finished_scores("l4dvar")).set_index(["kind", "channel"]).loc["analysis", :]
    archive = store.open_archive(run.layout.archive("l4dvar")).isel(time=slice(4, None))
    truth = run.store("test").at(archive["time"].values)[:, run.channels.position("z850")]
    error = archive["geopotential"].sel(level=850).values.astype(float) - truth
    area = run.grid.area_weights
    assert finished.loc["z850", "rmse"] == pytest.approx(np.sqrt((area * error**2).mean()))
    assert finished.loc["z850", "bias"] == pytest.approx((area * error).mean())
    assert finished.loc["z850", "units"] == "m2 s-2"
    assert finished.loc["z850", "n"] == len(error)


def test_the_summary_tells_minimisations_of_windows_after_the_spin_up_alone(run, summary):
    """The first window is spin-up; controls minimise nothing and claim nothing."""
    after = health(run, "l4dvar").iloc[1:]
    found = summary["experiments"]["l4dvar"]
    assert found["two_j_over_p_mean"] == pytest.approx(after["2J/p"].mean())
    assert found["evaluations_mean"] == pytest.approx(after["evaluations"].mean())
    assert sum(found["stop_reasons"].values()) == found["windows"] == len(after)
    for control in ("free", "autoencoder-only"):
        assert not summary["experiments"][control].keys() & {"two_j_over_p_mean", "evaluations_mean", "stop_reasons"}
        assert health(run, control)["2J/p"].isna().all()


def test_gains_are_told_against_each_control_by_its_name(summary):
    """1 - RMSE / RMSE of the control, from the scores beside them; a control is not compared with itself."""
    found = summary["experiments"]
    for key, control in (("reduction_below_free", "free"), ("reduction_below_autoencoder_only", "autoencoder-only")):
        ratio = found["pca"]["analysis"]["rmse"]["t850"] / found[control]["analysis"]["rmse"]["t850"]
        assert found["pca"][key][control]["t850"] == pytest.approx(1 - ratio)
        assert found[control][key] == {}


def test_differences_from_the_reference_come_with_paired_intervals(summary):
    """The difference is that of the RMSE told beside it, and lies in its interval."""
    rmse = {name: found["analysis"]["rmse"]["z500"] for name, found in summary["experiments"].items()}
    assert set(summary["differences"]) == {f"l4dvar - {name}" for name in EXPERIMENTS if name != "l4dvar"}
    found = summary["differences"]["l4dvar - free"]["z500"]
    assert found["difference"] == pytest.approx(rmse["l4dvar"] - rmse["free"])
    assert found["low"] <= found["difference"] <= found["high"]
    assert found["n"] == summary["experiments"]["free"]["n"]


def test_withheld_observations_have_bias_and_rms_before_and_after(run, summary):
    """Of surface temperature, one level: the mean and rms of its withheld departures after the spin-up."""
    feedback = tables.read_feedback(run.layout.feedback("l4dvar"))
    begin = time(run.config.period("l4dvar")[0]) + np.timedelta64(1, "D")
    rows = feedback[feedback["withheld"] & (feedback["variable"] == "t2m") & (feedback[tables.TIME] >= begin)]
    found = summary["experiments"]["l4dvar"]["withheld"]["t2m"]
    assert found["n"] == len(rows)
    for key in ("ombg", "oman"):
        assert found[f"{key}_bias"] == pytest.approx(rows[key].mean())
        assert found[f"{key}_rms"] == pytest.approx(np.sqrt((rows[key] ** 2).mean()))


def test_no_forecast_starts_from_an_analysis_that_has_seen_later_observations(run, summary):
    """Every start is the last slot of a window after the spin-up of one day, and the file says so."""
    inits = scoring.forecast_inits(run, "l4dvar")
    begin = time(run.config.period("l4dvar")[0])
    assert ((inits - begin) / np.timedelta64(1, "h") % 24 == 18).all()
    assert inits[0] == begin + np.timedelta64(42, "h")
    saved = xr.load_dataset(run.layout.scores("forecasts"))
    assert "last slot" in saved.attrs["starts"]
    assert saved.attrs["first_init"] == str(inits[0])[:16]
    assert saved.attrs["n"] == len(inits) == summary["forecasts"]["n"]


def test_forecasts_are_scored_from_the_analysis_at_their_start(run, summary):
    """RMSE at lead 0 of the source `l4dvar`: analysis less truth at the starts, by hand; float32 fields."""
    inits = scoring.forecast_inits(run, "l4dvar")
    analysis = store.open_archive(run.layout.archive("l4dvar"))["geopotential"].sel(time=inits, level=500).values
    error = analysis - run.store("test").at(inits)[:, run.channels.position("z500")]
    expected = np.sqrt((run.grid.area_weights * error**2).mean())
    assert summary["forecasts"]["rmse"]["l4dvar"]["z500"]["0 d"] == pytest.approx(expected, rel=1e-5)


def test_samples_are_counted_as_they_were_used(run):
    """Periods shorter than what is asked for: all states, and all stretches of a forecast's length."""
    states = {use: len(run.stores(use)[0].times) for use in ("test", "validation")}
    errors, forecasts = (xr.load_dataset(run.layout.errors(name)) for name in ("main", "forecaster"))
    assert (errors.attrs["samples"], errors.attrs["validation_samples"]) == (states["test"], states["validation"])
    assert forecasts.attrs["samples"] == states["test"] - forecasts.sizes["lead_time"] + 1
    assert forecasts.attrs["validation_samples"] == states["validation"] - forecasts.sizes["slot"] + 1


@pytest.mark.parametrize("name", list(drawing.FIGURES))
def test_the_arrays_of_a_figure_are_saved_beside_it(run, summary, name):
    """One file of what is drawn, as fields or as a table."""
    assert worlds.lara(run.layout.root, f"draw-figure --figure {name}") == 0
    assert run.layout.figure(name).exists()
    assert run.layout.figure_fields(name).exists() != run.layout.figure_table(name).exists()


def test_the_map_shows_the_first_headline_channel(run, summary):
    """Whatever the configuration puts there."""
    assert drawing.mapped_fields(run, "l4dvar").attrs["channel"] == run.config.verification.headline[0]


def test_costs_are_of_the_jobs_of_this_configuration(run, tmp_path):
    """A benchmark file left by an experiment that is no more does not count."""
    again = worlds.write_config(tmp_path, worlds.VALUES)
    for job in ("cycle-experiment-l4dvar", "cycle-experiment-removed", "train-forecaster"):
        again.layout.benchmark(job).parent.mkdir(exist_ok=True)
        again.layout.benchmark(job).write_text("s\tcpu_time\tmax_rss\n2.0\t1.0\t100.0\n")
    assert worlds.lara(tmp_path, "collect-benchmarks") == 0
    assert set(pd.read_csv(again.layout.costs)["job"]) == {"cycle-experiment-l4dvar", "train-forecaster"}


def test_the_jobs_counted_are_those_of_the_rules(run):
    """Each rule's benchmark file, its wildcard filled from the configuration."""
    config = run.config
    filled = {"dataset": config.datasets, "autoencoder": config.autoencoders, "experiment": config.experiments}
    filled["figure"] = drawing.FIGURES
    rules = "".join(path.read_text() for path in (Path(__file__).parents[1] / "workflow" / "rules").glob("*.smk"))
    expected = set()
    for pattern in re.findall(r'RUN\.benchmark\("([^"]+)"\)', rules):
        kind = re.search(r"{(\w+)}", pattern)
        expected |= {pattern.replace(kind[0], name) for name in filled[kind[1]]} if kind else {pattern}
    assert set(drawing.jobs(run)) == expected


def test_summary_and_figures_of_saved_scores_need_no_torch():
    """A job that only reads scores starts in seconds; modules loaded in a process of its own."""
    code = "import sys; from lara.experiment import drawing, summary; print({'torch', 'zarr'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_a_random_stream_depends_on_its_name_alone(run):
    """Whatever was drawn before: the same numbers for a name, others for another."""
    first = run.generator("sites").standard_normal(3)
    run.generator("other").standard_normal(100)
    assert np.array_equal(run.generator("sites").standard_normal(3), first)
    assert not np.array_equal(run.generator("sites", 1).standard_normal(3), first)


def test_values_by_channel_go_before_values_by_variable(run):
    """z500 by its own name, z850 by its variable; without either the name is told."""
    assert run.per_channel({"z": 1.0, "z500": 2.0}, 0.0).tolist() == [0, 0, 2, 1, 0, 0]
    with pytest.raises(KeyError, match="'msl'"):
        run.per_channel({"z": 1.0})
