"""How much of the change does the forecaster predict, channel by channel and lead by lead?"""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from lara.verification.figures import style

SHADES = (style.RED, style.ORANGE, style.GREEN, style.SKY, style.BLUE, style.PURPLE)


@style.styled
def draw(ratio: xr.DataArray, targets: Mapping[int, float]) -> Figure:
    """RMSE / RMSE of persistence (1; below 1 is skill): `ratio` (lead_time, channel).

    `lead_time` is a timedelta; `ratio.attrs["n"]` counts the forecasts; `targets` holds the value to stay
    below by lead in hours.
    """
    names = list(ratio["channel"].values)
    figure, (axes,) = style.panels(1, width=max(6.0, 0.19 * len(names)), height=3.6)
    groups = style.channel_axis(axes, names)
    for colour, lead in zip(SHADES, ratio["lead_time"].values, strict=False):
        hours = int(lead / np.timedelta64(1, "h"))
        values = ratio.sel(lead_time=lead).values
        for i, group in enumerate(groups):
            label = f"{hours} h: mean {values.mean():.2f}" if i == 0 else None
            axes.plot(group, values[group], "o-", markersize=4, color=colour, label=label)
        if hours in targets:
            axes.axhline(
                targets[hours],
                color=colour,
                linestyle="--",
                linewidth=1,
                label=f"target at {hours} h: {targets[hours]:g}",
            )
    axes.axhline(1.0, color=style.GREY, linestyle=":", linewidth=1, label="persistence")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("RMSE / RMSE of persistence (1)")
    axes.set_title(f"n = {ratio.attrs['n']} forecasts")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
