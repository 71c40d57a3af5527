"""The configuration: frozen models, every key with its unit, unknown keys refused.

A configuration is read, checked as a whole and resolved before Snakemake builds its DAG, so that a wrong value
fails in seconds with the key, the value and the remedy. `config/README.md` is generated from these models.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from lara.variables import VARIABLES


class ConfigError(ValueError):
    """A configuration that cannot be run; the message names the key, the value and the remedy."""


class Section(BaseModel):
    """Base of every section: frozen, unknown keys refused, defaults checked."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, ser_json_timedelta="iso8601")


def _plain_name(name: str) -> str:
    if not name.replace("-", "").replace("_", "").isalnum():
        raise ValueError(f"'{name}' becomes a file name: use letters, digits, '-' and '_' only")
    return name


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


Name = Annotated[str, AfterValidator(_plain_name)]
Moment = Annotated[datetime, AfterValidator(_utc)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Simulated(Section):
    """Simulated atmosphere: jcm (SPEEDY physics), independent members from perturbed starts."""

    kind: Literal["simulated"] = Field("simulated", description="provider of the atmosphere")
    truncation: int = Field(21, description="triangular spectral truncation of the model (21: 32 x 64 grid)")
    layers: int = Field(8, description="number of sigma layers of the model")
    time_step_minutes: Positive = Field(30.0, description="time step of the model [minutes]")
    spin_up_days: Count = Field(90, description="days integrated and discarded before a member begins [days]")
    perturbation: Positive = Field(
        1.0, description="standard deviation of the noise on a member's first temperature [K]"
    )


class State(Section):
    """What a state contains; the order of channels is surface first, then each variable over the levels."""

    surface: tuple[str, ...] = Field(("msl", "u10", "v10", "t2m"), description="surface variables (short names)")
    upper_air: tuple[str, ...] = Field(("z", "q", "u", "v", "t"), description="variables on every level (short names)")
    levels: tuple[Count, ...] = Field((200, 300, 500, 700, 850, 925), description="pressure levels [hPa]")

    @model_validator(mode="after")
    def _known(self) -> State:
        for name, upper in [*((n, False) for n in self.surface), *((n, True) for n in self.upper_air)]:
            if name not in VARIABLES or VARIABLES[name].upper_air != upper:
                known = ", ".join(k for k, v in VARIABLES.items() if v.upper_air == upper)
                raise ValueError(f"'{name}' is not a known {'upper-air' if upper else 'surface'} variable: use {known}")
        if len(set(self.levels)) != len(self.levels):
            raise ValueError(f"levels {self.levels} repeat a value: name each level once")
        return self

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels in order, such as z500."""
        return self.surface + tuple(f"{name}{level}" for name in self.upper_air for level in sorted(self.levels))

    def require_known(self, key: str, names: Iterable[str]) -> None:
        """Raise ValueError naming the first that is neither a channel nor a variable of the state."""
        for name in names:
            if name not in {*self.channels, *self.upper_air}:
                raise ValueError(f"{key}: '{name}' is neither a channel nor a variable of the state {self.channels}")


class GridShape(Section):
    """The model grid."""

    kind: Literal["gaussian", "equiangular"] = Field("gaussian", description="kind of the latitude nodes")
    latitudes: Count = Field(32, description="number of latitudes [1]")
    longitudes: Count = Field(64, description="number of longitudes [1]")


class Dataset(Section):
    """A stretch of atmosphere with one use; the end is exclusive."""

    use: Literal["training", "validation", "test"] = Field(description="what the stretch may be used for")
    member: int = Field(0, ge=0, description="independent realisation of the source; 0 where there is just one [1]")
    begin: Moment = Field(description="first time [UTC]")
    end: Moment = Field(description="end of the stretch, exclusive [UTC]")

    @model_validator(mode="after")
    def _ordered(self) -> Dataset:
        if self.end <= self.begin:
            raise ValueError(f"end {self.end:%Y-%m-%d} is not after begin {self.begin:%Y-%m-%d}: set a later end")
        return self

    @property
    def span(self) -> str:
        """Use and period in words."""
        return f"({self.use}, {self.begin:%Y-%m-%d} to {self.end:%Y-%m-%d})"


class Transformer(Section):
    """Windowed-attention blocks, periodic in longitude and closed at the poles."""

    patch: Count = Field(4, description="side of the square patch that becomes one token [grid points]")
    width: Count = Field(192, description="channels of a token [1]")
    heads: Count = Field(6, description="attention heads; must divide the width [1]")
    mlp_ratio: Positive = Field(4.0, description="hidden over token width of the feed-forward layers [1]")
    windows: tuple[tuple[Count, Count], ...] = Field(
        ((8, 16),), description="attention windows (latitude, longitude) used in turn by the blocks [tokens]"
    )

    @model_validator(mode="after")
    def _heads_divide(self) -> Transformer:
        if self.width % self.heads:
            raise ValueError(f"heads {self.heads} do not divide width {self.width}: choose a divisor")
        return self


class Phase(Section):
    """A stretch of training with its own warm-up and cosine decay."""

    steps: Count = Field(description="optimiser steps [1]")
    learning_rate: Positive = Field(description="peak learning rate of AdamW [1]")
    rollout: Count = Field(1, description="forecast steps per sample; 1 for an autoencoder [1]")


class Training(Section):
    """How a network is trained."""

    phases: tuple[Phase, ...] = Field(description="stretches of training, in order")
    batch_size: Count = Field(16, description="samples per optimiser step over all devices [1]")
    weight_decay: float = Field(1e-2, ge=0, description="decoupled weight decay of AdamW [1]")
    warm_up: float = Field(0.05, ge=0, lt=1, description="fraction of a phase spent warming up [1]")
    clip: Positive = Field(1.0, description="largest gradient norm [1]")
    precision: Literal["bf16-mixed", "32-true"] = Field("bf16-mixed", description="arithmetic of the training steps")
    checkpoint_every: Count = Field(200, description="steps between checkpoints [1]")
    validate_every: Count = Field(100, description="steps between validations [1]")
    validation_samples: Count = Field(64, description="held-out samples of a validation [1]")
    channel_weights: dict[str, Positive] = Field(
        default_factory=dict, description="loss weight by variable or channel name; 1 where unnamed [1]"
    )


class Autoencoder(Section):
    """A map of states to a smaller latent space and back."""

    kind: Literal["transformer", "pca"] = Field("transformer", description="`pca` is the linear path alone")
    latent_channels: Count = Field(90, description="channels of the latent space, one vector per patch [1]")
    encoder_blocks: Count = Field(3, description="blocks of the encoder's residual [1]")
    decoder_blocks: Count = Field(3, description="blocks of the decoder's residual [1]")
    linear_rate: float = Field(0.1, ge=0, description="learning rate of the linear path over that of the residual [1]")
    network: Transformer = Field(Transformer(), description="the residual's blocks")
    training: Training = Field(
        Training(phases=(Phase(steps=1400, learning_rate=1.5e-3),)), description="how the residual is trained"
    )


class Forecaster(Section):
    """A network that predicts the tendency over one step."""

    blocks: Count = Field(4, description="blocks of the network [1]")
    network: Transformer = Field(Transformer(), description="the network's blocks")
    training: Training = Field(
        Training(phases=(Phase(steps=1600, learning_rate=1e-3), Phase(steps=100, learning_rate=1e-4, rollout=4))),
        description="how it is trained",
    )


class BackgroundError(Section):
    """Latent background error by the NMC method: forecast differences valid at the same time."""

    samples: Count = Field(240, description="forecast pairs, spread evenly over the training period [1]")
    lead_hours: tuple[Count, Count] = Field((24, 48), description="lead times of a pair [h]")
    scale: Positive = Field(1.0, description="factor on the variance [1]")


class Observations(Section):
    """The twin experiment's network: fixed sites, denser over northern land, a part withheld."""

    columns: Count = Field(90, description="upper-air columns [1]")
    surface_stations: Count = Field(250, description="surface stations [1]")
    withheld_fraction: float = Field(0.15, ge=0, lt=1, description="share of the sites kept for verification [1]")
    error_std: dict[str, Positive] = Field(
        default_factory=lambda: {
            "msl": 80.0,
            "u10": 1.0,
            "v10": 1.0,
            "t2m": 1.0,
            "z": 80.0,
            "q": 4e-4,
            "u": 1.2,
            "v": 1.2,
            "t": 0.7,
        },
        description="standard error by variable or channel name [SI unit of the variable]",
    )


class Minimiser(Section):
    """L-BFGS with a strong-Wolfe search."""

    evaluations: Count = Field(40, description="most evaluations of J and its gradient per analysis [1]")
    gradient_reduction: Positive = Field(1e-2, description="stop when the gradient norm has fallen by this factor [1]")
    relative_decrease: Positive = Field(1e-4, description="stop when an iteration lowers J by less than this share [1]")
    history: Count = Field(10, description="curvature pairs kept [1]")


class Experiment(Section):
    """One cycled run over the test period."""

    method: Literal["l4dvar", "l3dvar", "free", "autoencoder-only"] = Field(description="how a window is analysed")
    autoencoder: Name | None = Field(None, description="autoencoder of the latent space; none for `free`")
    dataset: Name = Field("test", description="dataset that holds the truth")
    slots: Count = Field(4, description="observation times per window, one forecaster step apart [1]")
    background_hours: Count = Field(
        120, description="lead time of the forecast from the truth that is the first background [h]"
    )
    days: Count = Field(40, description="length of the cycled period, which begins with the first background [days]")

    @model_validator(mode="after")
    def _consistent(self) -> Experiment:
        if self.method != "free" and self.autoencoder is None:
            raise ValueError(f"method '{self.method}' needs an autoencoder: name one of `autoencoders`")
        if self.method == "l3dvar" and self.slots != 1:
            raise ValueError(f"l3dvar has one slot per window, not {self.slots}: set slots: 1 or method: l4dvar")
        return self


class Verification(Section):
    """What is scored."""

    spin_up_days: int = Field(20, ge=0, description="first days of an experiment left out of the scores [days]")
    headline: tuple[str, ...] = Field(("z500", "t850", "u500"), description="channels of the headline scores")
    lead_days: Positive = Field(5.0, description="length of the forecasts from the analyses [days]")
    forecast_every_days: Positive = Field(1.0, description="time between forecasts [days]")
    reference: Name = Field("l4dvar", description="experiment shown in maps and forecast plots")


class Config(Section):
    """Everything a run of LARA depends on."""

    name: Name = Field("default", description="folder of the run under `results/`")
    seed: int = Field(20260101, description="root of every random stream, with the identity of what is drawn [1]")
    step_hours: Count = Field(6, description="time between states, and the forecaster's step [h]")
    source: Simulated = Field(Simulated(), description="where the atmosphere comes from")
    state: State = Field(State(), description="channels of a state")
    grid: GridShape = Field(GridShape(), description="the grid")
    datasets: dict[Name, Dataset] = Field(description="stretches of atmosphere by name")
    autoencoders: dict[Name, Autoencoder] = Field(description="autoencoders by name")
    forecaster: Forecaster = Field(Forecaster(), description="the forecaster")
    background_error: BackgroundError = Field(BackgroundError(), description="the background error covariance")
    observations: Observations = Field(Observations(), description="the observing network")
    minimiser: Minimiser = Field(Minimiser(), description="the minimiser")
    experiments: dict[Name, Experiment] = Field(description="cycled runs by name")
    verification: Verification = Field(Verification(), description="scores and plots")

    def using(self, use: str) -> list[str]:
        """Names of the datasets with this use."""
        return [name for name, dataset in self.datasets.items() if dataset.use == use]

    def period(self, experiment: str) -> tuple[datetime, datetime]:
        """Half-open period of an experiment."""
        chosen = self.experiments[experiment]
        begin = self.datasets[chosen.dataset].begin + timedelta(hours=chosen.background_hours)
        return begin, begin + timedelta(days=chosen.days)

    @model_validator(mode="after")
    def _uses_present(self) -> Config:
        for use in ("training", "validation", "test"):
            if not self.using(use):
                raise ValueError(f"datasets: none has use '{use}': add one")
        return self

    @model_validator(mode="after")
    def _disjoint(self) -> Config:
        for (a, first), (b, second) in combinations(self.datasets.items(), 2):
            overlap = first.begin < second.end and second.begin < first.end
            if first.member == second.member and overlap:
                raise ValueError(
                    f"datasets.{b} {second.span} overlaps datasets.{a} {first.span} of the same member {first.member}: "
                    "move one of them or give it another member"
                )
        return self

    @model_validator(mode="after")
    def _patches_divide(self) -> Config:
        networks = {f"autoencoders.{n}": a.network for n, a in self.autoencoders.items()}
        for key, network in {**networks, "forecaster": self.forecaster.network}.items():
            for side, size in (("latitudes", self.grid.latitudes), ("longitudes", self.grid.longitudes)):
                if size % network.patch:
                    raise ValueError(
                        f"grid.{side} {size} does not divide by {key}.network.patch {network.patch}: "
                        "choose a patch that divides the grid"
                    )
            for _, across in network.windows:
                if (self.grid.longitudes // network.patch) % across:
                    raise ValueError(
                        f"{key}.network.windows: {across} tokens do not divide the "
                        f"{self.grid.longitudes // network.patch} tokens of a latitude circle: choose a divisor"
                    )
        return self

    @model_validator(mode="after")
    def _source_fits(self) -> Config:
        expected = (self.grid.kind, self.grid.latitudes, self.grid.longitudes)
        if self.source.truncation == 21 and expected != ("gaussian", 32, 64):
            raise ValueError(f"grid {expected}: the simulated source at truncation 21 has a gaussian grid of 32 x 64")
        return self

    @model_validator(mode="after")
    def _names_fit(self) -> Config:
        for key, taken in (("autoencoders", "forecaster"), ("experiments", "forecasts")):
            if taken in getattr(self, key):
                raise ValueError(f"{key}.{taken}: the name is taken by the {taken}: choose another")
        networks = {f"autoencoders.{n}": a.training for n, a in self.autoencoders.items()}
        for key, training in {**networks, "forecaster": self.forecaster.training}.items():
            self.state.require_known(f"{key}.training.channel_weights", training.channel_weights)
        unknown = [name for name in self.verification.headline if name not in self.state.channels]
        if unknown:
            raise ValueError(f"verification.headline {unknown} are not among the channels {self.state.channels}")
        given = self.observations.error_std
        missing = [name for name in self.state.channels if name not in given and name.rstrip("0123456789") not in given]
        if missing:
            raise ValueError(f"observations.error_std has no value for {missing}: name the channel or its variable")
        return self

    @model_validator(mode="after")
    def _leads_fit(self) -> Config:
        short, long = self.background_error.lead_hours
        if short >= long or short % self.step_hours or long % self.step_hours:
            raise ValueError(
                f"background_error.lead_hours {[short, long]} must increase and be multiples of step_hours "
                f"{self.step_hours}: the usual pair is [24, 48]"
            )
        return self

    @model_validator(mode="after")
    def _experiments_fit(self) -> Config:
        for name, experiment in self.experiments.items():
            self._check_experiment(f"experiments.{name}", experiment)
        if self.verification.reference not in self.experiments:
            raise ValueError(
                f"verification.reference '{self.verification.reference}' is not one of {list(self.experiments)}"
            )
        return self

    def _check_experiment(self, key: str, experiment: Experiment) -> None:
        if experiment.autoencoder is not None and experiment.autoencoder not in self.autoencoders:
            raise ValueError(f"{key}.autoencoder '{experiment.autoencoder}' is not one of {list(self.autoencoders)}")
        dataset = self.datasets.get(experiment.dataset)
        if dataset is None or dataset.use != "test":
            raise ValueError(
                f"{key}.dataset '{experiment.dataset}' is not one of the test datasets {self.using('test')}"
            )
        if dataset.begin + timedelta(hours=experiment.background_hours, days=experiment.days) > dataset.end:
            raise ValueError(
                f"{key}.days {experiment.days} run past the end of datasets.{experiment.dataset}: shorten it"
            )
        if experiment.background_hours % self.step_hours:
            raise ValueError(
                f"{key}.background_hours {experiment.background_hours} is no multiple of step_hours {self.step_hours}"
            )
        if experiment.days * 24 % (experiment.slots * self.step_hours):
            raise ValueError(
                f"{key}: {experiment.days} days are not a whole number of windows of {experiment.slots} slots"
            )


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
    """Write a configuration with every key; `load` reads it back equal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))


def _explain(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown key '{key}' = {error['input']!r}: remove it or see config/README.md for the keys"
    if error["type"] == "missing":
        return f"key '{key}' is missing: add it (config/README.md describes it)"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"{key}: {message}" if key else message
    return f"{key} = {error['input']!r}: {message}; see config/README.md"
