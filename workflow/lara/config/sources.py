"""Sources of the atmosphere, one section each; `source.kind` says which one a run has.

`passing` names the keys that change how states are had, not what they are: changing them repeats nothing.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from lara.config.sections import Count, Positive, Section

REGRID = "area-conservative, first order, or bilinear between points"
PRELIMINARY = "ERA5T, the last three months or so, which may still be replaced: refused, or taken and marked"


class Simulated(Section):
    """Simulated atmosphere: jcm (SPEEDY physics), independent members from perturbed starts."""

    passing: ClassVar[frozenset[str]] = frozenset()

    kind: Literal["simulated"] = Field("simulated", description="provider of the atmosphere")
    truncation: int = Field(21, description="triangular spectral truncation of the model (21, 31, 42, 63 or 85)")
    layers: int = Field(8, description="number of sigma layers of the model")
    time_step_minutes: Positive = Field(30.0, description="time step of the model [minutes]")
    spin_up_days: Count = Field(90, description="days integrated and discarded before a member begins [days]")
    perturbation: Positive = Field(
        10.0, description="standard deviation of the noise on a member's first temperature [K]"
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


class Cds(Section):
    """ERA5 from the Climate Data Store; the key is in the environment or `~/.cdsapirc`, never here."""

    passing: ClassVar[frozenset[str]] = frozenset({"cache", "keep", "requests", "patience"})

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


class Zarr(Section):
    """ERA5 from a Zarr store in the layout of ARCO-ERA5 or WeatherBench 2, read without an account."""

    passing: ClassVar[frozenset[str]] = frozenset()

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
