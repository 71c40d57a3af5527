"""Does the analysis error stay bounded, below the free run, and how near the autoencoder's own error?"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lara.verification.figures import style


@style.styled
def draw(scores: xr.Dataset, channels: Sequence[str]) -> Figure:
    """A panel per channel of `rmse` (experiment, time, channel), SI, as `significance.evaluate` returns it.

    The legend states `mean`, `low`, `high` (experiment, channel) after the spin-up. `floor` (channel), where
    present, is the reconstruction error. `scores.attrs`: `evaluation_begin` (ISO time), `n`, `confidence`.
    """
    figure, panels = style.panels(len(channels), width=4.8, height=2.9, columns=2)
    begin = np.datetime64(scores.attrs["evaluation_begin"])
    for axes, name in zip(panels, channels, strict=True):
        _panel(axes, scores.sel(channel=name) * style.factor(style.channel(name).variable), begin)
        axes.set_title(style.title(name))
        axes.set_ylabel(f"RMSE ({style.unit(style.channel(name).variable)})")
    figure.suptitle(
        f"Grey: spin-up. Legend: RMSE over the n = {scores.attrs['n']} times after it, "
        f"[{scores.attrs['confidence']:.0%} interval]",
        fontsize=9,
    )
    return figure


def _panel(axes: Axes, scores: xr.Dataset, begin: np.datetime64) -> None:
    for experiment in scores["experiment"].values:
        one = scores.sel(experiment=experiment)
        mean, low, high = (style.number(float(one[name])) for name in ("mean", "low", "high"))
        line = {**style.line(experiment), "label": f"{experiment}: {mean} [{low}, {high}]", "linewidth": 1.2}
        axes.plot(scores["time"], one["rmse"], **line)
    if "floor" in scores:
        floor = float(scores["floor"])
        axes.axhline(floor, color=style.GREY, linestyle="--", label=f"reconstruction: {style.number(floor)}")
    style.time_axis(axes, scores["time"].values, begin)
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.17), ncols=2, fontsize=7)
