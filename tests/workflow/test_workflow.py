"""The workflow's promises: the tiny configuration runs to the end, once; a change re-runs what it must, no more."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lara import figures
from lara.config import parse
from lara.layout import Layout
from repository import REPOSITORY, snakemake

TINY = yaml.safe_load((REPOSITORY / "config" / "tiny.yaml").read_text())
DEFAULT = {name: e for name, e in TINY["experiments"].items() if e.get("suite", "reanalysis") == "reanalysis"}
VARIATIONAL = sum(experiment["method"].endswith("dvar") for experiment in DEFAULT.values())
NETWORKS = {"train_autoencoder", "train_forecaster"}
CYCLES = {"cycle_experiment", "cycle_ensemble"}

pytestmark = pytest.mark.slow


def planned(tmp_path: Path, *targets: str, **changes: object) -> dict[str, int]:
    """Jobs by rule that a changed tiny configuration would run for targets, `all` where none is named."""
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump({**TINY, **changes}))
    text = snakemake(*targets, "--configfile", str(path), "--dry-run")
    if "Nothing to be done" in text:
        return {}
    table = text.split("Job stats:")[-1].split("\n\n")[0].splitlines()
    return {row.split()[0]: int(row.split()[1]) for row in table if len(row.split()) == 2 and row.split()[1].isdigit()}


def changed(section: str, **values: object) -> dict[str, object]:
    """A section of the tiny configuration with some values replaced."""
    return {section: {**TINY.get(section, {}), **values}}


def experiment(name: str, **values: object) -> dict[str, object]:
    """The experiments of the tiny configuration, some values of one replaced."""
    return changed("experiments", **{name: {**TINY["experiments"][name], **values}})


def test_the_tiny_run_ends_with_a_summary_of_every_experiment(finished):
    summary = json.loads((finished / "summary.json").read_text())
    assert set(summary["experiments"]) == set(DEFAULT)
    assert all(value > 0 for value in summary["experiments"]["l4dvar"]["analysis"]["rmse"].values())


def test_every_figure_of_the_tiny_run_is_a_picture(finished):
    names = [
        name for target in ("all", "benchmarks") for name in figures.drawn_by(target, parse(TINY), Layout(finished))
    ]
    found = [finished / "figures" / f"{name}.png" for name in names]
    assert len(found) == 10
    assert all(path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 10_000 for path in found)


def test_a_second_run_does_nothing(finished, tmp_path):
    assert planned(tmp_path) == {}


def test_a_key_of_the_minimiser_cycles_again_and_retrains_nothing(finished, tmp_path):
    jobs = planned(tmp_path, **changed("minimiser", evaluations=11))
    assert jobs["cycle_experiment"] == VARIATIONAL
    assert not jobs.keys() & (NETWORKS | {"generate_dataset", "estimate_background_error", "simulate_observations"})


def test_a_key_of_one_experiment_cycles_that_one_alone(finished, tmp_path):
    jobs = planned(tmp_path, **experiment("free", slots=2))
    assert jobs["cycle_experiment"] == 1
    assert not jobs.keys() & (NETWORKS | {"generate_dataset"})


def test_a_longer_test_period_generates_it_alone_and_retrains_nothing(finished, tmp_path):
    datasets = {**TINY["datasets"], "test": {**TINY["datasets"]["test"], "end": "2001-02-13"}}
    jobs = planned(tmp_path, datasets=datasets)
    assert jobs["generate_dataset"] == 1
    assert not jobs.keys() & (NETWORKS | {"compute_statistics", "estimate_background_error"})


def test_a_plotted_channel_runs_no_assimilation(finished, tmp_path):
    jobs = planned(tmp_path, **changed("verification", headline=["z500", "v500"]))
    assert jobs["draw_figure"] > 0
    assert not jobs.keys() & (NETWORKS | CYCLES | {"generate_dataset"})


def test_a_factor_on_the_background_error_estimates_nothing_again(finished, tmp_path):
    jobs = planned(tmp_path, **experiment("l4dvar", factors={"background": 1.5}))
    assert jobs["cycle_experiment"] == 1
    assert not jobs.keys() & (NETWORKS | {"generate_dataset", "estimate_background_error", "screen_observations"})


def test_a_check_of_the_analysis_cycles_again_and_screens_nothing_but_what_it_must(finished, tmp_path):
    """`huber` and `background_check` are of the analysis; screening, of the whole section, comes to the same table."""
    jobs = planned(tmp_path, **changed("quality_control", huber=2.0))
    assert jobs["cycle_experiment"] >= VARIATIONAL
    assert not jobs.keys() & (NETWORKS | {"generate_dataset", "simulate_observations", "estimate_background_error"})


@pytest.mark.parametrize(
    "changes",
    [changed("osse", spin_up_days=2), changed("tuning", background=[1.0, 2.0]), changed("ensemble", spin_up_days=0)],
)
def test_what_other_targets_need_alone_changes_nothing_in_the_default_one(finished, tmp_path, changes):
    assert planned(tmp_path, **changes) == {}


def test_corrections_of_an_encoding_measure_and_cycle_again_and_train_nothing(finished, tmp_path):
    """B, the representation error and all experiments of the latent space `main` depend on the encoder, no weight."""
    main = {**TINY["autoencoders"]["main"], "corrections": 1}
    jobs = planned(tmp_path, **changed("autoencoders", main=main))
    users = [name for name, e in DEFAULT.items() if e.get("autoencoder") == "main"]
    assert jobs["cycle_experiment"] == len(users)
    assert jobs["measure_autoencoder"] == jobs["score_autoencoder"] == jobs["estimate_background_error"] == 1
    assert not jobs.keys() & (NETWORKS | {"generate_dataset", "compute_statistics", "screen_observations"})


def test_another_relaxation_measures_and_cycles_again_and_trains_nothing(finished, tmp_path):
    """Forecasts enter B, the model error and every cycle; weights do not depend on what is done to forecasts after."""
    jobs = planned(tmp_path, **changed("forecaster", relaxation_days=None))
    assert jobs["cycle_experiment"] == len(DEFAULT)
    assert jobs["measure_forecaster"] == jobs["score_forecaster"] == 1
    assert jobs["estimate_background_error"] == 2
    assert not jobs.keys() & (NETWORKS | {"generate_dataset", "compute_statistics", "measure_autoencoder"})


def test_another_suite_for_an_experiment_does_not_cycle_it_again(finished, tmp_path):
    """Which target asks for an experiment is no part of its result: `free` of the suite `osse` is cycled already."""
    jobs = planned(tmp_path, "reanalysis", **experiment("pca", suite="osse"))
    assert not jobs.keys() & (NETWORKS | CYCLES)


def test_the_osse_runs_its_experiments_and_their_search_beyond_the_default_target(finished, tmp_path):
    """In a folder of its own, so that nothing is there yet: `all` has no tuning and no experiment of another suite."""
    anew = {"name": "planned-anew"}
    default, osse = planned(tmp_path, **anew), planned(tmp_path, "osse", **anew)
    suite = [name for name, e in TINY["experiments"].items() if e.get("suite") == "osse"]
    tuned = [name for name in suite if TINY["experiments"][name].get("factors", {}) is None]
    assert default["cycle_experiment"] == len(DEFAULT)
    assert not default.keys() & {"tune_experiment", "cycle_ensemble", "compare_osse", "observe_once"}
    assert osse["cycle_experiment"] == len(suite)
    assert osse["tune_experiment"] == len(tuned) > 0
    assert osse["compare_osse"] == 1
    assert osse["screen_observations"] == 2  # of the test and of the validation period
    assert osse["estimate_background_error"] == 2  # in model space and in that of `main`


def test_an_autoencoder_of_forecasts_is_trained_where_it_is_asked_for_and_beside_one_of_states(finished, tmp_path):
    """Two of each but the forecasts: the reference of the suite is an experiment of the OSSE, tuned alike."""
    anew = {"name": "planned-anew"}
    default, jobs = planned(tmp_path, **anew), planned(tmp_path, "exp4_forecast_autoencoder", **anew)
    assert "forecast_states" not in default
    assert jobs["forecast_states"] == jobs["train_forecaster"] == 1
    for rule in ("train_autoencoder", "estimate_background_error", "tune_experiment", "cycle_experiment"):
        assert jobs[rule] == 2, rule


def test_the_other_targets_plan_what_they_show(finished, tmp_path):
    """In a folder of its own: the ensemble with its scores, and the increments of single observations."""
    anew = {"name": "planned-anew"}
    uncertainty = planned(tmp_path, "uncertainty", **anew)
    assert uncertainty["cycle_ensemble"] == uncertainty["score_ensemble"] > 0
    assert "train_forecaster" in uncertainty
    single = planned(tmp_path, "single_observations", **anew)
    assert single["observe_once"] == 1
    assert single["estimate_background_error"] == 2
    assert not single.keys() & CYCLES


def test_the_tiny_configuration_plans_every_figure_of_its_targets(finished, tmp_path):
    """Drawn from what is there: forced again, each figure of the comparisons is one job."""
    jobs = planned(tmp_path, "osse", "uncertainty", "single_observations", name="planned-anew")
    assert jobs["draw_figure_of_table"] == 2  # osse, tuning
    assert jobs["draw_figure"] >= 2  # spread and skill, a single observation


def test_a_wrong_key_is_refused_before_the_plan(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump({**TINY, "windows": 4}))
    command = [sys.executable, "-m", "snakemake", "-n", "--configfile", str(path)]
    done = subprocess.run(command, cwd=REPOSITORY, text=True, capture_output=True)
    assert done.returncode != 0
    assert "unknown key 'windows' = 4" in done.stdout + done.stderr
