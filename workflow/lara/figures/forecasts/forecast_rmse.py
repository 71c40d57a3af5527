"""Forecast RMSE against lead time, from the analyses, the free run, persistence and climatology."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lara.figures import style
from lara.stages.reading import read_dataset

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "all"
KEPT_AS = "nc"
CAPTION = "Error of forecasts from the analyses, beside the free run, persistence, climatology and a perfect start."


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Scores of forecasts."""
    return [layout.scores("forecasts")]


def gather(run: Run) -> xr.Dataset:
    """`rmse`, `low`, `high` (source, lead_time, channel) of the headline channels over the globe, SI."""
    found = read_dataset(run.layout.scores("forecasts")).sel(region="globe", drop=True)
    return found.sel(channel=list(run.config.verification.headline))


def draw(scores: xr.Dataset) -> Figure:
    """A panel per channel of `rmse`, `low` and `high` (source, lead_time, channel), SI.

    `lead_time` is a timedelta; sources are names such as "l4dvar", "free", "persistence", "climatology".
    `scores.attrs`: `n` forecasts, `confidence` of the interval.
    """
    figure, panels = style.panels(scores.sizes["channel"], width=3.6, height=2.8, columns=3)
    for axes, name in zip(panels, scores["channel"].values, strict=True):
        variable = style.channel(name).variable
        _panel(axes, scores.sel(channel=name) * style.factor(variable))
        axes.set(title=style.title(name), xlabel="lead time (days)", ylabel=f"RMSE ({style.unit(variable)})")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    figure.suptitle(
        f"n = {scores.attrs['n']} forecasts; shading: {scores.attrs['confidence']:.0%} interval", fontsize=9
    )
    return figure


def _panel(axes: Axes, scores: xr.Dataset) -> None:
    days = scores["lead_time"] / np.timedelta64(1, "D")
    for source in scores["source"].values:
        one = scores.sel(source=source)
        axes.plot(days, one["rmse"], **style.line(source))
        axes.fill_between(days, one["low"], one["high"], color=style.colour(source), alpha=0.15, linewidth=0)
    axes.set_xlim(0, float(days.max()))
    axes.set_ylim(bottom=0)
