"""A run: its configuration, its files, its grid and channels, and its random streams.

A stage asks for no more than it uses: `Run` knows neither states nor networks, `lara.stages.states` adds the states and
`lara.stages.networks` the networks, so that an edit of a network concerns no stage without one. What needs torch is
imported where it is used, so that a job which only reads scores starts in a second or two.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from lara import config as configuration
from lara.config import Config
from lara.grid import Grid
from lara.layout import Layout
from lara.state import Channels

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Run:
    """One configuration and the folder that holds its results."""

    config: Config
    layout: Layout

    @classmethod
    def open(cls, root: Path, config: str | Path | None = None) -> Self:
        """The run in `root`, with the configuration of a file or, without one, the resolved one that lies there."""
        layout = Layout(root)
        return cls(configuration.load(Path(config or layout.config)), layout)

    def __reduce__(self) -> tuple[type[Self], tuple[Config, Layout]]:
        """What has been built stays behind when a run is sent to another process, which builds what it needs."""
        return type(self), (self.config, self.layout)

    @cached_property
    def grid(self) -> Grid:
        """The model grid."""
        shape = self.config.grid
        make = Grid.gaussian if shape.kind == "gaussian" else Grid.equiangular
        return make(shape.latitudes, shape.longitudes)

    @cached_property
    def channels(self) -> Channels:
        """Channels of a state, in order."""
        return Channels.of(self.config.state.surface, self.config.state.upper_air, self.config.state.levels)

    @property
    def step(self) -> np.timedelta64:
        """Time between states."""
        return hours(self.config.step_hours)

    def lead_times(self, steps: int) -> np.ndarray:
        """Lead times of 0 … steps steps, timedelta64[ns]."""
        return self.step * np.arange(steps + 1)

    @cached_property
    def device(self) -> torch.device:
        """Where trained networks run; DeviceError where a GPU was granted that cannot be used."""
        from lara import device

        return device.choose()

    def tensor(self, array: np.ndarray) -> Tensor:
        """An array where the networks run."""
        import torch

        return torch.from_numpy(array).to(self.device)

    def area_weights(self) -> Tensor:
        """Cell areas over their mean, (y, x)."""
        return self.tensor(self.grid.area_weights).float()

    def per_channel(self, by_name: dict[str, float], default: float | None = None) -> np.ndarray:
        """Values (c,) given by channel or by variable; KeyError where neither is named and there is no default."""
        return np.array(
            [_lookup(by_name, channel.name, channel.variable, default) for channel in self.channels.channels]
        )

    def generator(self, *identity: int | str) -> np.random.Generator:
        """Random stream of an identity: the same whatever was drawn before."""
        return np.random.default_rng([self.config.seed, *(_number(part) for part in identity)])


def time(moment: Any) -> np.datetime64:
    """A configured time as datetime64[ns], UTC."""
    return np.datetime64(moment.replace(tzinfo=None), "ns")


def time_range(begin: Any, end: Any, step: np.timedelta64) -> np.ndarray:
    """Times of [begin, end)."""
    return np.arange(time(begin), time(end), step)


def hours(count: int) -> np.timedelta64:
    """A length of time, timedelta64[ns]."""
    return np.timedelta64(count, "h").astype("timedelta64[ns]")


def _lookup(by_name: dict[str, float], name: str, variable: str, default: float | None) -> float:
    found = by_name.get(name, by_name.get(variable, default))
    if found is None:
        raise KeyError(f"no value for channel '{name}': name '{name}' or '{variable}' among {sorted(by_name)}")
    return found


def _number(part: int | str) -> int:
    return part if isinstance(part, int) else int.from_bytes(part.encode(), "big")
