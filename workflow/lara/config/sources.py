"""Sources of the atmosphere, one section each; `source.kind` says which one a run has.

A section says of itself what others ask (`Provider`), so that a source is known in its own files alone. For example
`fetch_only_keys` are settings that affect how the data are fetched but not the data: changing them triggers no re-run.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from lara.config import era5_checks
from lara.config.sections import Count, Positive, Section, State

if TYPE_CHECKING:
    from lara.config import Config

REGRID = "area-conservative, first order, or bilinear between points"
PRELIMINARY = "ERA5T, the last three months or so, which may still be replaced: refused, or taken and marked"


STEP_HOURS = 6  # of the simulated atmosphere
LATITUDES = {21: 32, 31: 48, 42: 64, 63: 96, 85: 128}  # Gaussian rows by truncation; twice as many longitudes


class Provider(Section):
    """What every source says of itself.

    fetch_only_keys: settings that change how states are fetched and not the states. whole_days: the reason why datasets
    must be of whole days, None where they need not. needs_download: whether jobs download before states are made.
    has_members: whether a dataset is a member of its own, made from the seed of the run. month_at_once: whether a job
    that makes states holds a month of them. minutes: what such a job may take.
    """

    fetch_only_keys: ClassVar[frozenset[str]] = frozenset()
    whole_days: ClassVar[str | None] = None
    needs_download: ClassVar[bool] = False
    has_members: ClassVar[bool] = False
    month_at_once: ClassVar[bool] = True
    minutes: ClassVar[int] = 2880

    def products(self, state: State) -> list[str]:
        """Parts of a month that are downloaded apart from one another, for a state; none where nothing is."""
        return []

    def faults(self, config: Config) -> Iterator[str]:
        """What of a configuration the source cannot give, each with the remedy."""
        yield from ()


class Simulated(Provider):
    """Simulated atmosphere: jcm (SPEEDY physics), independent members from perturbed starts."""

    whole_days: ClassVar[str | None] = "the simulated source makes whole days"
    has_members: ClassVar[bool] = True
    month_at_once: ClassVar[bool] = False
    minutes: ClassVar[int] = 240

    kind: Literal["simulated"] = Field("simulated", description="provider of the atmosphere")
    truncation: int = Field(21, description="triangular spectral truncation of the model (21, 31, 42, 63 or 85)")
    layers: int = Field(8, description="number of sigma layers of the model")
    time_step_minutes: Positive = Field(30.0, description="time step of the model [minutes]")
    spin_up_days: Count = Field(90, description="days integrated and discarded before a member begins [days]")
    perturbation: Positive = Field(
        10.0, description="standard deviation of the noise on a member's first temperature [K]"
    )

    def faults(self, config: Config) -> Iterator[str]:
        """Other steps than 6 h, other grids than the Gaussian one of the truncation."""
        if config.step_hours != STEP_HOURS:
            yield f"step_hours {config.step_hours}: the simulated source has a state every 6 h: set step_hours: 6"
        rows, grid = LATITUDES.get(self.truncation), config.grid
        if rows is None:
            yield f"source.truncation {self.truncation} is not available: choose one of {sorted(LATITUDES)}"
        elif (found := (grid.kind, grid.latitudes, grid.longitudes)) != ("gaussian", rows, 2 * rows):
            yield (
                f"grid {found}: the simulated source at truncation {self.truncation} has a gaussian grid of "
                f"{rows} x {2 * rows}: set grid.kind, grid.latitudes and grid.longitudes to it"
            )


class Patience(Section):
    """How long to wait for the Climate Data Store and how often to try; `lara.sources.cds.Patience` has the same."""

    answer: Positive = Field(
        60.0, description="longest wait for one answer of the server, and for meeting it first [s]"
    )
    silence: Positive = Field(1800.0, description="longest time without a good answer or 64 KiB [s]")
    first: Positive = Field(1.0, description="first pause between calls, doubled from one to the next [s]")
    longest: Positive = Field(120.0, description="longest pause between calls [s]")
    queue: Positive = Field(604800.0, description="longest wait for a request to be done [s]")
    jobs: Count = Field(3, description="jobs tried for one request when they fail or results get lost [1]")
    deliveries: Count = Field(3, description="times a damaged file is fetched, from the third by a new job [1]")
    checksum: bool = Field(True, description="whether a file without the checksum of the store counts as damaged")

    @model_validator(mode="after")
    def _ordered(self) -> Patience:
        if self.first > self.longest:
            raise ValueError(f"first {self.first:g} s exceeds longest {self.longest:g} s: lower the one or raise it")
        return self


class Era5(Provider):
    """ERA5, whichever way it comes."""

    whole_days: ClassVar[str | None] = "months are downloaded by whole days"

    def faults(self, config: Config) -> Iterator[str]:
        """Periods, levels and members that ERA5 has not."""
        yield from (fault for check in era5_checks.CHECKS for fault in check(config))


class Cds(Era5):
    """ERA5 from the Climate Data Store; the key is in the environment or `~/.cdsapirc`, never here."""

    fetch_only_keys: ClassVar[frozenset[str]] = frozenset({"cache", "keep", "requests", "patience"})
    needs_download: ClassVar[bool] = True

    kind: Literal["cds"] = Field(description="provider of the atmosphere")
    grid: str = Field(
        "1.40625/1.40625", description="spacing asked for, east-west/north-south; rows lie on both poles [degrees]"
    )
    regrid: Literal["conservative", "bilinear"] = Field("conservative", description=f"to the model grid: {REGRID}")
    preliminary: Literal["refuse", "mark"] = Field("refuse", description=PRELIMINARY)
    cache: str | None = Field(
        None,
        description="folder for the GRIB of all runs, which use what holds what they ask for; null for this run's own",
    )
    keep: bool = Field(True, description="whether GRIB is kept once it has become states")
    requests: Count = Field(2, description="requests under way at once, if the profile allows as many [1]")
    patience: Patience = Field(Patience(), description="how long to wait for the store")

    @field_validator("grid")
    @classmethod
    def _closes(cls, grid: str) -> str:
        parts = grid.split("/")
        if len(parts) != 2 or not all(part.replace(".", "", 1).isdecimal() and Fraction(part) > 0 for part in parts):
            raise ValueError('give two spacings in degrees as one string, such as "1.40625/1.40625"')
        if 360 % Fraction(parts[0]) or 180 % Fraction(parts[1]):
            raise ValueError(f"{grid} does not divide 360 and 180 degrees: 0.25, 1.40625, 2.8125, 5.625 … do")
        return grid

    @model_validator(mode="after")
    def _shared(self) -> Cds:
        if self.cache is not None and not self.keep:
            raise ValueError(f"keep: false would remove what other runs share in cache {self.cache}: set keep: true")
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """Latitudes, poles included, and longitudes of the grid asked for."""
        east, north = (Fraction(part) for part in self.grid.split("/"))
        return int(180 / north) + 1, int(360 / east)

    def products(self, state: State) -> list[str]:
        """Parts that the store keeps ERA5 in, of those the state has channels of."""
        held = {"pressure-levels": state.upper_air and state.levels, "single-levels": state.surface}
        return [name for name, channels in held.items() if channels]

    def faults(self, config: Config) -> Iterator[str]:
        """Conservative regridding to a finer grid, too, which would show the cells of the coarser one."""
        yield from super().faults(config)
        rows, columns = self.shape
        coarser = rows - 1 < config.grid.latitudes or columns < config.grid.longitudes
        if self.regrid == "conservative" and coarser:
            yield (
                f"source.grid {self.grid} has {rows} x {columns} points, fewer than the {config.grid.latitudes} x "
                f"{config.grid.longitudes} of the model grid: ask for a finer one, or set source.regrid: bilinear"
            )


class Zarr(Era5):
    """ERA5 from a Zarr store in the layout of ARCO-ERA5 or WeatherBench 2, read without an account."""

    kind: Literal["zarr"] = Field(description="provider of the atmosphere")
    url: str = Field(description="path, or address (gs, s3, https) of the store")
    regrid: Literal["conservative", "bilinear"] = Field("conservative", description=f"to the model grid: {REGRID}")
    preliminary: Literal["refuse", "mark"] = Field("refuse", description=PRELIMINARY)

    @field_validator("url")
    @classmethod
    def _open_to_all(cls, url: str) -> str:
        if "@" in url.partition("://")[2].partition("/")[0]:
            raise ValueError("the address holds a user or password, which would be written into results: leave it out")
        return url


def _kind(source: Any) -> str:
    """Kind of a source as given or as resolved; one that names none is simulated."""
    return str(source.get("kind", "simulated") if isinstance(source, dict) else getattr(source, "kind", "simulated"))


Source = Annotated[
    Annotated[Simulated, Tag("simulated")] | Annotated[Cds, Tag("cds")] | Annotated[Zarr, Tag("zarr")],
    Discriminator(_kind),
]
KINDS = ("simulated", "cds", "zarr")
