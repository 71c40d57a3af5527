"""`lara`: one command per rule of the workflow, of the same name; each reads, calls one function, and writes."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame

    from lara.assimilation.cycle import Analysis
    from lara.experiment.run import Run

COMMANDS: dict[str, tuple[Callable[[Run, str], None], str, str]] = {}
Command = Callable[["Run", str], None]


def command(argument: str = "") -> Callable[[Command], Command]:
    """Offer a function as the subcommand of its name; `argument` names what it is done for, if anything."""

    def offer(function: Command) -> Command:
        name = function.__name__.replace("_", "-")
        COMMANDS[name] = (function, argument, (function.__doc__ or "").strip())
        return function

    return offer


class Progress:
    """Prints share done and time left, at most every few seconds."""

    def __init__(self, what: str, every: float = 5.0) -> None:
        self.what, self.every = what, every
        self.begin = self.last = time.monotonic()
        self.first: int | None = None

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Report that `done` of `total` is done."""
        now = time.monotonic()
        self.first = done - 1 if self.first is None else self.first
        if done < total and now - self.last < self.every:
            return
        self.last = now
        left = (now - self.begin) / max(1, done - self.first) * (total - done)
        bar = "#" * round(20 * done / total)
        print(
            f"{self.what} [{bar:<20}] {done}/{total}, {left / 60:.1f} min left{note}",
            file=sys.stderr,
            flush=True,
        )


@command("dataset")
def generate_dataset(run: Run, name: str) -> None:
    """Fill a dataset from its source, month by month."""
    from lara.experiment import data

    data.generate_dataset(run, name, Progress(f"{name}, days"))


@command()
def compute_statistics(run: Run, _: str) -> None:
    """Climatology and scales of the training period."""
    from lara.experiment import data

    data.compute_statistics(run)


@command("autoencoder")
def train_autoencoder(run: Run, name: str) -> None:
    """Fit the linear path of an autoencoder and train its residual."""
    from lara.experiment import learning

    learning.train_autoencoder(run, name, _training_progress(name))


@command()
def train_forecaster(run: Run, _: str) -> None:
    """Train the forecaster."""
    from lara.experiment import learning

    learning.train_forecaster(run, _training_progress("forecaster"))


@command("autoencoder")
def measure_autoencoder(run: Run, name: str) -> None:
    """Reconstruction error of an autoencoder on held-out states."""
    from lara.experiment import measuring

    _write(measuring.measure_autoencoder(run, name), run.layout.errors(name))


@command()
def measure_forecaster(run: Run, _: str) -> None:
    """Forecast error by lead time on held-out states."""
    from lara.experiment import measuring

    _write(measuring.measure_forecaster(run), run.layout.errors("forecaster"))


@command("space")
def estimate_background_error(run: Run, name: str) -> None:
    """Background error covariance from forecast differences, in the space of an autoencoder or in `model` space."""
    from lara.experiment import covariance

    covariance.estimate_background_error(run, name)


@command("experiment")
def tune_experiment(run: Run, name: str) -> None:
    """Search for factors on B and R over validation windows."""
    from lara.experiment import tuning

    progress = Progress(f"tuning {name}, windows")
    tuning.tune_experiment(run, name, progress)


@command()
def draw_sites(run: Run, _: str) -> None:
    """Draw the observing network."""
    from lara.experiment import observing

    run.layout.sites.parent.mkdir(parents=True, exist_ok=True)
    observing.draw_sites(run).to_parquet(run.layout.sites, index=False)


@command("dataset")
def simulate_observations(run: Run, name: str) -> None:
    """Observe a dataset with the network's errors."""
    from lara.experiment import observing
    from lara.observations import table

    table.write(observing.simulate_observations(run, name), run.layout.observations(name))


@command("dataset")
def screen_observations(run: Run, name: str) -> None:
    """Check observations before any assimilation."""
    from lara.experiment import observing
    from lara.observations import table

    screened = observing.screen_observations(run, name)
    for flag, count in screened["PreQC"].value_counts().items():
        print(f"{count} data: {table.Flag(flag).reason}", file=sys.stderr)
    table.write(screened, run.layout.screened(name))


@command("experiment")
def cycle_experiment(run: Run, name: str) -> None:
    """Cycle an experiment over its period."""
    from lara.experiment import cycling

    progress = Progress(f"{name}, windows")

    def report(done: int, total: int, analysis: Analysis) -> None:
        note = f", J {analysis.start.total:.0f} -> {analysis.end.total:.0f} for p = {analysis.fit.used}"
        progress(done, total, note if analysis.minimum else "")

    run.layout.health(name).parent.mkdir(parents=True, exist_ok=True)
    cycling.cycle_experiment(run, name, report)


@command("experiment")
def score_experiment(run: Run, name: str) -> None:
    """Score analyses and backgrounds against truth and observations."""
    from lara.experiment import scoring

    sums = scoring.score_experiment(run, name)
    _write(sums, run.layout.scores(name))
    scoring.finish_scores(run, name, sums).to_csv(run.layout.finished_scores(name), index=False)
    scoring.score_innovations(run, name).to_csv(run.layout.innovations(name), index=False)


@command()
def score_forecasts(run: Run, _: str) -> None:
    """Score forecasts from the analyses of the reference experiment."""
    from lara.experiment import scoring

    _write(scoring.score_forecasts(run, run.config.verification.reference), run.layout.scores("forecasts"))


@command("experiment")
def score_forecasts_of(run: Run, name: str) -> None:
    """Squared errors of forecasts from an experiment's analyses."""
    from lara.experiment import scoring

    _write(scoring.score_forecasts_of(run, name), run.layout.forecast_scores(name))


@command()
def compare_osse(run: Run, _: str) -> None:
    """Compare the experiments of the suite `osse`, time by time."""
    from lara.experiment import osse

    osse.compare_osse(run).to_csv(run.layout.osse, index=False)


@command("experiment")
def score_ensemble(run: Run, name: str) -> None:
    """Spread, error, CRPS and ranks of an ensemble."""
    from lara.experiment import scoring

    _write(scoring.score_ensemble(run, name), run.layout.ensemble_scores(name))


@command()
def observe_once(run: Run, _: str) -> None:
    """Assimilate single observations in every space they are shown in."""
    from lara.experiment import once

    for name, increments in once.observe_once(run).items():
        _write(increments, run.layout.increments(name))


@command()
def compare_minimisers(run: Run, _: str) -> None:
    """Minimise the same windows by every method."""
    from lara.experiment import minimisers

    _compare(run, "minimisers", minimisers.compare_minimisers)


@command()
def compare_batches(run: Run, _: str) -> None:
    """Minimise the same windows in batches of several sizes."""
    from lara.experiment import minimisers

    _compare(run, "batching", minimisers.compare_batches)


@command()
def measure_overhead(run: Run, _: str) -> None:
    """Time analyses against bare passes through the networks."""
    from lara.experiment import minimisers

    _compare(run, "overhead", minimisers.measure_overhead)


@command("figure")
def draw_figure(run: Run, name: str) -> None:
    """Draw a figure from saved arrays."""
    from lara.experiment import drawing

    drawing.draw(run, name)


@command()
def summarise(run: Run, _: str) -> None:
    """Collect every headline figure in summary.json."""
    from lara.experiment import summary

    summary.write_summary(run)


@command()
def collect_benchmarks(run: Run, _: str) -> None:
    """Gather what every job cost into one table and one figure."""
    from lara.experiment import drawing

    drawing.draw_costs(run)


@command("experiment")
def verify_archive(run: Run, name: str) -> None:
    """Prove an archive whole, chunk by chunk."""
    from lara.store import verify_archive as problems_of

    problems = problems_of(run.layout.archive(name))
    if problems:
        raise ValueError(f"archive {run.layout.archive(name)} is damaged: " + "; ".join(problems))
    print(f"archive {run.layout.archive(name)} is whole")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a refused input ends with one line and status 2."""
    options = _parser().parse_args(arguments)
    _limit_threads(options.threads)
    from lara.experiment.run import Run

    function, argument, _ = COMMANDS[options.command]
    try:
        run = Run.open(options.run)
        name = getattr(options, argument) if argument else ""
        _require_configured(run, argument, name)
        function(run, name)
    except (ValueError, OSError, KeyError, FloatingPointError, RuntimeError) as fault:
        if options.traceback:
            raise
        print(f"lara {options.command}: {_explain(fault)}", file=sys.stderr)
        return 2
    return 0


def _require_configured(run: Run, kind: str, name: str) -> None:
    """ValueError naming what there is when the configuration has no dataset, autoencoder or experiment `name`."""
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


def _training_progress(name: str) -> Callable[[int, int, float], None]:
    progress = Progress(f"{name}, steps")
    return lambda done, total, loss: progress(done, total, f", loss {loss:.4g}")


def _compare(run: Run, name: str, compare: Callable[[Run, Callable[[int, int], None]], DataFrame]) -> None:
    """Write the table of a comparison."""
    path = run.layout.comparison(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    compare(run, Progress(name)).to_csv(path, index=False)


def _write(dataset: object, path: Path) -> None:
    import xarray as xr

    assert isinstance(dataset, xr.Dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    dataset.to_netcdf(part)
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main())
