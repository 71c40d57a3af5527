"""Truth, background, analysis and increment of one analysis on maps, with the observing sites."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lara.depends.inputs import Inputs
from lara.figures import maps, style
from lara.stages.reading import read_table

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.states import RunWithStates

TARGET = "all"
KEPT_AS = "nc"
CAPTION = "One analysis on the map: the increment should sit where the sites are and lead towards the truth."


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Archive and truth of the reference experiment, and the sites."""
    reference = config.verification.reference
    truth = Inputs(config, layout).truth(reference)
    return [layout.archive_receipt(reference), *truth, layout.sites]


def gather(run: RunWithStates) -> xr.Dataset:
    """First headline channel at the first slot of the window in the middle of the reference's scored period, SI.

    `truth`, `background`, `analysis`, `increment`, `land` (latitude, longitude); `site_latitude`, `site_longitude`,
    `site_withheld` (site); attrs: `channel`, `time`.
    """
    import xarray as xr

    from lara import store
    from lara.stages.experiments import middle_window
    from lara.stages.states import states_of

    name, mapped = run.config.verification.reference, run.config.verification.headline[0]
    archive = store.open_archive(run.layout.archive(name)).sel(time=[middle_window(run, name).fresh[0]])
    fields = {
        "truth": run.store(run.config.experiments[name].dataset).at(archive["time"].values),
        "background": states_of(run, archive, "_background"),
        "analysis": states_of(run, archive, ""),
    }
    channel = run.channels.position(mapped)
    coordinates = {"latitude": run.grid.latitude, "longitude": run.grid.longitude}
    shown = xr.Dataset({k: (("latitude", "longitude"), v[0, channel]) for k, v in fields.items()}, coordinates)
    shown = shown.assign(increment=shown["analysis"] - shown["background"], land=maps.land(shown))
    sites = read_table(run.layout.sites)
    columns = {f"site_{name}": ("site", sites[name].to_numpy()) for name in ("latitude", "longitude", "withheld")}
    return shown.assign(columns).assign_attrs(channel=mapped, time=str(archive["time"].values[0])[:16])


def draw(fields: xr.Dataset) -> Figure:
    """Truth, background, analysis and increment of one channel at one time, the used and withheld sites on the last."""
    variable = style.channel(fields.attrs["channel"]).variable
    shown = fields[["truth", "background", "analysis", "increment"]] * style.factor(variable)
    figure, panels = style.panels(4, width=5.0, height=2.7, columns=2)
    _states(panels[:3], shown)
    _increment(panels[3], shown["increment"])
    maps.sites(panels[3], fields)
    panels[3].legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2)
    for axes in panels:
        maps.coast(axes, fields["land"])
        figure.colorbar(axes.collections[0], ax=axes, label=style.unit(variable), shrink=0.75, pad=0.02)
    figure.suptitle(f"{style.title(fields.attrs['channel'])}, {fields.attrs['time']} UTC (n = 1)")
    return figure


def _states(panels: list[Axes], shown: xr.Dataset) -> None:
    from matplotlib.ticker import MaxNLocator

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
