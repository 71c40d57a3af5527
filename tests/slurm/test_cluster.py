"""A SLURM of one node with two fake GPUs: streams side by side, a job out of time, a job requeued, and the same bytes.

The cluster is one that answers, or one that the script beside the repository starts; skipped where neither is there.
"""

import contextlib
import json
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
from lara.experiment.run import Run
from lara.layout import Layout
from repository import REPOSITORY
from test_restart import outputs

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

SCRIPT = REPOSITORY.parent / "shared" / "tools" / "slurm_local.sh"
PROFILES = REPOSITORY / "workflow" / "profiles"
STREAMS = {
    "early": {"begin": "2001-01-02", "end": "2001-01-05", "chunk_days": 3},
    "late": {"begin": "2001-01-05", "end": "2001-01-08", "chunk_days": 3},
}
NAME = "l4dvar"
PATIENCE = 600  # seconds for anything to happen


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


@pytest.fixture
def values():
    """The small configuration with an experiment in two streams of one chunk of three windows each."""
    found = worlds.changed("production", {"streams": {NAME: STREAMS}, "checkpoint_every": 1})
    for experiment in found["experiments"].values():
        if experiment.get("suite", "reanalysis") == "reanalysis":
            experiment["days"] = 6
    return found


@pytest.fixture
def ready(world, tmp_path, values):
    """A run of which the cycling is left to do, in a folder for Snakemake."""
    root = tmp_path / "results" / "world"
    run = worlds.copied(world, root, values)
    worlds.unlinked(root / "data")  # the receipts below are this run's alone
    for name in run.config.datasets:
        run.layout.dataset_receipt(name).write_text(name)
    return Run(run.config, Layout(root))


def snakemake(folder, values, *words):
    """Command and environment of Snakemake in a folder, its jobs knowing the small grid wherever they run."""
    (folder / "config.yaml").write_text(json.dumps(values))
    (folder / "python").mkdir(exist_ok=True)
    (folder / "python" / "sitecustomize.py").write_text("from lara.config import checks\nchecks.LATITUDES[5] = 8\n")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(folder / "config.yaml"), *words]
    return command, {**os.environ, "PYTHONPATH": str(folder / "python"), "OMP_NUM_THREADS": "1"}


def on_cluster(folder, values, *words):
    """The same with the project's profiles, without accounting and asking often."""
    profiles = ["--profile", str(PROFILES / "site"), "--workflow-profile", str(PROFILES / "slurm")]
    asking = ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"]
    return snakemake(folder, values, *profiles, *asking, *words)


def made_before(run):
    """What chunks need, each declared up to date."""
    layout = run.layout
    networks = [of(name) for of in (layout.weights, layout.errors) for name in ("main", "forecaster")]
    found = [*networks, layout.statistics, layout.background_error("main"), layout.screened("test")]
    return [named(run, path) for path in found]


def named(run, path):
    """A path as the workflow knows it."""
    return str(path.relative_to(run.layout.root.parents[1]))


@contextlib.contextmanager
def started(command, log):
    """A process with its output in a file; ended with the block, whatever becomes of it."""
    command, environment = command
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


def test_streams_on_a_cluster_that_stops_jobs_leave_the_archive_of_a_local_run(cluster, world, ready, values, tmp_path):
    """Two GPU jobs at once, each on a GPU of its own. One is requeued and one runs out of time, both stopped in their
    first window; the user's file and the resolved one are spoilt meanwhile. Archive, receipt and tables are the bytes
    of the same chunks called by hand."""
    command, environment = snakemake(tmp_path, values, "--cores", "1", "--touch", *made_before(ready))
    subprocess.run(command, env=environment, check=True, capture_output=True)
    log, target = tmp_path / "snakemake.log", named(ready, ready.layout.archive_receipt(NAME))
    early, late = (ready.layout.chunk(NAME, chunk.stream, chunk.name) for chunk in ready.config.production.chunks(NAME))
    with started(on_cluster(tmp_path, values, target), log) as process:
        one, two = stopped_after_a_window(process, (early, late), log)
        assert {environment_of(owner.process)["CUDA_VISIBLE_DEVICES"] for owner in (one, two)} == {"0", "1"}
        (tmp_path / "config.yaml").write_text("name: [spoilt")
        worlds.write_config(tmp_path / "other", {**values, "minimiser": {"evaluations": 1}})
        shutil.copy(tmp_path / "other" / "config.yaml", ready.layout.config)
        cluster("scontrol", "requeue", one.job)
        cluster("scontrol", "update", f"JobId={two.job}", "TimeLimit=1")
        until(lambda: "JobState=PENDING" in cluster("scontrol", "show", "job", one.job))
        cluster("scontrol", "update", f"JobId={one.job}", "StartTime=now")
        assert process.wait(PATIENCE) == 0, log.read_text()
    states = [re.search(r"JobState=(\w+)", cluster("scontrol", "show", "job", owner.job))[1] for owner in (one, two)]
    assert states == ["COMPLETED", "TIMEOUT"]
    assert "mem_mb=8000" in log.read_text()  # twice as much, at the second attempt
    for stream in ("early", "late"):
        (told,) = ready.layout.root.glob(f"logs/cycle-chunk-{NAME}-{stream}-*.log")
        assert "goes on after window" in told.read_text()
    assert made(ready) == by_hand(world, values, tmp_path / "local")


def until(happens):
    """Wait for something."""
    end = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.5)


def by_hand(world, values, folder):
    """What the chunks and their seal leave when nothing happens."""
    run = worlds.copied(world, folder, values)
    for chunk in run.config.production.chunks(NAME):
        assert worlds.lara(folder, f"cycle-chunk --chunk {NAME}/{chunk.stream}/{chunk.name}") == 0
    assert worlds.lara(folder, f"seal-archive --experiment {NAME}") == 0
    return made(run)


def made(run):
    """Bytes by path, but of the seconds that windows took."""
    return {path: raw for path, raw in outputs(run, NAME).items() if not path.endswith("timings.parquet")}
