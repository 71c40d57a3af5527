"""The commands of `lara`, a row for each: the function that a rule of the same name runs.

For example `lara cycle-experiment --run results/default --experiment l4dvar` calls `cycle_experiment(run, "l4dvar",
cycling_progress("l4dvar"))` of `lara.stages.reanalysis.cycle`. The same row tells a rule which module its code is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from lara.progress import counting, cycling_progress, download_progress, training_progress

if TYPE_CHECKING:
    from lara.stages.networks import RunWithNetworks


_WITHIN = {"part": ("dataset",), "month": ("dataset",), "chunk": ("experiment", "stream")}  # where such things belong


@dataclass(frozen=True)
class Command:
    """A function of the package by its path, such as "stages.models.train.train_forecaster", and what it does.

    argument: kind of thing it is done for, such as "experiment", if any. default: that thing where a user names none;
    False makes of the argument a word that is said or not. progress: makes what it reports to, from the
    name of the thing. script: module that it runs in another interpreter, hence without importing it.
    """

    path: str
    text: str
    argument: str = ""
    progress: Callable[[str], Any] | None = None
    script: str = ""
    default: str | bool | None = None

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules whose import closure is its code."""
        return tuple(f"lara.{module}" for module in (self.path.rpartition(".")[0], self.script) if module)

    @property
    def option(self) -> str:
        """Option that names the thing of a job, such as " --month {wildcards.dataset}/{wildcards.month}"."""
        names = (*_WITHIN.get(self.argument, ()), self.argument)
        return f" --{self.argument} " + "/".join(f"{{wildcards.{name}}}" for name in names) if self.argument else ""

    def __call__(self, run: RunWithNetworks, name: Any) -> str | None:
        """Do it; what it tells the user, if anything."""
        function = getattr(import_module(self.modules[0]), self.path.rpartition(".")[2])
        named = [name] if self.argument else []
        report = [] if self.progress is None else [self.progress(name)]
        told: str | None = function(run, *named, *report)
        return told


COMMANDS = {
    "download-month": Command(
        "stages.data.download.download_month",
        'Download a month of a dataset, "<dataset>/<product>/<month>", from the Climate Data Store, and check it.',
        "delivery",
        download_progress,
    ),
    "generate-dataset": Command(
        "stages.data.dataset.generate_dataset",
        "Fill a part, such as training/20010101-20010301, of a dataset from its source, month by month.",
        "part",
        counting("days"),
    ),
    "compute-statistics": Command(
        "stages.data.statistics.compute_statistics", "Climatology and scales of the training period."
    ),
    "import-statistics": Command(
        "stages.imports.import_statistics", "Take climatology and scales of another run, which `imports` names."
    ),
    "import-network": Command(
        "stages.imports.import_network", "Take a network of that run, with its errors and curves.", "network"
    ),
    "import-background-error": Command(
        "stages.imports.import_background_error", "Take the background error of a space of that run.", "space"
    ),
    "import-dataset": Command(
        "stages.imports.import_dataset", "Take a part of a dataset of that run, as a link to its store.", "part"
    ),
    "forecast-states": Command(
        "stages.models.forecast_states.forecast_states",
        "Forecasts from the training states, for an autoencoder to be trained on.",
        "autoencoder",
        counting("forecasts"),
    ),
    "train-autoencoder": Command(
        "stages.models.train.train_autoencoder",
        "Fit the linear path of an autoencoder and train its residual.",
        "autoencoder",
        training_progress,
    ),
    "train-forecaster": Command(
        "stages.models.train.train_forecaster", "Train the forecaster.", progress=training_progress
    ),
    "measure-autoencoder": Command(
        "stages.models.network_errors.write_autoencoder_errors",
        "Reconstruction error of an autoencoder on the validation period, for R.",
        "autoencoder",
    ),
    "measure-forecaster": Command(
        "stages.models.network_errors.write_forecaster_errors", "Forecast error on the validation period, for R."
    ),
    "score-autoencoder": Command(
        "stages.models.network_scores.write_autoencoder_scores",
        "Reconstruction error of an autoencoder and of its PCA on the test period.",
        "autoencoder",
    ),
    "score-forecaster": Command(
        "stages.models.network_scores.write_forecaster_scores",
        "Errors of the forecaster and of persistence by lead time on the test period.",
    ),
    "estimate-background-error": Command(
        "stages.covariance.background_error.estimate_background_error",
        "Background error covariance from forecast differences, in the space of an autoencoder or in `model` space.",
        "space",
    ),
    "tune-experiment": Command(
        "stages.reanalysis.tuning.tune_experiment",
        "Search for factors on B and R over validation windows.",
        "experiment",
        counting("windows of the tuning"),
    ),
    "draw-sites": Command("stages.observations.simulate.write_sites", "Draw the observing network."),
    "simulate-observations": Command(
        "stages.observations.simulate.write_observations",
        "Observe a month of a dataset, such as test/2001-03, with the network's errors.",
        "month",
    ),
    "screen-observations": Command(
        "stages.observations.screen.write_screened",
        "Check the observations of a month before any assimilation.",
        "month",
    ),
    "cycle-experiment": Command(
        "stages.reanalysis.cycle.cycle_experiment",
        "Cycle an experiment over its period, from where a killed job left off.",
        "experiment",
        cycling_progress,
    ),
    "cycle-chunk": Command(
        "stages.reanalysis.streams.cycle_chunk",
        "Cycle a chunk `experiment/stream/begin` of an experiment in streams, from where a killed job left off.",
        "chunk",
        cycling_progress,
    ),
    "seal-archive": Command(
        "stages.reanalysis.seal.seal_archive",
        "Make one sealed archive, feedback and ledger of the chunks of an experiment in streams.",
        "experiment",
    ),
    "average-months": Command(
        "stages.reanalysis.monthly_means.average_months",
        "Average the analyses of an experiment by calendar month.",
        "experiment",
        counting("months"),
    ),
    "observe-once": Command(
        "stages.reanalysis.single_observations.write_increments",
        "Assimilate single observations in every space they are shown in.",
    ),
    "status": Command(
        "stages.upkeep.status.tell",
        "Tell how far every experiment is: last valid time, cycles per hour, time left, what stopped.",
    ),
    "verify-archive": Command(
        "stages.upkeep.versions.verify_archive",
        "Prove an archive whole, chunk by chunk, and every version of it that is kept.",
        "experiment",
    ),
    "prune-archive": Command(
        "stages.upkeep.versions.prune_archive",
        "Remove every version of an archive but the current one; whoever still reads an old one loses it.",
        "experiment",
    ),
    "attribute-archive": Command(
        "stages.upkeep.versions.attribute_archive",
        "Write what the configuration says of archives into one that is sealed, and seal it again.",
        "experiment",
    ),
    "verify": Command(
        "stages.upkeep.verify.verify",
        "Prove whole all that a run has left, or what --only names, such as dataset/test or l4dvar.",
        "only",
        default="",
    ),
    "prune": Command(
        "stages.upkeep.prune.prune",
        "List, and with --remove remove, what datasets, networks, experiments and streams left that are named no more.",
        "remove",
        default=False,
    ),
    "score-experiment": Command(
        "stages.verification.analysis_scores.write_scores",
        "Score analyses and backgrounds against truth and observations.",
        "experiment",
    ),
    "score-forecasts": Command(
        "stages.verification.forecast_scores.write_forecast_scores",
        "Score forecasts from the analyses of the reference experiment.",
    ),
    "score-forecasts-of": Command(
        "stages.verification.forecast_scores.write_squared_errors",
        "Squared errors of forecasts from an experiment's analyses.",
        "experiment",
    ),
    "score-ensemble": Command(
        "stages.verification.ensemble_scores.write_ensemble_scores",
        "Spread, error, CRPS and ranks of an ensemble.",
        "experiment",
    ),
    "compare-osse": Command(
        "stages.verification.paired_table.write_paired_table",
        "Compare the experiments of the suite `osse`, time by time.",
    ),
    "report-production": Command(
        "stages.verification.long_run.report_production",
        "Drift, failed cycles, speed and seams of the suite `production`.",
    ),
    "measure-structure": Command(
        "stages.verification.structure.write_structure",
        "Spectra, tails, lags, balance, budgets and noise of an experiment's analyses.",
        "experiment",
    ),
    "measure-controls": Command(
        "stages.verification.structure.write_controls", "The same of the truth and of its reconstruction."
    ),
    "measure-error-structure": Command(
        "stages.verification.error_structure.write_error_structure",
        "Correlations of background errors in model space and in latent spaces.",
    ),
    "measure-latent-space": Command(
        "stages.verification.latent_space.write_latent_space",
        "What the decoder makes of latent states: influence, balance, affinity.",
    ),
    "summarise": Command("stages.verification.summary.write_summary", "Collect every headline figure in summary.json."),
    "compare-minimisers": Command(
        "stages.benchmarks.minimisers.write_minimisers",
        "Minimise the same windows by every method.",
        progress=counting("minimisers"),
    ),
    "compare-batches": Command(
        "stages.benchmarks.minimisers.write_batches",
        "Minimise the same windows in batches of several sizes.",
        progress=counting("batching"),
    ),
    "measure-overhead": Command(
        "stages.benchmarks.minimisers.write_overhead",
        "Time analyses against bare passes through the networks.",
        progress=counting("overhead"),
    ),
    "compare-loaders": Command(
        "stages.benchmarks.data_rates.write_loaders",
        "Read the same random training batches in several ways.",
        progress=counting("loaders"),
        script="peers.zarr_runner",
    ),
    "measure-ingestion": Command(
        "stages.benchmarks.data_rates.write_ingestion",
        "Time the steps that a downloaded month passes through.",
        progress=counting("ingestion"),
    ),
    "measure-archive": Command(
        "stages.benchmarks.archive_rates.write_archive_rates",
        "Time writing and reading an archive beside bare arrays.",
        progress=counting("archive"),
    ),
    "install-peers": Command(
        "stages.benchmarks.peers.install_peers", "Make the environment of the packages LARA is compared with."
    ),
    "compare-linear-gaussian": Command(
        "stages.benchmarks.peers.write_linear_gaussian",
        "Compare 3D-Var and 4D-Var with the analytic answer and ADAO.",
        script="peers.adao_runner",
    ),
    "compare-lorenz96": Command(
        "stages.benchmarks.peers.write_lorenz96",
        "Compare cycled 4D-Var of Lorenz-96 with DAPPER's methods.",
        script="peers.dapper_runner",
    ),
    "draw-figure": Command(
        "figures.make.draw", "Gather and keep the arrays of a figure, and draw it from them.", "figure"
    ),
    "collect-benchmarks": Command("figures.collect.write_costs", "Gather what every job cost into one table."),
    "write-page": Command("figures.page.write_page", "Headline table, health, provenance and figures on one page."),
}
