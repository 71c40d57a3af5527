"""Posterior diagnostics of an analysis: degrees of freedom for signal, and posterior spread.

Both need the Hessian at the analysis (`lara.assimilation.posterior`) and cost about as much as the analysis itself, so
they are done every few windows, or where an experiment asks for its posterior spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from lara.assimilation import posterior
from lara.assimilation.analysis import Analysis
from lara.assimilation.cost import CostFunction
from lara.assimilation.cycle import Scheme, Start, assimilate, cost_function
from lara.assimilation.departure import Observations
from lara.assimilation.window import Window
from lara.stages.run import Run

DRAWS = 16  # of the posterior


@dataclass(frozen=True, eq=False)
class Diagnosed:
    """`assimilate` by a scheme, with degrees of freedom and draws of the posterior as an experiment asks for them."""

    run: Run
    name: str
    scheme: Scheme

    def __call__(self, windows: Sequence[Window], start: Start, observations: Observations) -> list[Analysis]:
        """Analyses of one window, with `degrees_of_freedom` and `draws` where they were asked for."""
        analyses = assimilate(windows, start, observations, self.scheme)
        vectors = self.run.config.experiments[self.name].posterior_vectors
        if not vectors and not self._due(windows[0]):
            return analyses
        rejected = torch.stack([analysis.fit.rejected for analysis in analyses])
        cost = cost_function(windows, start.background, observations.without(rejected), self.scheme)
        chi = torch.stack([analysis.minimum.argument for analysis in analyses if analysis.minimum])
        found: Sequence[float | None] = [None] * len(analyses)
        if self._due(windows[0]):
            found = posterior.degrees_of_freedom(
                cost, chi, self._noise(windows[0], "data", observations.value)
            ).tolist()
        draws = self._draws(windows[0], cost, chi, vectors) if vectors else [None] * len(analyses)
        return [replace(a, degrees_of_freedom=n, draws=d) for a, n, d in zip(analyses, found, draws, strict=True)]

    def _due(self, window: Window) -> bool:
        every = self.run.config.minimiser.degrees_of_freedom_every
        since = window.begin.astype("datetime64[h]").astype(int) // self.run.config.experiments[self.name].window_hours
        return every > 0 and since % every == 0

    def _draws(self, window: Window, cost: CostFunction, chi: Tensor, vectors: int) -> list[Float[Tensor, "m k c y x"]]:
        """Trajectories from draws of the posterior of every member."""
        _, starts = cost.value_and_gradient(cost.zeros())
        found = posterior.posteriors(cost, chi, starts, vectors)
        noise = self._noise(window, "posterior", chi.new_zeros(DRAWS, *chi.shape[1:]))
        with torch.no_grad():
            return [
                torch.cat([cost.select(torch.tensor([i])).trajectory(draw[None]) for draw in one.draws(noise)])
                for i, one in enumerate(found)
            ]

    def _noise(self, window: Window, what: str, like: Tensor) -> Tensor:
        generator = self.run.generator(what, self.name, str(window))
        return self.run.tensor(generator.standard_normal(like.shape)).to(like)
