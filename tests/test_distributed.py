"""Training in two processes that torchrun starts, on one node or as two: the weights of one process, to rounding.

Processes talk by gloo, as on processors; on GPUs they do by NCCL, which nothing here runs.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import worlds
from trainings import kept_steps

pytestmark = pytest.mark.slow

STEPS, PASSES = 24, 28  # the last four steps are rollouts of two
TORCHRUN = [str(Path(sys.executable).parent / "torchrun"), "--no-python"]
ONE_NODE = [[*TORCHRUN, "--standalone", "--nproc-per-node", "2"]]


@pytest.fixture(scope="module")
def trained(world, tmp_path_factory):
    """Function: a copy of the small run, to train a forecaster for longer, with noise and a rollout."""
    values = worlds.changed("forecaster.input_noise", 0.1)
    phases = [{"steps": STEPS - 4, "learning_rate": 1e-3}, {"steps": 4, "learning_rate": 1e-4, "rollout": 2}]
    values["forecaster"]["training"] = {**worlds.TRAINING, "phases": phases, "validate_every": 8}

    def make(name, batch_size=4):
        values["forecaster"]["training"]["batch_size"] = batch_size
        run = worlds.copied(world, tmp_path_factory.mktemp(name) / "world", values)
        (run.layout.root / "models").unlink()
        shutil.copytree(world.layout.root / "models", run.layout.root / "models")
        shutil.rmtree(run.layout.network("forecaster"))
        return run

    return make


def nodes(run):
    """Launchers of two nodes with a process each, on this machine."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    way = ["--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-id", "x"]
    return 2 * [[*TORCHRUN, *way, "--rdzv-endpoint", f"localhost:{port}"]]


def launch(run, launchers, words="train-forecaster"):
    """Launchers at work."""
    hook = run.layout.root / "sitecustomize.py"
    hook.write_text("from lara.config import sources\nsources.LATITUDES[5] = 8\n")
    environment = {**os.environ, "PYTHONPATH": str(hook.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "lara.cli", *words.split(), "--run", str(run.layout.root), "--threads", "1"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return [subprocess.Popen([*launcher, "--", *command], env=environment, **pipes) for launcher in launchers]


def finished(jobs):
    """What launchers say; each ends well."""
    said = [job.communicate(timeout=300)[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0] * len(jobs), said
    return "".join(said)


def children(process):
    """Processes that a process has started."""
    lists = [path.read_text() for path in Path(f"/proc/{process}/task").glob("*/children")]
    return [int(number) for listed in lists for number in listed.split()]


def weights(run):
    return load_file(run.layout.weights("forecaster"))


def curves(run):
    return [path.read_text() for path in run.layout.curves("forecaster")]


@pytest.fixture(scope="module")
def alone(trained):
    """Trained in one process."""
    run = trained("alone")
    assert worlds.lara(run.layout.root, "train-forecaster") == 0
    return run


@pytest.fixture(scope="module")
def together(trained):
    """Trained in two processes of one node."""
    run = trained("together")
    return run, finished(launch(run, ONE_NODE))


def loss(run):
    """Validation losses."""
    rows = run.layout.training("forecaster").joinpath("validation.csv").read_text().split()[1:]
    return [float(row.split(",")[1]) for row in rows]


def test_two_processes_leave_the_weights_of_one(alone, together):
    """Batch and noise are the same and the gradient is the mean over both: what differs is the order of float32 sums,
    7e-6 after 24 steps of at most 1e-3."""
    found, expected = weights(together[0]), weights(alone)
    assert found.keys() == expected.keys()
    furthest = max(float((found[key] - expected[key]).abs().max()) for key in expected)
    assert furthest < 1e-4
    assert loss(together[0]) == pytest.approx(loss(alone), rel=1e-4)


def test_the_first_process_alone_reports_and_writes(together):
    """One row per step, one progress bar at the end."""
    run, said = together
    assert curves(run)[0].count("\n") == 1 + STEPS
    assert said.count(f"{PASSES}/{PASSES}") == 1


def test_two_processes_killed_go_on_from_their_checkpoint(trained, together):
    """The bytes of the undisturbed two: gloo adds two numbers in one way only."""
    run = trained("killed")
    (job,) = launch(run, ONE_NODE)
    folder = run.layout.training("forecaster")
    while not kept_steps(folder):
        assert job.poll() is None, job.communicate()[0]
        time.sleep(0.005)
    for worker in children(job.pid):
        os.kill(worker, signal.SIGKILL)
    job.communicate()
    assert not run.layout.weights("forecaster").exists()
    reached = kept_steps(folder)[-1]
    assert 0 < reached < STEPS
    assert f"goes on after step {reached}" in finished(launch(run, ONE_NODE))
    assert curves(run) == curves(together[0])
    expected = weights(together[0])
    assert all(torch.equal(value, expected[key]) for key, value in weights(run).items())


def test_two_nodes_leave_the_weights_of_two_processes(trained, together):
    """A launcher per node, which meet at an address."""
    run = trained("nodes")
    finished(launch(run, nodes(run)))
    expected = weights(together[0])
    assert all(torch.equal(value, expected[key]) for key, value in weights(run).items())


def test_a_batch_that_processes_cannot_share_is_refused(trained):
    """Named, with the remedy, by each."""
    run = trained("odd", batch_size=3)
    (job,) = launch(run, ONE_NODE)
    said = job.communicate(timeout=300)[0]
    assert job.returncode != 0
    assert "batch_size 3 cannot be shared by 2 processes" in said
