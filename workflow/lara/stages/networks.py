"""Networks of a run: as they are before training, trained, and what they do to states in physical units."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from lara.config import Transformer
from lara.depends.stated import stated
from lara.stages.states import RunWithStates

if TYPE_CHECKING:
    from torch import Tensor

    from lara.autoencoder import Autoencoder
    from lara.forecaster import Forecaster
    from lara.networks.shape import Shape


class RunWithNetworks(RunWithStates):
    """A run whose networks are trained, or whose stage trains them."""

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

    def new_forecaster(self, scale: Tensor | None = None) -> Forecaster:
        """The forecaster as it is before training: the one place that knows its architecture.

        scale: std of one-step changes (c,) in normalised units; None takes that of the training period.
        """
        import torch

        from lara.forecaster import Forecaster

        chosen = self.config.forecaster
        if scale is None:
            scale = torch.from_numpy(self.statistics.tendency_std / self.statistics.change_std)
        return Forecaster(self.shape(chosen.network), chosen.blocks, scale)

    def description(self, network: Any) -> dict[str, Any]:
        """What weights are for: loading refuses any other."""
        grid = self.config.grid
        return {
            "channels": self.channels.names,
            "grid": {"kind": grid.kind, "latitudes": grid.latitudes, "longitudes": grid.longitudes},
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


def trajectory(run: RunWithNetworks, state: Tensor, times: np.ndarray) -> Tensor:
    """Forecast at `times` (k, c, y, x), the first of which is that of `state` (1, c, y, x)."""
    import torch

    from lara.assimilation.trajectory import integrate

    with torch.no_grad():
        return integrate(run.forecast_step, state, times[None])[0]


def _sizes(network: Any) -> dict[str, Any]:
    return stated(
        network, ("training", "linear_rate", "corrections", "forecast_days", "input_noise", "relaxation_days")
    )
