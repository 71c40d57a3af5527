"""Solves a linear-Gaussian problem with ADAO (EDF R&D, LGPL), in an interpreter that need not know LARA.

    python adao_runner.py problem.npz measured.json --goal 1e-6 --repeats 5

ADAO's 4DVAR advances the model before it compares, so it never uses entry 0 of the observations: a blank goes there,
and the window's first slot is unobserved for everybody. Tried are the variants and minimisers that got nearest or were
fastest, and variables changed by hand so that B is the identity (x = L u, B = L Lᵀ), which ADAO leaves to its user.
Operators are matrices; as functions they gave the same analyses, up to ten times slower in 3DVAR. The loosest tolerance
that comes within `goal` of the answer x* stored with the problem is timed, else the tightest. Times hold everything
from the arrays to the analysis.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from adao import adaoBuilder

TOLERANCES = (1e-10, 1e-12, 1e-14)  # of the relative decrease of J
Settings = dict[str, object]
Setting = tuple[str, Settings, bool]  # algorithm, its parameters, whether variables are changed by hand
SETTINGS: dict[str, dict[str, Setting]] = {
    "3dvar": {
        "3DVAR, L-BFGS-B": ("3DVAR", {}, False),
        "3DVAR, L-BFGS-B, B = I by hand": ("3DVAR", {}, True),
        "3DVAR-PSAS, L-BFGS-B": ("3DVAR", {"Variant": "3DVAR-PSAS"}, False),
        "Blue (direct)": ("Blue", {}, False),
    },
    "4dvar": {
        "4DVAR, L-BFGS-B": ("4DVAR", {}, False),
        "4DVAR, TNC": ("4DVAR", {"Minimizer": "TNC"}, False),
        "4DVAR, L-BFGS-B, B = I by hand": ("4DVAR", {}, True),
    },
}


def solve(problem: dict[str, np.ndarray], setting: Setting) -> tuple[np.ndarray, int]:
    """The analysis (n,) and the number of evaluations of J."""
    algorithm, parameters, changed = setting
    if changed:
        return _changed(problem, setting)
    case = adaoBuilder.New()
    kept = {"StoreSupplementaryCalculations": ["CostFunctionJ"]} if parameters else {}
    case.set("AlgorithmParameters", Algorithm=algorithm, Parameters={**parameters, **kept})
    case.set("Background", Vector=problem["background"])
    case.set("BackgroundError", **_covariance(problem["covariance"]))
    case.set("ObservationError", ScalarSparseMatrix=float(problem["error_std"]) ** 2)
    case.set("ObservationOperator", Matrix=problem["operator"])
    value = problem["value"]
    if problem["first"]:
        case.set("Observation", VectorSerie=np.vstack([np.zeros_like(value[:1]), value]))
        case.set("EvolutionModel", Matrix=problem["step"])
        case.set("EvolutionError", ScalarSparseMatrix=1e-6)  # asked for, used by no 4DVAR of a perfect model
    else:
        case.set("Observation", Vector=value[0])
    case.execute()
    evaluations = len(case.get("CostFunctionJ")) if kept else 1
    return np.ravel(case.get("Analysis")[-1]), evaluations


def _changed(problem: dict[str, np.ndarray], setting: Setting) -> tuple[np.ndarray, int]:
    """The same with u = L⁻¹ x: u_{k+1} = L⁻¹ M L u_k, y_k = H L u_k, B = I."""
    algorithm, parameters, _ = setting
    factor = np.linalg.cholesky(problem["covariance"])
    changed = {
        "background": np.linalg.solve(factor, problem["background"]),
        "covariance": np.array(1.0),
        "operator": problem["operator"] @ factor,
        "step": np.linalg.solve(factor, problem["step"] @ factor) if problem["first"] else problem["step"],
    }
    analysis, evaluations = solve({**problem, **changed}, (algorithm, parameters, False))
    return factor @ analysis, evaluations


def _covariance(matrix: np.ndarray) -> dict[str, object]:
    return {"Matrix": matrix} if matrix.ndim else {"ScalarSparseMatrix": float(matrix)}


def measure(problem: dict[str, np.ndarray], setting: Setting, goal: float, repeats: int) -> dict[str, object]:
    """Tolerance, evaluations, times and analysis of one setting."""
    algorithm, parameters, changed = setting
    scale = np.linalg.norm(problem["answer"] - problem["background"])
    for tolerance in TOLERANCES if algorithm != "Blue" else (0.0,):
        tight = {"CostDecrementTolerance": tolerance, **parameters} if tolerance else {}
        analysis, evaluations = solve(problem, (algorithm, tight, changed))
        if np.linalg.norm(analysis - problem["answer"]) <= goal * scale:
            break
    seconds, processor = [], []
    for _ in range(repeats):
        begin = time.perf_counter(), time.process_time()
        analysis, evaluations = solve(problem, (algorithm, tight, changed))
        seconds.append(time.perf_counter() - begin[0])
        processor.append(time.process_time() - begin[1])
    return {
        "tolerance": tolerance,
        "evaluations": evaluations,
        "seconds": seconds,
        "processor": processor,
        "analysis": analysis.tolist(),
    }


def main() -> None:
    """Solve and time one problem with every setting."""
    parser = argparse.ArgumentParser(description="Solve a linear-Gaussian problem with ADAO.")
    parser.add_argument("problem", type=Path)
    parser.add_argument("measured", type=Path)
    parser.add_argument("--goal", type=float, default=1e-6)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with np.load(options.problem) as saved:
        problem = dict(saved)
    settings = SETTINGS["4dvar" if problem["first"] else "3dvar"]
    measured = {name: measure(problem, chosen, options.goal, options.repeats) for name, chosen in settings.items()}
    options.measured.write_text(json.dumps(measured))


if __name__ == "__main__":
    main()
