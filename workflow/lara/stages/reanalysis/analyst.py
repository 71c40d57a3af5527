"""Analyst of an experiment: what analyses its windows, and what its first window starts from."""

from __future__ import annotations

from dataclasses import dataclass

from lara.assimilation.cycle import Disturb, Method, Start
from lara.assimilation.trajectory import Step


@dataclass(frozen=True, eq=False)
class Analyst:
    """Method, forecast from slot to slot, start of the first window, and noise on later backgrounds, if any."""

    method: Method
    step: Step
    start: Start
    disturb: Disturb | None = None
