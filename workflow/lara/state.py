"""The order of the state vector: which variable at which level is which channel. Nobody else counts channels.

x (time, channel, latitude, longitude) stacks the surface variables, then each upper-air variable at its
levels from the top down.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float32

from lara.grid import Grid
from lara.variables import VARIABLES, Variable

_LEVEL = {"long_name": "pressure level", "standard_name": "air_pressure", "units": "hPa", "positive": "down"}
_TIME = {"standard_name": "time", "long_name": "time"}
_NORTH = {
    "standard_name": "latitude",
    "long_name": "latitude",
    "units": "degrees_north",
    "bounds": "latitude_bounds",
}
_EAST = {
    "standard_name": "longitude",
    "long_name": "longitude",
    "units": "degrees_east",
    "bounds": "longitude_bounds",
}
_AREA = {"long_name": "cell area divided by the mean cell area", "units": "1"}


@dataclass(frozen=True)
class Channel:
    """A variable at the surface (`level` None) or on a pressure level (hPa). ValueError on a misfit."""

    variable: str
    level: int | None = None

    def __post_init__(self) -> None:
        if self.variable not in VARIABLES:
            raise ValueError(f"variable {self.variable!r} is unknown; known are {', '.join(VARIABLES)}")
        if VARIABLES[self.variable].upper_air != (self.level is not None):
            place = "needs a pressure level in hPa" if self.level is None else f"has no level {self.level}"
            raise ValueError(f"variable {self.variable!r} {place}")
        if self.level is not None and self.name in VARIABLES:
            raise ValueError(f"{self.variable!r} at {self.level} hPa would be named like the variable {self.name!r}")

    @property
    def name(self) -> str:
        """Short name and level, "msl" or "z500"."""
        return self.variable if self.level is None else f"{self.variable}{self.level}"

    @property
    def meta(self) -> Variable:
        """Units and names of the variable."""
        return VARIABLES[self.variable]


@dataclass(frozen=True)
class Channels:
    """The ordered channels of a state. Raises ValueError when one occurs twice."""

    channels: tuple[Channel, ...]

    def __post_init__(self) -> None:
        names = [channel.name for channel in self.channels]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"channels occur twice: {', '.join(twice)}")

    @classmethod
    def of(cls, surface: Sequence[str], upper_air: Sequence[str], levels: Sequence[int]) -> "Channels":
        """Surface variables, then every upper-air variable at every level (hPa, ascending)."""
        above = [Channel(name, int(level)) for name in upper_air for level in sorted(levels)]
        return cls(tuple([Channel(name) for name in surface] + above))

    @classmethod
    def parse(cls, names: Sequence[str]) -> "Channels":
        """Channels named like "msl" or "z500", in this order. Raises ValueError naming an unknown one."""
        return cls(tuple(_parse(name) for name in names))

    @property
    def names(self) -> list[str]:
        """Names in order."""
        return [channel.name for channel in self.channels]

    @property
    def variables(self) -> list[str]:
        """Short names of the variables in order of first appearance."""
        return list(dict.fromkeys(channel.variable for channel in self.channels))

    def __len__(self) -> int:
        return len(self.channels)

    def index(self, variable: str, level: int | None = None) -> int:
        """Position of a variable at a level (hPa). Raises KeyError naming it when absent."""
        for position, channel in enumerate(self.channels):
            if channel.variable == variable and channel.level == level:
                return position
        where = "" if level is None else f" at {level} hPa"
        raise KeyError(f"no channel {variable!r}{where} among {', '.join(self.names)}")

    def position(self, name: str) -> int:
        """Position of the channel called `name`. Raises KeyError when absent."""
        if name not in self.names:
            raise KeyError(f"no channel {name!r} among {', '.join(self.names)}")
        return self.names.index(name)

    def select(self, variable: str) -> list[int]:
        """Positions of all channels of a variable. Raises KeyError when there is none."""
        found = [position for position, channel in enumerate(self.channels) if channel.variable == variable]
        if not found:
            raise KeyError(f"no channel of variable {variable!r} among {', '.join(self.names)}")
        return found

    def levels(self, variable: str) -> list[int]:
        """Levels of an upper-air variable (hPa) in channel order; empty for a surface variable."""
        levels = [self.channels[position].level for position in self.select(variable)]
        return [level for level in levels if level is not None]

    def from_dataset(self, dataset: xr.Dataset) -> Float32[np.ndarray, "time channel latitude longitude"]:
        """States from a dataset of our short names on time[, level (hPa)], latitude (decreasing), longitude.

        Raises KeyError naming a missing variable or level, ValueError when latitude does not decrease.
        """
        if not np.all(np.diff(dataset["latitude"].values) < 0):
            raise ValueError("latitude must decrease from north to south; use ds.sortby('latitude', ascending=False)")
        fields = [_field(dataset, channel) for channel in self.channels]
        return np.stack(fields, axis=1).astype(np.float32, copy=False)

    def to_dataset(
        self,
        array: Float32[np.ndarray, "time channel latitude longitude"],
        times: np.ndarray,
        grid: Grid,
        archive: bool = False,
    ) -> xr.Dataset:
        """Dataset of states at `times` (datetime64[ns]), undoing `from_dataset`; `archive` uses its names.

        Raises ValueError when shapes differ or upper-air variables do not share their levels.
        """
        expected = (len(times), len(self), *grid.shape)
        if array.shape != expected:
            raise ValueError(f"states have shape {array.shape}, but times, channels and grid make {expected}")
        fields = {_named(name, archive): self._variable(name, array) for name in self.variables}
        return xr.Dataset(fields, coords=self.coordinates(times, grid))

    def common_levels(self) -> list[int]:
        """Levels (hPa) shared by all upper-air variables. Raises ValueError when they differ."""
        levels = {name: self.levels(name) for name in self.variables if VARIABLES[name].upper_air}
        if len({tuple(values) for values in levels.values()}) > 1:
            raise ValueError(f"upper-air variables must share their levels to form one level axis: {levels}")
        return next(iter(levels.values()), [])

    def coordinates(self, times: np.ndarray, grid: Grid) -> dict[str, xr.Variable]:
        """CF coordinates: time, those of the grid and, with upper-air variables, level."""
        coordinates = {
            "time": xr.Variable("time", np.asarray(times, "datetime64[ns]"), _TIME),
            **grid_coordinates(grid),
        }
        if self.common_levels():
            coordinates["level"] = xr.Variable("level", np.array(self.common_levels()), _LEVEL)
        return coordinates

    def _variable(self, name: str, array: np.ndarray) -> xr.Variable:
        positions = self.select(name)
        if VARIABLES[name].upper_air:
            return xr.Variable(
                ("time", "level", "latitude", "longitude"), array[:, positions], VARIABLES[name].attributes
            )
        return xr.Variable(("time", "latitude", "longitude"), array[:, positions[0]], VARIABLES[name].attributes)


def grid_coordinates(grid: Grid) -> dict[str, xr.Variable]:
    """CF latitude, longitude, their cell bounds, and area weights."""
    return {
        "latitude": xr.Variable("latitude", grid.latitude, _NORTH),
        "longitude": xr.Variable("longitude", grid.longitude, _EAST),
        "latitude_bounds": xr.Variable(("latitude", "bounds"), grid.latitude_bounds),
        "longitude_bounds": xr.Variable(("longitude", "bounds"), grid.longitude_bounds),
        "area_weights": xr.Variable(("latitude", "longitude"), grid.area_weights, _AREA),
    }


def _named(name: str, archive: bool) -> str:
    return VARIABLES[name].archive_name if archive else name


def _parse(name: str) -> Channel:
    variable = name if name in VARIABLES else name.rstrip("0123456789")
    level = name[len(variable) :]
    if variable not in VARIABLES:
        raise ValueError(f"channel {name!r} is unknown; variables are {', '.join(VARIABLES)}, e.g. 'msl' or 'z500'")
    return Channel(variable, int(level) if level else None)


def _field(dataset: xr.Dataset, channel: Channel) -> np.ndarray:
    if channel.variable not in dataset:
        raise KeyError(f"dataset has no variable {channel.variable!r}, only {', '.join(map(str, dataset.data_vars))}")
    field = dataset[channel.variable]
    if channel.level is not None:
        if channel.level not in field["level"].values:
            levels = field["level"].values.tolist()
            raise KeyError(f"{channel.variable!r} has no level {channel.level} hPa, only {levels}")
        field = field.sel(level=channel.level)
    return field.transpose("time", "latitude", "longitude").values
