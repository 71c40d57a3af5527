"""How an experiment analyses its windows, and what its first window starts from."""

from __future__ import annotations

from dataclasses import dataclass

from lara.assimilation.cycle import Disturb, Method, Start
from lara.assimilation.trajectory import Step
from lara.assimilation.window import Window
from lara.experiment.diagnosing import Diagnosed
from lara.experiment.ensemble import Ensemble
from lara.experiment.run import Run
from lara.experiment.scheme import background_at, control_run, factors, scheme, slot_step


@dataclass(frozen=True, eq=False)
class Analyst:
    """Method, forecast from slot to slot, noise on backgrounds if any, and the start of the first window."""

    method: Method
    step: Step
    start: Start
    disturb: Disturb | None = None

    @classmethod
    def of(cls, run: Run, name: str, first: Window) -> Analyst:
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
