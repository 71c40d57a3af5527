"""Targets of the default configuration: what each makes of the data, and that no two years are made unasked."""

import os
import re
import subprocess
import sys

import pytest

from repository import REPOSITORY

TRAINING, VALIDATION, TEST, PRODUCTION = {"training-1", "training-2"}, {"validation"}, {"test"}, {"two-years"}
DEFAULT = TRAINING | VALIDATION | TEST
DATASETS = {  # that a target may touch, of those in config/config.yaml
    "all": DEFAULT,
    "data": DEFAULT,
    "models": DEFAULT,
    "covariance": TRAINING | VALIDATION,
    "observations": TRAINING | TEST,
    "reanalysis": DEFAULT,
    "verification": DEFAULT,
    "figures": DEFAULT,
    "benchmarks": DEFAULT,
    "osse": DEFAULT,
    "uncertainty": DEFAULT,
    "single_observations": DEFAULT,
    "fig7_latent_size": DEFAULT,
    "exp4_forecast_autoencoder": DEFAULT,
    "minimisers": DEFAULT,
    "data_benchmarks": DEFAULT,
    "peers": set(),
    "production": TRAINING | VALIDATION | PRODUCTION,
}


def planned(folder, target):
    """Text of a dry run in an empty folder."""
    command = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile"), "--cores", "1", "-n", target]
    command += ["--directory", str(folder), "--configfile", str(REPOSITORY / "config" / "config.yaml")]
    done = subprocess.run(command, env={**os.environ}, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("target", DATASETS)
def test_a_target_makes_no_dataset_that_another_is_for(tmp_path, target):
    """Exactly the named datasets are generated, and nothing reads another: two years are for `production` alone."""
    text = planned(tmp_path, target)
    made = set(re.findall(r"data/parts/([\w-]+)/\d{8}-\d{8}\.receipt\.json", text))
    assert made == DATASETS[target]
    assert ("two-years" in text) == ("two-years" in DATASETS[target])


def test_every_target_of_the_snakefile_is_asked_about():
    """The rules named in `localrules`, but those that no default run can make."""
    block = (REPOSITORY / "Snakefile").read_text().split("localrules:")[1].split("onstart:")[0]
    named = set(re.findall(r"^    (\w+),$", block, re.MULTILINE))
    assert named - {"downloads", "fig3_gdas"} == set(DATASETS)


def priorities(text):
    """Priority of each job of a plan, by rule and, of data, by dataset; 0 where none is printed."""
    found = {}
    for job in re.split(r"\n(?=(?:local)?rule )", text)[1:]:
        rule, dataset = re.match(r"(?:local)?rule (\w+)", job), re.search(r"wildcards: dataset=([\w-]+), part=", job)
        given = re.search(r"priority: (\d+)", job)
        key = dataset.group(1) if rule.group(1) == "generate_dataset" else rule.group(1)
        found[key] = int(given.group(1)) if given else 0
    return found


@pytest.mark.slow
def test_what_trainings_wait_for_comes_first(tmp_path):
    """Training data, then validation data, then the trainings, before all that can wait for the networks."""
    found = priorities(planned(tmp_path, "all"))
    order = ["training-1", "validation", "train_forecaster", "estimate_background_error", "cycle_experiment", "test"]
    assert sorted(order, key=lambda key: -found[key]) == order, found
    assert found["training-1"] == found["training-2"] == found["compute_statistics"]
    assert len({found[key] for key in order}) == len(order)
    assert found["train_autoencoder"] == found["train_forecaster"]
