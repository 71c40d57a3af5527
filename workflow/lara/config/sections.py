"""Sections of the configuration: the atmosphere and the networks, every key with its unit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from lara.variables import VARIABLES


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
    def length(self) -> timedelta:
        """Its period."""
        return self.end - self.begin

    @property
    def span(self) -> str:
        """Use and period in words."""
        return f"({self.use}, {self.begin:%Y-%m-%d} to {self.end:%Y-%m-%d})"


class Transformer(Section):
    """Windowed-attention blocks, periodic in longitude and closed at the poles."""

    patch: Count = Field(4, description="side of the square patch that becomes one token [grid points]")
    halo: int = Field(
        2,
        ge=0,
        description="points by which the window a token sees and writes exceeds its patch on each side [grid points]",
    )
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
    second_moment_decay: float = Field(
        0.98, ge=0, lt=1, description="decay of AdamW's running mean of squared gradients, per step [1]"
    )
    warm_up: float = Field(0.05, ge=0, lt=1, description="fraction of a phase spent warming up [1]")
    clip: Positive = Field(1.0, description="largest gradient norm [1]")
    precision: Literal["auto", "bf16-mixed", "32-true"] = Field(
        "auto",
        description="arithmetic of the training steps; `auto` is bfloat16 where the device has instructions for it and"
        " float32 elsewhere, and keeps that of a training that goes on",
    )
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
    corrections: int = Field(
        2, ge=0, description="corrections of an encoding, so that passes of encoder and decoder do not add up [1]"
    )
    linear_rate: float = Field(0.1, ge=0, description="learning rate of the linear path over that of the residual [1]")
    forecast_days: tuple[Count, Count] | None = Field(
        None,
        description="train on forecasts from the training states, of lead times from the first up to the second, in"
        " place of the states themselves; null for these [days]",
    )
    network: Transformer = Field(Transformer(), description="the residual's blocks")
    training: Training = Field(
        Training(phases=(Phase(steps=1400, learning_rate=1.5e-3),)), description="how the residual is trained"
    )

    @model_validator(mode="after")
    def _one_step(self) -> Autoencoder:
        for number, phase in enumerate(self.training.phases):
            if phase.rollout != 1:
                raise ValueError(
                    f"training.phases.{number}.rollout {phase.rollout}: an autoencoder makes no forecast: set 1"
                )
        return self


class Forecaster(Section):
    """A network that predicts the tendency over one step."""

    blocks: Count = Field(4, description="blocks of the network [1]")
    input_noise: float = Field(
        0.1, ge=0, description="white noise on the first state of a training sample [std of 24 h changes]"
    )
    relaxation_days: Positive | None = Field(
        None,
        description="time in which forecasts relax towards the climatology of the time of year, lest they drift away"
        " from it where nothing is observed; null for none [days]",
    )
    network: Transformer = Field(Transformer(), description="the network's blocks")
    training: Training = Field(
        Training(phases=(Phase(steps=1600, learning_rate=1e-3), Phase(steps=100, learning_rate=1e-4, rollout=4))),
        description="how it is trained",
    )
