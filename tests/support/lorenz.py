"""Windows and schemes of Lorenz-96 for tests of analyses and of cycles."""

import numpy as np
import torch

from lara.assimilation.control import DiagonalControl
from lara.assimilation.cycle import (
    Model,
    Scheme,
)
from lara.assimilation.lbfgs import LBFGS
from lara.assimilation.quality import BackgroundDraws
from lara.assimilation.window import Window, windows
from toys import PointObservations, lorenz96_run, lorenz96_step, normal, observe

BEGIN, STEP = np.datetime64("2001-01-01T00", "ns"), np.timedelta64(6, "h")


DAY = Window(BEGIN, STEP, 4)


SIGMA = 1.0


def checked(threshold: float | None = 5.0):
    """Options of a background check whose σ_b is one everywhere."""
    return {"background_draws": opposite(torch.ones(1, 4, 40, dtype=torch.float64)), "check_threshold": threshold}


def opposite(std):
    """Two opposite draws whose standard deviation is `std` (b, k, …) at every point."""
    return BackgroundDraws.of(torch.stack([std, -std], 1) / 2**0.5)


def lorenz_problem(members: int = 1, error: float = 0.5):
    """(background (b, n), observations) of four slots, every second variable observed."""
    truth = lorenz96_run(4, seed=2, members=members)
    return truth[:, 0] + error * normal(members, 40, seed=3), observe(truth, SIGMA, seed=1, every=2)


def lorenz_scheme(minimiser=None, variance: float = 0.1, model: Model | None = None, **options) -> Scheme:
    control = DiagonalControl(torch.full((1, 40), variance, dtype=torch.float64))
    return Scheme(model or Model(lorenz96_step), control, minimiser or LBFGS(evaluations=40), **options)


def period(truth, overlap: int = 0) -> list[Window]:
    return windows(BEGIN, BEGIN + truth.shape[1] * STEP, 4, STEP, overlap)


def observed(truth, every: int = 2):
    """Function: the data of a window, keyed by its begin; those of an overlap are not used again."""

    def observations_of(window: Window) -> PointObservations:
        at = int((window.begin - BEGIN) / STEP)
        o = observe(truth[:, at : at + window.count], SIGMA, seed=at, every=every)
        return o.without(o.slot < window.overlap)

    return observations_of
