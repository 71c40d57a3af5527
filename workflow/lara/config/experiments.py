"""Sections of the configuration: background error, observations, minimiser, experiments and their verification."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from lara.config.sections import Count, Name, Positive, Section


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
    gradient_tolerance: Positive = Field(
        1e-2, description="stop when the gradient norm has fallen to this share of its start [1]"
    )
    decrease_tolerance: Positive = Field(
        1e-4, description="stop when an iteration lowers J by less than this share [1]"
    )
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
    headline: tuple[str, ...] = Field(
        ("z500", "t850", "u500"), min_length=1, description="channels of the headline scores; the first is mapped"
    )
    lead_days: Positive = Field(5.0, description="length of the forecasts from the analyses [days]")
    forecast_every_days: Positive = Field(1.0, description="time between forecasts [days]")
    reference: Name = Field("l4dvar", description="experiment shown in maps and forecast plots")
