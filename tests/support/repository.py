"""Snakemake as the user runs it, in this repository."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def snakemake(*arguments: str) -> str:
    """What Snakemake prints; the test fails with it when Snakemake does."""
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", "workflow/profiles/local", *arguments]
    environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@contextmanager
def alone_at(path: Path) -> Iterator[None]:
    """A `with` block that one test process at a time is in."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def tiny(*targets: str) -> Path:
    """Folder of the tiny run, with these targets made if they were not; test processes wait for one another, as
    Snakemake locks its folder."""
    with alone_at(REPOSITORY / "results" / ".tests.lock"):
        snakemake("--configfile", "config/tiny.yaml", "--", *targets)
    return REPOSITORY / "results" / "tiny"


def snakemake_elsewhere(folder: Path, config: Path, *words: str) -> subprocess.CompletedProcess:
    """A run of the repository's rules in a folder of its own, for a configuration, with the profile for one machine."""
    files = {"snakefile": "Snakefile", "workflow-profile": "workflow/profiles/local"}
    where = [word for name, path in files.items() for word in (f"--{name}", str(REPOSITORY / path))]
    command = [sys.executable, "-m", "snakemake", *where, "--directory", str(folder), "--configfile", str(config)]
    return subprocess.run([*command, *words], text=True, capture_output=True)
