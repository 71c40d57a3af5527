"""Snakemake killed while its job lives on: nobody writes beside that job, and the results are those of a quiet run."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

import worlds
from lara.depends.parts import parts
from lara.layout import Layout
from lara.stages.networks import RunWithNetworks
from repository import REPOSITORY

pytestmark = pytest.mark.slow

NAME = "brief"  # 20 windows of one slot
VALUES = worlds.changed("production.checkpoint_every", 2)
VALUES["experiments"][NAME] = {**worlds.SHORT_LATENT, "method": "l3dvar", "slots": 1, "days": 5}
VALUES["minimiser"] = {"evaluations": 4, "degrees_of_freedom_every": 0, "worst_reduction": 1.0}
VALUES["autoencoders"]["main"]["corrections"] = 0
TARGET = f"results/world/reanalysis/{NAME}.zarr.receipt.json"
GRID = "from lara.config import sources\nsources.LATITUDES[5] = 8\n"  # of the small world, in every process


@pytest.fixture
def folder(world, tmp_path):
    """A folder in which the small run is ready to be cycled by Snakemake."""
    run = worlds.copied(world, tmp_path / "results" / "world", VALUES)
    worlds.unlinked(run.layout.root / "data")
    for part in parts(run.config, run.layout, "test"):  # that the rule of the data has been here
        receipt = run.layout.dataset_part("test", part.name)
        receipt.parent.mkdir(parents=True)
        receipt.write_text("made up")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(VALUES))
    (tmp_path / "grid").mkdir()
    (tmp_path / "grid" / "sitecustomize.py").write_text(GRID)
    return tmp_path


def start(folder, *arguments):
    """Snakemake in a process of its own, which alone cycles; what it says goes to a file."""
    command = [sys.executable, "-m", "snakemake", TARGET, "--snakefile", str(REPOSITORY / "Snakefile"), "--cores", "1"]
    command += ["--directory", str(folder), "--allowed-rules", "cycle_experiment", *arguments]
    command += ["--configfile", str(folder / "config.yaml")]
    environment = {**os.environ, "PYTHONPATH": str(folder / "grid"), "OMP_NUM_THREADS": "1"}
    with (folder / "said.txt").open("w") as said:
        return subprocess.Popen(command, env=environment, stdout=said, stderr=subprocess.STDOUT)


def ended(folder, *arguments):
    """Status of Snakemake, and what it said."""
    status = start(folder, *arguments).wait(timeout=300)
    return status, (folder / "said.txt").read_text()


def until(true, folder, snakemake=None, seconds=300):
    """Wait for something to be so, as long as Snakemake lives."""
    begin = time.monotonic()
    while not true():
        alive = snakemake is None or snakemake.poll() is None
        assert alive and time.monotonic() - begin < seconds, (folder / "said.txt").read_text()
        time.sleep(0.05)


def test_a_job_that_outlives_snakemake_is_left_alone_and_done_again_to_the_same_bytes(world, folder, tmp_path):
    """Snakemake refuses its own folder; unlocked, its job is refused by the archive's lock while the first still lives;
    after that one has ended the results are made again, for nobody vouches for them."""
    files = Layout(folder / "results" / "world").cycled(NAME)
    snakemake = start(folder)
    until((files.work / "checkpoint.safetensors").exists, folder, snakemake)
    job = json.loads(files.lock.read_text())["process"]
    snakemake.kill()
    snakemake.wait()
    os.kill(job, signal.SIGSTOP)  # alive, however slow the rest is
    try:
        assert not files.archive_receipt.exists()
        status, text = ended(folder)
        assert status and "cannot be locked" in text
        assert ended(folder, "--unlock")[0] == 0
        status, text = ended(folder, "--rerun-incomplete")
        assert status and f"is held by process {job}" in text
    finally:
        os.kill(job, signal.SIGCONT)
    until(lambda: files.archive_receipt.exists() and not files.lock.exists(), folder)
    status, text = ended(folder, "--rerun-incomplete")
    assert status == 0, text
    quiet = worlds.copied(world, tmp_path / "quiet", VALUES)
    assert worlds.lara(quiet.layout.root, f"cycle-experiment --experiment {NAME}") == 0
    assert worlds.outputs(RunWithNetworks.open(folder / "results" / "world"), NAME) == worlds.outputs(quiet, NAME)


def test_a_job_killed_with_snakemake_goes_on_after_its_last_checkpoint(world, folder, tmp_path):
    """The node is gone: both with SIGKILL."""
    files = Layout(folder / "results" / "world").cycled(NAME)
    snakemake = start(folder)
    until((files.work / "feedback-00000006.parquet").exists, folder, snakemake)
    job = json.loads(files.lock.read_text())["process"]
    snakemake.kill()
    with contextlib.suppress(ProcessLookupError):
        os.kill(job, signal.SIGKILL)
    snakemake.wait()
    assert ended(folder, "--unlock")[0] == 0
    status, text = ended(folder, "--rerun-incomplete")
    assert status == 0, text
    assert "goes on after window" in text
    quiet = worlds.copied(world, tmp_path / "quiet", VALUES)
    assert worlds.lara(quiet.layout.root, f"cycle-experiment --experiment {NAME}") == 0
    assert worlds.outputs(RunWithNetworks.open(folder / "results" / "world"), NAME) == worlds.outputs(quiet, NAME)
