"""The command that says what a configuration costs, and refuses one that cannot fit; it needs no run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

TEXT = "What a configuration costs: hours, memory, disk space, files, requests; refuses what cannot fit."


def add_parser(commands: Any) -> None:
    """Offer `lara estimate`."""
    parser: argparse.ArgumentParser = commands.add_parser("estimate", help=TEXT, description=TEXT)
    parser.add_argument("--configfile", type=Path, required=True, help="configuration, e.g. config/config.yaml")
    parser.add_argument("--measured", type=Path, help="folder of a run made on the same machine, for the hours")
    parser.add_argument("--devices", type=int, default=1, help="GPUs that a training is shared by")
    parser.add_argument("--device-memory", type=float, help="memory of a GPU [GiB]; else that of the first one here")
    parser.add_argument("--traceback", action="store_true", help="show where a fault arose")
    parser.set_defaults(threads=1)


def estimate(options: argparse.Namespace) -> None:
    """Print the table; ValueError naming what does not fit."""
    from lara import config
    from lara.experiment import estimating

    chosen = config.load(options.configfile)
    jobs = estimating.estimate(chosen, options.measured, options.devices)
    print(estimating.table(jobs).to_string(index=False, float_format="{:.3f}".format, na_rep="-"))
    if options.measured is None:
        print("hours: name a run made on the same machine with --measured, e.g. results/tiny")
    found = list(estimating.misfits(jobs, Path("results") / chosen.name, _device_memory(options.device_memory)))
    if found:
        raise ValueError(f"{options.configfile} does not fit: " + "; ".join(found))


def _device_memory(given: float | None) -> float | None:
    """Bytes of the device: as given in GiB, else of the first GPU; None where neither is known."""
    import torch

    if given is not None:
        return given * 2**30
    return float(torch.cuda.mem_get_info()[1]) if torch.cuda.is_available() else None
