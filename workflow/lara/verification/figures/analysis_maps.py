"""Does the increment sit where the sites are, and move the background towards the truth?"""

import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lara.verification.figures import maps, style


@style.styled
def draw(fields: xr.Dataset, sites: pd.DataFrame, land: xr.DataArray | None = None) -> Figure:
    """Truth, background, analysis and increment (SI; latitude, longitude) of one channel at one time.

    `fields.attrs` names `channel` ("z500") and `time`; `sites` has latitude, longitude and withheld; `land`
    is a fraction.
    """
    variable = style.channel(fields.attrs["channel"]).variable
    shown = fields * style.factor(variable)
    figure, panels = style.panels(4, width=5.0, height=2.7, columns=2)
    _states(panels[:3], shown)
    _increment(panels[3], shown["increment"])
    maps.sites(panels[3], sites)
    panels[3].legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2)
    for axes in panels:
        maps.coast(axes, land)
        figure.colorbar(axes.collections[0], ax=axes, label=style.unit(variable), shrink=0.75, pad=0.02)
    figure.suptitle(f"{style.title(fields.attrs['channel'])}, {fields.attrs['time']} UTC")
    return figure


def _states(panels: list[Axes], shown: xr.Dataset) -> None:
    low, high = float(shown["truth"].min()), float(shown["truth"].max())
    levels = MaxNLocator(9).tick_values(low, high)
    for axes, name in zip(panels, ("truth", "background", "analysis"), strict=True):
        maps.fill(axes, shown[name], low, high)
        maps.contour(axes, shown["truth"], levels, "white", 1.2)
        axes.set_title(name)
        if name != "truth":
            maps.contour(axes, shown[name], levels, "black", 0.7)
            axes.set_title(f"{name} (black) on the truth (white)")


def _increment(axes: Axes, increment: xr.DataArray) -> None:
    reach = float(abs(increment).max()) or 1.0
    maps.fill(axes, increment, -reach, reach, "RdBu_r")
    axes.set_title("increment (analysis − background) and sites")
