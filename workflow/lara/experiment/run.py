"""A run: its configuration, its files, and the components built from both.

What needs torch or Zarr is imported where it is built, so that a job which only reads scores starts in a second or two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lara import config as configuration
from lara.config import Config, Transformer
from lara.grid import Grid
from lara.layout import Layout
from lara.state import Channels

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lara.autoencoder import Autoencoder
    from lara.forecaster import Forecaster
    from lara.networks.shape import Shape
    from lara.normalise import Normaliser, Statistics
    from lara.store import StateStore


@dataclass(frozen=True)
class Run:
    """One configuration and the folder that holds its results."""

    config: Config
    layout: Layout

    @classmethod
    def open(cls, root: Path, config: str | Path | None = None) -> Run:
        """The run in `root`, with the configuration of a file or, without one, the resolved one that lies there."""
        layout = Layout(root)
        return cls(configuration.load(Path(config or layout.config)), layout)

    def __reduce__(self) -> tuple[type[Run], tuple[Config, Layout]]:
        """What has been built stays behind when a run is sent to another process, which builds what it needs."""
        return Run, (self.config, self.layout)

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

    def store(self, dataset: str) -> StateStore:
        """States of a dataset over its whole period; StoreError when they are of other channels or another grid."""
        from lara.store import StoreError, open_state

        chosen, path = self.config.datasets[dataset], self.layout.dataset(dataset)
        found = open_state(path, time(chosen.begin), time(chosen.end))
        if found.channels != self.channels or found.grid.shape != self.grid.shape:
            raise StoreError(
                f"{path} holds {found.channels.names} on {found.grid.shape}, but the configuration asks for "
                f"{self.channels.names} on {self.grid.shape}: generate the dataset again"
            )
        return found

    def stores(self, use: str) -> list[StateStore]:
        """States of datasets with a use, cut at gaps, without stretches too short for a sample of B.

        Test datasets are those of the default target; others belong to the targets that they are for.
        """
        least = 1 + max(self.config.background_error.lead_hours) // self.config.step_hours
        names = self.config.default_tests if use == "test" else self.config.using(use)
        whole = [self.store(name) for name in names]
        cut = [part for found in whole if len(found.gaps) for part in found.stretches() if len(part) >= least]
        return [found for found in whole if not len(found.gaps)] + cut

    @cached_property
    def statistics(self) -> Statistics:
        """Climatology and scales of the training period."""
        from lara import normalise

        return normalise.load(self.layout.statistics)

    @cached_property
    def normaliser(self) -> Normaliser:
        """Physical units to normalised units and back."""
        from lara.normalise import Normaliser

        return Normaliser(self.statistics).to(self.device)

    @cached_property
    def device(self) -> torch.device:
        """Where trained networks run: the first GPU this process sees, else the processor."""
        import torch

        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def tensor(self, array: np.ndarray) -> Tensor:
        """An array where the networks run."""
        import torch

        return torch.from_numpy(array).to(self.device)

    def shape(self, network: Transformer) -> Shape:
        """Sizes of a network over this run's states."""
        from lara.networks.shape import Shape

        return Shape(
            channels=len(self.channels),
            latitude=tuple(self.grid.latitude.tolist()),
            longitudes=self.config.grid.longitudes,
            patch=network.patch,
            halo=network.halo,
            width=network.width,
            heads=network.heads,
            mlp_ratio=network.mlp_ratio,
            windows=network.windows,
        )

    def new_autoencoder(self, name: str) -> Autoencoder:
        """An autoencoder as it is before training."""
        from lara.autoencoder import Autoencoder

        chosen = self.config.autoencoders[name]
        depth = (0, 0) if chosen.kind == "pca" else (chosen.encoder_blocks, chosen.decoder_blocks)
        return Autoencoder(self.shape(chosen.network), chosen.latent_channels, depth)

    def new_forecaster(self) -> Forecaster:
        """The forecaster as it is before training."""
        import torch

        from lara.forecaster import Forecaster

        chosen, statistics = self.config.forecaster, self.statistics
        scale = torch.from_numpy(statistics.tendency_std / statistics.change_std)
        return Forecaster(self.shape(chosen.network), chosen.blocks, scale)

    def description(self, network: Any) -> dict[str, Any]:
        """What weights are for: loading refuses any other."""
        return {
            "channels": self.channels.names,
            "grid": self.config.grid.model_dump(),
            "network": _sizes(network),
        }

    def autoencoder(self, name: str) -> Autoencoder:
        """A trained autoencoder."""
        from lara.networks import weights

        module = self.new_autoencoder(name)
        weights.load(module, self.layout.weights(name), self.description(self.config.autoencoders[name]))
        return module.to(self.device).eval().requires_grad_(False)

    @cached_property
    def forecaster(self) -> Forecaster:
        """The trained forecaster."""
        from lara.networks import weights

        module = self.new_forecaster()
        weights.load(module, self.layout.weights("forecaster"), self.description(self.config.forecaster))
        return module.to(self.device).eval().requires_grad_(False)

    def forecast_step(self, state: Tensor, times: np.ndarray) -> Tensor:
        """One step from states (b, c, y, x) in SI units valid at times (b,): M(x) − (step / τ) (x − climatology)."""
        state, scale, days = state.to(self.device), self.normaliser, self.config.forecaster.relaxation_days
        forecast: Tensor = scale.denormalise(self.forecaster(scale.normalise(state)))
        if days is None:
            return forecast
        climatology = self.tensor(self.statistics.climatology_at(times)).to(state)
        return forecast - (state - climatology) * (self.config.step_hours / (24 * days))

    def forecast(self, state: Tensor, times: np.ndarray, steps: int) -> Tensor:
        """States so many steps after `times` (b,)."""
        for k in range(steps):
            state = self.forecast_step(state, times + k * self.step)
        return state

    def encoding(self, name: str) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
        """Encoder, with its corrections, and decoder between (b, c, y, x) in physical units and latent states."""
        from lara.autoencoder import consistent

        module, scale, chosen = self.autoencoder(name), self.normaliser, self.config.autoencoders[name]
        encode = consistent(module.encode, module.decode, 0 if chosen.kind == "pca" else chosen.corrections)
        return (
            lambda x: encode(scale.normalise(x.to(self.device))),
            lambda z: scale.denormalise(module.decode(z)),
        )

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


def _sizes(network: Any) -> dict[str, Any]:
    return {
        key: value
        for key, value in network.model_dump(mode="json").items()
        if key not in ("training", "linear_rate", "corrections", "forecast_days", "input_noise", "relaxation_days")
    }


def _lookup(by_name: dict[str, float], name: str, variable: str, default: float | None) -> float:
    found = by_name.get(name, by_name.get(variable, default))
    if found is None:
        raise KeyError(f"no value for channel '{name}': name '{name}' or '{variable}' among {sorted(by_name)}")
    return found


def _number(part: int | str) -> int:
    return part if isinstance(part, int) else int.from_bytes(part.encode(), "big")


def hours(count: int) -> np.timedelta64:
    """A length of time, timedelta64[ns]."""
    return np.timedelta64(count, "h").astype("timedelta64[ns]")
