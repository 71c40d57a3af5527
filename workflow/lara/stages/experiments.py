"""A configured experiment in time: its windows, the times that are scored, and the experiments beside it."""

from __future__ import annotations

import numpy as np

from lara.assimilation.window import Window, windows
from lara.config import Experiment
from lara.stages.run import Run, hours, time

CONTROLS = ("truth", "reconstruction")  # measured and drawn beside experiments, which have other names


def evaluation_begin(run: Run, name: str | None = None) -> np.datetime64:
    """First time after the spin-up, the same for every experiment of a suite: that of `name`, or the default one."""
    chosen = name or run.config.verification.reference
    begin, _ = run.config.period(chosen)
    return time(begin) + hours(24 * run.config.spin_up_days(chosen))


def last_slots(run: Run, name: str) -> np.ndarray:
    """Times of the last slots of an experiment's windows: no analysis has seen a later observation (datetime64[ns])."""
    return np.array([window.slots[-1] for window in all_windows(run, name)])


def all_windows(run: Run, name: str) -> list[Window]:
    """The windows of an experiment over its whole period."""
    return windows_of(run.config.experiments[name], *(time(moment) for moment in run.config.period(name)))


def windows_of(chosen: Experiment, begin: np.datetime64, end: np.datetime64) -> list[Window]:
    """The windows of an experiment that tile a period."""
    return windows(begin, end, chosen.slots, hours(chosen.slot_hours), chosen.overlap)


def middle_window(run: Run, name: str) -> Window:
    """The window in the middle of an experiment's scored period."""
    scored = [window for window in all_windows(run, name) if window.fresh[0] >= evaluation_begin(run, name)]
    return scored[len(scored) // 2]


def controls(run: Run, name: str, method: str) -> list[str]:
    """Experiments of the suite of `name`, other than itself, that use a method."""
    suite = run.config.suite(run.config.experiments[name].suite)
    return [other for other in suite if run.config.experiments[other].method == method and other != name]


def shown_autoencoder(run: Run) -> str:
    """The autoencoder of the reference experiment."""
    return run.config.experiments[run.config.verification.reference].autoencoder or ""
