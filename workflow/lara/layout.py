"""Layout of a run: the one list of names below `results/<name>/`, used by the rules and by the commands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cycled:
    """Files that a stretch of cycling leaves, and the folder `work` of what it has done so far."""

    archive: Path
    folder: Path

    @property
    def archive_receipt(self) -> Path:
        """Receipt of the sealed archive."""
        return self.archive.with_name(f"{self.archive.name}.receipt.json")

    @property
    def lock(self) -> Path:
        """Who writes the archive."""
        return self.archive.with_name(f"{self.archive.name}.lock")

    @property
    def feedback(self) -> Path:
        """Every datum with its departures."""
        return self.folder / "feedback.parquet"

    @property
    def health(self) -> Path:
        """One row per cycle and member: costs, evaluations, stop reason."""
        return self.folder / "health.parquet"

    @property
    def timings(self) -> Path:
        """One row per cycle: seconds, memory, software and machine, which no two runs share."""
        return self.folder / "timings.parquet"

    @property
    def members(self) -> Path:
        """Every member's analyses of the headline channels."""
        return self.folder / "members.nc"

    @property
    def restart(self) -> Path:
        """What the next stretch starts from."""
        return self.folder / "restart.safetensors"

    @property
    def work(self) -> Path:
        """Ledger, parts and checkpoint of a job that has not ended."""
        return self.folder / "work"


@dataclass(frozen=True)
class Layout:
    """Paths of one run; arguments may be Snakemake wildcards such as "{dataset}"."""

    root: Path

    @property
    def config(self) -> Path:
        """The configuration as resolved, of the run that was started last."""
        return self.root / "config.yaml"

    def frozen_config(self, digest: str) -> Path:
        """The configuration that jobs were planned with, whatever becomes of the others."""
        return self.root / "configs" / f"{digest}.yaml"

    @property
    def restarts(self) -> Path:
        """States from which the simulated source goes on."""
        return self.root / "data" / "restarts"

    def dataset(self, dataset: str) -> Path:
        """Store of states."""
        return self.root / "data" / f"{dataset}.zarr"

    def dataset_part(self, dataset: str, part: str) -> Path:
        """Receipt of a part of a dataset, such as "20010101-20010301"."""
        return self.root / "data" / "parts" / dataset / f"{part}.receipt.json"

    def delivery(self, delivery: str, cache: str | None = None) -> Path:
        """GRIB of "<dataset>/<product>/<month>", in this run's folder or in one of a cache for all runs."""
        return (self.root / "data" if cache is None else Path(cache).expanduser()) / "era5" / f"{delivery}.grib"

    def delivery_receipt(self, delivery: str) -> Path:
        """Receipt of a file that was delivered whole."""
        return self.root / "data" / "era5" / f"{delivery}.receipt.json"

    def forecast_states(self, autoencoder: str, dataset: str) -> Path:
        """Store of forecasts from the states of a training dataset, for an autoencoder to be trained on."""
        return self.root / "data" / "forecasts" / autoencoder / f"{dataset}.zarr"

    def forecast_states_receipt(self, autoencoder: str) -> Path:
        """Receipt of the forecasts that an autoencoder is trained on."""
        return self.root / "data" / "forecasts" / f"{autoencoder}.receipt.json"

    @property
    def statistics(self) -> Path:
        """Climatology and scales of the training period."""
        return self.root / "data" / "statistics.npz"

    def network(self, name: str) -> Path:
        """Folder of a network: weights, curves, errors."""
        return self.root / "models" / name

    def training(self, name: str) -> Path:
        """Folder of a network in training: checkpoints and curves, from which a killed job goes on."""
        return self.network(name) / "training"

    def weights(self, name: str) -> Path:
        """Weights of a network: the name of an autoencoder, or `forecaster`."""
        return self.network(name) / "weights.safetensors"

    def curves(self, name: str) -> list[Path]:
        """Learning curves of a network."""
        return [self.network(name) / "training.csv", self.network(name) / "validation.csv"]

    def errors(self, name: str) -> Path:
        """Errors of a network on the validation period, which R holds."""
        return self.network(name) / "errors.nc"

    def network_scores(self, name: str) -> Path:
        """Scores of a network on the test period."""
        return self.network(name) / "scores.nc"

    def background_error(self, space: str) -> Path:
        """Background error covariance in the latent space of an autoencoder, or in `model` space."""
        return self.root / "covariance" / f"{space}.npz"

    def tuning(self, experiment: str) -> Path:
        """Factors on B and R found for an experiment."""
        return self.root / "covariance" / "tuning" / f"{experiment}.json"

    def tuning_trials(self, experiment: str) -> Path:
        """What every trial of that search scored."""
        return self.root / "covariance" / "tuning" / f"{experiment}.csv"

    @property
    def sites(self) -> Path:
        """The observing network."""
        return self.root / "observations" / "sites.parquet"

    def observations(self, dataset: str, month: str) -> Path:
        """Observations of the slots of a month, such as "2001-01", of a dataset."""
        return self.root / "observations" / dataset / f"{month}.parquet"

    def screened(self, dataset: str, month: str) -> Path:
        """The same table with what screening has against each observation."""
        return self.root / "observations" / dataset / f"{month}-screened.parquet"

    def cycled(self, experiment: str) -> Cycled:
        """What an experiment leaves."""
        return Cycled(self.root / "reanalysis" / f"{experiment}.zarr", self.root / "reanalysis" / "cycles" / experiment)

    def chunk(self, experiment: str, stream: str, chunk: str) -> Cycled:
        """What a job of an experiment's stream leaves."""
        archive = self.root / "reanalysis" / "chunks" / experiment / stream / f"{chunk}.zarr"
        return Cycled(archive, self.cycled(experiment).folder / "chunks" / stream / chunk)

    def archive(self, experiment: str) -> Path:
        """Store of analyses and backgrounds."""
        return self.cycled(experiment).archive

    def archive_receipt(self, experiment: str) -> Path:
        """Receipt of a sealed archive."""
        return self.cycled(experiment).archive_receipt

    def feedback(self, experiment: str) -> Path:
        """Every datum with its departures."""
        return self.cycled(experiment).feedback

    def health(self, experiment: str) -> Path:
        """One row per cycle: costs, evaluations, stop reason."""
        return self.cycled(experiment).health

    def timings(self, experiment: str) -> Path:
        """One row per cycle: seconds and memory."""
        return self.cycled(experiment).timings

    def members(self, experiment: str) -> Path:
        """Every member's analyses of the headline channels."""
        return self.cycled(experiment).members

    def ensemble_scores(self, experiment: str) -> Path:
        """Sums for the scores of an ensemble."""
        return self.root / "verification" / f"{experiment}-ensemble.nc"

    def finished_ensemble_scores(self, experiment: str) -> Path:
        """Spread, error, CRPS and ranks of the truth by region and channel, finished from these."""
        return self.root / "verification" / f"{experiment}-ensemble.csv"

    def increments(self, case: str) -> Path:
        """Increments of a single observation in every space it is shown in."""
        return self.root / "reanalysis" / "single-observations" / f"{case}.nc"

    def scores(self, name: str) -> Path:
        """Scores as saved arrays."""
        return self.root / "verification" / f"{name}.nc"

    def forecast_scores(self, experiment: str) -> Path:
        """Squared errors of forecasts from an experiment's analyses."""
        return self.root / "verification" / f"{experiment}-forecasts.nc"

    @property
    def error_structure(self) -> Path:
        """Correlations of background errors in every space."""
        return self.root / "verification" / "error-structure.nc"

    def structure(self, source: str) -> Path:
        """Spectra, tails, lags, balance and budgets of an experiment, of the truth or of its reconstruction."""
        return self.root / "verification" / f"{source}-structure.nc"

    def latent_space(self, figure: str) -> Path:
        """What the decoder makes of latent states, figure by figure."""
        return self.root / "verification" / f"latent-space-{figure}.nc"

    @property
    def osse(self) -> Path:
        """Analysis and forecast errors of the suite `osse`, method by method with intervals."""
        return self.root / "verification" / "osse.csv"

    def production(self, what: str) -> Path:
        """A part of the report of the suite `production`."""
        return self.root / "verification" / "production" / what

    def monthly_means(self, experiment: str) -> Path:
        """Means of analyses by calendar month."""
        return self.root / "reanalysis" / f"{experiment}-monthly.nc"

    def finished_scores(self, experiment: str) -> Path:
        """RMSE, bias, MAE and ACC by month, region and channel, finished from the scores."""
        return self.root / "verification" / f"{experiment}.csv"

    def local_time_scores(self, experiment: str) -> Path:
        """The same at the surface by quarter of the local day."""
        return self.root / "verification" / f"{experiment}-local-time.csv"

    def innovations(self, experiment: str) -> Path:
        """Departure statistics."""
        return self.root / "verification" / f"{experiment}-innovations.csv"

    def figure(self, name: str) -> Path:
        """A drawn figure."""
        return self.root / "figures" / f"{name}.png"

    def figure_pdf(self, name: str) -> Path:
        """The same figure for print."""
        return self.figure(name).with_suffix(".pdf")

    def figure_fields(self, name: str) -> Path:
        """Fields and scores that a figure shows."""
        return self.root / "figures" / f"{name}.nc"

    def figure_table(self, name: str) -> Path:
        """Table that a figure shows."""
        return self.root / "figures" / f"{name}.csv"

    def log(self, name: str) -> Path:
        """Log of a job."""
        return self.root / "logs" / f"{name}.log"

    def benchmark(self, name: str) -> Path:
        """Resources used by a job."""
        return self.root / "benchmarks" / f"{name}.tsv"

    def comparison(self, name: str) -> Path:
        """Table of a comparison of methods."""
        return self.root / "benchmarks" / f"{name}.csv"

    @property
    def peers(self) -> Path:
        """Environment of the packages LARA is compared with."""
        return self.root / "benchmarks" / "peers-env"

    @property
    def peers_installed(self) -> Path:
        """What that environment holds, written once it is complete."""
        return self.root / "benchmarks" / "peers-installed.txt"

    @property
    def costs(self) -> Path:
        """Resources used by every job."""
        return self.root / "benchmarks" / "costs.csv"

    @property
    def page(self) -> Path:
        """Headline table, health, provenance and figures, to be opened in a browser."""
        return self.root / "index.html"

    @property
    def summary(self) -> Path:
        """Every headline figure of the run."""
        return self.root / "summary.json"
