"""Simulates and assimilates Lorenz-96 with DAPPER (Raanes et al. 2024, doi:10.21105/joss.05150), without LARA.

    python dapper_runner.py 2000 twin.npz errors.npz timings.json

The experiment is `dapper.mods.Lorenz96.sakov2008` (Sakov and Oke 2008, doi:10.1175/2007MWR2021.1): all 40 variables
observed every 0.05 with unit errors, no model error. The settings are those its authors suggest there, with the RMSE
they state; the iEnKS has none at this interval and runs with the inflation of the EnKF-N. Var4D of 1.7.1 calls an
observation operator that is not there (`Obs(ko).linear`) and cannot run.
"""

import argparse
import json
import time
from pathlib import Path

import dapper
import dapper.da_methods as da
import numpy as np
from dapper.mods.Lorenz96.sakov2008 import HMM

SEED = 3000
METHODS = {  # name: (method, RMSE of its analyses as stated in sakov2008.py)
    "OptInterp": (da.OptInterp(), 0.95),
    "Var3D": (da.Var3D(xB=0.02), 0.41),
    "LETKF, N = 7": (da.LETKF(N=7, rot=True, infl=1.04, loc_rad=4), 0.22),
    "EnKF-N, N = 24": (da.EnKF_N(N=24, rot=True, xN=2.0), 0.18),
    "iEnKS-N, N = 24, lag 2": (da.iEnKS("Sqrt", N=24, Lag=2, xN=2.0, rot=True, wtol=1e-5), None),
    "iEnKS-N, N = 24, lag 8": (da.iEnKS("Sqrt", N=24, Lag=8, xN=2.0, rot=True, wtol=1e-5), None),
}


def main() -> None:
    """Write the truth with its observations, and the errors and times of every method at k = 1 … K."""
    parser = argparse.ArgumentParser(description="Simulate and assimilate Lorenz-96 with DAPPER.")
    parser.add_argument("steps", type=int)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    for name in ("twin", "errors", "timings"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    HMM.tseq.Ko = options.steps - 1
    dapper.set_seed(SEED)
    truth, value = HMM.simulate()
    np.savez(options.twin, truth=truth, value=np.stack(value), first=np.asarray(HMM.X0.mu, float), error_std=1.0)
    errors, timings = {}, {}
    for name in options.methods:
        method, stated = METHODS[name]
        dapper.set_seed(SEED)
        begin = time.perf_counter(), time.process_time()
        method.assimilate(HMM, truth, value, liveplots=False)
        seconds, processor = time.perf_counter() - begin[0], time.process_time() - begin[1]
        timings[name] = {"seconds": seconds, "processor": processor, "stated": stated}
        rms = method.stats.err.rms
        errors[f"{name}/filtered"] = rms.a
        if hasattr(rms, "s"):
            errors[f"{name}/smoothed"] = rms.s
    np.savez(options.errors, **errors)
    options.timings.write_text(json.dumps(timings, indent=1))


if __name__ == "__main__":
    main()
