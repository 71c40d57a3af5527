"""The command that says what a configuration costs, and refuses one that cannot fit; it needs no run."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lara.config import Config

LONG = 1.0  # hours of a run that a user is warned of
TEXT = "What a configuration costs: hours, memory, disk space, files, requests; refuses what cannot fit."


def add_parser(commands: Any) -> None:
    """Offer `lara estimate`."""
    parser: argparse.ArgumentParser = commands.add_parser("estimate", help=TEXT, description=TEXT)
    parser.add_argument("--configfile", type=Path, required=True, help="configuration, e.g. config/config.yaml")
    parser.add_argument("--measured", type=Path, help="folder of a run made on the same machine, for the hours")
    parser.add_argument("--probe", action="store_true", help="time the default target by ten seconds of its steps here")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="cores of --probe")
    parser.add_argument("--devices", type=int, default=1, help="GPUs that a training is shared by")
    parser.add_argument("--device-memory", type=float, help="memory of a GPU [GiB]; else that of the first one here")
    parser.add_argument("--traceback", action="store_true", help="show where a fault arose")
    parser.set_defaults(threads=1)


def estimate(options: argparse.Namespace) -> None:
    """Print the table; ValueError naming what does not fit."""
    from lara import config
    from lara.experiment import estimating

    chosen = config.load(options.configfile)
    if options.probe:
        _tell_probed(chosen, options.cores)
        return
    jobs = estimating.estimate(chosen, options.measured, options.devices)
    print(estimating.table(jobs).to_string(index=False, float_format="{:.3f}".format, na_rep="-"))
    if options.measured is None:
        print("hours: name a run made on the same machine with --measured, e.g. results/tiny")
    found = list(estimating.misfits(jobs, Path("results") / chosen.name, _device_memory(options.device_memory)))
    if found:
        raise ValueError(f"{options.configfile} does not fit: " + "; ".join(found))


def _tell_probed(chosen: Config, cores: int) -> None:
    """Print how long the default target takes on this machine, with a remedy where that is over an hour."""
    from lara.experiment import probing

    jobs = probing.probe(chosen)
    hours = probing.hours_in_all(jobs, cores)
    by_kind = {kind: 60 * sum(job.hours or 0.0 for job in jobs if job.kind == kind) for kind in probing.PROBED}
    parts = ", ".join(f"{kind} {minutes:.0f}" for kind, minutes in by_kind.items())
    print(f"run '{chosen.name}' on {cores} cores of this machine: about {60 * hours:.0f} minutes ({parts} on one core)")
    if any(job.hours is None for job in jobs):
        print("downloads are not in this: they wait in the store's queue")
    if hours > LONG:
        print(
            f"that is over {LONG:.0f} h: try the workflow with --configfile config/tiny.yaml, lower "
            "training.phases.*.steps, or train on a GPU",
            file=sys.stderr,
        )


def _device_memory(given: float | None) -> float | None:
    """Bytes of the device: as given in GiB, else of the first GPU; None where neither is known."""
    import torch

    if given is not None:
        return given * 2**30
    return float(torch.cuda.mem_get_info()[1]) if torch.cuda.is_available() else None
