"""How an experiment analyses its windows, and what its first window starts from."""

from __future__ import annotations

from dataclasses import dataclass

from lara.assimilation.cycle import Disturb, Method, Start
from lara.assimilation.trajectory import Step
from lara.assimilation.window import Window
from lara.stages.covariance.factors import factors
from lara.stages.networks import RunWithNetworks
from lara.stages.reanalysis.control_runs import control_run
from lara.stages.reanalysis.ensemble import Ensemble
from lara.stages.reanalysis.first_background import background_at
from lara.stages.reanalysis.model import slot_step
from lara.stages.reanalysis.posterior import Diagnosed
from lara.stages.reanalysis.variational import scheme


@dataclass(frozen=True, eq=False)
class Analyst:
    """Method, forecast from slot to slot, noise on backgrounds if any, and the start of the first window."""

    method: Method
    step: Step
    start: Start
    disturb: Disturb | None = None

    @classmethod
    def of(cls, run: RunWithNetworks, name: str, first: Window) -> Analyst:
        """The analyst of an experiment; the spread of B is measured around its first background and window."""
        chosen = run.config.experiments[name]
        background = background_at(run, chosen.dataset, first.begin, chosen.background_hours)
        step = slot_step(run, chosen)
        if not chosen.variational:
            return cls(control_run(run, chosen), step, Start(background))
        own = scheme(run, name, [factors(run, name)], background, first)
        if chosen.members == 1:
            return cls(Diagnosed(run, name, own), step, Start(background))
        members = Ensemble(run, name, own)
        return cls(members, step, members.start(background, first), members.disturb)
