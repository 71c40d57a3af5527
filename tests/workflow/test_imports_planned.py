"""Plans of a run that imports: nothing is trained or generated that is taken, and all that is not."""

import shutil

import pytest

import worlds
from lara.stages.networks import RunWithNetworks
from plans import planned, snakemake

pytestmark = pytest.mark.slow

TARGET = "results/new/reanalysis/l4dvar.zarr.receipt.json"
TAKEN = {"import_statistics": 1, "import_network": 2, "import_background_error": 1}
OBSERVED = {"draw_sites": 1, "simulate_observations": 1, "screen_observations": 1, "cycle_experiment": 1}


@pytest.fixture(scope="module")
def folder(world, tmp_path_factory):
    """A folder with the small run, whole."""
    folder = tmp_path_factory.mktemp("imports")
    shutil.copytree(world.layout.root, folder / "results" / "world")
    worlds.receive(RunWithNetworks.open(folder / "results" / "world"))
    return folder


def importing(**imports):
    return {**worlds.VALUES, "name": "new", "imports": {"run": "results/world", **imports}}


def test_a_new_name_that_imports_all_plans_no_training_and_no_data(folder):
    assert planned(folder, importing(), TARGET) == {**TAKEN, "import_dataset": 1, **OBSERVED}


def test_what_is_not_named_is_made_here(folder):
    """A test dataset of its own; an autoencoder of its own, with the forecaster and the statistics of the other run."""
    jobs = planned(folder, importing(datasets=[]), TARGET)
    assert jobs == {**TAKEN, "generate_dataset": 1, **OBSERVED}
    jobs = planned(folder, importing(networks=["forecaster"]), TARGET)
    assert jobs["train_autoencoder"] == jobs["measure_autoencoder"] == jobs["estimate_background_error"] == 1
    assert jobs["import_network"] == jobs["import_statistics"] == 1
    assert not jobs.keys() & {"train_forecaster", "measure_forecaster", "compute_statistics", "generate_dataset"}


def test_it_runs_and_runs_once(folder, monkeypatch):
    """From the import to the archive; then there is nothing to be done, nor where the other run is touched."""
    (folder / "sitecustomize.py").write_text("from lara.config import sources\nsources.LATITUDES[5] = 8\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    snakemake(folder, importing(), TARGET)
    assert planned(folder, importing(), TARGET) == {}
    (folder / "results" / "world" / "models" / "main" / "weights.safetensors").touch()
    assert planned(folder, importing(), TARGET) == {}


@pytest.mark.parametrize(
    ("imports", "told"),
    [
        ({"run": "results/wrold"}, "results/wrold/config.yaml is not there"),
        ({}, "forecaster.blocks is 1 there and 2 here"),
    ],
)
def test_a_run_that_does_not_fit_is_refused_before_the_plan(folder, tmp_path, imports, told):
    """In a line, and nothing is trained in its place."""
    values = importing(**imports)
    values["forecaster"] = {**values["forecaster"], "blocks": 2}
    with pytest.raises(AssertionError, match=told):
        planned(folder, values, TARGET)
