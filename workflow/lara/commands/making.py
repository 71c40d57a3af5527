"""Commands that make something: data, networks, covariances, observations, analyses."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from lara.commands.offer import Progress, command, download_progress, say_more, training_progress

if TYPE_CHECKING:
    import pandas as pd

    from lara.assimilation.analysis import Analysis
    from lara.experiment.run import Run


@command("delivery")
def download_month(run: Run, name: str) -> None:
    """Download a month of a dataset, "<dataset>/<product>/<month>", from the Climate Data Store, and check it."""
    from lara.experiment import deliveries

    say_more()
    deliveries.download_month(run, name, download_progress(name))


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
def forecast_states(run: Run, name: str) -> None:
    """Forecasts from the training states, for an autoencoder to be trained on."""
    from lara.experiment import forecasts

    forecasts.forecast_states(run, name, Progress(f"{name}, forecasts"))


@command("autoencoder")
def train_autoencoder(run: Run, name: str) -> None:
    """Fit the linear path of an autoencoder and train its residual."""
    from lara.experiment import learning

    say_more()
    learning.train_autoencoder(run, name, training_progress(name))


@command()
def train_forecaster(run: Run, _: str) -> None:
    """Train the forecaster."""
    from lara.experiment import learning

    say_more()
    learning.train_forecaster(run, training_progress("forecaster"))


@command("autoencoder")
def measure_autoencoder(run: Run, name: str) -> None:
    """Reconstruction error of an autoencoder on held-out states."""
    from lara.experiment import measuring
    from lara.experiment.saving import write_dataset

    write_dataset(measuring.measure_autoencoder(run, name), run.layout.errors(name))


@command()
def measure_forecaster(run: Run, _: str) -> None:
    """Forecast error by lead time on held-out states."""
    from lara.experiment import measuring
    from lara.experiment.saving import write_dataset

    write_dataset(measuring.measure_forecaster(run), run.layout.errors("forecaster"))


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

    counts: Counter[int] = Counter()

    def counted() -> Iterator[pd.DataFrame]:
        for part in observing.screen_observations(run, name):
            counts.update(part["PreQC"].tolist())
            yield part

    table.write(counted(), run.layout.screened(name))
    for flag, count in counts.most_common():
        print(f"{count} data: {table.Flag(flag).reason}", file=sys.stderr)


@command("experiment")
def cycle_experiment(run: Run, name: str) -> None:
    """Cycle an experiment over its period, from where a killed job left off."""
    from lara.experiment import cycling

    cycling.cycle_experiment(run, name, _cycling_progress(name))


@command("chunk")
def cycle_chunk(run: Run, name: str) -> None:
    """Cycle a chunk `experiment/stream/begin` of an experiment in streams, from where a killed job left off."""
    from lara.experiment import streaming

    streaming.cycle_chunk(run, name, _cycling_progress(name))


@command("experiment")
def seal_archive(run: Run, name: str) -> None:
    """Make one sealed archive, feedback and ledger of the chunks of an experiment in streams."""
    from lara.experiment import streaming

    streaming.seal_archive(run, name)


@command("experiment")
def average_months(run: Run, name: str) -> None:
    """Average the analyses of an experiment by calendar month."""
    from lara.experiment import averaging

    averaging.average_months(run, name, Progress(f"{name}, months"))


def _cycling_progress(name: str) -> Callable[[int, int, Analysis], None]:
    progress = Progress(f"{name}, windows")

    def report(done: int, total: int, analysis: Analysis) -> None:
        note = f", J {analysis.start.total:.0f} -> {analysis.end.total:.0f} for p = {analysis.fit.used}"
        progress(done, total, note if analysis.minimum else "")

    return report


@command()
def observe_once(run: Run, _: str) -> None:
    """Assimilate single observations in every space they are shown in."""
    from lara.experiment import once
    from lara.experiment.saving import write_dataset

    for name, increments in once.observe_once(run).items():
        write_dataset(increments, run.layout.increments(name))


@command()
def status(run: Run, _: str) -> None:
    """Tell how far every experiment is: last valid time, cycles per hour, time left, what stopped."""
    from lara.experiment import status as progress

    print(progress.status(run).to_string(index=False, float_format="{:.1f}".format))


@command("experiment")
def verify_archive(run: Run, name: str) -> None:
    """Prove an archive whole, chunk by chunk, and every version of it that is kept."""
    from lara import store

    path = run.layout.archive(name)
    problems = store.verify_archive(path)
    problems += [problem for old in store.versions_of(path)[1:] for problem in store.verify_archive(old)]
    if problems:
        raise ValueError(f"archive {path} is damaged: " + "; ".join(problems))
    print(f"archive {path} is whole, version {store.version_of(path)}")


@command("experiment")
def prune_archive(run: Run, name: str) -> None:
    """Remove every version of an archive but the current one; whoever still reads an old one loses it."""
    from lara.experiment import streaming

    for version in streaming.prune_archive(run, name):
        print(f"removed {version}")
