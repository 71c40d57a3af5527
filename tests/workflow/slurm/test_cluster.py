"""A SLURM of one node with two fake GPUs: config/tiny.yaml from its first file to an archive of two streams, with a job
out of time and a job requeued, and the bytes of a local run.

The cluster is one that answers, or one that the script beside the repository starts; skipped where neither is there.
The local run is the one in this checkout, which other tests use, too.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import worlds
from lara import locks
from lara.layout import Layout
from lara.stages.networks import RunWithNetworks
from repository import REPOSITORY, tiny

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

SCRIPT = REPOSITORY.parent / "shared" / "tools" / "slurm_local.sh"
PROFILES = REPOSITORY / "workflow" / "profiles"
TINY = REPOSITORY / "config" / "tiny.yaml"
NAME = "two-streams"
TARGET = f"results/tiny/reanalysis/{NAME}.zarr.receipt.json"
PATIENCE = 1200  # seconds for anything to happen


@pytest.fixture(scope="module")
def cluster():
    """Function: a SLURM command and its output."""

    def slurm(*words):
        return subprocess.run(words, text=True, capture_output=True, check=True).stdout

    if not shutil.which("slurmctld"):
        pytest.skip("slurmctld is not installed: `slurm_local.sh install` does so as root where apt works")
    up = subprocess.run(["sinfo"], capture_output=True, timeout=60).returncode == 0
    if not up and not SCRIPT.exists():
        pytest.skip(f"no SLURM answers, and {SCRIPT}, which starts one, is not there")
    machine = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}  # `nproc` counts by it
    if not up and subprocess.run(["bash", str(SCRIPT), "start"], env=machine).returncode:
        pytest.skip(f"{SCRIPT} cannot start a SLURM on this machine")
    yield slurm
    if not up:
        subprocess.run(["bash", str(SCRIPT), "stop"], check=True)


@pytest.fixture(scope="module")
def local():
    """The tiny run of this checkout, its streams cycled by a local Snakemake if they are not yet."""
    return RunWithNetworks.open(tiny(TARGET))


def on_cluster(folder):
    """Snakemake in a folder with the project's profiles, without accounting, asking often, training as a local run."""
    shutil.copy(TINY, folder / "config.yaml")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(folder / "config.yaml")]
    command += ["--profile", str(PROFILES / "site"), "--workflow-profile", str(PROFILES / "slurm")]
    command += ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"]
    threads = max(1, len(os.sched_getaffinity(0)) // 2)
    command += ["--set-threads", *(f"train_{part}={threads}" for part in ("autoencoder", "forecaster"))]
    return [*command, "--", TARGET]


@contextlib.contextmanager
def started(command, log):
    """A process with its output in a file; ended with the block, whatever becomes of it."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "LARA_DEVICE": "cpu"}  # the GPUs are no real ones
    with log.open("w") as file, subprocess.Popen(command, env=environment, stdout=file, stderr=file) as process:
        try:
            yield process
        finally:
            process.terminate()


def stopped_after_a_window(process, parts, log):
    """The jobs that cycle some chunks, each stopped as soon as it has a checkpoint: who holds their locks."""
    owners, end = {}, time.monotonic() + PATIENCE
    while len(owners) < len(parts):
        assert process.poll() is None and time.monotonic() < end, log.read_text()
        for files in parts:
            assert not files.archive_receipt.exists(), f"{files.work} came to its end before it was stopped"
            if files.work not in owners and (files.work / "checkpoint.safetensors").exists():
                owners[files.work] = locks.read(files.lock)
                os.kill(owners[files.work].process, signal.SIGSTOP)
        time.sleep(0.01)
    return [owners[files.work] for files in parts]


def environment_of(process):
    """Environment of a process."""
    pairs = Path(f"/proc/{process}/environ").read_text().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def test_the_tiny_configuration_on_a_cluster_that_stops_jobs_leaves_the_archive_of_a_local_run(
    cluster, local, tmp_path
):
    """Two GPU jobs at once, each on a GPU of its own. One is requeued and one runs out of time, both stopped in their
    first window; the user's file and the resolved one are spoilt meanwhile. Archive, receipt and tables are the bytes
    of the local run."""
    run, log = RunWithNetworks(local.config, Layout(tmp_path / "results" / "tiny")), tmp_path / "snakemake.log"
    first = {chunk.stream: chunk for chunk in reversed(run.config.production.chunks(NAME))}.values()
    parts = [run.layout.chunk(NAME, chunk.stream, chunk.name) for chunk in first]
    with started(on_cluster(tmp_path), log) as process:
        one, two = stopped_after_a_window(process, parts, log)
        assert {environment_of(owner.process)["CUDA_VISIBLE_DEVICES"] for owner in (one, two)} == {"0", "1"}
        (tmp_path / "config.yaml").write_text("name: [spoilt")
        run.layout.config.write_text(run.layout.config.read_text().replace("evaluations: 10", "evaluations: 1"))
        assert RunWithNetworks.open(run.layout.root).config != local.config
        cluster("scontrol", "requeue", one.job)
        cluster("scontrol", "update", f"JobId={two.job}", "TimeLimit=1")
        until(lambda: "JobState=PENDING" in cluster("scontrol", "show", "job", one.job))
        cluster("scontrol", "update", f"JobId={one.job}", "StartTime=now")
        assert process.wait(PATIENCE) == 0, log.read_text()
    states = [re.search(r"JobState=(\w+)", cluster("scontrol", "show", "job", owner.job))[1] for owner in (one, two)]
    assert states == ["COMPLETED", "TIMEOUT"]
    assert "mem_mb=8000" in log.read_text()  # twice as much, at the second attempt
    for chunk in first:
        told = run.layout.log(f"cycle-chunk-{NAME}-{chunk.stream}-{chunk.name}")
        assert "goes on after window" in told.read_text()
    assert made(run) == made(local)


def until(happens):
    """Wait for something."""
    end = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.5)


def made(run):
    """Bytes by path, but of the seconds that windows took."""
    return {path: raw for path, raw in worlds.outputs(run, NAME).items() if not path.endswith("timings.parquet")}
