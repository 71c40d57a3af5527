"""Figures of the suite `production`: errors, global means and seams over the whole period."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from lara.experiment.saving import keep_fields
from lara.stages.experiments import evaluation_begin
from lara.stages.networks import RunWithNetworks
from lara.stages.run import Run, time
from lara.verification.figures import production


def draw_rmse(run: Run) -> Figure:
    """Error of every experiment over time."""
    saved = keep_fields(run, "production_rmse", xr.load_dataset(run.layout.production("series.nc"))[["rmse"]])
    return production.draw_rmse(saved, evaluation_begin(run, run.config.suite("production")[0]), _joined(run))


def draw_drift(run: Run) -> Figure:
    """Global means of analyses and truth with their trends."""
    saved = keep_fields(run, "production_drift", xr.load_dataset(run.layout.production("series.nc"))[["mean", "truth"]])
    return production.draw_drift(saved, pd.read_csv(run.layout.production("trends.csv")), _joined(run))


def draw_seams(run: Run) -> Figure:
    """Differences of streams before they join, and changes around the join."""
    saved = keep_fields(run, "production_seams", xr.load_dataset(run.layout.production("seams.nc")))
    return production.draw_seams(saved)


def _joined(run: Run) -> list[np.datetime64]:
    """Where streams of the suite join."""
    names = run.config.suite("production")
    return sorted({time(one.begin) for name in names for one in run.config.production.later(name).values()})


FIGURES: dict[str, Callable[[RunWithNetworks], Figure]] = {
    "production_rmse": draw_rmse,
    "production_drift": draw_drift,
    "production_seams": draw_seams,
}
