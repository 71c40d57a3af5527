"""Reconstruction error of the autoencoder over the change of a day, beside that of the PCA it started from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lara.figures import style
from lara.stages.reading import read_dataset

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "all"
KEPT_AS = "nc"
CAPTION = (
    "Error of a pass through the autoencoder over the rms 24 h change, beside the PCA of the same size. An analysis in "
    "its latent space can hardly be better than this."
)
GOAL = 0.15  # to be met by the rms over the channels of z, t, u and v


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Errors of the reference's autoencoder."""
    return [layout.network_scores(config.shown_autoencoder)]


def gather(run: Run) -> xr.Dataset:
    """RMSE / std of 24 h changes (1) of `autoencoder` and `pca` (channel); attrs: `n` states, `compression`."""
    import xarray as xr

    errors = read_dataset(run.layout.network_scores(run.config.shown_autoencoder))
    scaled = {"autoencoder": errors["rmse"], "pca": errors["pca_rmse"]}
    fields = xr.Dataset({key: value / errors["change_std"] for key, value in scaled.items()})
    return fields.assign_attrs(n=errors.attrs["samples"], compression=errors.attrs["compression"])


def draw(errors: xr.Dataset) -> Figure:
    """Errors by channel; the legend has their rms over the channels of z, t, u and v."""
    names = list(errors["channel"].values)
    figure, (axes,) = style.panels(1, width=max(6.0, 0.19 * len(names)), height=3.4)
    dynamical = [style.channel(name).variable in ("z", "t", "u", "v") for name in names]
    groups = style.channel_axis(axes, names)
    for source, colour, marker in (("pca", style.GREEN, "s"), ("autoencoder", style.RED, "o")):
        values = errors[source].values
        rms = np.sqrt(np.mean(values[dynamical] ** 2))
        for i, group in enumerate(groups):
            label = f"{source}: {rms:.3f} (z, t, u, v)" if i == 0 else None
            axes.plot(group, values[group], marker=marker, markersize=4, color=colour, label=label)
    axes.axhline(GOAL, color=style.BLACK, linestyle="--", linewidth=1, label=f"target {GOAL:g} (rms of z, t, u, v)")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("reconstruction RMSE /\nstd of 24 h changes (1)")
    axes.set_title(f"{errors.attrs['compression']:.3g}x compression, n = {errors.attrs['n']} held-out states")
    axes.legend()
    return figure
