"""The figure of the suite `bootstrap`: an autoencoder trained on forecasts beside one trained on states."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from lara.experiment.saving import keep_fields
from lara.stages.networks import RunWithNetworks
from lara.stages.run import Run
from lara.stages.verification import paired_table
from lara.verification.figures import exp4_forecast_autoencoder

SCORES = ["rmse", "low", "high", "difference", "difference_low", "difference_high", "n"]


def draw_forecast_autoencoder(run: Run) -> Figure:
    """Reconstruction, analyses and forecasts of every experiment of the suite and of its reference."""
    kept = keep_fields(run, "exp4_forecast_autoencoder", compared(run))
    return exp4_forecast_autoencoder.draw(kept)


def compared(run: Run) -> xr.Dataset:
    """SCORES (experiment, channel, lead_days; SI), `reconstruction` (experiment, held_out; over the 24 h change).

    attrs: `reference`, `samples` of the reconstruction, and `trained_on` of each in words.
    """
    reference = run.config.bootstrap.reference or ""
    names = [reference, *run.config.suite("bootstrap")]
    table = paired_table.compare(run, names, reference).rename(columns={"method": "experiment"})
    scores = table.set_index(["experiment", "channel", "lead_days"])[SCORES].to_xarray()
    scores = scores.sel(experiment=names, channel=list(run.config.verification.headline))
    errors = [xr.load_dataset(run.layout.errors(run.config.experiments[name].space)) for name in names]
    ratios = [(one["rmse"] / one["change_std"]).rename(channel="held_out") for one in errors]
    fields = scores.assign(reconstruction=xr.concat(ratios, pd.Index(names, name="experiment")))
    counted = {"reference": reference, "samples": int(errors[0].attrs["samples"])}
    return fields.assign_attrs(counted, trained_on=[trained_on(run, name) for name in names])


def trained_on(run: Run, name: str) -> str:
    """What the autoencoder of an experiment has learnt from."""
    days = run.config.autoencoders[run.config.experiments[name].space].forecast_days
    return "states" if days is None else f"forecasts of {days[0]} to {days[1]} days"


FIGURES: dict[str, Callable[[RunWithNetworks], Figure]] = {"exp4_forecast_autoencoder": draw_forecast_autoencoder}
