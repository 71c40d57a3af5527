"""Methods: how each name of `method` in the configuration analyses windows.

A method is a module that meets `Maker`, with its name and what it needs in `lara.config.experiments.METHODS`. An
ensemble Kalman filter, for example, would be a file beside `variational` whose `make` returns an `Analyst` with a
callable (windows, start, observations) → analyses, and would need observations and no background error.
"""

from __future__ import annotations

from typing import Protocol

from jaxtyping import Float
from torch import Tensor

from lara.assimilation.window import Window
from lara.stages.networks import RunWithNetworks
from lara.stages.reanalysis import control_runs, variational
from lara.stages.reanalysis.analyst import Analyst
from lara.stages.reanalysis.first_background import background_at


class Maker(Protocol):
    """A way to analyse windows."""

    def make(self, run: RunWithNetworks, name: str, background: Float[Tensor, "1 c y x"], first: Window) -> Analyst:
        """The analyst of the experiment `name`, whose first window starts from `background`."""


MAKERS: dict[str, Maker] = {
    "l4dvar": variational,
    "l3dvar": variational,
    "4dvar": variational,
    "3dvar": variational,
    "free": control_runs,
    "autoencoder-only": control_runs,
}


def analyst(run: RunWithNetworks, name: str, first: Window) -> Analyst:
    """The analyst of an experiment, from its first background on."""
    chosen = run.config.experiments[name]
    background = background_at(run, chosen.dataset, first.begin, chosen.background_hours)
    return MAKERS[chosen.method].make(run, name, background, first)
