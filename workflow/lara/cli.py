"""`lara`: one command per rule of the workflow, of the same name, and `estimate`, which comes before any."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lara.commands import COMMANDS, Command

if TYPE_CHECKING:
    from lara.stages.run import Run


CONFIGURED = ("autoencoder", "experiment", "space")  # things whose names the configuration lists
FROZEN_CONFIG = "LARA_CONFIG"  # variable with which Snakemake tells its jobs the configuration they were planned with
ON_PROCESSOR = "LARA_ON_PROCESSOR"  # and the commands whose rules a profile gives no GPU


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a refused input ends with one line and status 2."""
    options = _parser().parse_args(arguments)
    _limit_threads(options.threads)
    os.environ["MPLBACKEND"] = "agg"  # that of a notebook, inherited, cannot be loaded here
    try:
        if options.command == "estimate":
            _estimate(options)
        else:
            _execute(options)
    except (ValueError, OSError, KeyError, FloatingPointError, RuntimeError) as fault:
        if options.traceback:
            raise
        print(f"lara {options.command}: {_explain(fault)}", file=sys.stderr)
        return 2
    return 0


def _execute(options: argparse.Namespace) -> None:
    """Run the command of a rule."""
    from lara.stages.networks import RunWithNetworks

    _mind_the_profile(options.command)
    command = COMMANDS[options.command]
    run = RunWithNetworks.open(options.run, os.environ.get(FROZEN_CONFIG))
    name = getattr(options, command.argument) if command.argument else ""
    _require_configured(run, command.argument, name)
    if told := command(run, name):
        print(told)


def _mind_the_profile(command: str) -> None:
    """Keep a command off the GPUs if a profile says `gpu: 0` of its rule."""
    from lara import device

    if command in os.environ.get(ON_PROCESSOR, "").split():
        os.environ[device.CHOICE] = "cpu"


def _estimate(options: argparse.Namespace) -> None:
    """Print what a configuration costs; ValueError naming what does not fit."""
    from lara.stages.benchmarks import estimate, probe

    if options.steps:
        print(probe.steps_told(options.configfile))
        return
    if options.probe:
        print(probe.told(options.configfile, options.cores))
        return
    memory = None if options.device_memory is None else options.device_memory * 2**30
    found, faults = estimate.told(options.configfile, options.measured, options.devices, memory)
    print(found)
    if faults:
        raise ValueError(f"{options.configfile} does not fit: " + "; ".join(faults))


def _require_configured(run: Run, kind: str, name: str) -> None:
    """ValueError naming what there is when the configuration has no dataset, autoencoder … of that name."""
    known = getattr(run.config, f"{kind}s") if kind in CONFIGURED else [name]
    if name not in known:
        raise ValueError(f"no {kind} '{name}' in {run.layout.config}: choose one of {', '.join(known)}")


def _explain(fault: Exception) -> str:
    """One line: the message of a fault, whatever its type keeps it in."""
    if isinstance(fault, FileNotFoundError) and fault.filename:
        return f"{fault.filename} does not exist: run snakemake, which makes it"
    message = fault.args[0] if isinstance(fault, KeyError) and fault.args else fault
    return " ".join(str(message).split())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lara", description="Latent Atmospheric ReAnalysis, one command per rule.")
    commands = parser.add_subparsers(dest="command", required=True)
    _offer_estimate(commands)
    for name, command in COMMANDS.items():
        sub = commands.add_parser(name, help=command.text, description=command.text)
        sub.add_argument("--run", type=Path, required=True, help="folder of the run, e.g. results/default")
        sub.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="processor threads to use")
        sub.add_argument("--traceback", action="store_true", help="show where a fault arose")
        if command.argument:
            sub.add_argument(f"--{command.argument}", **_manner(command))
    return parser


def _manner(command: Command) -> dict[str, Any]:
    """How the argument of a command is given."""
    if command.default is False:
        return {"action": "store_true", "help": "do it; without this word nothing is changed"}
    if command.default is None:
        return {"required": True, "help": f"name of the {command.argument}"}
    return {"default": command.default, "help": "name of one thing; all without it"}


def _offer_estimate(commands: Any) -> None:
    """The command that needs no run."""
    text = "What a configuration costs: hours, memory, disk space, files, requests; refuses what cannot fit."
    parser: argparse.ArgumentParser = commands.add_parser("estimate", help=text, description=text)
    parser.add_argument("--configfile", type=Path, required=True, help="configuration, e.g. config/config.yaml")
    parser.add_argument("--measured", type=Path, help="folder of a run made on the same machine, for the hours")
    parser.add_argument("--probe", action="store_true", help="time the default target by ten seconds of its steps here")
    parser.add_argument("--steps", action="store_true", help="time optimiser steps in float32 and bfloat16 here")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="cores of --probe")
    parser.add_argument("--devices", type=int, default=1, help="GPUs that a training is shared by")
    parser.add_argument("--device-memory", type=float, help="memory of a GPU [GiB]; else that of the first one here")
    parser.add_argument("--traceback", action="store_true", help="show where a fault arose")
    parser.set_defaults(threads=1)


def _limit_threads(threads: int) -> None:
    """Threads of every numerical library, before it is imported; waiting threads sleep, since machines are shared."""
    os.environ |= {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
    }
    os.environ |= {"OMP_WAIT_POLICY": "passive", "KMP_BLOCKTIME": "0"}


if __name__ == "__main__":
    sys.exit(main())
