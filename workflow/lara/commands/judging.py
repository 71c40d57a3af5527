"""Commands that judge what was made: scores, comparisons, figures, the summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lara.commands.offer import command, compare

if TYPE_CHECKING:
    from lara.experiment.run import Run


@command("experiment")
def score_experiment(run: Run, name: str) -> None:
    """Score analyses and backgrounds against truth and observations."""
    from lara.experiment import scoring
    from lara.experiment.saving import write_dataset

    sums = scoring.score_experiment(run, name)
    write_dataset(sums, run.layout.scores(name))
    scoring.finish_scores(run, name, sums).to_csv(run.layout.finished_scores(name), index=False)
    scoring.score_local_times(run, name).to_csv(run.layout.local_time_scores(name), index=False)
    scoring.score_innovations(run, name).to_csv(run.layout.innovations(name), index=False)


@command()
def score_forecasts(run: Run, _: str) -> None:
    """Score forecasts from the analyses of the reference experiment."""
    from lara.experiment import scoring
    from lara.experiment.saving import write_dataset

    write_dataset(scoring.score_forecasts(run, run.config.verification.reference), run.layout.scores("forecasts"))


@command("experiment")
def score_forecasts_of(run: Run, name: str) -> None:
    """Squared errors of forecasts from an experiment's analyses."""
    from lara.experiment import scoring
    from lara.experiment.saving import write_dataset

    write_dataset(scoring.score_forecasts_of(run, name), run.layout.forecast_scores(name))


@command()
def compare_osse(run: Run, _: str) -> None:
    """Compare the experiments of the suite `osse`, time by time."""
    from lara.experiment import osse

    osse.compare_osse(run).to_csv(run.layout.osse, index=False)


@command()
def report_production(run: Run, _: str) -> None:
    """Drift, failed cycles, speed and seams of the suite `production`."""
    from lara.experiment import production

    production.report_production(run)


@command("experiment")
def score_ensemble(run: Run, name: str) -> None:
    """Spread, error, CRPS and ranks of an ensemble."""
    from lara.experiment import scoring
    from lara.experiment.saving import write_dataset

    sums = scoring.score_ensemble(run, name)
    write_dataset(sums, run.layout.ensemble_scores(name))
    scoring.finish_ensemble(run, name, sums).to_csv(run.layout.finished_ensemble_scores(name), index=False)


@command("experiment")
def measure_structure(run: Run, name: str) -> None:
    """Spectra, tails, lags, balance, budgets and noise of an experiment's analyses."""
    from lara.experiment import structure
    from lara.experiment.saving import write_dataset

    write_dataset(structure.measure_structure(run, name), run.layout.structure(name))


@command()
def measure_controls(run: Run, _: str) -> None:
    """The same of the truth and of its reconstruction."""
    from lara.experiment import structure
    from lara.experiment.saving import write_dataset

    for name, found in structure.measure_controls(run).items():
        write_dataset(found, run.layout.structure(name))


@command()
def measure_error_structure(run: Run, _: str) -> None:
    """Correlations of background errors in model space and in latent spaces."""
    from lara.experiment import error_structure
    from lara.experiment.saving import write_dataset

    write_dataset(error_structure.measure_error_structure(run), run.layout.error_structure)


@command()
def measure_latent_space(run: Run, _: str) -> None:
    """What the decoder makes of latent states: influence, balance, affinity."""
    from lara.experiment import latent_space
    from lara.experiment.saving import write_dataset

    for figure, fields in latent_space.measure_latent_space(run).items():
        write_dataset(fields, run.layout.latent_space(figure))


@command()
def compare_minimisers(run: Run, _: str) -> None:
    """Minimise the same windows by every method."""
    from lara.experiment import minimisers

    compare(run, "minimisers", minimisers.compare_minimisers)


@command()
def compare_batches(run: Run, _: str) -> None:
    """Minimise the same windows in batches of several sizes."""
    from lara.experiment import minimisers

    compare(run, "batching", minimisers.compare_batches)


@command()
def measure_overhead(run: Run, _: str) -> None:
    """Time analyses against bare passes through the networks."""
    from lara.experiment import minimisers

    compare(run, "overhead", minimisers.measure_overhead)


@command()
def compare_loaders(run: Run, _: str) -> None:
    """Read the same random training batches in several ways."""
    from lara.experiment import data_rates

    compare(run, "loaders", data_rates.compare_loaders)


@command()
def measure_ingestion(run: Run, _: str) -> None:
    """Time the steps that a downloaded month passes through."""
    from lara.experiment import data_rates

    compare(run, "ingestion", data_rates.measure_ingestion)


@command()
def measure_archive(run: Run, _: str) -> None:
    """Time writing and reading an archive beside bare arrays."""
    from lara.experiment import archive_rates

    compare(run, "archive", archive_rates.measure_archive)


@command()
def install_peers(run: Run, _: str) -> None:
    """Make the environment of the packages LARA is compared with."""
    from lara.experiment import peers

    peers.install(run.layout.peers, run.layout.peers_installed)


@command()
def compare_linear_gaussian(run: Run, _: str) -> None:
    """Compare 3D-Var and 4D-Var with the analytic answer and ADAO."""
    from lara.experiment import peers

    peers.compare_linear_gaussian(run.layout.peers, run.layout.comparison("linear_gaussian"))


@command()
def compare_lorenz96(run: Run, _: str) -> None:
    """Compare cycled 4D-Var of Lorenz-96 with DAPPER's methods."""
    from lara.experiment import peers

    peers.compare_lorenz96(run.layout.peers, run.layout.comparison("lorenz96"))


@command("figure")
def draw_figure(run: Run, name: str) -> None:
    """Gather and keep the arrays of a figure, and draw it from them."""
    from lara.figures import make

    make.draw(run, name)


@command()
def summarise(run: Run, _: str) -> None:
    """Collect every headline figure in summary.json."""
    from lara.experiment import summary

    summary.write_summary(run)


@command()
def write_page(run: Run, _: str) -> None:
    """Headline table, health, provenance and figures on one page."""
    from lara.figures import page

    page.write_page(run)


@command()
def collect_benchmarks(run: Run, _: str) -> None:
    """Gather what every job cost into one table."""
    from lara import figures
    from lara.experiment import job_costs

    drawn = figures.drawn_by("all", run.config, run.layout)
    job_costs.cost_table(run, drawn).to_csv(run.layout.costs, index=False)
