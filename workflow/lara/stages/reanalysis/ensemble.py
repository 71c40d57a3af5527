"""An ensemble of data assimilations: members with perturbed observations and backgrounds, analysed in one batch.

    y_i = y + R^½ ε_i,   x_b,i ← x_b,i + α (D(z + B^½ ξ_i) − D(z)),  z = E(x_b,i)

Houtekamer, Lefaivre, Derome, Ritchie & Mitchell (1996), doi:10.1175/1520-0493(1996)124<1225:ASSATE>2.0.CO;2; Isaksen et
al. (2010), ECMWF Tech. Memo. 636. α stands for the model error that perturbed observations do not know. The spread of
the members may refresh a diagonal latent B: (1 − w) B + w s², s² averaged over neighbouring places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from lara.assimilation import AssimilationError
from lara.assimilation.analysis import Analysis
from lara.assimilation.control import DiagonalControl
from lara.assimilation.cycle import Scheme, Start, assimilate
from lara.assimilation.departure import Observations
from lara.assimilation.window import Window
from lara.stages.run import Run

NEIGHBOURS = 3  # places averaged over along each side, for variances of few members


@dataclass(frozen=True, eq=False)
class Ensemble:
    """The members of an experiment and how they are perturbed."""

    run: Run
    name: str
    scheme: Scheme

    @property
    def members(self) -> int:
        """Number of members."""
        return self.run.config.experiments[self.name].members

    def start(self, background: Float[Tensor, "1 c y x"], window: Window) -> Start:
        """First backgrounds: one state and a draw of B for each member."""
        return Start(self._noisy(window, background.expand(self.members, -1, -1, -1), 1.0))

    def disturb(self, window: Window, states: Float[Tensor, "b c y x"]) -> Float[Tensor, "b c y x"]:
        """Backgrounds of `window` with the configured noise."""
        amount = self.run.config.experiments[self.name].inflation
        return self._noisy(window, states, amount) if amount else states

    def __call__(self, windows: Sequence[Window], start: Start, observations: Observations) -> list[Analysis]:
        """Analyses of all members, with B refreshed from their spread where configured."""
        return assimilate(windows, start, observations, self._refreshed(windows[0], start.background))

    @torch.no_grad()
    def _noisy(self, window: Window, states: Float[Tensor, "b c y x"], amount: float) -> Float[Tensor, "b c y x"]:
        shape = self.scheme.control.zeros(1).shape[1:]
        draws = [
            self.run.generator("background", self.name, member, str(window)).standard_normal(shape)
            for member in range(self.members)
        ]
        noise = amount * self.scheme.control.apply(self.run.tensor(np.stack(draws)).to(states))
        latent = self.scheme.model.encode(states)
        return states + (self.scheme.model.decode(latent + noise) - self.scheme.model.decode(latent))

    @torch.no_grad()
    def _refreshed(self, window: Window, backgrounds: Float[Tensor, "b c y x"]) -> Scheme:
        share = self.run.config.experiments[self.name].flow_dependence
        if not share:
            return self.scheme
        if not torch.isfinite(backgrounds).all():
            raise AssimilationError(f"window {window}: a member's background is not finite; check the analysis before")
        assert isinstance(self.scheme.control, DiagonalControl)
        spread = smoothed(self.scheme.model.encode(backgrounds).var(dim=0, keepdim=True))
        return replace(
            self.scheme, control=DiagonalControl((1 - share) * self.scheme.control.variance + share * spread)
        )


def smoothed(field: Float[Tensor, "b l h w"]) -> Float[Tensor, "b l h w"]:
    """Means over neighbouring places, around the circle in longitude and not beyond the poles."""
    half = NEIGHBOURS // 2
    wrapped = torch.nn.functional.pad(field, (half, half, 0, 0), mode="circular")
    closed = torch.nn.functional.pad(wrapped, (0, 0, half, half), mode="replicate")
    return torch.nn.functional.avg_pool2d(closed, NEIGHBOURS, stride=1)


def degrees_of_freedom(analyses: Sequence[Analysis]) -> float:
    """DFS from the members' own perturbations: Σ over data of the covariance of y_i/σ and H(x_a,i)/σ over members.

    NaN for fewer than two members. After Girard (1989, doi:10.1007/BF01395775); data that any member rejects are left
    out.
    """
    if len(analyses) < 2:
        return float("nan")
    error = torch.stack([analysis.fit.error_std for analysis in analyses]).amax(0)
    given, answered = (
        torch.stack([getattr(analysis.fit, key) for analysis in analyses]).double() / error
        for key in ("value", "hofx_analysis")
    )
    covariance = ((given - given.mean(0)) * (answered - answered.mean(0))).sum(0) / (len(analyses) - 1)
    return float(covariance.sum())


def headline(run: Run, members: Float[Tensor, "m k c y x"], window: Window) -> xr.DataArray:
    """The members' analyses of a window's fresh slots at the headline channels, for scores that need every member."""
    channels = list(run.config.verification.headline)
    chosen = [run.channels.position(name) for name in channels]
    states = members[:, window.overlap :, chosen].cpu().numpy()
    coordinates = {"member": np.arange(len(states)), "time": window.fresh, "channel": channels}
    return xr.DataArray(states, coordinates, ("member", "time", "channel", "latitude", "longitude"), "analysis")
