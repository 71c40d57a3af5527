"""`lara`: one command per rule of the workflow, of the same name, and `estimate`, which comes before any."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lara.commands import COMMANDS, estimating

if TYPE_CHECKING:
    from lara.experiment.run import Run


FROZEN_CONFIG = "LARA_CONFIG"  # variable with which Snakemake tells its jobs the configuration they were planned with


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a refused input ends with one line and status 2."""
    options = _parser().parse_args(arguments)
    _limit_threads(options.threads)
    os.environ["MPLBACKEND"] = "agg"  # that of a notebook, inherited, cannot be loaded here
    try:
        if options.command == "estimate":
            estimating.estimate(options)
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
    from lara.experiment.run import Run

    function, argument, _ = COMMANDS[options.command]
    run = Run.open(options.run, os.environ.get(FROZEN_CONFIG))
    name = getattr(options, argument) if argument else ""
    _require_configured(run, argument, name)
    function(run, name)


def _require_configured(run: Run, kind: str, name: str) -> None:
    """ValueError naming what there is when the configuration has no dataset, autoencoder … of that name."""
    known = getattr(run.config, f"{kind}s", [name])
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
    estimating.add_parser(commands)
    for name, (_, argument, text) in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("--run", type=Path, required=True, help="folder of the run, e.g. results/default")
        sub.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="processor threads to use")
        sub.add_argument("--traceback", action="store_true", help="show where a fault arose")
        if argument:
            sub.add_argument(f"--{argument}", required=True, help=f"name of the {argument}")
    return parser


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
