"""Influence of each latent component on the variables: the decoded change when it alone changes."""

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

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "figures"
KEPT_AS = "nc"
CAPTION = "Which variables each latent component moves; a row that is bright in several variables couples them."


def inputs(config: Config, layout: Layout) -> list[Path]:
    """What the decoder makes of latent states."""
    return [layout.latent_space("fig5a_latent_influence")]


def gather(run: Run) -> xr.Dataset:
    """`mean` and `variance` (latent, channel) of the decoded change; attrs: n pairs."""
    return read_dataset(run.layout.latent_space("fig5a_latent_influence"))


def draw(fields: xr.Dataset) -> Figure:
    """`mean` and `variance` (latent, channel) of the decoded change, each scaled to 0–1 per channel; n pairs in attrs.

    A channel whose influences are all alike is drawn as 0.
    """
    names = [str(name) for name in fields["channel"].values]
    figure = style.figure(max(8.0, 0.3 * len(names)), 6.4)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, key in zip(panels, ("mean", "variance"), strict=True):
        scaled = min_max(fields[key].transpose("latent", "channel").values)
        mesh = axes.imshow(scaled, vmin=0, vmax=1, cmap="cividis", aspect="auto", interpolation="none")
        _channels(axes, names)
        axes.set_title(f"{key} over pairs")
    panels[0].set_ylabel("latent component, the linear path's leading ones first")
    figure.colorbar(mesh, ax=list(panels), label="decoded change, 0–1 per variable and level (1)", shrink=0.8)
    figure.suptitle(f"⟨|D(z + Δz_k) − D(z)|⟩ over n = {fields.attrs['n']} pairs of latent states", fontsize=9)
    return figure


def min_max(table: np.ndarray) -> np.ndarray:
    """Columns of a table brought to 0–1; 0 where a column is constant."""
    low, high = table.min(axis=0), table.max(axis=0)
    return np.divide(table - low, high - low, out=np.zeros_like(table), where=high > low)


def _channels(axes: Axes, names: list[str]) -> None:
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=6)
    axes.set_xlabel("variable and level (hPa)")
    axes.grid(visible=False)
