"""Analysis RMSE of every experiment by variable and level, beside the error of the reconstruction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lara.figures import style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "all"
KEPT_AS = "nc"
CAPTION = "Analysis error by variable and level; dashed: reconstruction."


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Scores of the default suite, and the errors of the reference's autoencoder."""
    return [*map(layout.scores, config.suite("reanalysis")), layout.network_scores(config.shown_autoencoder)]


def gather(run: Run) -> xr.Dataset:
    """`rmse`, `low`, `high` (experiment, channel) after the spin-up, with `floor` (channel), SI."""
    from lara.figures import gathering
    from lara.stages.experiments import evaluation_begin
    from lara.verification.significance import rmse_interval

    scored = gathering.squared_errors(run).sel(time=slice(evaluation_begin(run), None))
    found = rmse_interval(scored, gathering.block(run, scored), run.generator("bootstrap"), "time")
    return found.assign(floor=gathering.floor(run))


def draw(scores: xr.Dataset) -> Figure:
    """A panel per upper-air variable of `rmse`, `low`, `high` (experiment, channel), SI.

    `floor` (channel), where present, is the reconstruction error. `scores.attrs`: `n` times and the
    `confidence` of the shaded interval.
    """
    channels = {name: style.channel(name) for name in scores["channel"].values}
    variables = dict.fromkeys(c.variable for c in channels.values() if c.level is not None)
    figure, panels = style.panels(len(variables), width=2.4, height=3.4, columns=5)
    for axes, variable in zip(panels, variables, strict=True):
        names = [name for name, c in channels.items() if c.variable == variable]
        levels = np.array([channels[name].level for name in names])
        _panel(axes, scores.sel(channel=names) * style.factor(variable), levels)
        axes.set_xlabel(f"RMSE of {variable} ({style.unit(variable)})")
    for axes in panels[1:]:
        axes.set_ylabel("")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    figure.suptitle(f"n = {scores.attrs['n']} times; shading: {scores.attrs['confidence']:.0%} interval", fontsize=9)
    return figure


def _panel(axes: Axes, scores: xr.Dataset, levels: np.ndarray) -> None:
    for experiment in scores["experiment"].values:
        one = scores.sel(experiment=experiment)
        axes.plot(one["rmse"], levels, marker="o", markersize=3, **style.line(experiment))
        axes.fill_betweenx(levels, one["low"], one["high"], color=style.colour(experiment), alpha=0.15, linewidth=0)
    if "floor" in scores:
        axes.plot(scores["floor"], levels, color=style.GREY, linestyle="--", linewidth=1, label="reconstruction")
    style.pressure_axis(axes, levels.tolist())
    axes.set_xlim(left=0)
