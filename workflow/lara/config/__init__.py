"""The configuration: frozen models, every key with its unit, unknown keys refused.

A configuration is read, checked as a whole and resolved before Snakemake builds its DAG, so that a wrong value
fails in seconds with the key, the value and the remedy. `config/README.md` is generated from these models.
"""

from __future__ import annotations

import os
from calendar import monthrange
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, model_validator

from lara.config import checks
from lara.config.computing import Dask
from lara.config.experiments import (
    MODEL_SPACE,
    BackgroundError,
    Comparison,
    Experiment,
    Factors,
    Minimiser,
    ObservingNetwork,
    SingleObservation,
    Tuning,
    Verification,
)
from lara.config.imports import Imports
from lara.config.production import Archive, Attribution, Chunk, Production, Stream
from lara.config.quality import QualityControl
from lara.config.sections import (
    Autoencoder,
    Count,
    Dataset,
    Forecaster,
    GridShape,
    Name,
    Phase,
    Section,
    State,
    Training,
    Transformer,
)
from lara.config.sources import KINDS, Cds, Patience, Simulated, Source, Zarr

__all__ = [
    "Archive",
    "Attribution",
    "Autoencoder",
    "BackgroundError",
    "Cds",
    "Chunk",
    "Comparison",
    "Config",
    "ConfigError",
    "Dask",
    "Dataset",
    "Experiment",
    "Factors",
    "Forecaster",
    "GridShape",
    "Imports",
    "Minimiser",
    "ObservingNetwork",
    "Patience",
    "Phase",
    "Production",
    "QualityControl",
    "Section",
    "Simulated",
    "SingleObservation",
    "State",
    "Stream",
    "Training",
    "Transformer",
    "Tuning",
    "Verification",
    "Zarr",
    "load",
    "parse",
    "write",
]


class ConfigError(ValueError):
    """A configuration that cannot be run; the message names the key, the value and the remedy."""


class Config(Section):
    """Everything a run of LARA depends on."""

    name: Name = Field("default", description="folder of the run under `results/`")
    seed: int = Field(20260101, description="root of every random stream, with the identity of what is drawn [1]")
    step_hours: Count = Field(6, description="time between states, and the forecaster's step [h]")
    imports: Imports = Field(Imports(), description="what is taken from another run in the place of making it")
    source: Source = Field(Simulated(), description="where the atmosphere comes from")
    state: State = Field(State(), description="channels of a state")
    grid: GridShape = Field(GridShape(), description="the grid")
    datasets: dict[Name, Dataset] = Field(description="stretches of atmosphere by name")
    staging: str | None = Field(
        None,
        description="folder on a disk near the processor, e.g. $TMPDIR/lara, where training maps its states into"
        " memory; null reads the store",
    )
    autoencoders: dict[Name, Autoencoder] = Field(description="autoencoders by name")
    forecaster: Forecaster = Field(Forecaster(), description="the forecaster")
    background_error: BackgroundError = Field(BackgroundError(), description="the background error covariance")
    observations: ObservingNetwork = Field(ObservingNetwork(), description="the observing network")
    quality_control: QualityControl = Field(QualityControl(), description="checks of the observations")
    minimiser: Minimiser = Field(Minimiser(), description="the minimiser")
    experiments: dict[Name, Experiment] = Field(description="cycled runs by name")
    production: Production = Field(Production(), description="how cycled runs are cut into jobs")
    tuning: Tuning = Field(Tuning(), description="search for the factors of experiments that name none")
    verification: Verification = Field(Verification(), description="scores and plots")
    osse: Comparison = Field(Comparison(), description="scores of the suite `osse`")
    ensemble: Comparison = Field(Comparison(), description="scores of the suite `ensemble`")
    archive: Archive = Field(Archive(), description="how archives are stored")
    dask: Dask = Field(Dask(), description="where statistics, scores and monthly means are computed")
    sizes: Comparison = Field(Comparison(), description="scores of the suite `sizes`")
    bootstrap: Comparison = Field(
        Comparison(), description="scores of the suite `bootstrap`, whose reference is an experiment of another suite"
    )
    single_observations: dict[Name, SingleObservation] = Field(
        default_factory=dict, description="single-observation cases by name"
    )
    observed_once: tuple[Name, ...] = Field((), description="experiments whose increments these cases show")

    def using(self, use: str) -> list[str]:
        """Names of the datasets with this use."""
        return [name for name, dataset in self.datasets.items() if dataset.use == use]

    def months(self, dataset: str) -> list[str]:
        """Calendar months that a dataset touches, such as "1979-01"."""
        return self.months_of(dataset, self.datasets[dataset].begin, self.datasets[dataset].end)

    def months_of(self, dataset: str, begin: datetime, end: datetime) -> list[str]:
        """Those that [begin, end) touches, too."""
        whole = self.datasets[dataset]
        outer = max(begin, whole.begin), min(end, whole.end) - timedelta(microseconds=1)
        first, last = (12 * moment.year + moment.month - 1 for moment in outer)
        return [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in range(first, last + 1)]

    def days(self, dataset: str, month: str) -> list[int]:
        """Days of a month that belong to a dataset of whole days."""
        first, last = (moment.date() for moment in self._outer(dataset))
        year, number = (int(part) for part in month.split("-"))
        days = (date(year, number, 1) + timedelta(days=day) for day in range(monthrange(year, number)[1]))
        return [day.day for day in days if first <= day <= last]

    @property
    def products(self) -> list[str]:
        """Parts of a month that the source is downloaded in; none where nothing is."""
        return self.source.products(self.state)

    def deliveries(self, dataset: str) -> list[str]:
        """What is downloaded for a dataset, one entry per month and product."""
        return [f"{dataset}/{product}/{month}" for month in self.months(dataset) for product in self.products]

    def _outer(self, dataset: str) -> tuple[datetime, datetime]:
        """First and last moment of a dataset."""
        return self.datasets[dataset].begin, self.datasets[dataset].end - timedelta(microseconds=1)

    @property
    def spaces(self) -> list[str]:
        """Spaces that a background error covariance may be of."""
        return [*self.autoencoders, MODEL_SPACE]

    @property
    def default_autoencoders(self) -> list[str]:
        """Autoencoders of the default target: all but those that only suites with a training of their own use."""
        users = {
            name: {e.suite for e in self.experiments.values() if e.autoencoder == name} for name in self.autoencoders
        }
        return [name for name, suites in users.items() if not suites or suites - {"sizes", "bootstrap"}]

    @property
    def default_tests(self) -> list[str]:
        """Test datasets of the default target: those that experiments of the suite `reanalysis` are scored against."""
        return list(dict.fromkeys(self.experiments[name].dataset for name in self.suite("reanalysis")))

    @property
    def shown_autoencoder(self) -> str:
        """The autoencoder of the reference experiment."""
        return self.experiments[self.verification.reference].autoencoder or ""

    def suite(self, name: str) -> list[str]:
        """Names of the experiments of a suite."""
        return [key for key, experiment in self.experiments.items() if experiment.suite == name]

    def spin_up_days(self, experiment: str) -> int:
        """First days of an experiment left out of its scores."""
        chosen = self.experiments[experiment].suite
        return (self.verification if chosen == "reanalysis" else getattr(self, chosen)).spin_up_days

    def period(self, experiment: str) -> tuple[datetime, datetime]:
        """Half-open period of an experiment."""
        chosen = self.experiments[experiment]
        begin = self.datasets[chosen.dataset].begin + timedelta(hours=chosen.background_hours)
        return begin, begin + timedelta(days=chosen.days)

    @model_validator(mode="after")
    def _fits_together(self) -> Config:
        faults = checks.first_faults(self)
        if faults:
            raise ValueError("; ".join(faults))
        return self


def parse(values: dict[str, Any], origin: str = "configuration") -> Config:
    """Check values as a whole; ConfigError lists each fault with key, value and remedy."""
    try:
        return Config.model_validate(values)
    except ValidationError as fault:
        lines = [_explain(error) for error in fault.errors()]
        raise ConfigError(f"{origin}: " + "; ".join(lines)) from None


def load(path: Path) -> Config:
    """Read a YAML file into a Config; ConfigError if absent or wrong."""
    if not path.exists():
        raise ConfigError(f"configuration {path} does not exist: run snakemake, which writes it, or correct the path")
    try:
        values = yaml.safe_load(path.read_text())
    except yaml.YAMLError as fault:
        raise ConfigError(f"{path} is not YAML ({' '.join(str(fault).split())}): correct it") from None
    return parse(values or {}, str(path))


def write(config: Config, path: Path) -> None:
    """Write a configuration with every key, whole or not at all; `load` reads it back equal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
    part.replace(path)


def _explain(error: Any) -> str:
    parts = [str(part) for part in error["loc"]]
    if parts[:1] == ["source"] and parts[1:2] and parts[1] in KINDS:
        del parts[1]  # says which of the sections a source is, and is no key
    key = ".".join(parts)
    if error["type"] == "extra_forbidden":
        return f"unknown key '{key}' = {error['input']!r}: remove it or see config/README.md for the keys"
    if error["type"] == "missing":
        return f"key '{key}' is missing: add it (config/README.md describes it)"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"{key}: {message}" if key else message
    return f"{key} = {error['input']!r}: {message}; see config/README.md"
