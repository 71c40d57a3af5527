"""LARA beside other packages: ADAO on linear-Gaussian windows, DAPPER on Lorenz-96, in an environment of their own.

Both sides run one after the other on the same machine, each with one thread. Times exclude starting the interpreter and
imports. Processor time is given too, since neighbours on a shared machine lengthen wall time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import torch

import lara
from lara.peers import cycling, ours
from lara.peers.problems import SLOTS, LinearGaussian, Twin
from lara.stages.run import Run

PACKAGE = Path(lara.__file__ or "").parent
REQUIREMENTS = PACKAGE.parents[1] / "envs" / "peers.txt"
SIZES = (64, 256, 1024)
GOAL = 1e-6  # relative error of an analysis
REPEATS = 5

STEPS, SPIN_UP = 1600, 400  # of Lorenz-96, 0.05 units of time each
TUNING_STEPS, TUNING_SEED = 800, 1
SCHEMES = ((1, 0), (2, 0), (4, 0), (12, 0), (12, 6), (24, 12))  # (slots, overlap) of the windows
COMMON = 12  # filters are compared at multiples of this many steps, where every scheme's windows end


def install_peers(run: Run) -> None:
    """Make the peers' environment in the run's folder."""
    install(run.layout.peers, run.layout.peers_installed)


def write_linear_gaussian(run: Run) -> None:
    """Write the table of the comparison with ADAO."""
    compare_linear_gaussian(run.layout.peers, run.layout.comparison("linear_gaussian"))


def write_lorenz96(run: Run) -> None:
    """Write the table of the comparison with DAPPER."""
    compare_lorenz96(run.layout.peers, run.layout.comparison("lorenz96"))


def install(environment: Path, installed: Path) -> None:
    """Make the peers' environment and list what it holds. RuntimeError with the installer's words where it fails."""
    _run([sys.executable, "-m", "uv", "venv", "--quiet", "--clear", "--python", sys.executable, str(environment)])
    _run([*_PIP, "install", "--quiet", "--python", str(environment), "-r", str(REQUIREMENTS)])
    installed.write_text(_run([*_PIP, "freeze", "--python", str(environment)]))


def interpreter(environment: Path) -> Path:
    """The peers' Python."""
    return environment / "bin" / "python"


def run_peer(environment: Path, script: str, *arguments: object) -> None:
    """Run a script of `peers` in the peers' Python. RuntimeError with its words where it fails."""
    _run([str(interpreter(environment)), str(PACKAGE / "peers" / script), *map(str, arguments)])


def compare_linear_gaussian(environment: Path, table: Path) -> None:
    """Write a table of the error, evaluations and time of every method."""
    torch.set_num_threads(1)
    parts = [_compare_one(environment, n, slots) for slots in (0, SLOTS) for n in SIZES]
    _write(pd.concat(parts, ignore_index=True), table)


def _compare_one(environment: Path, n: int, slots: int) -> pd.DataFrame:
    """One problem: 3D-Var where `slots` is 0."""
    problem = LinearGaussian.random(n, slots)
    measured = {
        ("lara", f"{m}, {f}"): ours.measure(problem, f, m, GOAL, REPEATS) for f in ours.FACTORS for m in ours.METHODS
    }
    measured |= {("adao", name): found for name, found in _adao(environment, problem).items()}
    shared = {"problem": "4D-Var" if slots else "3D-Var", "n": n, "observations": problem.value.size}
    return pd.DataFrame([shared | _row(problem, *names, found) for names, found in measured.items()])


def _adao(environment: Path, problem: LinearGaussian) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        given, measured = Path(folder) / "problem.npz", Path(folder) / "measured.json"
        problem.save(given)
        run_peer(environment, "adao_runner.py", given, measured, "--goal", GOAL, "--repeats", REPEATS)
        return json.loads(measured.read_text())


def _row(problem: LinearGaussian, package: str, method: str, found: dict[str, Any]) -> dict[str, Any]:
    seconds = found["seconds"]
    return {
        "package": package,
        "method": method,
        "tolerance": found["tolerance"],
        "error": problem.error(np.asarray(found["analysis"])),
        "evaluations": found["evaluations"],
        "seconds": median(seconds),
        "least_seconds": min(seconds),
        "most_seconds": max(seconds),
        "processor_seconds": median(found["processor"]),
        "repeats": len(seconds),
    }


def compare_lorenz96(environment: Path, table: Path) -> None:
    """Write a table of RMSE and time of 4D-Var with several windows and of DAPPER's methods, on one observed truth."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("twin.npz", "errors.npz", "timings.json")]
        run_peer(environment, "dapper_runner.py", STEPS, *files)
        twin, timings = Twin.load(files[0]), json.loads(files[2].read_text())
        with np.load(files[1]) as errors:
            theirs = [_dapper_row(name, found, errors) for name, found in timings.items()]
    _write(pd.DataFrame([*[_our_row(twin, *scheme) for scheme in SCHEMES], *theirs]), table)


def _our_row(twin: Twin, slots: int, overlap: int) -> dict[str, Any]:
    """One scheme with the σ_b tuned elsewhere."""
    tuning = Twin.random(TUNING_STEPS, TUNING_SEED, len(twin.first))
    std = cycling.tuned(tuning, slots, overlap, SPIN_UP)
    found = cycling.assimilate_lorenz96(twin, torch.tensor([std], dtype=torch.float64), slots, overlap)
    compared = (found.last > SPIN_UP) & (found.last % COMMON == 0)
    name = "3D-Var" if slots == 1 else f"4D-Var, {slots} steps" + (f", overlap {overlap}" if overlap else "")
    return {
        "package": "lara",
        "method": name,
        "background_std": std,
        "filter_rmse": float(found.filtered[compared].mean()),
        "smoother_rmse": float(found.smoothed[found.first > SPIN_UP].mean()),
        "stated_rmse": np.nan,
        "seconds": found.seconds,
        "processor_seconds": found.processor,
        "evaluations": found.evaluations,
        "times": int(compared.sum()),
    }


def _dapper_row(name: str, found: dict[str, Any], errors: Any) -> dict[str, Any]:
    """One of DAPPER's methods, whose errors are those at steps 1 … K."""
    filtered, steps = errors[f"{name}/filtered"], np.arange(1, STEPS + 1)
    smoothed = errors.get(f"{name}/smoothed", np.full(STEPS, np.nan))
    compared = (steps > SPIN_UP) & (steps % COMMON == 0)
    return {
        "package": "dapper",
        "method": name,
        "filter_rmse": float(filtered[compared].mean()),
        "smoother_rmse": float(smoothed[steps > SPIN_UP].mean()),
        "stated_rmse": np.nan if found["stated"] is None else found["stated"],
        "seconds": found["seconds"],
        "processor_seconds": found["processor"],
        "times": int(compared.sum()),
    }


_PIP = [sys.executable, "-m", "uv", "pip"]
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def _run(command: list[str]) -> str:
    """Standard output of a command; RuntimeError with its last words where it fails."""
    environment = os.environ | _ONE_THREAD | {"MPLBACKEND": "agg"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    if ended.returncode:
        words = " ".join(ended.stderr.split()[-60:])
        raise RuntimeError(f"{' '.join(command[:4])} … ended with status {ended.returncode}: {words}")
    return ended.stdout


def _write(table: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)
