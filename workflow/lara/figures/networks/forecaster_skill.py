"""Forecast RMSE over that of persistence, channel by channel and lead by lead; below 1 is skill."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lara.figures import style
from lara.stages.reading import read_dataset

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "all"
KEPT_AS = "nc"
CAPTION = "Forecast error over that of persistence; below 1 is skill."
LEADS = (6, 24, 48, 72)  # hours
GOALS = {6: 0.50, 24: 0.55}  # values to stay below, by lead in hours
SHADES = (style.RED, style.ORANGE, style.GREEN, style.SKY, style.BLUE, style.PURPLE)


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Errors of the forecaster."""
    return [layout.network_scores("forecaster")]


def gather(run: Run) -> xr.Dataset:
    """`ratio` (lead_time, channel) of the RMSE to that of persistence (1); attrs: `n` forecasts."""
    from lara.stages.run import hours

    errors = read_dataset(run.layout.network_scores("forecaster"))
    leads = [hours(h) for h in LEADS if hours(h) in errors["lead_time"].values]
    ratio = (errors["rmse"] / errors["persistence_rmse"]).sel(lead_time=leads).rename("ratio")
    return ratio.to_dataset().assign_attrs(n=errors.attrs["samples"])


def draw(fields: xr.Dataset) -> Figure:
    """Ratios by channel, a line per lead, with the goals."""
    ratio = fields["ratio"]
    names = list(ratio["channel"].values)
    figure, (axes,) = style.panels(1, width=max(6.0, 0.19 * len(names)), height=3.6)
    groups = style.channel_axis(axes, names)
    for colour, lead in zip(SHADES, ratio["lead_time"].values, strict=False):
        hours = int(lead / np.timedelta64(1, "h"))
        values = ratio.sel(lead_time=lead).values
        for i, group in enumerate(groups):
            label = f"{hours} h: mean {values.mean():.2f}" if i == 0 else None
            axes.plot(group, values[group], "o-", markersize=4, color=colour, label=label)
        if hours in GOALS:
            label = f"target at {hours} h: {GOALS[hours]:g}"
            axes.axhline(GOALS[hours], color=colour, linestyle="--", linewidth=1, label=label)
    axes.axhline(1.0, color=style.GREY, linestyle=":", linewidth=1, label="persistence")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("RMSE / RMSE of persistence (1)")
    axes.set_title(f"n = {fields.attrs['n']} forecasts")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
