"""At which levels does each experiment gain or lose?"""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lara.verification.figures import style


@style.styled
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
