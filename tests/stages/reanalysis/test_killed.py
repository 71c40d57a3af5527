"""Cycling jobs killed with SIGKILL, and disks that refuse: called again, they leave the bytes of an undisturbed job.

A job runs in a process of its own, which kills itself at a chosen event: an evaluation of J, the flush of a shard or
of a checkpoint (written beside its name and not yet renamed), the digest of a file while the archive is sealed.
"""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import worlds
from lara import receipts, store
from lara.assimilation.cost import CostFunction
from lara.stages.reanalysis import checkpoints, cycle, streams
from lara.store import arrays

SERVER = multiprocessing.get_context("forkserver")  # TensorStore's threads forbid a fork of this process
SERVER.set_forkserver_preload(["lara.cli", "lara.stages.reanalysis.cycle", "pytest", "tensorstore"])
NAME = "brief"  # eight windows of one slot, few evaluations each
WORDS = f"cycle-experiment --experiment {NAME}"
EVENTS = {  # and how many are left of each kind, at least, after kills at those before
    "minimisation": (CostFunction, "value_and_gradient", lambda *_: True, 14),
    "shard": (receipts, "sync", lambda path: path.name.startswith("c."), 25),
    "checkpoint": (receipts, "sync", lambda path: "checkpoint" in path.name or "feedback" in path.name, 4),
    "seal": (receipts, "digest", lambda what: getattr(what, "name", "").startswith("c."), 21),
}
WINDOWS = {"window": (checkpoints.Journal, "add", lambda *_: True, 8)}  # analysed, and not yet noted
ENDINGS = {  # after the seal
    "feedback": (cycle, "write_table", lambda *_: True, 1),
    "health": (checkpoints.Journal, "costs", lambda *_: True, 1),
    "discard": (checkpoints.shutil, "rmtree", lambda *_: True, 1),
}
VALUES = worlds.changed("production.checkpoint_every", 2)
VALUES["experiments"][NAME] = {**worlds.SHORT_LATENT, "method": "l3dvar", "slots": 1, "suite": "osse"}
VALUES["minimiser"] = {"evaluations": 4, "degrees_of_freedom_every": 0, "worst_reduction": 1.0}
VALUES["autoencoders"]["main"]["corrections"] = 0
STREAMS = {"one": {"begin": "2001-01-02", "end": "2001-01-04", "chunk_days": 1}}


def forked(root, words, kind=None, number=0, seconds=None):
    """Status of a command in a process of its own: -9 where it was killed, at an event or after some seconds."""
    child = SERVER.Process(target=_obey, args=(root, words, kind, number))
    child.start()
    if seconds is not None:
        time.sleep(seconds)
        child.kill()
    child.join()
    return child.exitcode


def _obey(root, words, kind, number):
    os.dup2(os.open(said(root), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), sys.stderr.fileno())
    if kind:
        die_at(kind, number)
    sys.exit(worlds.lara(root, words))


def said(root):
    """File of what the last process said."""
    return root / "stderr.txt"


def die_at(kind, number):
    """Have this process kill itself at an event of a kind."""
    place, name, concerns, _ = (EVENTS | WINDOWS | ENDINGS)[kind]
    original, seen = getattr(place, name), []

    def deadly(*arguments, **options):
        if concerns(*arguments):
            seen.append(name)
            if len(seen) == number:
                os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)

    setattr(place, name, deadly)


@pytest.fixture(scope="module")
def undisturbed(world, tmp_path_factory):
    """What the experiment leaves when nothing happens."""
    run = worlds.copied(world, tmp_path_factory.mktemp("undisturbed") / "w", VALUES)
    assert worlds.lara(run.layout.root, WORDS) == 0
    return worlds.outputs(run, NAME)


@pytest.mark.parametrize("seed", range(5))
def test_a_job_killed_four_times_at_random_points_leaves_the_same_bytes(world, undisturbed, tmp_path, seed):
    """In a minimisation, a shard, a checkpoint and the seal, in this order of progress: twenty kills over the seeds."""
    run, draw = worlds.copied(world, tmp_path / "w", VALUES), np.random.default_rng(seed)
    for kind, (*_, most) in EVENTS.items():
        number = int(draw.integers(1, most))
        assert forked(run.layout.root, WORDS, kind, number) == -signal.SIGKILL, (kind, number)
        assert not run.layout.archive_receipt(NAME).exists()
    assert forked(run.layout.root, WORDS) == 0
    assert worlds.outputs(run, NAME) == undisturbed


@pytest.mark.parametrize(
    ("kills", "resumed"),
    [((4,), [2]), ((6,), [4]), ((6, 2), [4, 4]), ((4, 3, 3), [2, 4, 6]), ((8, 1, 2), [6, 6, 6])],
)
def test_a_job_killed_after_checkpoints_goes_on_after_the_last_of_them(world, undisturbed, tmp_path, kills, resumed):
    """Killed as it is about to note its n-th window; the log says after which window the next call goes on."""
    run = worlds.copied(world, tmp_path / "w", VALUES)
    assert forked(run.layout.root, WORDS, "window", kills[0]) == -signal.SIGKILL
    for number, after in zip((*kills[1:], None), resumed, strict=True):
        ended = forked(run.layout.root, WORDS, number and "window", number)
        assert ended == (0 if number is None else -signal.SIGKILL)
        assert f"goes on after window {after} of 8" in said(run.layout.root).read_text()
    assert worlds.outputs(run, NAME) == undisturbed


def test_a_job_killed_by_the_clock_leaves_the_same_bytes(world, undisturbed, tmp_path):
    """Wherever it is after so many seconds, half-written files included."""
    run = worlds.copied(world, tmp_path / "w", VALUES)
    for seconds in (0.3, 0.5, 0.7, 0.9):
        forked(run.layout.root, WORDS, seconds=seconds)
    assert forked(run.layout.root, WORDS) == 0
    assert worlds.outputs(run, NAME) == undisturbed


@pytest.mark.parametrize("after", ENDINGS)
def test_a_job_killed_while_it_finishes_finishes_when_called_again(world, undisturbed, tmp_path, after):
    """Sealed, and some tables not yet written, or the notes half removed."""
    run = worlds.copied(world, tmp_path / "w", VALUES)
    assert forked(run.layout.root, WORDS, "seal", 1) == -signal.SIGKILL  # so that nothing is left but to finish
    assert forked(run.layout.root, WORDS, after, 1) == -signal.SIGKILL
    assert forked(run.layout.root, WORDS) == 0
    assert worlds.outputs(run, NAME) == undisturbed


def test_a_seal_of_chunks_killed_is_done_again(world, tmp_path):
    """While the shards are linked, and while they are digested: no receipt, then the same archive."""
    run = worlds.copied(world, tmp_path / "w", {**VALUES, "production": {"streams": {NAME: STREAMS}}})
    for chunk in ("20010102T00", "20010103T00"):
        assert worlds.lara(run.layout.root, f"cycle-chunk --chunk {NAME}/one/{chunk}") == 0
    for number in (5, 30):
        assert forked(run.layout.root, f"seal-archive --experiment {NAME}", "seal", number) == -signal.SIGKILL
        assert not run.layout.archive_receipt(NAME).exists()
    assert worlds.lara(run.layout.root, f"seal-archive --experiment {NAME}") == 0
    assert store.verify_archive(run.layout.archive(NAME)) == []
    assert len(streams.published(run, NAME)) == 2


@pytest.mark.parametrize(
    ("place", "name", "number"),
    [(arrays, "write_rows", 17), (receipts, "write_bytes", 2), (checkpoints.Journal, "add", 3)],
    ids=["shard", "checkpoint", "ledger"],
)
def test_a_full_disk_is_told_and_loses_nothing(world, undisturbed, tmp_path, monkeypatch, capsys, place, name, number):
    """Status 2, what cannot be written and that the same command goes on; and so it does."""
    run, calls, original = worlds.copied(world, tmp_path / "w", VALUES), [], getattr(place, name)

    def full(*arguments):
        calls.append(1)
        if len(calls) == number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(*arguments)

    monkeypatch.setattr(place, name, full)
    capsys.readouterr()
    assert worlds.lara(run.layout.root, WORDS) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    for part in (str(run.layout.archive(NAME)), "No space left on device", "make room", "goes on"):
        assert part in line
    assert worlds.lara(run.layout.root, WORDS) == 0
    assert worlds.outputs(run, NAME) == undisturbed


def test_a_folder_without_the_right_to_write_is_told(world, tmp_path):
    """Even root is refused where it has not the capability to override permissions."""
    run = worlds.copied(world, tmp_path / "w", VALUES)
    archives = run.layout.archive(NAME).parent
    archives.mkdir()
    archives.chmod(0o555)
    code = "import sys, worlds; sys.exit(worlds.lara(*sys.argv[1:]))"
    lara = [sys.executable, "-c", code, str(run.layout.root), WORDS]
    drop = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    done = subprocess.run([*drop, *lara], capture_output=True, text=True, cwd=Path(worlds.__file__).parent)
    archives.chmod(0o755)
    assert done.returncode == 2, done.stderr
    assert str(archives) in done.stderr
    assert "Permission denied" in done.stderr
