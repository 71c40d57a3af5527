"""Correlations of background errors in model space and in latent space, and an index of how diagonal each is."""

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
    from matplotlib.image import AxesImage

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "figures"
KEPT_AS = "nc"
CAPTION = (
    "Correlations of background errors across variables and levels, latent channels and distance. The index is 1 for a "
    "diagonal B; its inverse counts the elements among which the variance of one is shared."
)
NAMES = {"model": "model space"}


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Correlations of background errors."""
    return [layout.error_structure]


def gather(run: Run) -> xr.Dataset:
    """`stages.verification.error_structure`.

    `<space>_channels`, `<space>_distance` (distance in km), `diagonality`, `shared`, `off_diagonal`, `elements`
    (space); attrs: n, `latent` (the space shown beside model space), `detail` (channels).
    """
    return read_dataset(run.layout.error_structure)


def draw(fields: xr.Dataset) -> Figure:
    """Correlations across channels (top), distance, of single channels with all others, and the index (bottom)."""
    figure = style.figure(12.5, 8.2)
    grid = figure.subplots(2, 3, height_ratios=[1.2, 1.0])
    latent = fields.attrs["latent"]
    _matrix(grid[0, 0], fields["model_channels"])
    mesh = _matrix(grid[0, 1], fields[f"{latent}_channels"])
    grid[0, 1].set(xlabel="latent channel", ylabel="latent channel", title=f"latent space ({latent}), same place")
    figure.colorbar(mesh, ax=grid[0, :2], label="correlation (1)", shrink=0.8)
    spaces = [str(space) for space in fields["space"].values]
    _distance(grid[0, 2], fields, spaces)
    _index(grid[1, 2], fields, spaces)
    for empty in grid[1, :2]:
        empty.remove()
    _detail(figure.add_subplot(grid[1, 0].get_gridspec()[1, :2]), fields)
    figure.suptitle(f"Differences of forecasts valid at the same time, n = {fields.attrs['n']}", fontsize=9)
    return figure


def _matrix(axes: Axes, correlation: xr.DataArray) -> AxesImage:
    mesh = axes.imshow(correlation.values, vmin=-1, vmax=1, cmap="RdBu_r", interpolation="none")
    axes.grid(visible=False)
    if "channel" in correlation.coords:
        variables = [style.channel(str(name)).variable for name in correlation["channel"].values]
        starts = [i for i, name in enumerate(variables) if i == 0 or variables[i - 1] != name]
        middles = [(a + b - 1) / 2 for a, b in zip(starts, [*starts[1:], len(variables)], strict=True)]
        for ticks in (axes.set_xticks, axes.set_yticks):
            ticks(middles, [variables[start] for start in starts], fontsize=7)
        axes.tick_params(axis="x", labelrotation=90)
        axes.set(xlabel="variable, levels top down", ylabel="variable", title="model space, same place")
    return mesh


def _distance(axes: Axes, fields: xr.Dataset, spaces: list[str]) -> None:
    for space, colour in zip(spaces, (style.BLUE, style.RED, style.GREEN), strict=False):
        found = fields[f"{space}_distance"].transpose(..., "distance").dropna("distance")
        low, high = np.quantile(found, [0.1, 0.9], axis=0)
        mean = found.mean(str(found.dims[0]))
        axes.plot(found["distance"], mean, "o-", markersize=3, color=colour, label=_name(space))
        axes.fill_between(found["distance"], low, high, color=colour, alpha=0.12, linewidth=0)
    axes.axhline(0, color=style.GREY, linewidth=1)
    axes.set(xlabel="distance (km)", ylabel="correlation with itself (1)", xlim=(0, None))
    axes.set_title("across distance; shading: 80 % of channels")
    axes.legend()


def _index(axes: Axes, fields: xr.Dataset, spaces: list[str]) -> None:
    values = fields["diagonality"].sel(space=spaces).values
    axes.barh(range(len(spaces)), values, color=[style.BLUE, style.RED, style.GREEN][: len(spaces)], height=0.6)
    for height, space in enumerate(spaces):
        one = fields.sel(space=space)
        text = f"1 / {style.number(float(one['shared']))} of {int(one['elements'])} elements"
        beside = f"{text}\nmean |r| of channels {float(one['off_diagonal']):.3f}"
        axes.text(float(one["diagonality"]) + 0.01 * values.max(), height, beside, va="center", fontsize=8)
    axes.set_yticks(range(len(spaces)), [_name(space) for space in spaces])
    axes.invert_yaxis()
    axes.set(xlabel="diagonality index (1; diagonal: 1)", title="diagonality, all elements")
    axes.set_xlim(0, 2.0 * values.max())


def _detail(axes: Axes, fields: xr.Dataset) -> None:
    names = [str(name) for name in fields["channel"].values]
    groups = style.channel_axis(axes, names)
    detail = np.atleast_1d(fields.attrs["detail"])
    for name, colour, marker in zip(detail, (style.BLACK, style.ORANGE), "os", strict=False):
        values = fields["model_channels"].sel(channel=name).values
        for i, group in enumerate(groups):
            label = f"{style.title(str(name))} with all, model space" if i == 0 else None
            axes.plot(group, values[group], marker=marker, markersize=4, color=colour, label=label)
    axes.axhline(0, color=style.GREY, linewidth=1)
    axes.set_xlabel("variable and pressure level (hPa)", labelpad=26)
    axes.set(ylabel="correlation at the same place (1)", ylim=(-1.05, 1.05))
    axes.legend()


def _name(space: str) -> str:
    return NAMES.get(space, f"latent ({space})")
