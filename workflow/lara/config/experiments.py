"""Sections of the configuration: background error, observations, minimiser, experiments and their verification."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import Field, model_validator

from lara.config.sections import Count, Name, Positive, Section


class Needs(NamedTuple):
    """What a method of analysis needs: observations, which it then assimilates, a B, an autoencoder, one slot alone."""

    observations: bool = False
    background_error: bool = False
    autoencoder: bool = False
    one_slot: bool = False


METHODS = {
    "l3dvar": Needs(observations=True, background_error=True, autoencoder=True, one_slot=True),
    "l4dvar": Needs(observations=True, background_error=True, autoencoder=True),
    "4dvar": Needs(observations=True, background_error=True),
    "3dvar": Needs(observations=True, background_error=True, one_slot=True),
    "free": Needs(),
    "autoencoder-only": Needs(autoencoder=True),
}
LATENT = tuple(name for name, needs in METHODS.items() if needs.observations and needs.autoencoder)
MODEL_SPACE = "model"  # its name among the latent spaces, which have those of their autoencoders


class BackgroundError(Section):
    """Background error by the NMC method: forecast differences valid at the same time."""

    samples: Count = Field(240, description="forecast pairs, spread evenly over the training period [1]")
    lead_hours: tuple[Count, Count] = Field((24, 48), description="lead times of a pair [h]")


class ObservingNetwork(Section):
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
    """How J is minimised, and when a cycle counts as failed."""

    method: Literal["lbfgs", "gauss-newton"] = Field(
        "lbfgs", description="L-BFGS with a strong-Wolfe search, or Gauss-Newton with Lanczos-CG"
    )
    evaluations: Count = Field(40, description="most evaluations of J and its gradient per analysis [1]")
    gradient_tolerance: Positive = Field(
        1e-2, description="stop when the gradient norm has fallen to this share of its start [1]"
    )
    decrease_tolerance: Positive = Field(
        1e-4, description="stop when an iteration lowers J by less than this share [1]"
    )
    history: Count = Field(10, description="curvature pairs kept by L-BFGS [1]")
    carry: bool = Field(True, description="whether L-BFGS starts from the pairs of the window before")
    inner: Count = Field(30, description="most products with the curvature per Gauss-Newton iteration [1]")
    inner_tolerance: Positive = Field(0.1, description="residual at which they stop, over the gradient norm [1]")
    degrees_of_freedom_every: int = Field(
        10, ge=0, description="windows between estimates of the degrees of freedom for signal; 0 for none [1]"
    )
    recompute: bool = Field(False, description="run each model step twice to save memory in long windows")
    worst_reduction: Positive = Field(
        0.5, description="a cycle whose gradient norm ends above this share of its start fails its job [1]"
    )


class Factors(Section):
    """What tuning may change: factors on the estimated covariances."""

    background: Positive = Field(1.0, description="factor on the background error variance [1]")
    length: Positive = Field(1.0, description="factor on its horizontal correlation length, model space only [1]")
    observation: Positive = Field(1.0, description="factor on the observation error variance [1]")


class Experiment(Section):
    """One cycled run."""

    method: Literal["l4dvar", "l3dvar", "4dvar", "3dvar", "free", "autoencoder-only"] = Field(
        description="how a window is analysed; l… in a latent space, 4dvar and 3dvar in model space"
    )
    suite: Literal["reanalysis", "osse", "ensemble", "sizes", "bootstrap", "production"] = Field(
        "reanalysis",
        description="target that runs it: the default one, `osse`, `uncertainty`, `fig7_latent_size`,"
        " `exp4_forecast_autoencoder` or `production`",
    )
    autoencoder: Name | None = Field(None, description="autoencoder of the latent space; none in model space")
    latent_covariance: Literal["diagonal", "block", "horizontal"] = Field(
        "diagonal",
        description="latent B: variances alone, correlations of channels at a place, or of places in a channel",
    )
    factors: Factors | None = Field(
        Factors(), description="factors on B and R; null takes those tuned for the experiment on the validation period"
    )
    dataset: Name = Field("test", description="dataset that holds the truth")
    slots: Count = Field(4, description="observation times per window [1]")
    slot_hours: Count = Field(
        6, description="time between slots, a multiple of the model step; data count at the nearest slot [h]"
    )
    overlap: int = Field(0, ge=0, description="first slots of a window whose data the one before has used [1]")
    increment_form: bool = Field(False, description="x_b + D(z) - D(z_b) in place of D(z)")
    model_error: Positive | None = Field(
        None, description="weak constraint: variance of the forcing at later slots over that of B; null for none [1]"
    )
    members: Count = Field(1, description="analyses with perturbed observations and backgrounds; 1 perturbs none [1]")
    inflation: float = Field(
        0.0, ge=0, description="std of the noise added to each member's background, over that of B [1]"
    )
    flow_dependence: float = Field(
        0.0, ge=0, lt=1, description="share of the members' variance in a diagonal latent B [1]"
    )
    posterior_vectors: int = Field(
        0, ge=0, description="Lanczos vectors of the posterior whose spread is archived; 0 for none [1]"
    )
    background_hours: Count = Field(
        120, description="lead time of the forecast from the truth that is the first background [h]"
    )
    days: Count = Field(40, description="length of the cycled period, which begins with the first background [days]")
    on_failure: Literal["stop", "background"] = Field(
        "stop",
        description="what becomes of a window whose analysis fails (not finite, J did not fall, not converged): its job"
        " stops, or its background is published in its place, flagged",
    )
    most_failures: Count = Field(
        3, description="most such windows in a row, after which the job stops all the same [1]"
    )

    @property
    def needs(self) -> Needs:
        """What its method needs."""
        return METHODS[self.method]

    @property
    def variational(self) -> bool:
        """Whether it minimises a cost function, for which it needs a B."""
        return self.needs.background_error

    @property
    def tuned(self) -> bool:
        """Whether its factors are to be searched for."""
        return self.variational and self.factors is None

    @property
    def space(self) -> str:
        """The space whose B it uses: that of its autoencoder, or model space."""
        return self.autoencoder or MODEL_SPACE

    @property
    def forgiven(self) -> int:
        """Windows in a row that may fail without stopping their job."""
        return self.most_failures if self.on_failure == "background" else 0

    @property
    def has_spread(self) -> bool:
        """Whether its analyses come with a spread."""
        return self.members > 1 or self.posterior_vectors > 0

    @property
    def window_hours(self) -> int:
        """Time from one window's begin to the next [h]."""
        return (self.slots - self.overlap) * self.slot_hours

    @property
    def span_hours(self) -> int:
        """Time from a window's first slot to its last, over which the model is run [h]."""
        return (self.slots - 1) * self.slot_hours

    @model_validator(mode="after")
    def _consistent(self) -> Experiment:
        if self.needs.autoencoder and self.autoencoder is None:
            raise ValueError(f"method '{self.method}' needs an autoencoder: name one of `autoencoders`")
        if not self.needs.autoencoder and self.autoencoder is not None:
            raise ValueError(f"method '{self.method}' has no use for autoencoder '{self.autoencoder}': remove it")
        if self.needs.one_slot and self.slots != 1:
            raise ValueError(f"{self.method} has one slot per window, not {self.slots}: set slots: 1 or another method")
        if self.overlap >= self.slots:
            raise ValueError(f"overlap {self.overlap} leaves no new slot of {self.slots}: choose less")
        if self.on_failure == "background" and self.posterior_vectors:
            raise ValueError("a background in place of an analysis has no posterior spread: set on_failure: stop")
        self._ensemble()
        return self

    def _ensemble(self) -> None:
        if self.members > 1 and not self.needs.observations:
            raise ValueError(f"method '{self.method}' uses no observations to perturb: set members: 1")
        if self.posterior_vectors and (self.members > 1 or not self.variational):
            raise ValueError("posterior_vectors are for a single variational analysis: set members: 1, or remove them")
        if self.members == 1 and (self.inflation or self.flow_dependence):
            raise ValueError("inflation and flow_dependence are for ensembles: set members above 1 or remove them")
        if self.flow_dependence and (self.method not in LATENT or self.latent_covariance != "diagonal"):
            raise ValueError("flow_dependence refreshes a diagonal latent B: use it with l3dvar or l4dvar")


class Tuning(Section):
    """Search for the factors of experiments on validation windows, the same for every method."""

    dataset: Name = Field("validation", description="dataset of the search, of use `validation`")
    background_hours: Count = Field(120, description="lead time of the forecast that is the first background [h]")
    days: Count = Field(16, description="length of the cycled period [days]")
    spin_up_days: int = Field(4, ge=0, description="first days left out of the likelihood [days]")
    background: tuple[Positive, ...] = Field((0.3, 1.0, 3.0, 9.0), description="factors on B to be tried [1]")
    length: tuple[Positive, ...] = Field((0.7, 1.0, 1.4), description="factors on the correlation length [1]")
    observation: tuple[Positive, ...] = Field((0.5, 1.0, 2.0), description="factors on R [1]")


class SingleObservation(Section):
    """One observation, assimilated alone by each experiment of `observed_once`."""

    variable: str = Field(description="short name of the variable")
    level: Count | None = Field(None, description="pressure level, none at the surface [hPa]")
    latitude: float = Field(ge=-90, le=90, description="place [degrees north]")
    longitude: float = Field(ge=-180, lt=360, description="place [degrees east]")
    innovation: float = Field(description="observation less background [SI unit of the variable]")
    error_std: Positive | None = Field(
        None, description="its standard error; null takes that of the network [SI unit of the variable]"
    )


class Verification(Section):
    """What is scored."""

    spin_up_days: int = Field(20, ge=0, description="first days of an experiment left out of the scores [days]")
    headline: tuple[str, ...] = Field(
        ("z500", "t850", "u500"), min_length=1, description="channels of the headline scores; the first is mapped"
    )
    lead_days: Positive = Field(5.0, description="length of the forecasts from the analyses [days]")
    forecast_every_days: Positive = Field(1.0, description="time between forecasts [days]")
    reference: Name = Field("l4dvar", description="experiment shown in maps and forecast plots")


class Comparison(Section):
    """How the experiments of another suite than the default one are scored."""

    reference: Name | None = Field(None, description="experiment the others are compared with, time by time")
    spin_up_days: int = Field(10, ge=0, description="first days left out of the scores [days]")
