"""The workflow's promises: the tiny configuration runs to the end, once; a change re-runs what it must, no more."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from repository import REPOSITORY, snakemake

TINY = yaml.safe_load((REPOSITORY / "config" / "tiny.yaml").read_text())
VARIATIONAL = sum(experiment["method"].endswith("dvar") for experiment in TINY["experiments"].values())
NETWORKS = {"train_autoencoder", "train_forecaster"}

pytestmark = pytest.mark.slow


def planned(tmp_path: Path, **changes: object) -> dict[str, int]:
    """Jobs by rule that a changed tiny configuration would run."""
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump({**TINY, **changes}))
    text = snakemake("--configfile", str(path), "--dry-run")
    if "Nothing to be done" in text:
        return {}
    table = text.split("Job stats:")[-1].split("\n\n")[0].splitlines()
    return {row.split()[0]: int(row.split()[1]) for row in table if len(row.split()) == 2 and row.split()[1].isdigit()}


def changed(section: str, **values: object) -> dict[str, object]:
    """A section of the tiny configuration with some values replaced."""
    return {section: {**TINY.get(section, {}), **values}}


def test_the_tiny_run_ends_with_a_summary_of_every_experiment(finished):
    summary = json.loads((finished / "summary.json").read_text())
    assert set(summary["experiments"]) == set(TINY["experiments"])
    assert all(value > 0 for value in summary["experiments"]["l4dvar"]["analysis"]["rmse"].values())


def test_every_figure_of_the_tiny_run_is_a_picture(finished):
    figures = sorted((finished / "figures").glob("*.png"))
    assert len(figures) == 10
    assert all(path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 10_000 for path in figures)


def test_a_second_run_does_nothing(finished, tmp_path):
    assert planned(tmp_path) == {}


def test_a_key_of_the_minimiser_cycles_again_and_retrains_nothing(finished, tmp_path):
    jobs = planned(tmp_path, **changed("minimiser", evaluations=11))
    assert jobs["cycle_experiment"] == VARIATIONAL
    assert not jobs.keys() & (NETWORKS | {"generate_dataset", "estimate_background_error", "simulate_observations"})


def test_a_key_of_one_experiment_cycles_that_one_alone(finished, tmp_path):
    experiments = {**TINY["experiments"], "free": {**TINY["experiments"]["free"], "slots": 2}}
    jobs = planned(tmp_path, experiments=experiments)
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
    assert not jobs.keys() & (NETWORKS | {"generate_dataset", "cycle_experiment"})


def test_a_scale_on_the_background_error_estimates_nothing_again(finished, tmp_path):
    jobs = planned(tmp_path, **changed("background_error", scale=1.5))
    assert "estimate_background_error" not in jobs
    assert jobs["cycle_experiment"] == VARIATIONAL


def test_a_wrong_key_is_refused_before_the_plan(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump({**TINY, "windows": 4}))
    command = [sys.executable, "-m", "snakemake", "-n", "--configfile", str(path)]
    done = subprocess.run(command, cwd=REPOSITORY, text=True, capture_output=True)
    assert done.returncode != 0
    assert "unknown key 'windows' = 4" in done.stdout + done.stderr
