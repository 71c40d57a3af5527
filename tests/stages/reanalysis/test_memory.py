"""Memory of a cycling job: the same after five hundred windows as after a hundred."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import worlds

WINDOWS, SETTLED, SLACK = 520, 100, 8.0  # windows; after so many of them all is allocated; MB
VALUES = worlds.changed("datasets.long", {"use": "test", "member": 4, "begin": "2001-01-01", "end": "2001-05-12"})
VALUES["experiments"]["endless"] = {
    **{"suite": "production", "dataset": "long", "method": "l3dvar", "autoencoder": "main", "slots": 1},
    **{"background_hours": 24, "days": WINDOWS // 4},
}
VALUES["production"] = {"reference": "endless", "spin_up_days": 0}
VALUES["minimiser"] = {"evaluations": 4, "degrees_of_freedom_every": 0, "worst_reduction": 1.0}


def in_a_process_of_its_own(root: Path, words: str) -> None:
    """A command through a shell that forks: a program that replaces another keeps the peak memory of that one."""
    code = "import sys, worlds; sys.exit(worlds.lara(*sys.argv[1:]))"
    line = 'python=$1; shift; "$python" "$@"; exit $?'
    arguments = [sys.executable, "-c", code, str(root), words]
    subprocess.run(["sh", "-c", line, "sh", *arguments], check=True, cwd=Path(worlds.__file__).parent)


@pytest.mark.slow
def test_memory_of_a_cycling_job_does_not_grow_with_its_windows(world, tmp_path):
    """Peak resident memory, as the job notes it after each window: pairs, feedback, ledger and archive included.

    Allocators round up and fragment: one step of 7 MB was seen, at window 360, and none in the 160 after it.
    """
    run = worlds.copied(world, tmp_path / "w", VALUES)
    (data := run.layout.root / "data").unlink()
    data.mkdir()
    for part in (world.layout.root / "data").iterdir():
        (data / part.name).symlink_to(part)
    worlds.write_dataset(run, "long")
    for month in run.config.months("long"):
        for do in ("simulate", "screen"):
            assert worlds.lara(run.layout.root, f"{do}-observations --month long/{month}") == 0
    in_a_process_of_its_own(run.layout.root, "cycle-experiment --experiment endless")
    memory = pd.read_parquet(run.layout.timings("endless"))["peak_memory_MB"].to_numpy()
    assert len(memory) == WINDOWS
    assert memory[-1] - memory[SETTLED] < SLACK, np.round(memory[::60], 1).tolist()
