"""Which method analyses best, and whose forecasts are best, for how long?"""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lara.verification.figures import style


@style.styled
def draw(forecasts: xr.Dataset, analyses: xr.Dataset) -> Figure:
    """Per channel: forecast RMSE against lead (top) and analysis RMSE (bottom), with 95 % intervals.

    `forecasts`: `rmse`, `low`, `high` (experiment, lead_time, channel), SI; `analyses`: the same without lead, and
    `floor` (channel), the reconstruction error. attrs: n of each.
    """
    names = [str(name) for name in forecasts["channel"].values]
    figure = Figure(figsize=(4.0 * len(names), 6.4), layout="constrained")
    grid = figure.subplots(2, len(names), squeeze=False, height_ratios=[1.5, 1.0])
    for (above, below), name in zip(grid.T, names, strict=True):
        variable = style.channel(name).variable
        factor, unit = style.factor(variable), style.unit(variable)
        _curves(above, factor * forecasts.sel(channel=name))
        above.set(title=style.title(name), xlabel="lead time (days)", ylabel=f"forecast RMSE ({unit})")
        _dots(below, factor * analyses.sel(channel=name))
        below.set_xlabel(f"analysis RMSE ({unit})")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(5, len(labels)))
    figure.suptitle(
        f"n = {forecasts.attrs['n']} forecasts and {analyses.attrs['n']} analyses of every method at the same times; "
        "95 % intervals",
        fontsize=9,
    )
    return figure


def _curves(axes: Axes, scores: xr.Dataset) -> None:
    days = scores["lead_time"] / np.timedelta64(1, "D")
    for experiment in scores["experiment"].values:
        one = scores.sel(experiment=experiment)
        axes.plot(days, one["rmse"], **style.line(str(experiment)))
        axes.fill_between(days, one["low"], one["high"], color=style.colour(str(experiment)), alpha=0.12, linewidth=0)
    axes.set_xlim(0, float(days.max()))
    axes.set_ylim(bottom=0)


def _dots(axes: Axes, scores: xr.Dataset) -> None:
    names = [str(name) for name in scores["experiment"].values]
    for height, name in enumerate(names):
        one, colour = scores.sel(experiment=name), style.colour(name)
        axes.plot([float(one["low"]), float(one["high"])], [height, height], color=colour)
        axes.plot([float(one["rmse"])], [height], "o", color=colour, markersize=5)
    axes.axvline(float(scores["floor"]), color=style.GREY, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(left=0)
