"""Does every method stay bounded over the whole period, against the truth and against withheld observations?"""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lara.verification.figures import style


@style.styled
def draw(scores: xr.Dataset) -> Figure:
    """Per channel (rows): RMSE of analyses against the truth, and rms of withheld observations less analyses.

    `truth` and `withheld` (experiment, time, channel), SI, daily; `floor` (channel); attrs: `evaluation_begin`, `n`
    (times scored).
    """
    names = [str(name) for name in scores["channel"].values]
    figure = Figure(figsize=(10.5, 2.5 * len(names) + 0.6), layout="constrained")
    grid = figure.subplots(len(names), 2, squeeze=False, sharex=True)
    for row, name in zip(grid, names, strict=True):
        variable = style.channel(name).variable
        one, unit = scores.sel(channel=name) * style.factor(variable), style.unit(variable)
        for axes, key, title in zip(row, ("truth", "withheld"), ("the truth", "withheld observations"), strict=True):
            _panel(axes, one[key], np.datetime64(scores.attrs["evaluation_begin"]))
            axes.set_title(f"{style.title(name)} against {title}")
            axes.set_ylabel(f"RMSE ({unit})")
        row[0].axhline(float(one["floor"]), color=style.GREY, linestyle="--", linewidth=1, label="reconstruction")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(5, len(labels)))
    figure.suptitle(f"Daily; n = {scores.attrs['n']} days after the spin-up (grey)", fontsize=9)
    return figure


def _panel(axes: Axes, values: xr.DataArray, begin: np.datetime64) -> None:
    for experiment in values["experiment"].values:
        one = values.sel(experiment=experiment)
        axes.plot(one["time"], one, **{**style.line(str(experiment)), "linewidth": 1.1})
    style.time_axis(axes, values["time"].values, begin)
