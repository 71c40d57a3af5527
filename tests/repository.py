"""Snakemake as the user runs it, in this repository."""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


def snakemake(*arguments: str) -> str:
    """What Snakemake prints; the test fails with it when Snakemake does."""
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", "workflow/profiles/local", *arguments]
    environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
