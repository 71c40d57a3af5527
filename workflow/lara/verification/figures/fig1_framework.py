"""What happens in one window: encode, assimilate in the latent space, decode, forecast."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch

from lara.verification.figures import maps, style

STATES = (("background", (0, 0)), ("analysis", (0, 3)), ("forecast", (1, 0)))


@style.styled
def draw(fields: xr.Dataset, land: xr.DataArray | None = None) -> Figure:
    """Panels of one window with arrows for what leads to what.

    `fields`: `background`, `analysis`, `forecast`, `increment` (latitude, longitude), SI; `latent_background`,
    `latent_analysis`, `latent_std` (row, column) of one component; `innovation`, `site_latitude`, `site_longitude`
    (site). `fields.attrs`: channel, time, component, observations (how many the window used).
    """
    variable = style.channel(fields.attrs["channel"]).variable
    figure = Figure(figsize=(17.0, 4.9), layout="constrained")
    grid = figure.subplots(2, 4)
    factor, unit = style.factor(variable), style.unit(variable)
    _states(figure, grid, fields, factor, unit)
    increment = factor * fields["increment"]
    reach = float(abs(increment).max()) or 1.0
    mesh = maps.fill(grid[1, 3], increment, -reach, reach, "RdBu_r")
    figure.colorbar(mesh, ax=grid[1, 3], label=unit, shrink=0.7)
    grid[1, 3].set_title("increment x_a − x_b")
    _innovations(figure, grid[1, 2], fields, factor, unit)
    for axes in (grid[0, 0], grid[0, 3], grid[1, 0], grid[1, 2], grid[1, 3]):
        maps.coast(axes, land)
    _latents(figure, grid, fields)
    _arrows(figure, grid)
    figure.suptitle(
        f"One window, {fields.attrs['time']} UTC, {style.title(fields.attrs['channel'])} and latent component "
        f"{fields.attrs['component']}; {fields.attrs['observations']} data of all kinds used",
        fontsize=9,
    )
    return figure


def _states(figure: Figure, grid: np.ndarray, fields: xr.Dataset, factor: float, unit: str) -> None:
    low, high = (float(getattr(factor * fields["analysis"], end)()) for end in ("min", "max"))
    titles = {"background": "background x_b", "analysis": "analysis x_a = D(z_a)", "forecast": "next background M(x_a)"}
    for name, place in STATES:
        mesh = maps.fill(grid[place], factor * fields[name], low, high)
        grid[place].set_title(titles[name])
        figure.colorbar(mesh, ax=grid[place], label=unit, shrink=0.7)


def _latents(figure: Figure, grid: np.ndarray, fields: xr.Dataset) -> None:
    reach = float(abs(fields["latent_background"]).max())
    shown = (
        (grid[0, 1], "latent_background", "z_b = E(x_b)", "RdBu_r", (-reach, reach)),
        (grid[0, 2], "latent_analysis", "z_a, where J is least", "RdBu_r", (-reach, reach)),
        (grid[1, 1], "latent_std", "B_z^½ (diagonal)", "viridis", (0.0, float(fields["latent_std"].max()))),
    )
    for axes, name, title, colours, (low, high) in shown:
        mesh = axes.imshow(fields[name], vmin=low, vmax=high, cmap=colours, interpolation="none")
        axes.set(title=title, xlabel="patch, eastward", ylabel="patch, southward")
        axes.grid(visible=False)
        figure.colorbar(mesh, ax=axes, label="latent value (1)", shrink=0.7)


def _innovations(figure: Figure, axes: Axes, fields: xr.Dataset, factor: float, unit: str) -> None:
    empty = fields["background"] * np.nan
    maps.fill(axes, empty, 0, 1)
    values = factor * fields["innovation"]
    reach = float(abs(values).max()) or 1.0
    east = (fields["site_longitude"] + 180.0) % 360.0 - 180.0
    points: dict[str, Any] = {
        "c": values,
        "cmap": "RdBu_r",
        "vmin": -reach,
        "vmax": reach,
        "s": 14,
        "edgecolors": "0.3",
    }
    mesh = axes.scatter(east, fields["site_latitude"], linewidths=0.3, **points)
    figure.colorbar(mesh, ax=axes, label=unit, shrink=0.7)
    axes.set_title("innovations y − H(x_b), first slot")


def _arrows(figure: Figure, grid: np.ndarray) -> None:
    """What leads to what, between the panels' edges in fractions of the panels."""
    steps = [
        ((0, 0), (1.0, 1.2), (0, 1), (0.0, 1.2), "E"),
        ((0, 1), (1.0, 1.2), (0, 2), (0.0, 1.2), "minimise J"),
        ((0, 2), (1.0, 1.2), (0, 3), (0.0, 1.2), "D"),
    ]
    for start, begin, stop, end, label in steps:
        arrow = ConnectionPatch(begin, end, "axes fraction", "axes fraction", axesA=grid[start], axesB=grid[stop])
        arrow.set(arrowstyle="-|>", mutation_scale=14, color=style.RED, linewidth=1.5)
        arrow.set_in_layout(False)
        figure.add_artist(arrow)
        grid[start].annotate(label, (1.1, 1.23), xycoords="axes fraction", color=style.RED, annotation_clip=False)
